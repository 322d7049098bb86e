from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_opendental.discovery import knowledge as package
from tap_opendental.discovery.knowledge import Knowledge, KnownColumn, Role, load_knowledge
from tap_opendental.discovery.knowledge.loading import FILE_NAME, parse_knowledge, read_knowledge_file
from tap_opendental.discovery.model import Index, IndexColumn, Table

if TYPE_CHECKING:
    from types import ModuleType

# Reviewed by hand: see SECRETS and REFUSED in scripts/build_knowledge.py. A change here is a decision, not a repair.
SECRETS = (
    ("apikey", "CustApiKey"),
    ("apisubscription", "CustomerKey"),
    ("carecreditwebresponse", "LastResponseStr"),
    ("carecreditwebresponse", "WebToken"),
    ("centralconnection", "MySqlPassword"),
    ("centralconnection", "OdPassword"),
    ("clearinghouse", "ISA04"),
    ("clearinghouse", "Password"),
    ("clinicerx", "ClinicKey"),
    ("creditcard", "PayConnectToken"),
    ("creditcard", "PaySimpleToken"),
    ("creditcard", "XChargeToken"),
    ("ebill", "ElectPassword"),
    ("ehrprovkey", "ProvKey"),
    ("ehrquarterlykey", "KeyValue"),
    ("emailaddress", "AccessToken"),
    ("emailaddress", "EmailPassword"),
    ("emailaddress", "RefreshToken"),
    ("fhirsubscription", "APIKeyHash"),
    ("fhirsubscription", "ChannelHeader"),
    ("hl7def", "SftpPassword"),
    ("mobiledatabyte", "RawBase64Code"),
    ("payconnectresponseweb", "AccountToken"),
    ("payconnectresponseweb", "LastResponseStr"),
    ("payconnectresponseweb", "PayToken"),
    ("payconnectresponseweb", "PaymentToken"),
    ("programproperty", "PropertyValue"),
    ("registrationkey", "BackupPassCode"),
    ("registrationkey", "RegKey"),
    ("reseller", "ResellerPassword"),
    ("sessiontoken", "SessionTokenHash"),
    ("supplier", "Password"),
    ("userod", "BadgeId"),
    ("userod", "EClipboardClinicalPin"),
    ("userod", "MobileWebPin"),
    ("userod", "Password"),
    ("userweb", "Password"),
    ("userweb", "PasswordResetCode"),
    ("xwebresponse", "Alias"),
    ("xwebresponse", "HpfUrl"),
    ("xwebresponse", "OTK"),
)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="module")
def columns(knowledge: Knowledge) -> dict[tuple[str, str], KnownColumn]:
    return {
        (name, column.name): column for name, table in knowledge.tables.items() for column in table.columns.values()
    }


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "build_knowledge.py"
    spec = importlib.util.spec_from_file_location("build_knowledge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts_are_those_of_the_published_schema(knowledge, columns):
    """Version 24.3 is known in full: every table, column, index, reference and logical type; self-updates too."""
    structure = [column for table in knowledge.tables.values() for column in table.table.columns]
    assert knowledge.version == "24.3"
    assert len(knowledge.tables) == 424
    assert len(columns) == len(structure) == 4429
    assert sum(len(table.table.indexes) for table in knowledge.tables.values()) == 908
    assert sum(column.updates_itself for column in structure) == 67
    assert sum(column.auto_increment for column in structure) == 422
    assert sum(bool(column.references) for column in columns.values()) == 761
    assert Counter(column.logical for column in columns.values()) == {
        None: 3632,
        "enum": 407,
        "bool": 342,
        "argb_color_int": 24,
        "dotnet_ticks_100ns": 13,
        "time_interval_may_be_negative_or_over_24h": 11,
    }


def test_change_tracking_names_the_column_that_shows_a_change(knowledge):
    """A safe timestamp is the table's only column that updates itself; append-only tables are followed by their key."""
    tables = knowledge.tables.values()
    assert Counter(table.change_tracking for table in tables) == {"none": 350, "safe_timestamp": 67, "append_only": 7}
    for known in tables:
        itself = [column.name for column in known.table.columns if column.updates_itself]
        expected = {"safe_timestamp": itself, "append_only": list(known.table.primary_key), "none": [None]}
        assert [known.change_column] == expected[known.change_tracking], known.table.name


def test_append_only_tables_are_the_seven_that_are_documented(knowledge):
    """No table is called append-only but the seven whose rows the application never edits."""
    found = {name for name, table in knowledge.tables.items() if table.change_tracking == "append_only"}
    assert found == {
        "securitylog", "securityloghash", "entrylog", "procnote", "orthochartlog", "promotionlog", "signalod",
    }  # fmt: skip


def test_secrets_are_exactly_the_reviewed_list(knowledge, builder):
    """A column becomes readable, or stops being read, by a person's decision and never by a rebuild."""
    assert knowledge.secrets() == SECRETS
    assert {f"{table}.{column}" for table, column in SECRETS} == builder.SECRETS.keys()


def test_no_secret_is_a_key_a_flag_or_a_date(knowledge):
    """Leaving secrets out costs no table its key and no report a flag or an expiry date."""
    for name, column in knowledge.secrets():
        table = knowledge.table(name)
        assert column not in table.table.primary_key
        assert table.column(column).logical is None
        assert table.table.column(column).base_type in {"varchar", "text", "mediumtext"}


def test_secrets_leave_the_patient_data_classes(columns):
    """`credential` is no class of patient data: what is a secret says so itself."""
    assert "credential" not in {name for column in columns.values() for name in column.patient_data}


def test_a_new_column_that_looks_like_a_secret_stops_the_build(builder):
    """The next version cannot bring a password into the tap without a person having looked at it."""
    tables = {"newtable": {"primary_key": ["NewTableNum"], "columns": [{"name": "VendorPassword"}, {"name": "Note"}]}}
    with pytest.raises(SystemExit, match=r"(?m)^undecided: newtable\.VendorPassword$"):
        builder.build_knowledge({"meta": {"version": "0"}, "tables": tables})


def test_every_reference_points_at_a_column_that_exists(knowledge, columns):
    """A documented reference can be followed: its table and its column are known."""
    missing = [
        (owner, target)
        for owner, column in columns.items()
        for target in column.references
        if knowledge.column(*target.split(".")) is None
    ]
    assert missing == []


def test_keys_and_indexes_name_columns_of_their_table(knowledge):
    """Every table has a primary key of one column, and no index speaks of a column that is not there."""
    for known in knowledge.tables.values():
        table = known.table
        indexed = {part.name for index in table.indexes for part in index.columns}
        assert len(table.primary_key) == 1
        assert indexed | set(table.primary_key) <= set(table.column_names) == set(known.columns)


def test_an_index_of_a_column_that_is_not_there_is_left_out(builder):
    """An index that no server could create never reaches the sandbox or the replica, and the builder names it."""
    indexes = [{"name": "A", "columns": ["ANum"], "unique": False}, {"name": "B", "columns": ["B(9)"], "unique": False}]
    table = {"columns": [{"name": "ANum"}], "indexes": indexes}
    assert builder.impossible_indexes({"tables": {"a": table}}) == ["a.B"]


def test_index_prefixes_are_structured(knowledge):
    """An index on the first characters of a column keeps the length apart from the name."""
    prefixed = {
        (name, part.name, part.length)
        for name, known in knowledge.tables.items()
        for index in known.table.indexes
        for part in index.columns
        if part.length is not None
    }
    assert Index("indexFName", (IndexColumn("FName", 10),)) in knowledge.table("patient").table.indexes
    assert len(prefixed) == 10
    assert not any("(" in name for _, name, _ in prefixed)


def test_structure_is_spelled_as_the_server_spells_it(knowledge):
    """A column carries MariaDB's own spelling of default and self-update, ready for DDL and for comparison."""
    patient = knowledge.table("patient").table
    stamp = patient.column("DateTStamp")
    assert (stamp.type, stamp.nullable) == ("timestamp", False)
    assert stamp.default == stamp.on_update == "current_timestamp()"
    assert patient.column("Birthdate").default == "'0001-01-01'"
    assert patient.column("PatNum").auto_increment
    assert patient.column("PatNum").default is None
    assert knowledge.table("adjustment").table.column("AdjNote").default == "NULL"
    spelling = re.compile(r"NULL|current_timestamp\(\)|-?\d+|'[^']*'")
    assert all(
        column.default is None or spelling.fullmatch(column.default)
        for known in knowledge.tables.values()
        for column in known.table.columns
    )


def test_collations_that_differ_are_kept(knowledge):
    """The case-sensitive code columns and the one latin1 table do not become case-insensitive or utf8."""
    different = {
        f"{name}.{column.name}": column.collation
        for name, known in knowledge.tables.items()
        for column in known.table.columns
        if column.collation
    }
    assert len(different) == 9
    assert set(different.values()) == {"utf8mb3_bin"}
    assert "procedurecode.ProcCode" in different
    tables = {known.table.collation: name for name, known in knowledge.tables.items()}
    assert tables["latin1_swedish_ci"] == "equipment"
    assert len(tables) == 2


def test_a_structure_survives_its_dictionary_form(knowledge):
    """The structure of any table travels as plain JSON and comes back equal."""
    for known in knowledge.tables.values():
        assert Table.from_dict(json.loads(json.dumps(known.table.to_dict()))) == known.table


def test_booleans_are_told_from_enums_of_the_same_width(knowledge):
    """A tinyint is a boolean only where the application reads true and false; YN columns hold 0, 1 and 2."""
    assert knowledge.is_boolean("provider", "IsHidden")
    assert not knowledge.is_boolean("patient", "TxtMsgOk")
    yes_no = knowledge.column("patient", "TxtMsgOk")
    assert (yes_no.enum_name, yes_no.enum_values) == ("YN", ("Unknown", "Yes", "No"))
    assert not knowledge.is_boolean("patient", "PatStatus")


def test_each_logical_type_has_its_question(knowledge):
    """One property is true for one logical type and false for the others."""
    questions = ("is_boolean", "is_enum", "is_ticks", "is_interval", "is_colour")
    examples = (
        ("provider", "IsHidden"),
        ("patient", "PatStatus"),
        ("confirmationrequest", "TSPrior"),
        ("clockevent", "OTimeHours"),
        ("account", "AccountColor"),
    )
    for question, example in zip(questions, examples, strict=True):
        column = knowledge.column(*example)
        assert [name for name in questions if getattr(column, name)] == [question]


def test_lookups_ignore_case(knowledge):
    """A server that lower-cases names, or an office that typed them differently, gets the same answers."""
    assert knowledge.table("PATIENT") is knowledge.table("patient")
    assert knowledge.column("Patient", "patnum") is knowledge.column("patient", "PatNum")
    assert knowledge.is_secret("UserOD", "PASSWORD")
    assert knowledge.is_boolean("PROVIDER", "ishidden")


def test_the_unknown_is_no_error(knowledge):
    """A clinic's own table or column is answered with None and False."""
    assert knowledge.table("tempschedule_bak_20200424") is None
    assert knowledge.column("patient", "OurOwnColumn") is None
    assert not knowledge.is_secret("our_table", "OurOwnColumn")
    assert not knowledge.is_boolean("our_table", "IsOurs")


def test_empty_knowledge_knows_nothing():
    """Rules can be tried with knowledge switched off: nothing is known and nothing fails; names still speak."""
    empty = Knowledge.empty()
    assert len(empty.tables) == 0
    assert empty.table("patient") is None
    assert empty.column("patient", "PatNum") is None
    assert not empty.is_secret("userod", "BadgeId")
    assert empty.is_secret("userod", "Password")
    assert not empty.is_boolean("provider", "IsHidden")
    assert empty.secrets() == ()


def test_knowledge_is_loaded_once():
    """Asking again costs nothing: the same value comes back."""
    assert load_knowledge() is load_knowledge()


def test_the_file_is_canonical(builder):
    """Writing the file again gives the same bytes, so that a review sees changed facts and nothing else."""
    text = read_knowledge_file()
    assert builder.render_knowledge(json.loads(text)) == text


def test_each_table_column_and_index_has_a_line(knowledge):
    """A reviewer sees one changed line for one changed fact."""
    lines = Counter(line[:8] for line in read_knowledge_file().splitlines())
    indexes = sum(len(known.table.indexes) for known in knowledge.tables.values())
    assert lines['{"name":'] == len(knowledge.tables) + 4429 + indexes


def test_the_file_holds_facts_and_no_prose():
    """Nothing in the file is a sentence: words with spaces occur only in MySQL types and in default values."""
    facts = json.loads(read_knowledge_file())
    keys = {key for table in facts["tables"] for key in table}
    keys |= {key for table in facts["tables"] for part in table["columns"] + table.get("indexes", []) for key in part}
    assert keys == {
        "name", "collation", "primary_key", "indexes", "columns", "change_tracking", "change_column",
        "hard_deletes", "typical_rows", "typical_megabytes", "type", "nullable", "default", "on_update",
        "auto_increment", "logical", "enum_name", "references", "patient_data", "time_role", "secret", "role",
        "core",
    }  # fmt: skip
    for table in facts["tables"]:
        for part in table["columns"]:
            part.pop("type")
            part.pop("default", None)
    assert not re.search(r"\s", json.dumps(facts, separators=(",", ":")))


def test_loading_opens_the_package_file_and_nothing_else(tmp_path):
    """The package works from a copy of its own files alone: no other file, no environment, no network is needed."""
    shutil.copytree(Path(package.__file__).parents[2], tmp_path / "tap_opendental")
    script = f"""
import sys
from tap_opendental.discovery.knowledge import load_knowledge
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args[0])) if event in ("open", "socket.connect") else None)
tables = len(load_knowledge().tables)
data = [str(name) for event, name in opened if not str(name).endswith((".py", ".pyc"))]
assert data == [{str(tmp_path / "tap_opendental/discovery/knowledge" / FILE_NAME)!r}], data
print(tables)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("424\n", "")


def test_names_of_another_server_still_find_their_table():
    """A table that was published with capitals is found by its lower-case name."""
    column = {"name": "ANum", "type": "bigint(20)", "auto_increment": True}
    facts = {"version": "0", "enums": {}, "tables": [{"name": "ATable", "primary_key": ["ANum"], "columns": [column]}]}
    known = parse_knowledge(json.dumps(facts)).table("atable")
    assert known.table.name == "ATable"
    assert known.column("anum") == KnownColumn(name="ANum")


def test_roles_are_reviewed_and_cover_what_is_beyond_doubt(knowledge, builder):
    """A table has the role of the list that names it, and none if no list does; nearly all have one."""
    listed = {name: role for role, names in builder.ROLES.items() for name in names.split()}
    assert {name: table.role for name, table in knowledge.tables.items() if table.role} == listed
    assert set(listed.values()) == set(Role.__args__)
    assert len(listed) == 413
    assert knowledge.table("procedurelog").role == "clinical"
    assert knowledge.table("registrationkey").role is None
    assert {name for name, table in knowledge.tables.items() if table.core} == builder.CORE
    assert len(builder.CORE) == 8


def test_a_role_for_no_table_or_a_second_role_stops_the_build(builder, monkeypatch):
    """The lists of roles follow the schema: a table that was dropped or listed twice is named."""
    tables = {name: {} for names in builder.ROLES.values() for name in names.split()}
    builder._check_roles(tables)
    monkeypatch.setitem(builder.ROLES, "audit", "patient gone")
    with pytest.raises(SystemExit, match="gone, patient"):
        builder._check_roles(tables)
