"""Names and stock target-postgres: what it does with those that are not safe, and that it takes all that we send."""

import pytest
from tests.e2e.stock_target import activate, record, schema, start_stock_target

from tap_opendental.names import rename_all

HOSTILE = ["100%s", 'say "no"', "xmin", "_sdc_sequence", "x" * 64, "naïve 表"]


@pytest.fixture
def target(postgres_database, tmp_path):
    """Stock target-postgres as meltano.yml sets it, into a database of the test's own."""
    return start_stock_target(tmp_path, postgres_database.engine)


def test_stock_target_puts_streams_of_one_ending_into_one_table(target):
    """The trap: of `2023-log` and `2024-log` it keeps what follows the hyphen, and one table has the rows of both."""
    for_each = ("2023-log", "2024-log")
    messages = [
        (schema(name), record(name, {"id": 1, "name": name}, version=1), activate(name, 1)) for name in for_each
    ]
    target.load(*(message for group in messages for message in group))
    assert [row["name"] for row in target.rows("log")] == ["2024-log"]


def test_renamed_streams_have_a_table_each(target):
    """Hyphens, and names that differ in case only: as many tables as streams, each with its own row."""
    streams = ["2023-log", "2024-log", "log", "Log", *HOSTILE]
    renamed = rename_all(streams)
    messages = [(schema(renamed[name]), record(renamed[name], {"id": 1, "name": name})) for name in streams]
    target.load(*(message for group in messages for message in group))
    assert {name: target.rows(renamed[name])[0]["name"] for name in streams} == {name: name for name in streams}


@pytest.mark.parametrize("name", ["100%s", "xmin", "x" * 64])
def test_stock_target_refuses_a_column_of_such_a_name(target, name):
    """The trap: a new column with a percent sign, PostgreSQL's system columns and 64 characters end the run."""
    run = target.run(schema("patient"), schema("patient", [name]), record("patient", {"id": 1, name: "a"}))
    assert run.returncode == 1


def test_stock_target_overwrites_a_column_of_its_own_name(target):
    """The trap: a source column called `_sdc_sequence` arrives with the target's value, rc 0."""
    target.load(schema("patient", ["_sdc_sequence"]), record("patient", {"id": 1, "_sdc_sequence": "mine"}))
    assert target.rows("patient")[0]["_sdc_sequence"] != "mine"


def test_renamed_columns_arrive_and_can_be_added_later(target):
    """Every column arrives under its safe name, whether its table is made with it or gets it later."""
    renamed = rename_all(HOSTILE)
    columns, row = list(renamed.values()), {"id": 1, **{safe: name for name, safe in renamed.items()}}
    target.load(
        *(schema("made", columns), record("made", row)),
        *(schema("grown"), schema("grown", columns), record("grown", row)),
    )
    for table in ("made", "grown"):
        assert target.rows(table)[0].items() >= row.items()
