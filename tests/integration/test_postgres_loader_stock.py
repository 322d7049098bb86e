"""Tables, columns, types and rows are those that stock target-postgres makes of the same Singer lines."""

import json
from importlib.resources import files

import pytest
from tests.integration.conftest import messages
from tests.postgres_loading import SCHEMA, at_desk, load_singer, load_stock, run

from target_opendental_replica.stream_facts import read_schema_message

# Streams of the SDK that are whole and that stock loads; special_chars_in_attributes never activates its version.
SDK_STREAMS = (
    "array_data",
    "camelcase",
    "camelcase_complex_schema",
    "duplicate_records",
    "encoded_string_data",
    "multiple_state_messages",
    "no_primary_keys",
    "optional_attributes",
    "pk_updates",
    "record_missing_fields",
    "schema_no_properties",
    "schema_updates",
    "user_location_data",
    "user_location_upsert_data",
)
TEXT, MANY = {"type": ["string", "null"]}, {"type": ["string", "integer", "boolean", "null"]}
EDGES = {
    "id": {"type": "integer"},
    "other": {"type": ["string"]},
    "tiny": {"type": ["integer", "null"], "minimum": -128, "maximum": 127},
    "year": {"type": ["integer", "null"], "minimum": 0, "maximum": 65535},
    "big": {"type": ["integer", "null"]},
    "amount": {"type": ["number", "null"]},
    "yes": {"type": ["null", "boolean"]},
    "words": TEXT,
    "born": TEXT | {"format": "date"},
    "at": TEXT | {"format": "date-time"},
    "clock": TEXT | {"format": "time"},
    "uuid": TEXT | {"format": "uuid"},
    "mail": TEXT | {"format": "email"},
    "money": TEXT | {"format": "x-singer.decimal", "precision": 10, "scale": 2},
    "loose": TEXT | {"format": "x-singer.decimal"},
    "small": {"x-sql-datatype": "smallint", "type": ["integer", "null"]},
    "any": {},
    "many": MANY,
    "union": {"type": ["object", "string", "null"]},
    "either": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
    "tree": {"type": ["object", "null"], "properties": {}},
    "list": {"type": ["array", "null"]},
    "texts": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
    "numbers": {"type": ["array", "null"], "items": {"type": "integer"}},
    "trees": {"type": ["array", "null"], "items": {"type": "object"}},
    "mixed": {"type": ["array", "null"], "items": {}},
}
_ODD = 'quote " back \\ slash,\n\\.\n\r\ttab NULL \\N \U0001f9b7 {"a"}'
FULL = {
    "id": 2**63 - 1,
    "other": "NULL",
    "tiny": -128,
    "year": 2155,
    "big": -(2**63),
    "amount": 18446744073709551615,
    "yes": True,
    "words": _ODD,
    "born": "0001-01-01",
    "at": "2026-03-08T02:15:00.123456-05:00",
    "clock": "23:59:59.999999",
    "uuid": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "mail": "a@example.org",
    "money": "12345678.91",
    "loose": "0.10",
    "small": 7,
    "any": {"b": [1, None, "x", 1.10, "\u00e9\U0001f9b7"], "c": {}},
    "many": "text",
    "union": {"z": 1, "a": [0.10, None], "n": "\u0000"},
    "either": "2026-03-08T02:15:00Z",
    "tree": {"a": {"b": None}, "t": _ODD},
    "list": [1, "a", None, {"b": True}],
    "texts": [_ODD, "", "NULL", None, "{}"],
    "numbers": [1, None, -5],
    "trees": [{"a": 1}, {}, {"t": _ODD}],
    "mixed": [1, "a", None],
}
EMPTY = {"id": 0, "other": ""} | {
    name: "" if each is TEXT else None for name, each in EDGES.items() if name not in {"id", "other"}
}
ROWS = (
    FULL,
    EMPTY,
    FULL
    | {"id": 3, "other": "\u0000", "words": "a\u0000b", "at": "2026-03-08", "amount": 1.10, "many": 5, "union": "s"},
    FULL | {"id": 4, "amount": 1e300, "many": False, "any": 1.50, "at": "2026-03-08 02:15", "texts": [], "trees": None},
    FULL | {"id": 4, "amount": 5e-324, "many": None, "any": True, "clock": "00:00", "words": "the last row counts"},
    {"id": 5, "other": "o"},
)


# An unchanged row keeps the version that it came with: writing it again would be all that a nightly load does.
MOVING = {"_sdc_extracted_at", "_sdc_received_at", "_sdc_batched_at", "_sdc_sequence", "_sdc_sync_started_at"}
MOVING |= {"_sdc_table_version"}
TABLES = ("patient", "procedurelog", "appointment", "securitylog", "definition", "preference", "document")


def edges(stream):
    schema = {"type": "object", "properties": EDGES}
    yield {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["other", "id"]}
    for row in ROWS:
        yield {"type": "RECORD", "stream": stream, "record": row, "time_extracted": "2026-01-02T03:04:05+00:00"}


def versions(stream):
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "words": TEXT}}
    yield {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}
    for version, ids in ((1_000, (1, 2, 3)), (2_000, (2, 3, 4))):
        for number in ids:
            yield {"type": "RECORD", "stream": stream, "record": {"id": number, "words": "w"}, "version": version}
        yield {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def render(found):
    return "".join(json.dumps(message) + "\n" for message in found)


def sdk_lines():
    folder = files("singer_sdk.testing") / "target_test_streams"
    return "".join((folder / f"{name}.singer").read_text() for name in SDK_STREAMS)


def look(warehouse):
    """All that a dbt model can see of raw: columns, keys, and rows as text, without what differs from run to run."""
    columns = run(
        warehouse,
        "SELECT table_name, ordinal_position, column_name, data_type, udt_name, is_nullable, column_default, "
        "numeric_precision, numeric_scale, datetime_precision, character_maximum_length "
        f"FROM information_schema.columns WHERE table_schema = '{SCHEMA}' AND NOT starts_with(table_name, '_od_') "
        "ORDER BY 1, 2",
    )
    keys = run(
        warehouse,
        "SELECT c.relname, i.indkey::text, i.indisprimary, x.relname FROM pg_catalog.pg_index i "
        "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid "
        f"WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND NOT starts_with(c.relname, '_od_') ORDER BY 1, 2",
    )
    return columns, keys, {table: rows(warehouse, columns, table) for table in sorted({each[0] for each in columns})}


def rows(warehouse, columns, table):
    names = [each[2] for each in columns if each[0] == table and each[2] not in MOVING]
    fields = ", ".join(["{}"] * len(names))
    return sorted(run(warehouse, f"SELECT ROW({fields})::text FROM {SCHEMA}.{{}}", *names, table))


@pytest.fixture
def desk(postgres_database):
    with at_desk(postgres_database) as desk:
        yield desk


def compare(desk, database, tmp_path, lines):
    """Load the lines with stock, then anew with ours; return what both left."""
    load_stock(database, tmp_path, lines)
    stock = look(desk.warehouse)
    desk.run("DROP SCHEMA {} CASCADE", SCHEMA)
    load_singer(desk.warehouse, lines)
    return stock, look(desk.warehouse)


def test_each_type_and_value_lands_as_with_stock(desk, postgres_database, tmp_path):
    """All types, edge values, NULL against empty, arrays, objects, keys of two columns, versions, and SDK streams."""
    lines = render((*edges("clinic-Edges"), *versions("replaced"))) + sdk_lines()
    stock, ours = compare(desk, postgres_database, tmp_path, lines)
    assert len(stock[2]["Edges"]) == 5
    assert len(stock[2]) > len(SDK_STREAMS)
    for one, other in zip(stock, ours, strict=True):
        assert one == other


def test_the_comparison_sees_one_letter(desk, postgres_database, tmp_path):
    """The control: one other letter in one row, and one other type, are found."""
    lines = render(edges("Edges"))
    load_stock(postgres_database, tmp_path, lines)
    stock = look(desk.warehouse)
    desk.run("UPDATE raw.{} SET words = 'The last row counts' WHERE id = 4", "Edges")
    desk.run("ALTER TABLE raw.{} ALTER COLUMN tiny TYPE integer", "Edges")
    columns, keys, found = look(desk.warehouse)
    assert columns != stock[0]
    assert keys == stock[1]
    assert found["Edges"] != stock[2]["Edges"]


@pytest.fixture
def practice_lines(practice, run_tap):
    """What the tap sends of some tables of the practice."""
    done = run_tap({**practice.config, "tables": list(TABLES)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_practice_lands_as_with_stock_and_either_goes_on_with_the_other(
    desk, postgres_database, tmp_path, practice_lines
):
    """Load with stock, go on with ours: no column changes and no row is written. And the other way round."""
    stock, ours = compare(desk, postgres_database, tmp_path, practice_lines)
    assert ours == stock
    load_stock(postgres_database, tmp_path, practice_lines)
    assert look(desk.warehouse) == stock
    desk.run("DROP TABLE raw._od_tables, raw._od_load_state")
    before = desk.rows("xmin, ctid", "procedurelog")
    desk.again()
    for message in messages(practice_lines):
        if message["type"] == "SCHEMA":
            told = []
            desk.session.open_stream(read_schema_message(message), told.append)
            assert told == []
    desk.again()
    load_singer(desk.warehouse, practice_lines)
    assert look(desk.warehouse) == stock
    assert desk.rows("xmin, ctid", "procedurelog") == before
