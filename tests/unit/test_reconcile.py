"""The next tables.yml: dates move with what they date, a person's words stay, what is gone goes."""

from dataclasses import replace

import pytest

from tap_opendental.discovery.judgements import Change
from tap_opendental.discovery.reconcile import reconcile
from tap_opendental.discovery.table_config import ColumnOverride, TableConfig
from tap_opendental.discovery.tables_config import parse_tables_file, render_tables_file

NEW_DAY = "2026-12-01"
BEFORE = TableConfig(schema_hash="a", last_analyzed="2026-11-22", estimated_rows=5)


def file_of(**configs: TableConfig) -> dict[str, TableConfig]:
    """A tables.yml as it would be read."""
    file = parse_tables_file(render_tables_file(configs), "tables.yml")
    return {name: file.config(name, TableConfig()) for name in file.entries}


def run(previous: dict[str, TableConfig], fresh: dict[str, TableConfig], existing=None):
    """One generation on a later day."""
    undated = {name: replace(config, last_analyzed=None) for name, config in fresh.items()}
    return reconcile(previous, undated, existing=existing or list(fresh), analyzed_on=NEW_DAY)


def test_nothing_moved_nothing_changes():
    """Same schema and same previous file: the same configurations with their old date."""
    result = run(file_of(fee=BEFORE), {"fee": BEFORE})
    assert (result.configs, result.changes, result.problems) == ({"fee": BEFORE}, (), ())


@pytest.mark.parametrize("moved", [{"schema_hash": "b"}, {"batch_size": 9}, {"estimated_rows": 9000}])
def test_the_date_moves_with_hash_and_configuration(moved):
    """What moved is dated today and listed as a change, key by key."""
    result = run(file_of(fee=BEFORE), {"fee": replace(BEFORE, **moved)})
    ((key, value),) = moved.items()
    assert result.configs["fee"] == replace(BEFORE, **moved, last_analyzed=NEW_DAY)
    assert result.changes == (Change("fee", key, getattr(BEFORE, key), value),)


def test_tables_come_and_go():
    """A new table is added, one that is gone leaves the file; both are told."""
    result = run(file_of(old=BEFORE, fee=BEFORE), {"fee": BEFORE, "new": BEFORE})
    assert set(result.configs) == {"fee", "new"}
    assert result.changes == (Change("new", "table", None, "added"), Change("old", "table", "removed", None))


def test_the_first_file_is_no_list_of_changes():
    """Without a previous file nothing has changed."""
    result = run({}, {"fee": BEFORE})
    assert result.configs["fee"].last_analyzed == NEW_DAY
    assert result.changes == ()


@pytest.mark.parametrize(
    "words", [{"overrides": {"batch_size": 7}}, {"column_overrides": {"A": ColumnOverride("exclude")}}]
)
def test_what_a_person_wrote_outlives_its_table(words):
    """The entry stays, and a problem says so, until a person removes it."""
    old = replace(BEFORE, **words, batch_size=7)
    result = run(file_of(gone=old), {"fee": BEFORE})
    assert result.configs["gone"].overrides == old.overrides
    assert result.configs["gone"].column_overrides == old.column_overrides
    assert [(problem.table, problem.key) for problem in result.problems] == [("gone", "overrides")]


def test_tables_that_were_not_analysed_stay_as_they_are():
    """An analysis of some tables leaves the others' entries alone, also those of tables that cannot be read now."""
    result = run(file_of(fee=BEFORE, sheet=BEFORE), {"fee": replace(BEFORE, batch_size=9)}, existing=["fee", "sheet"])
    assert result.configs["sheet"] == BEFORE
    assert [change.table for change in result.changes] == ["fee"]
