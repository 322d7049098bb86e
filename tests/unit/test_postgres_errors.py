"""Where COPY failed, out of words that quote a value; and names of tables of our own."""

from datetime import UTC, datetime

import pytest

from target_opendental_replica.batches import Batch
from target_opendental_replica.postgres.errors import find_row, locate
from target_opendental_replica.postgres.names import LONGEST, choose_gathered, choose_lock, choose_stage, choose_table

COLUMNS = ("a", "a: b", "Birthdate", "line 9, column a", "x" * 63)


@pytest.mark.parametrize(
    ("context", "found"),
    [
        ('COPY patient, line 3, column Birthdate: "2026-13-01"', (3, "Birthdate")),
        ("COPY patient, line 3, column Birthdate: null input", (3, "Birthdate")),
        ('COPY patient, line 12: "1,2,3"', (12, None)),
        ("COPY patient, line 12", (12, None)),
        ('COPY patient, line 3, column a: "line 99, column Birthdate: x"', (3, "a")),
        ('COPY patient, line 3, column a: b: "1"', (3, "a: b")),
        ('COPY patient, line 3, column line 9, column a: "1"', (3, "line 9, column a")),
        ('COPY patient, Zeile 3, Spalte Birthdate: "1"', (3, "Birthdate")),
        ('COPY patient, line 3, column other: "4711"', (3, None)),
        ("COPY other, line 3", (None, None)),
        ("SQL statement x", (None, None)),
        ("", (None, None)),
    ],
)
def test_locate(context, found):
    """The number and a column of ours, in any language; nothing that stands behind them."""
    assert locate(context, "patient", COLUMNS) == found


def test_locate_in_a_table_with_a_hostile_name():
    """The table's own name is no place."""
    name = "t, line 99, column a: "
    assert locate(f'COPY {name}, line 3, column Birthdate: "1"', name, COLUMNS) == (3, "Birthdate")


def test_find_row_counts_rows_and_not_lines():
    """Quoted text may hold newlines and doubled quotes; the first line is no row."""
    content = b'"id","n"\n1,"a"\n2,"a\n""b""\n,\n"\n3,NULL\n'
    batch = Batch(("id", "n"), content, len(content), datetime.now(UTC))
    assert [find_row(batch, line) for line in range(1, 9)] == [None, 1, 2, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("table", ["patient", "x" * 63, "\u00e9" * 31, "\U0001f9b7" * 15])
def test_names_of_our_own_tables_fit(table):
    """Whole characters, at most 63 bytes, and no two tables share one."""
    for choose in (choose_gathered, choose_stage):
        assert len(choose(table).encode()) <= LONGEST
        assert choose(table) != choose(table[:-1] + "y")
        assert choose(table).startswith("_od_")


def test_a_streams_table_is_what_follows_its_last_hyphen():
    """As with stock."""
    assert [choose_table(stream) for stream in ("patient", "public-patient", "a-b-c")] == ["patient", "patient", "c"]


def test_a_lock_is_of_one_table_in_one_schema():
    """A bigint, the same in every run."""
    locks = {choose_lock(schema, table) for schema in ("raw", "other") for table in ("patient", "claim")}
    assert len(locks) == 4
    assert all(-(2**63) <= lock < 2**63 for lock in locks)
    assert choose_lock("raw", "patient") == -5685360083170444020
