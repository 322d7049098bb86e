"""Types: every MySQL type has one documented reading."""

from collections import Counter

import pytest

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column
from tap_opendental.discovery.table_config import ColumnOverride
from tap_opendental.errors import UnknownTypeError
from tap_opendental.readings import Kind, encode_bytes
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
BOOLEAN = KNOWLEDGE.column("account", "Inactive")
TIME_OF_DAY = KNOWLEDGE.column("schedule", "StartTime")
INTERVAL = KNOWLEDGE.column("clockevent", "OTimeHours")
TEMPORAL = ["date", "datetime", "datetime(6)", "timestamp", "timestamp(6)"]
ODD_DAYS = ["0000-00-00", "2022-11-00", "2022-00-10", "0000-12-01", "0000-01-01", "2023-02-29", "2023-02-31"]


def reading(mysql_type, *, nullable=False, known=None, override=None, collation=None, **options):
    column = Column(name="Value", type=mysql_type, nullable=nullable, collation=collation)
    return choose_reading("sample", column, known, ReadingOptions(**options), override)


def mended(mysql_type, text, **kwargs):
    odd = Counter()
    return reading(mysql_type, **kwargs).mend(text, odd), odd


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
        ("bit(63)", 0, 2**63 - 1),
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


@pytest.mark.parametrize(
    ("mysql_type", "expression"),
    [
        ("int(11)", "{0}"),
        ("int(10) unsigned zerofill", "{0}+0"),
        ("double", "{0}"),
        ("double unsigned zerofill", "{0}+0"),
        ("decimal(10,2)", "{0}"),
        ("decimal(10,2) unsigned zerofill", "{0}+0"),
        ("float", "{0}+0e0"),
        ("float unsigned zerofill", "{0}+0e0"),
        ("year(4)", "{0}+0"),
        ("bit(8)", "{0}+0"),
        ("bit(64)", "{0}+0"),
        ("varchar(9)", "{0}"),
        ("json", "{0}"),
        ("enum('a')", "{0}"),
        ("longblob", "{0}"),
        ("point", "ST_AsBinary({0})"),
        ("date", "{0}"),
        ("time(3)", "{0}"),
        ("uuid", "CAST({0} AS CHAR)"),
        ("inet6", "CAST({0} AS CHAR)"),
    ],
)
def test_each_type_is_read_by_one_expression(mysql_type, expression):
    """FLOAT never passes through its six-digit text, ZEROFILL and YEAR lose their leading zeros, BIT is its number."""
    assert reading(mysql_type).expression == expression


@pytest.mark.parametrize(
    ("mysql_type", "kind"),
    [
        *((t, Kind.BARE) for t in ("tinyint(4)", "bigint(20) unsigned", "float", "decimal(9,2)", "year(4)", "bit(64)")),
        *((t, Kind.PLAIN) for t in (*TEMPORAL, "time", "uuid", "inet4", "inet6")),
        *((t, Kind.TEXT) for t in ("char(1)", "varchar(9)", "tinytext", "longtext", "json", "enum('a')", "set('a')")),
        *((t, Kind.BYTES) for t in ("binary(16)", "varbinary(9)", "tinyblob", "longblob", "geometry", "multipolygon")),
    ],
)
def test_each_type_says_what_its_text_needs(mysql_type, kind):
    """Numbers stand bare, dates need quotes and no escaping, text is escaped, bytes are encoded on this side."""
    assert reading(mysql_type).kind is kind


@pytest.mark.parametrize(
    ("mysql_type", "json_expression"),
    [
        ("date", None),
        ("datetime(3)", "INSERT({0}, 11, 1, 'T')"),
        ("timestamp", "CONCAT(INSERT({0}, 11, 1, 'T'), '+00:00')"),
        ("time", None),
        ("double", None),
    ],
)
def test_only_moments_look_different_in_json(mysql_type, json_expression):
    """JSON has ISO 8601 with its T, and UTC says so; CSV has what both databases read."""
    assert reading(mysql_type).json_expression == json_expression


@pytest.mark.parametrize(
    ("mysql_type", "longest"),
    [
        ("char(10)", 40),
        ("varchar(255)", 1020),
        ("tinytext", 255),
        ("text", 65_535),
        ("enum('a')", 1020),
        ("set('a')", 65_535),
        ("mediumtext", None),
        ("longtext", None),
        ("json", None),
        ("blob", None),
    ],
)
def test_text_says_how_long_it_may_be(mysql_type, longest):
    """The bound in bytes of UTF-8, by which a line is kept below max_allowed_packet; None is read apart."""
    assert reading(mysql_type).max_bytes == longest


@pytest.mark.parametrize("mysql_type", ["decimal(65,30)", "double", "bigint unsigned", "date", "datetime(6)", "inet6"])
def test_every_value_in_the_line_has_a_bound(mysql_type):
    """Numbers and moments have one as well, above the longest that the server writes: 67 digits, sign and point."""
    assert reading(mysql_type).max_bytes >= {"decimal": 67, "inet6": 39}.get(mysql_type.partition("(")[0], 26)


@pytest.mark.parametrize(
    ("collation", "expression"),
    [
        (None, "{0}"),
        ("utf8mb3_general_ci", "{0}"),
        ("utf8_bin", "{0}"),
        ("utf8mb4_unicode_ci", "{0}"),
        ("latin1_swedish_ci", "CONVERT({0} USING utf8mb4)"),
        ("sjis_japanese_ci", "CONVERT({0} USING utf8mb4)"),
        ("utf16_bin", "CONVERT({0} USING utf8mb4)"),
    ],
)
@pytest.mark.parametrize("mysql_type", ["varchar(9)", "longtext", "enum('a')"])
def test_text_of_other_character_sets_is_converted(mysql_type, collation, expression):
    """Text of two character sets does not always mix in one CONCAT."""
    assert reading(mysql_type, collation=collation).expression == expression


def test_exact_numbers_are_those_of_decimal():
    """A DECIMAL must not become a double on the SDK's path; whole numbers and doubles are what JSON makes of them."""
    exact = {t for t in ("decimal(65,30)", "numeric(9)", "double", "float", "bigint unsigned") if reading(t).exact}
    assert exact == {"decimal(65,30)", "numeric(9)"}
    assert reading("decimal(9,2)", override=ColumnOverride("decimal_round", 1)).exact


@pytest.mark.parametrize("mysql_type", ["int", "float", "bit(64)", "varchar(9)", "blob", "date", "timestamp", "time"])
def test_only_a_nullable_column_costs_a_look_for_null(mysql_type):
    """A reading knows whether its column may hold NULL, whatever its schema allows."""
    assert reading(mysql_type, nullable=True).nullable
    assert not reading(mysql_type).nullable
    assert "null" in reading(mysql_type, nullable=True).schema["type"]


def test_only_a_known_boolean_becomes_boolean():
    """tinyint(1) alone proves nothing: Open Dental keeps enums and bytes in it."""
    assert reading("tinyint(3) unsigned", known=BOOLEAN).schema["type"] == ["boolean"]
    assert reading("tinyint(1)").schema["type"] == ["integer"]
    assert reading("tinyint(4)", known=KNOWLEDGE.column("account", "AcctType")).schema["type"] == ["integer"]
    assert reading("int(11)", known=BOOLEAN).schema["type"] == ["integer"]


@pytest.mark.parametrize(
    ("text", "sent", "odd"),
    [
        *(("false", "false", 0), ("true", "true", 0), ("odd2", "true", 1), ("odd-1", "true", 1)),
        *(("0", "0", 0), ("1", "1", 0), ("2", "1", 1), ("127", "1", 1), ("-1", "1", 1)),
    ],
)
def test_a_boolean_that_is_neither_0_nor_1_is_true_and_counted(text, sent, odd):
    """2 to 127 arrive as true, in CSV as 1, and the summary says how many there were."""
    value, altered = mended("tinyint(4)", text, known=BOOLEAN)
    assert (value, altered[ODD_BOOLEAN]) == (sent, odd)


@pytest.mark.parametrize(
    ("mysql_type", "text"),
    [
        ("date", "2024-02-29"),
        ("date", "0001-01-01"),
        ("date", "9999-12-31"),
        ("datetime", "2024-02-29 23:59:59"),
        ("datetime(6)", "2024-02-29T23:59:59.000001"),
        ("datetime", "0001-01-01T00:00:00"),
        ("timestamp", "2024-02-29T23:59:59+00:00"),
    ],
)
def test_moments_keep_every_digit(mysql_type, text):
    """A marked row has other moments too, in the text of either dialect: they stay as they are, and are not counted."""
    assert mended(mysql_type, text) == (text, Counter())


@pytest.mark.parametrize("day", ODD_DAYS)
def test_days_that_no_calendar_has_are_null_and_counted(day):
    """Zero, partial and impossible dates are NULL, in a column that allows it whatever the source says."""
    assert mended("date", day) == (None, {ZERO_DATE: 1})
    assert mended("datetime", f"{day} 00:00:00") == (None, {ZERO_DATE: 1})
    assert mended("timestamp", f"{day}T00:00:00+00:00") == (None, {ZERO_DATE: 1})
    assert "null" in reading("date", nullable=False).schema["type"]


def test_sentinel_dates_become_null_on_request():
    """sentinel_dates: null turns 0001-01-01 into NULL and counts it; the server has to mark it then."""
    assert mended("date", "0001-01-01", keep_sentinel_dates=False) == (None, {SENTINEL_DATE: 1})
    assert mended("datetime", "0001-01-01 12:00:00", keep_sentinel_dates=False) == (None, {SENTINEL_DATE: 1})
    assert mended("date", "0001-01-02", keep_sentinel_dates=False) == ("0001-01-02", {})
    assert mended("date", "0000-00-00", keep_sentinel_dates=False) == (None, {ZERO_DATE: 1})
    assert reading("date").suspect.startswith("{0} < '0001-01-01' OR ")
    assert reading("date", keep_sentinel_dates=False).suspect.startswith("{0} < '0001-01-02' OR ")


def test_what_is_mended_is_marked_by_the_server():
    """Every reading that alters values says in SQL which; tests on a real server prove that the two agree."""
    columns = [(name, known) for name in (*TEMPORAL, "time", "tinyint") for known in (None, BOOLEAN, TIME_OF_DAY)]
    readings = [reading(name, known=known) for name, known in columns]
    assert {(r.suspect is None) == (r.mend is None) for r in readings} == {True}
    assert reading("timestamp").suspect == "{0} = 0"
    assert reading("tinyint", known=BOOLEAN).suspect == "{0} & -2"
    assert reading("time", known=TIME_OF_DAY).suspect == "{0} NOT BETWEEN '00:00:00' AND '23:59:59.999999'"


def test_the_server_is_not_asked_for_the_last_day_of_month_zero():
    """MySQL answers that with a warning, for which the page would fail: month zero is found before."""
    suspect = reading("datetime").suspect
    assert suspect.index("MONTH({0}) = 0 OR") < suspect.index("LAST_DAY")


def test_intervals_stay_text():
    """A duration in a TIME column keeps its sign and its hundreds of hours."""
    chosen = reading("time", known=INTERVAL)
    assert INTERVAL.is_interval
    assert chosen.schema == {"type": ["string"]}
    assert chosen.mend is None


@pytest.mark.parametrize("text", ["00:00:00", "08:30:00", "23:59:59", "23:59:59.999999"])
def test_a_time_of_day_is_a_time(text):
    """A documented time of day lands as time."""
    assert reading("time", known=TIME_OF_DAY).schema["format"] == "time"
    assert mended("time(6)", text, known=TIME_OF_DAY) == (text, {})


@pytest.mark.parametrize("text", ["24:00:00", "-01:00:00", "-00:00:00.000001", "100:30:00", "838:59:59"])
def test_a_time_that_no_clock_shows_is_null_and_counted(text):
    """Out of 00:00:00 to 23:59:59.999999 it is sent as NULL, in a column that allows it."""
    assert mended("time(6)", text, known=TIME_OF_DAY) == (None, {ODD_TIME: 1})
    assert "null" in reading("time", known=TIME_OF_DAY).schema["type"]


def test_a_time_of_unknown_meaning_stays_text():
    """Nothing is guessed about a TIME column that the knowledge does not know."""
    assert reading("time").schema == {"type": ["string"]}


@pytest.mark.parametrize(("encoding", "text", "declared"), [("base64", "AP8=", "base64"), ("hex", "00ff", "base16")])
def test_blobs_are_carried_as_text(encoding, text, declared):
    """Binary columns arrive whole, in the encoding that the schema declares."""
    assert encode_bytes(b"\x00\xff", encoding) == text
    assert reading("longblob", binary_encoding=encoding).schema["contentEncoding"] == declared


@pytest.mark.parametrize(
    ("mysql_type", "expression"),
    [("decimal(10,4)", "ROUND({0}, 2)"), ("double", "ROUND({0}, 2)"), ("float", "ROUND({0}+0e0, 2)")],
)
def test_a_person_may_have_numbers_rounded(mysql_type, expression):
    """decimal_round of tables.yml is done by the server, on the exact value of a FLOAT."""
    chosen = reading(mysql_type, override=ColumnOverride("decimal_round", 2))
    assert (chosen.expression, chosen.note) == (expression, "rounded 2")


def test_a_person_may_declare_a_boolean():
    """tinyint_to_boolean of tables.yml reads as the knowledge's booleans are read."""
    chosen = reading("tinyint(4)", nullable=True, override=ColumnOverride("tinyint_to_boolean"))
    assert chosen == reading("tinyint(4)", nullable=True, known=BOOLEAN)


@pytest.mark.parametrize(
    ("mysql_type", "options", "note"),
    [
        ("date", {}, ""),
        ("date", {"keep_sentinel_dates": False}, "no sentinels"),
        ("blob", {"binary_encoding": "hex"}, "hex"),
        ("varchar(9)", {}, ""),
        ("varchar(9)", {"nul_in_text": "strip"}, "NUL strip"),
        ("int(11)", {"keep_sentinel_dates": False, "binary_encoding": "hex", "nul_in_text": "strip"}, ""),
    ],
)
def test_a_choice_that_changes_values_is_noted(mysql_type, options, note):
    """A setting that alters what a column's values look like is part of its note, so that the column is read anew."""
    assert reading(mysql_type, **options).note == note


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


# --- exact values -----------------------------------------------------------------------------------------------------

EVERY_TYPE = (
    *("tinyint(1)", "bigint(20) unsigned", "float", "double", "decimal(65,30)", "year", "bit(64)", "enum('a')"),
    *("set('a')", "char(9)", "longtext", "json", "blob", "point", "uuid", "time(6)", *TEMPORAL),
)


@pytest.mark.parametrize("mysql_type", EVERY_TYPE)
@pytest.mark.parametrize("known", [None, BOOLEAN, TIME_OF_DAY, INTERVAL])
def test_exact_values_are_never_looked_at_again(mysql_type, known):
    """Nothing is marked, mended or counted, whatever is known of the column; the schema is NULL where the column is."""
    found = reading(mysql_type, known=known, exact=True)
    assert (found.suspect, found.mend, found.json_expression, found.note) == (None, None, None, "exact")
    assert found == reading(mysql_type, exact=True)
    assert len(found.schema["type"]) == 1
    assert reading(mysql_type, exact=True, nullable=True).schema["type"] == [*found.schema["type"], "null"]


@pytest.mark.parametrize("mysql_type", EVERY_TYPE)
def test_json_carries_exact_values_as_text_or_whole_numbers(mysql_type):
    """No reader of JSON can bend them: neither a fraction nor a moment is anything but text."""
    schema = reading(mysql_type, exact=True).schema
    assert schema["type"] in (["string"], ["integer"])
    assert "format" not in schema


@pytest.mark.parametrize(
    ("mysql_type", "low", "high"),
    [
        ("tinyint(1)", -128, 127),
        ("bigint(20) unsigned", 0, 2**64 - 1),
        ("bit(64)", 0, 2**64 - 1),
        ("set('a')", 0, 2**64 - 1),
        ("enum('a')", 0, 65_535),
        ("year", 0, 2155),
    ],
)
def test_exact_whole_numbers_declare_their_range(mysql_type, low, high):
    """Members of ENUM and SET are numbers: their index, and their bits."""
    schema = reading(mysql_type, exact=True).schema
    assert (schema["minimum"], schema["maximum"]) == (low, high)


@pytest.mark.parametrize(
    ("collation", "kind"),
    [
        (None, Kind.TEXT),
        ("utf8mb3_general_ci", Kind.TEXT),
        ("latin1_swedish_ci", Kind.TEXT),
        *((name, Kind.BYTES) for name in ("latin2_general_ci", "cp1251_bin", "ascii_bin", "utf16_bin", "ucs2_bin")),
    ],
)
def test_exact_text_of_sets_that_know_too_little_is_bytes(collation, kind):
    """A byte that is no character in its set has no text; utf8 and latin1 are text both ways."""
    assert reading("varchar(9)", collation=collation, exact=True).kind is kind


def test_exact_values_take_no_notice_of_a_persons_conversions():
    """tables.yml may round a number or make a boolean of it for a warehouse, never for a copy."""
    rounded = ColumnOverride("decimal_round", precision=1)
    for override in (rounded, ColumnOverride("tinyint_to_boolean")):
        assert reading("tinyint(4)", override=override, exact=True) == reading("tinyint(4)", exact=True)
