"""The day's work with patients: registering, booking, treating, talking, filling in forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.day.writer import NOW, TODAY, Sql
from opendental_analyze.sandbox.practice import inventions

if TYPE_CHECKING:
    from opendental_analyze.sandbox.day.writer import Writer

NEW_PATIENTS: Final = 3
BOOKED: Final = 5
COMPLETED: Final = 6
FORM_FIELDS: Final = 12
REMINDERS: Final = 300

_TREATMENT_PLANNED, _COMPLETE, _ESTIMATE = 1, 2, 6
_APPOINTMENT_SCHEDULED, _APPOINTMENT_COMPLETE = 1, 2
_COMMLOG_EDIT, _PROCEDURE_COMPLETED, _APPOINTMENT_CREATED = 43, 23, 25


def log(writer: Writer, permission: int, patients: list[int]) -> None:
    """Leave an audit trail: one entry for each patient, and the hash of each entry."""
    if not patients:
        return
    entries = writer.insert(
        "securitylog",
        [
            {
                "PermType": permission,
                "UserNum": 1,
                "LogDateTime": NOW,
                "LogText": inventions.log_entry(writer.random),
                "PatNum": patient,
                "CompName": "ZYXDESK1",
            }
            for patient in patients
        ],
    )
    writer.insert(
        "securityloghash",
        [{"SecurityLogNum": entry, "LogHash": inventions.hexadecimal(writer.random, 32)} for entry in entries],
    )


def register_patients(writer: Writer) -> list[int]:
    """New patients, each with an empty note and as guarantor of themselves."""
    random = writer.random
    registered = []
    for _ in range(NEW_PATIENTS):
        patient = {
            "LName": inventions.family_name(random),
            "FName": inventions.given_name(random),
            "Birthdate": f"{1950 + writer.draw(60)}-07-01",
            "SSN": inventions.social_number(random),
            "Address": inventions.street(random),
            "City": inventions.city(random),
            "State": "ZZ",
            "Zip": inventions.postal_code(random),
            "HmPhone": inventions.phone(random),
            "Email": inventions.mail_address(random),
            "SecDateEntry": TODAY,
        }
        registered += writer.insert("patient", [patient])
    for patient_key in registered:
        writer.update("patient", [patient_key], {"Guarantor": patient_key})
        writer.insert("patientnote", [{"PatNum": patient_key, "SecDateTEntry": NOW}])
    return registered


def book_appointments(writer: Writer, newcomers: list[int]) -> None:
    """Appointments of the coming days, one far in the future, and one that is deleted again within the day."""
    patients = newcomers + writer.choose("patient", BOOKED, "`PatStatus` = 0")
    rows = [
        {
            "PatNum": patient,
            "AptStatus": _APPOINTMENT_SCHEDULED,
            "AptDateTime": Sql(f"CURDATE() + INTERVAL {200 if place == 0 else 1 + place} DAY + INTERVAL 9 HOUR"),
            "Note": inventions.note(writer.random),
            "Op": 1,
            "ProvNum": 1,
            "SecDateTEntry": NOW,
        }
        for place, patient in enumerate(patients)
    ]
    booked = writer.insert("appointment", rows)
    log(writer, _APPOINTMENT_CREATED, patients)
    writer.delete("appointment", booked[-1:])


def treat(writer: Writer) -> None:
    """Treatment-planned procedures are completed in place, with a note each; today's appointments are done."""
    procedures = writer.choose("procedurelog", COMPLETED, f"`ProcStatus` = {_TREATMENT_PLANNED}")
    writer.update(
        "procedurelog",
        procedures,
        {"ProcStatus": _COMPLETE, "ProcDate": TODAY, "DateComplete": TODAY, "ProcFee": Sql("`ProcFee` + 1.1")},
    )
    for procedure in procedures:
        patient = writer.run(
            f"SELECT `PatNum` FROM {writer.name('procedurelog')} WHERE `ProcNum` = %s", [procedure]
        ).scalar_one()
        note = {"PatNum": patient, "ProcNum": procedure, "EntryDateTime": NOW, "UserNum": 1}
        writer.insert("procnote", [{**note, "Note": inventions.note(writer.random)}])
        log(writer, _PROCEDURE_COMPLETED, [patient])
    scheduled = writer.choose("appointment", 3, f"`AptStatus` = {_APPOINTMENT_SCHEDULED}")
    writer.update("appointment", scheduled, {"AptStatus": _APPOINTMENT_COMPLETE})


def talk(writer: Writer) -> None:
    """Notes of telephone calls, and one mass mailing: hundreds of rows in a single second."""
    callers = writer.choose("patient", 5)
    for caller in callers:
        writer.insert("commlog", [_call(writer, caller)])
    log(writer, _COMMLOG_EDIT, callers)
    reached = writer.choose("patient", REMINDERS)
    if reached:
        writer.insert("commlog", [_call(writer, reached[place % len(reached)]) for place in range(REMINDERS)])


def _call(writer: Writer, patient: int) -> dict[str, object]:
    note = inventions.note(writer.random)
    return {"PatNum": patient, "CommDateTime": NOW, "Note": note, "UserNum": 1, "DateTEntry": NOW}


def fill_in_forms(writer: Writer) -> None:
    """A form with its fields, and corrections in the fields of an older one."""
    patients = writer.choose("patient", 1)
    sheets = writer.insert(
        "sheet",
        [
            {"PatNum": patient, "SheetType": 9, "DateTimeSheet": NOW, "Description": "Zorvex form"}
            for patient in patients
        ],
    )
    older = writer.choose("sheetfield", 4)
    for sheet in sheets:
        fields = [
            {
                "SheetNum": sheet,
                "FieldType": 1,
                "FieldName": f"field{place}",
                "FieldValue": inventions.word(writer.random),
            }
            for place in range(FORM_FIELDS)
        ]
        writer.insert("sheetfield", fields)
    writer.update("sheetfield", older, {"FieldValue": Sql("CONCAT(COALESCE(`FieldValue`, ''), ' (corrected)')")})


def change_records(writer: Writer) -> None:
    """Edits that show, and one that changes nothing at all."""
    movers = writer.choose("patient", 2)
    writer.update("patient", movers, {"Address": Sql("CONCAT('Unit 7, ', LEFT(COALESCE(`Address`, ''), 80))")})
    for table, column in (("patient", "LName"), ("commlog", "Note"), ("sheetfield", "FieldValue")):
        same = writer.choose(table, 5)
        if same:
            writer.run(
                f"UPDATE {writer.name(table)} SET `{column}` = `{column}` WHERE {writer.key(table)} BETWEEN %s AND %s",
                [same[0], same[-1]],
            )
