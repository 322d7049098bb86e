"""Turn published facts about Open Dental's schema into the tap's knowledge file.

Usage: python scripts/build_knowledge.py SCHEMA_JSON

Reads the JSON of published facts (tables, columns, types, indexes, references, change tracking) and writes
`tap_opendental/discovery/knowledge/opendental-<version>.json`: one line per table, column, index and enum, so that a
review of a new version is a diff of facts. The same input gives the same bytes. What the machine cannot judge, which
columns are secrets, is decided by hand in SECRETS and REFUSED below; a column that looks like a secret and is in
neither list stops the build. What the tables are for is in ROLES.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent / "tap-opendental/tap_opendental/discovery/knowledge"

Facts = dict[str, Any]

SECRETS = {
    # Passwords, PINs and the codes that reset them.
    "centralconnection.MySqlPassword": "",
    "centralconnection.OdPassword": "",
    "clearinghouse.ISA04": "X12's interchange security information: the password of the segment",
    "clearinghouse.Password": "",
    "ebill.ElectPassword": "",
    "emailaddress.EmailPassword": "",
    "hl7def.SftpPassword": "",
    "mobiledatabyte.RawBase64Code": "the unlock code of a hand-over to a tablet",
    "registrationkey.BackupPassCode": "",
    "reseller.ResellerPassword": "",
    "supplier.Password": "",
    "userod.BadgeId": "presented at a reader in place of a password",
    "userod.EClipboardClinicalPin": "",
    "userod.MobileWebPin": "",
    "userod.Password": "",
    "userweb.Password": "",
    "userweb.PasswordResetCode": "",
    # Keys and tokens of services: whoever holds one is let in.
    "apikey.CustApiKey": "",
    "apisubscription.CustomerKey": "",
    "clinicerx.ClinicKey": "signs a clinic in to its e-prescribing service",
    "emailaddress.AccessToken": "",
    "emailaddress.RefreshToken": "",
    "fhirsubscription.APIKeyHash": "the hash identifies the caller's key",
    "fhirsubscription.ChannelHeader": "carries the subscriber's Authorization header",
    "programproperty.PropertyValue": "settings of bridges, a password or a key in many rows",
    "sessiontoken.SessionTokenHash": "",
    # Licences: they prove to the vendor who calls, and mean nothing to a report.
    "ehrprovkey.ProvKey": "",
    "ehrquarterlykey.KeyValue": "",
    "registrationkey.RegKey": "",
    # Card tokens: they charge the card again.
    "carecreditwebresponse.LastResponseStr": "the service's raw answer repeats the token beside it",
    "carecreditwebresponse.WebToken": "",
    "creditcard.PayConnectToken": "",
    "creditcard.PaySimpleToken": "",
    "creditcard.XChargeToken": "",
    "payconnectresponseweb.AccountToken": "",
    "payconnectresponseweb.LastResponseStr": "the service's raw answer repeats the tokens beside it",
    "payconnectresponseweb.PayToken": "",
    "payconnectresponseweb.PaymentToken": "",
    "xwebresponse.Alias": "XWeb's word for a card token; creditcard.XChargeToken holds the same value",
    "xwebresponse.HpfUrl": "the payment page's address, which contains the one-time key",
    "xwebresponse.OTK": "the one-time key of a payment page",
}

REFUSED = {
    # Of class `credential`, and no secret.
    "creditcard.PayConnectTokenExp": "an expiry date",
    "payconnectresponseweb.ExpDateToken": "an expiry date (yyMM as text), of the card and not of a token",
    "payconnectresponseweb.IsTokenSaved": "a flag",
    "sessiontoken.SessionTokenNum": "the primary key",
    "sessiontoken.TokenType": "an enum: which application the session belongs to",
    "userod.IsPasswordResetRequired": "a flag",
    "userod.PasswordIsStrong": "a flag",
    "userweb.RequirePasswordChange": "a flag",
    # Hashes that show tampering with a row: they open nothing.
    "appointment.SecurityHash": "of the row's own values",
    "claim.SecurityHash": "of the row's own values",
    "claimproc.SecurityHash": "of the row's own values",
    "histappointment.SecurityHash": "of the row's own values",
    "patient.SecurityHash": "of the row's own values",
    "payplan.SecurityHash": "of the row's own values",
    "paysplit.SecurityHash": "of the row's own values",
    "securityloghash.LogHash": "of the log entry's own values",
    # Short links sent to patients: they expire, and the page behind asks who is there.
    "apptnewpatthankyousent.ShortGUID": "part of a link",
    "apptthankyousent.ShortGUID": "part of a link",
    "asapcomm.ShortGUID": "part of a link",
    "confirmationrequest.ConfirmCode": "what a patient texts back, matched with the sender's number",
    "confirmationrequest.ShortGUID": "part of a link",
    "eserviceshortguid.ShortGuid": "part of a link",
    "eserviceshortguid.ShortURL": "a link",
    "msgtopaysent.ShortGUID": "part of a link",
    "statement.ShortGUID": "part of a link",
    "statement.StatementShortURL": "a link to the portal, which asks for a password",
    "statement.StatementURL": "a link to the portal, which asks for a password",
    "webschedrecall.ShortGUID": "part of a link",
    # Identifiers of messages, files and log entries.
    "asapcomm.GuidMessageToMobile": "names a text message",
    "confirmationrequest.GuidMessageFromMobile": "names a text message",
    "document.ExternalGUID": "names a file",
    "emailsecureattach.AttachmentGuid": "names a file",
    "eservicelog.LogGuid": "names a chain of log entries",
    "medicationpat.ErxGuid": "names a prescription",
    "payconnectresponseweb.LogGuid": "names a chain of log entries",
    "rxpat.ErxGuid": "names a prescription",
    "smsfrommobile.GuidMessage": "names a text message",
    "smstomobile.GuidBatch": "names a batch of text messages",
    "smstomobile.GuidMessage": "names a text message",
    "xwebresponse.LogGuid": "names a chain of log entries",
    # Addresses of pages and services.
    "apisubscription.EndPointUrl": "where events are posted to",
    "eduresource.ResourceUrl": "a public page",
    "resellerservice.HostedUrl": "a public page",
    # Settings that reports need. A few rows hold a key or a password hash; a column rule cannot tell them apart.
    "clinicpref.ValueString": "settings per clinic",
    "preference.ValueString": "settings of the practice; CentralManagerPassHash, RegistrationKey and their like",
    "userodpref.ValueString": "settings per user",
    # Names that only sound alike.
    "clearinghouse.LoginID": "a user name",
    "claim.PreAuthString": "an insurer's authorisation of treatment",
    "claim.PriorAuthorizationNumber": "an insurer's authorisation of treatment",
    "emailaddress.AuthenticationType": "an enum",
    "mobilenotification.PrimaryKeys": "keys of rows",
    "programproperty.IsMasked": "a flag",
    "userod.MobileWebPinFailedAttempts": "a counter",
    "wikipage.KeyWords": "words to search by",
}

# What a practice lives on. A table in this list is critical in every practice, whatever refers to it there.
CORE = frozenset(["patient", "appointment", "procedurelog", "claim", "claimproc", "payment", "paysplit", "adjustment"])

# What a table is for, by table; a table in no list has no role. Reviewed by hand, and only where it is beyond doubt.
ROLES = {
    # Who the patients are and what holds them together.
    "people": """
        custrefentry custreference ehrpatient guardian oidexternal patfield patient patientlink patientnote
        patientrace patrestriction phonenumber
    """,
    # What was found, planned, done and prescribed.
    "clinical": """
        allergy anestheticdata anestheticrecord anesthmedsgiven anesthscore anesthvsdata disease document
        eclipboardimagecapture eform eformfield ehramendment ehraptobs ehrcareplan ehrlab ehrlabclinicalinfo
        ehrlabimage ehrlabnote ehrlabresult ehrlabresultscopyto ehrlabspecimen ehrlabspecimencondition
        ehrlabspecimenrejectreason ehrmeasureevent ehrnotperformed ehrsummaryccd encounter familyhealth formpat
        imagedraw intervention labcase labpanel labresult medicalorder medicationpat medlab medlabfacattach
        medlabresult medlabspecimen mount mountitem orthocase orthochart orthochartrow orthohardware
        orthoplanlink orthoproclink orthorx orthoschedule pearlrequest perioexam periomeasure procedurelog
        procgroupitem procmultivisit procnote proctp question refattach rxpat screen screengroup screenpat sheet
        sheetfield toothgridcell toothgridcol toothinitial treatplan treatplanattach treatplanparam vaccineobs
        vaccinepat vitalsign
    """,
    # Who comes when, and who should.
    "scheduling": """
        appointment apptfield asapcomm reactivation recall schedule scheduleop
    """,
    # What is owed and paid.
    "financial": """
        adjustment carecreditwebresponse creditcard deposit discountplansub famaging installmentplan
        journalentry payconnectresponseweb payment payplan payplancharge payplanlink paysplit reconcile
        recurringcharge repeatcharge statement statementprod stmtlink transaction transactioninvoice
        xchargetransaction xwebresponse
    """,
    # Plans, claims and what insurers pay.
    "insurance": """
        benefit claim claimattach claimcondcodelog claimpayment claimproc claimsnapshot claimtracking
        claimvalcodelog eobattach insbluebook insplan inssub insverify patplan payortype substitutionlink
    """,
    # What was said, written and sent, to patients and to insurers.
    "communication": """
        apptgeneralmessagesent apptnewpatthankyousent apptremindersent apptthankyousent commlog commoptout
        confirmationrequest emailattach emailmessage emailsecure emailsecureattach etrans etrans835
        etrans835attach etransmessagetext hl7msg hl7procattach mobilenotification msgtopaysent
        patientportalinvite popup smsfrommobile smstomobile webschedrecall
    """,
    # The practice's own work: staff, time, tasks, supplies.
    "office": """
        cert certemployee clockevent contact dispsupply equipment erouting eroutingaction evaluation
        evaluationcriterion jobteam jobteamuser payperiod reqstudent supply supplyneeded supplyorder
        supplyorderitem task taskancestor taskattachment tasklist tasknote tasksubscription taskunread
        timeadjust timecardrule wikipage
    """,
    # Lists that rows of the others point to: few rows, seldom edited, joined all the time.
    "reference": """
        account allergydef anesthmedsinventory anesthmedsuppliers appointmenttype carrier cdcrec clinic
        codegroup codesystem county covcat covspan cpt cvx definition discountplan diseasedef drugmanufacturer
        drugunit electid employee employer fee feesched feeschedgroup hcpcs icd10 icd9 insfilingcode
        insfilingcodesubtype instructor laboratory letter loinc medication medlabfacility operatory
        orthohardwarespec pharmacy pharmclinic procedurecode provider providerclinic providercliniclink
        providerident recalltrigger recalltype referral referralcliniclink rxnorm schoolclass schoolcourse site
        snomed sop stateabbr supplier ucum usergroup userod vaccinedef zipcode
    """,
    # Who did what: written to be kept, not to be worked with.
    "audit": """
        dbmlog deletedobject entrylog erxlog eservicelog histappointment insbluebooklog inseditlog inseditpatlog
        insverifyhist loginattempt orthochartlog promotionlog securitylog securityloghash taskhist tsitranslog
        updatehistory wikilisthist wikipagehist
    """,
    # How the program looks and behaves here.
    "setup": """
        accountingautopay alertcategory alertcategorylink alertsub apikey apisubscription appointmentrule
        apptfielddef apptreminderrule apptview apptviewitem autocode autocodecond autocodeitem
        autocommexcludedate automation automationcondition autonote autonotecontrol canadiannetwork
        cdspermission centralconnection chartview claimform claimformitem clearinghouse clinicerx clinicpref
        computer computerpref connectiongroup conngroupattach dashboardcell dashboardlayout deflink dictcustom
        displayfield displayreport dunning ebill eclipboardimagecapturedef eclipboardsheetdef eduresource
        eformdef eformfielddef eformimportrule ehrmeasure ehrtrigger emailaddress emailautograph
        emailhostingtemplate emailtemplate eroutingactiondef eroutingdef eroutingdeflink evaluationcriteriondef
        evaluationdef fhircontactpoint fhirsubscription fielddeflink gradingscale gradingscaleitem
        grouppermission hieclinic hl7def hl7deffield hl7defmessage hl7defsegment imagingdevice insbluebookrule
        insplanpreference labturnaround language languageforeign languagepat lettermerge lettermergefield
        limitedbetafeature maparea mobileappdevice mobilebrandingprofile mountdef mountitemdef oidinternal
        orthocharttab orthocharttablink patfielddef patfieldpickitem payplantemplate payterminal preference
        printer procapptcolor procbutton procbuttonitem procbuttonquick proccodenote program programproperty
        promotion providererx questiondef quickpastecat quickpastenote reminderrule replicationserver reqneeded
        requiredfield requiredfieldcondition rxalert rxdef sheetdef sheetfielddef sigbutdef sigelementdef
        smsblockphone smsphone toolbutitem toothgriddef userclinic usergroupattach userodapptview userodpref
        userquery utm webschedcarrierrule wikilistheaderwidth
    """,
    # What programs and machines tell each other; of no use once read.
    "technical": """
        activeinstance alertitem alertread cloudaddress databasemaintenance documentmisc emailmessageuid
        eserviceshortguid eservicesignal hiequeue mobiledatabyte scheduledprocess sessiontoken sigmessage
        signalod terminalactive
    """,
}

# A foreign key of many tables (FKey, KeyNum, KeyType) is no key to a lock.
_LIKE_A_SECRET = re.compile(
    r"Pass(?!ed)|Pwd|Token|Secret|Pin(?![a-z])|Hash|Auth(?!ority)|Credential|OTK|Guid|GUID|Url$|URL$|LoginID|LastResponse"
    r"|(?<!F)(?<!Foreign)(?<!Parent)Key(?!Num|Type)|ConfirmCode|ResetCode|PropertyValue|IsMasked"
    r"|(pref|^preference)\.ValueString"
)

_ON_UPDATE = "on update "


def main(arguments: list[str]) -> None:
    """Build the file of the version that the facts name."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    published = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    knowledge = build_knowledge(published)
    path = PACKAGE / f"opendental-{knowledge['version']}.json"
    path.write_text(render_knowledge(knowledge), encoding="utf-8")
    for index in impossible_indexes(published):
        print(f"left out, no such column: index {index}")
    print(f"{path}: {len(knowledge['tables'])} tables, {path.stat().st_size:,} bytes")


def build_knowledge(published: Facts) -> Facts:
    """Return the knowledge file's content; exits when a column that looks like a secret is undecided."""
    tables = published["tables"]
    _check_decisions(tables)
    _check_roles(tables)
    columns = [column for table in tables.values() for column in table["columns"]]
    return {
        "version": published["meta"]["version"],
        "enums": dict(sorted(_enums(columns).items())),
        "tables": [_table(name, tables[name]) for name in sorted(tables)],
    }


def impossible_indexes(published: Facts) -> list[str]:
    """Name the published indexes that no server can have: their column is not in the table."""
    return [
        f"{name}.{index['name']}"
        for name, table in published["tables"].items()
        for index in table["indexes"]
        if index not in _possible_indexes(table)
    ]


def _check_decisions(tables: Facts) -> None:
    columns = {f"{name}.{column['name']}": column for name, table in tables.items() for column in table["columns"]}
    decided = SECRETS.keys() | REFUSED.keys()
    keys = {f"{name}.{key}" for name, table in tables.items() for key in table["primary_key"]} - decided
    doubtful = {
        name for name, column in columns.items() if "credential" in column.get("phi", ()) or _LIKE_A_SECRET.search(name)
    }
    problems = {
        "undecided": {name for name in doubtful - decided - keys if "fk" not in columns[name]},
        "unknown": decided - columns.keys(),
        "both taken and refused": SECRETS.keys() & REFUSED.keys(),
    }
    if found := [f"{problem}: {', '.join(sorted(names))}" for problem, names in problems.items() if names]:
        sys.exit("decide in SECRETS or REFUSED\n" + "\n".join(found))


def _check_roles(tables: Facts) -> None:
    names = [name for listed in ROLES.values() for name in listed.split()]
    if wrong := sorted({name for name in names if name not in tables or names.count(name) > 1} | CORE - tables.keys()):
        sys.exit(f"ROLES: unknown, or with two roles: {', '.join(wrong)}")


def _enums(columns: list[Facts]) -> dict[str, list[str]]:
    enums: dict[str, list[str]] = {}
    for column in columns:
        if name := column.get("enum_name"):
            values = enums.setdefault(name, column["enum_values"])
            if values != column["enum_values"]:
                sys.exit(f"enum {name} has two lists of values")
    return enums


def _table(name: str, published: Facts) -> Facts:
    tracking = published["change_tracking"]
    return _without_defaults(
        {
            "name": name,
            "engine": _unless(published["engine"], "MyISAM"),
            "collation": _unless(published["collation"], "utf8mb3_general_ci"),
            "primary_key": published["primary_key"],
            "role": _role(name),
            "core": name in CORE,
            "change_tracking": _unless(tracking["class"].removesuffix("_pk"), "none"),
            "change_column": tracking.get("column"),
            "hard_deletes": published["hard_deletes"],
            "typical_rows": published["typical_rows"],
            "typical_megabytes": published["typical_mb"],
            "columns": [_column(name, column) for column in published["columns"]],
            "indexes": [_index(index) for index in _possible_indexes(published)],
        }
    )


def _role(table: str) -> str | None:
    return next((role for role, names in ROLES.items() if table in names.split()), None)


def _column(table: str, published: Facts) -> Facts:
    extra = published.get("extra", "")
    classes = [name for name in published.get("phi", ()) if name != "credential"]
    return _without_defaults(
        {
            "name": published["name"],
            "type": published["type"],
            "nullable": published["null"],
            "default": published["default"],
            "on_update": extra.removeprefix(_ON_UPDATE) if extra.startswith(_ON_UPDATE) else None,
            "auto_increment": extra == "auto_increment",
            "collation": published.get("collation"),
            "logical": published.get("logical"),
            "enum_name": published.get("enum_name"),
            "references": published.get("fk"),
            "patient_data": classes,
            "time_role": published.get("time_role"),
            "secret": f"{table}.{published['name']}" in SECRETS,
        }
    )


def _possible_indexes(table: Facts) -> list[Facts]:
    names = {column["name"] for column in table["columns"]}
    return [
        index for index in table["indexes"] if names.issuperset(part.partition("(")[0] for part in index["columns"])
    ]


def _index(published: Facts) -> Facts:
    columns = [_index_column(column) for column in published["columns"]]
    return _without_defaults({"name": published["name"], "unique": published["unique"], "columns": columns})


def _index_column(published: str) -> str | list[str | int]:
    """``FName(10)`` becomes ``["FName", 10]``, a whole column stays its name."""
    name, parenthesis, length = published.rstrip(")").partition("(")
    return [name, int(length)] if parenthesis else name


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def _without_defaults(facts: Facts) -> Facts:
    """Leave out what is absent, false or empty; a zero is a fact and stays."""
    return {key: value for key, value in facts.items() if value is not None and value is not False and value != []}


def render_knowledge(knowledge: Facts) -> str:
    """Write JSON with one line per enum, table, column and index: a reviewer reads its diff."""
    enums = [f"{_json(name)}:{_json(values)}" for name, values in knowledge["enums"].items()]
    tables = [_render_table(table) for table in knowledge["tables"]]
    return "\n".join(
        [
            f'{{"version":{_json(knowledge["version"])},"enums":{{',
            ",\n".join(enums),
            '},"tables":[',
            ",\n".join(tables),
            "]}\n",
        ]
    )


def _render_table(table: Facts) -> str:
    header = {key: value for key, value in table.items() if key not in ("columns", "indexes")}
    lines = [_json(header)[:-1] + ',"columns":[', ",\n".join(map(_json, table["columns"])) + "]"]
    if "indexes" in table:
        lines[-1] += ',"indexes":['
        lines.append(",\n".join(map(_json, table["indexes"])) + "]")
    return "\n".join(lines) + "}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1:])
