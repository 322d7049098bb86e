"""Types: every MySQL type has one documented reading."""

from collections import Counter

import pytest

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, TableSize
from tap_opendental.errors import UnknownTypeError
from tap_opendental.planning import choose_page_rows
from tap_opendental.types import (
    ODD_BOOLEAN,
    ODD_TIME,
    SENTINEL_DATE,
    ZERO_DATE,
    ReadingOptions,
    choose_reading,
    is_keyed_by_number,
)

KNOWLEDGE = load_knowledge()


def reading(mysql_type, *, nullable=False, known=None, **options):
    column = Column(name="Value", type=mysql_type, nullable=nullable)
    return choose_reading("sample", column, known, ReadingOptions(**options))


def converted(mysql_type, value, **kwargs):
    odd = Counter()
    return reading(mysql_type, **kwargs).convert(value, odd), odd


@pytest.mark.parametrize(
    ("mysql_type", "minimum", "maximum"),
    [
        ("tinyint(4)", -128, 127),
        ("tinyint(3) unsigned", 0, 255),
        ("smallint(6)", -32768, 32767),
        ("smallint(5) unsigned", 0, 65535),
        ("mediumint(9)", -8388608, 8388607),
        ("int(11)", -(2**31), 2**31 - 1),
        ("int(10) unsigned zerofill", 0, 2**32 - 1),
        ("bigint(20)", -(2**63), 2**63 - 1),
        ("year(4)", 0, 2155),
        ("bit(1)", 0, 1),
        ("bit(8)", 0, 255),
    ],
)
def test_integers_declare_their_range(mysql_type, minimum, maximum):
    """A target can choose smallint, integer or bigint without overflow: the declared range is MySQL's own."""
    schema = reading(mysql_type).schema
    assert (schema["type"], schema["minimum"], schema["maximum"]) == (["integer"], minimum, maximum)


@pytest.mark.parametrize("mysql_type", ["bigint(20) unsigned", "bit(64)", "double", "float", "decimal(65,30)"])
def test_what_exceeds_a_bigint_or_is_fractional_is_a_number(mysql_type):
    """Unsigned 64-bit integers and fractions are numbers without a range, which the stock target stores as NUMERIC."""
    assert reading(mysql_type, nullable=True).schema == {"type": ["number", "null"]}


def test_float_is_read_as_double():
    """FLOAT never passes through its six-digit text."""
    assert reading("float").expression.format("`a`") == "`a`+0e0"
    assert reading("double").expression.format("`a`") == "`a`"


def test_only_a_known_boolean_becomes_boolean():
    """tinyint(1) alone proves nothing: Open Dental keeps enums and bytes in it."""
    known = KNOWLEDGE.column("account", "Inactive")
    assert reading("tinyint(3) unsigned", known=known).schema["type"] == ["boolean"]
    assert reading("tinyint(1)").schema["type"] == ["integer"]
    assert reading("tinyint(4)", known=KNOWLEDGE.column("account", "AcctType")).schema["type"] == ["integer"]


@pytest.mark.parametrize(
    ("stored", "sent", "odd"), [(0, False, 0), (1, True, 0), (2, True, 1), (127, True, 1), (-1, True, 1)]
)
def test_a_boolean_that_is_neither_0_nor_1_is_true_and_counted(stored, sent, odd):
    """2 to 127 arrive as true, and the summary says how many there were."""
    value, altered = converted("tinyint(4)", stored, known=KNOWLEDGE.column("account", "Inactive"))
    assert (value, altered[ODD_BOOLEAN]) == (sent, odd)


@pytest.mark.parametrize(
    ("mysql_type", "stored", "sent"),
    [
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "0001-01-01", "0001-01-01"),
        ("datetime", "2024-02-29 23:59:59", "2024-02-29T23:59:59"),
        ("datetime(6)", "2024-02-29 23:59:59.000001", "2024-02-29T23:59:59.000001"),
        ("datetime", "0001-01-01 00:00:00", "0001-01-01T00:00:00"),
        ("timestamp", "2024-02-29 23:59:59", "2024-02-29T23:59:59+00:00"),
        ("date", None, None),
    ],
)
def test_moments_keep_every_digit(mysql_type, stored, sent):
    """Dates are ISO 8601; DATETIME is a wall clock without a zone, TIMESTAMP is UTC and says so."""
    value, altered = converted(mysql_type, stored)
    assert value == sent
    assert not altered


@pytest.mark.parametrize("stored", ["0000-00-00", "2022-11-00", "2022-00-10", "0000-12-01", "2023-02-29"])
def test_days_that_no_calendar_has_are_null_and_counted(stored):
    """Zero, partial and impossible dates are NULL, in a column that allows it whatever the source says."""
    assert converted("date", stored) == (None, {ZERO_DATE: 1})
    assert converted("datetime", f"{stored} 00:00:00") == (None, {ZERO_DATE: 1})
    assert "null" in reading("date", nullable=False).schema["type"]


def test_sentinel_dates_become_null_on_request():
    """sentinel_dates: null turns 0001-01-01 into NULL and counts it."""
    assert converted("date", "0001-01-01", keep_sentinel_dates=False) == (None, {SENTINEL_DATE: 1})
    assert converted("datetime", "0001-01-01 12:00:00", keep_sentinel_dates=False) == (None, {SENTINEL_DATE: 1})


def test_intervals_stay_text():
    """A duration in a TIME column keeps its sign and its hundreds of hours."""
    interval = KNOWLEDGE.column("clockevent", "OTimeHours")
    chosen = reading("time", known=interval)
    assert interval.is_interval
    assert chosen.schema == {"type": ["string"]}
    assert chosen.convert is None


def test_a_time_of_day_is_a_time_and_out_of_range_is_counted():
    """A documented time of day lands as time; what no clock shows is NULL and counted."""
    known = KNOWLEDGE.column("schedule", "StartTime")
    assert reading("time", known=known).schema["format"] == "time"
    assert converted("time", "08:30:00", known=known) == ("08:30:00", {})
    assert converted("time", "24:00:00", known=known) == (None, {ODD_TIME: 1})
    assert converted("time", "-01:00:00", known=known) == (None, {ODD_TIME: 1})


def test_a_time_of_unknown_meaning_stays_text():
    """Nothing is guessed about a TIME column that the knowledge does not know."""
    assert reading("time").schema == {"type": ["string"]}


@pytest.mark.parametrize(("encoding", "text", "declared"), [("base64", "AP8=", "base64"), ("hex", "00ff", "base16")])
def test_blobs_are_carried_as_text(encoding, text, declared):
    """Binary columns arrive whole, in the encoding that the schema declares."""
    chosen = reading("longblob", binary_encoding=encoding)
    assert chosen.convert(b"\x00\xff", Counter()) == text
    assert chosen.schema["contentEncoding"] == declared


def test_bits_are_integers():
    """BIT arrives as its number."""
    assert converted("bit(16)", b"\x01\x02") == (258, {})


def test_an_unknown_type_is_refused_by_name():
    """A type of a later server is never guessed: the error names table, column and type."""
    with pytest.raises(UnknownTypeError, match=r"sample\.Value has type 'vector\(3\)'"):
        reading("vector(3)")


def test_every_column_of_24_3_can_be_read():
    """No type of the published schema is unknown."""
    for table in KNOWLEDGE.tables.values():
        for column in table.table.columns:
            known = table.column(column.name)
            assert choose_reading(table.table.name, column, known, ReadingOptions()).schema["type"]


@pytest.mark.parametrize(
    ("mysql_type", "by_number"),
    [
        ("float", True),
        ("enum('b','a')", True),
        ("set('b','a')", True),
        ("bit(8)", True),
        ("int(11)", False),
        ("varchar(9)", False),
        ("decimal(9,2)", False),
    ],
)
def test_keys_that_page_by_number(mysql_type, by_number):
    """Keys whose text is cut, or sorts otherwise than the column, continue from their number."""
    assert is_keyed_by_number(Column(name="k", type=mysql_type)) is by_number


@pytest.mark.parametrize(
    ("rows", "data", "expected"), [(0, 0, 5000), (100, 10_000, 5000), (100, 100 << 20, 8), (1, 1 << 30, 1)]
)
def test_pages_are_bounded_in_bytes(rows, data, expected):
    """A page of documents holds few rows: 8 MB by the table's mean row, at least one row."""
    assert choose_page_rows(5000, TableSize(rows, data, 0, exact=True)) == expected
