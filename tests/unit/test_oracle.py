"""The oracle itself: it sees each way in which a table can be wrong, and no difference where there is none."""

from decimal import Decimal

import pytest
from tests.oracle import differing, plain_moment, plain_raw, plain_source, rows_by_key

KEY = ("ProcNum",)
ROWS = [{"ProcNum": Decimal(1), "Note": "a"}, {"ProcNum": Decimal(2), "Note": None}]


def compare(found):
    return differing(rows_by_key(ROWS, KEY), rows_by_key(found, KEY))


def test_equal_rows_do_not_differ():
    """The same rows in another order are no difference."""
    assert compare(ROWS[::-1]) == {}


def test_a_missing_row_is_reported():
    """A row of the source that did not arrive is missing."""
    assert compare(ROWS[:1]) == {("2",): "missing"}


def test_an_extra_row_is_reported():
    """A row that the source does not hold is extra."""
    assert compare([*ROWS, {"ProcNum": Decimal(3), "Note": "c"}]) == {("3",): "extra"}


@pytest.mark.parametrize(("row", "value"), [(0, "b"), (0, "a "), (0, None), (1, "")])
def test_a_changed_value_is_reported(row, value):
    """A changed value is named by its column; NULL, the empty text and a space at the end are values of their own."""
    found = [dict(one) for one in ROWS]
    found[row]["Note"] = value
    assert compare(found) == {(str(row + 1),): "different: Note"}


def test_a_missing_column_is_reported():
    """A row without one of its columns differs in that column."""
    assert compare([{"ProcNum": Decimal(1)}, ROWS[1]]) == {("1",): "different: Note"}


def test_a_duplicated_row_is_reported():
    """Two rows with one key are an error, on either side: a dictionary by key would hide one of them."""
    with pytest.raises(ValueError, match=r"two rows have the key \{'ProcNum': '1'\}"):
        compare([*ROWS, ROWS[0]])


@pytest.mark.parametrize(
    ("kind", "source", "raw"),
    [
        ("bigint", 2**64 - 1, "18446744073709552000"),
        ("double", 0.1, "0.10000000000000002"),
        ("datetime", "2024-01-02 03:04:05", "2024-01-02 08:04:05"),
        ("date", "0001-01-01", None),
        ("varchar", "caf\u00e9", "cafe\u0301"),
        ("blob", b"\0\xff", "AP4="),
    ],
)
def test_a_value_that_changed_on_its_way_differs(kind, source, raw):
    """A rounded number, a shifted moment, a lost date, another spelling and another byte are seen."""
    assert plain_source("nowhere", "Column", kind, source) != plain_raw(kind, raw)


@pytest.mark.parametrize(
    ("kind", "source", "raw"),
    [
        ("bigint", 2**64 - 1, "18446744073709551615"),
        ("double", 0.1, "0.1"),
        ("decimal", Decimal("1.50"), "1.5"),
        ("datetime", "2024-01-02 03:04:05.500000", "2024-01-02 03:04:05.5"),
        ("datetime", "0000-00-00 00:00:00", None),
        ("blob", b"\0\xff", "AP8="),
        ("text", "a\0b", "a\ufffdb"),
    ],
)
def test_a_value_that_arrived_is_equal(kind, source, raw):
    """What the documentation promises of a value is what both sides come down to."""
    assert plain_source("nowhere", "Column", kind, source) == plain_raw(kind, raw)


def test_only_zeros_of_a_fraction_are_dropped():
    """Zeros of a fraction mean nothing; those of whole seconds do."""
    assert plain_moment("2024-01-02 03:04:50") == "2024-01-02 03:04:50"
    assert plain_moment("2024-01-02 03:04:50.000000") == "2024-01-02 03:04:50"
    assert plain_moment("2024-01-02 03:04:50.120") == "2024-01-02 03:04:50.12"
