"""Lines: the SELECT list that builds them, and what this side makes of what comes back."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from tap_opendental.discovery.knowledge import KnownColumn
from tap_opendental.discovery.model import Column as Fact
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.lines import (
    CSV,
    JSON,
    NUL,
    Column,
    LineFinisher,
    NulError,
    lay_out,
    parse_line,
    render_select,
)
from tap_opendental.types import ODD_BOOLEAN, ODD_TIME, ZERO_DATE, ReadingOptions, choose_reading

MEGABYTE = 1_048_576
BOOLEAN, TIME_OF_DAY = KnownColumn("Flag", logical="bool"), KnownColumn("Start")
DIALECTS = pytest.mark.parametrize("dialect", [JSON, CSV], ids=["json", "csv"])
# Names that an identifier may have, each a trap of its own for whoever builds text from them.
NAMES = (
    "%s",
    "%(x)s",
    "100%",
    "{0}",
    "{}",
    "a`b",
    "it's",
    'say "no"',
    "back\\slash",
    "tab\there",
    "naïve 表",
    "🦷",
    "!",
)
WORDS = (
    "",
    "plain",
    'say "no"',
    '"',
    "a,b",
    "tab\there",
    "two\nlines",
    "cr\r\n",
    "back\\slash",
    "NULL",
    "\\N",
    "!",
    "表🦷",
)


def column(name, mysql_type, *, nullable=False, known=None, collation=None):
    fact = Fact(name, mysql_type, nullable=nullable, collation=collation)
    return Column(name, name, choose_reading("sample", fact, known, ReadingOptions()))


def everything_inline(*columns):
    return lay_out(columns, [], packet=16 * MEGABYTE, mean_row=100)


def select(dialect, *columns):
    return render_select(everything_inline(*columns), dialect)


def finish(rows, *columns, dialect=JSON, nul="replace", encoding="base64"):
    """Finished lines of rows as the driver gives them, and what was counted."""
    altered = Counter()
    finisher = LineFinisher(everything_inline(*columns), dialect, altered, encoding=encoding, nul=nul, table="sample")
    return finisher.finish(rows), altered


# --- the SELECT list --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mysql_type", "nullable", "in_json", "in_csv"),
    [
        ("int(11)", False, "CONCAT(`a`)", "CONCAT(`a`)"),
        ("int(11)", True, "CONCAT(IFNULL(`a`, 'null'))", "CONCAT(IFNULL(`a`, 'NULL'))"),
        ("float", True, "CONCAT(IFNULL(`a`+0e0, 'null'))", "CONCAT(IFNULL(`a`+0e0, 'NULL'))"),
        ("varchar(9)", False, "CONCAT(JSON_QUOTE(`a`))", """CONCAT('"', REPLACE(`a`, '"', '""'), '"')"""),
        (
            "varchar(9)",
            True,
            "CONCAT(IFNULL(JSON_QUOTE(`a`), 'null'))",
            """CONCAT(IFNULL(CONCAT('"', REPLACE(`a`, '"', '""'), '"'), 'NULL'))""",
        ),
        ("time", False, """CONCAT('"', `a`, '"')""", "CONCAT(`a`)"),
        ("time", True, """CONCAT(IFNULL(CONCAT('"', `a`, '"'), 'null'))""", "CONCAT(IFNULL(`a`, 'NULL'))"),
        (
            "timestamp",
            False,
            """CONCAT(IF((`a` = 0), '!', ''), '"', CONCAT(INSERT(`a`, 11, 1, 'T'), '+00:00'), '"')""",
            "CONCAT(IF((`a` = 0), '!', ''), `a`)",
        ),
    ],
)
def test_a_field_is_built_by_the_server(mysql_type, nullable, in_json, in_csv):
    """A number stands bare, text is escaped and a moment quoted as each dialect needs it; NULL only where it may be."""
    field = column("a", mysql_type, nullable=nullable)
    assert select(JSON, field) == (in_json,)
    assert select(CSV, field) == (in_csv,)


def test_fields_are_divided_and_constants_joined():
    """A tab divides the fields of JSON, a comma those of CSV; neighbouring constants are one."""
    columns = column("a", "time"), column("b", "time"), column("c", "int")
    assert select(JSON, *columns) == ("""CONCAT('"', `a`, '"\t"', `b`, '"\t', `c`)""",)
    assert select(CSV, *columns) == ("CONCAT(`a`, ',', `b`, ',', `c`)",)


@DIALECTS
def test_one_mark_stands_for_all_suspects(dialect):
    """A row that needs a second look begins with one mark, whichever of its columns is the reason."""
    columns = column("a", "timestamp"), column("b", "int"), column("c", "tinyint", known=BOOLEAN)
    (line,) = select(dialect, *columns)
    assert line.startswith("CONCAT(IF((`a` = 0) OR (`c` & -2), '!', ''), ")
    assert line.count("'!'") == 1


@DIALECTS
def test_bytes_are_read_apart(dialect):
    """Bytes stand beside the line: an expression beyond max_allowed_packet would become NULL."""
    assert select(dialect, column("a", "blob"), column("b", "int")) == ("CONCAT(`b`)", "`a`")
    assert select(dialect, column("a", "blob")) == ("CONCAT('')", "`a`")
    assert select(dialect, column("a", "point"))[1:] == ("ST_AsBinary(`a`)",)


@DIALECTS
@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_quoted(dialect, name):
    """Backticks are doubled, percent signs too for the driver, and nothing in a name is filled in or ends a text."""
    quoted = "`" + name.replace("`", "``").replace("%", "%%") + "`"
    kinds = ("int", "float", "varchar(9)", "datetime", "timestamp", "tinyint")
    for mysql_type in kinds:
        (line,) = select(dialect, column(name, mysql_type, nullable=True, known=BOOLEAN))
        (plain,) = select(dialect, column("plain", mysql_type, nullable=True, known=BOOLEAN))
        assert line == plain.replace("`plain`", quoted)
        assert line % {} == line.replace("%%", "%")
    assert select(dialect, column(name, "blob"))[1] == quoted


# --- what is read apart -----------------------------------------------------------------------------------------------


def inline_names(columns, *, packet, mean_row=100, first=()):
    layout = lay_out(columns, first, packet=packet, mean_row=mean_row)
    assert sorted(c.name for c in layout.columns) == sorted(c.name for c in columns)
    return [c.name for c in layout.inline]


def test_the_leading_columns_come_first():
    """The cursor and the key lead the line, whatever the table's order; the rest keeps it."""
    columns = [column(name, "int") for name in "abcd"]
    assert inline_names(columns, packet=MEGABYTE, first=("d", "b")) == ["d", "b", "a", "c"]


def test_text_without_a_bound_is_read_apart():
    """mediumtext, longtext and json may exceed any packet; bytes are never in the line."""
    columns = [column(t, t) for t in ("int", "text", "mediumtext", "longtext", "json", "tinyblob", "varchar(255)")]
    assert inline_names(columns, packet=16 * MEGABYTE) == ["int", "text", "varchar(255)"]


def test_a_line_never_exceeds_the_packet():
    """The widest columns stay out until the longest line that the others can make fits; six bytes for one of text."""
    columns = [column("id", "bigint"), *(column(f"v{n}", f"varchar({n})") for n in (1, 1000, 2000, 4000))]
    longest = 70 + 6 * 4 * (1 + 1000 + 2000 + 4000)
    assert inline_names(columns, packet=longest + 1000) == ["id", "v1", "v1000", "v2000", "v4000"]
    assert inline_names(columns, packet=longest - 1) == ["id", "v1", "v1000", "v2000"]
    assert inline_names(columns, packet=6 * 4 * 1001 + 1000) == ["id", "v1", "v1000"]
    assert inline_names(columns, packet=1024) == ["id", "v1"]


def test_what_stands_between_fields_counts_too():
    """Quotes and commas are part of the line: two texts whose values alone would fill the packet do not both fit."""
    columns = [column("a", "text"), column("b", "text")]
    assert inline_names(columns, packet=2 * 6 * 65_535 + 4) == ["a"]
    assert inline_names(columns, packet=2 * (6 * 65_535 + 3)) == ["a", "b"]


def test_text_of_wide_rows_is_escaped_on_this_side():
    """Where the mean row is over 1,000 bytes, text that may be long is read apart: REPLACE on it costs the server."""
    columns = [column("a", "int"), column("b", "varchar(100)"), column("c", "text"), column("d", "varchar(255)")]
    assert inline_names(columns, packet=16 * MEGABYTE, mean_row=1_000) == ["a", "b", "c", "d"]
    assert inline_names(columns, packet=16 * MEGABYTE, mean_row=1_001) == ["a", "b"]


def test_numbers_and_moments_stay_in_the_line():
    """What the server's mark and the cursor need is never read apart, however small the packet."""
    columns = [column("a", "decimal(65,30)"), column("b", "datetime"), column("c", "tinyint", known=BOOLEAN)]
    assert inline_names(columns, packet=1024, mean_row=10_000) == ["a", "b", "c"]


# --- finishing --------------------------------------------------------------------------------------------------------


def test_a_finished_line_passes_through():
    """A row without a mark is taken as the server built it."""
    assert finish([('1\t"a"',), ('2\t"b"',)], column("a", "int"), column("b", "varchar(9)")) == (
        ['1\t"a"', '2\t"b"'],
        {},
    )


@pytest.mark.parametrize(
    ("dialect", "row", "line"),
    [
        (JSON, '!1\t"0000-00-00"\todd2\t"25:00:00"\t"! ,\\t"', '1\tnull\ttrue\tnull\t"! ,\\t"'),
        (CSV, '!1,0000-00-00,2,25:00:00,"! ,\t"', '1,NULL,1,NULL,"! ,\t"'),
    ],
    ids=["json", "csv"],
)
def test_a_marked_row_is_mended(dialect, row, line):
    """What no target can take becomes NULL or true, each counted once; the rest of the row stays as it is."""
    columns = (
        column("id", "int"),
        column("Day", "date"),
        column("Flag", "tinyint", known=BOOLEAN),
        column("Start", "time", known=TIME_OF_DAY),
        column("Note", "varchar(9)"),
    )
    assert finish([(row,)], *columns, dialect=dialect) == ([line], {ZERO_DATE: 1, ODD_BOOLEAN: 1, ODD_TIME: 1})


@pytest.mark.parametrize(
    ("dialect", "row", "line"),
    [
        (JSON, '!null\t"2024-02-29T00:00:00"\tfalse\todd3', 'null\t"2024-02-29T00:00:00"\tfalse\ttrue'),
        (CSV, "!NULL,2024-02-29 00:00:00,0,3", "NULL,2024-02-29 00:00:00,0,1"),
    ],
    ids=["json", "csv"],
)
def test_what_is_right_in_a_marked_row_stays(dialect, row, line):
    """NULL, a day that exists and a plain boolean are not altered, and not counted, beside a column that is."""
    columns = (
        column("Day", "date", nullable=True),
        column("Moment", "datetime"),
        column("Flag", "tinyint", known=BOOLEAN),
        column("Other", "tinyint", known=BOOLEAN),
    )
    assert finish([(row,)], *columns, dialect=dialect) == ([line], {ODD_BOOLEAN: 1})


def test_a_marked_row_is_split_where_its_fields_end():
    """Commas, quotes, newlines and NUL inside a CSV field do not shift the fields behind it, nor does an empty end."""
    before, after = column("Before", "varchar(99)"), column("After", "varchar(99)")
    for word in WORDS:
        quoted = CSV.escape(word)
        row = f"!{quoted},0000-00-00,{quoted}"
        lines, _ = finish([(row,)], before, column("Day", "date"), after, dialect=CSV, nul="keep")
        assert lines == [f"{quoted},NULL,{quoted}"]
        assert CSV.split(f"{quoted},,{quoted},") == [quoted, "", quoted, ""]


@pytest.mark.parametrize(
    ("dialect", "lines"),
    [
        (JSON, ['1\t"AP8="\t"a\\tb\\"\\n"', "2\tnull\tnull", '3\t""\t""']),
        (CSV, ['1,"AP8=","a\tb""\n"', "2,NULL,NULL", '3,"",""']),
    ],
    ids=["json", "csv"],
)
def test_columns_read_apart_are_added_behind_the_line(dialect, lines):
    """Bytes are encoded and long text escaped on this side; NULL is not the empty text; keys stay out."""
    columns = column("Data", "blob", nullable=True), column("id", "int"), column("Text", "longtext", nullable=True)
    rows = [("1", b"\x00\xff", 'a\tb"\n', "key"), ("2", None, None, "key"), ("3", b"", "", "key")]
    assert finish(rows, *columns, dialect=dialect)[0] == lines


@DIALECTS
def test_a_row_may_be_all_apart(dialect):
    """A table of one blob has lines without a first field of the server's."""
    assert finish([("", b"a"), ("", b"")], column("Data", "blob"), dialect=dialect)[0] == ['"YQ=="', '""']


def test_bytes_may_be_hex():
    """binary_encoding: hex; the driver hands an empty value over as text."""
    rows = [("", b"\x00\xff"), ("", "")]
    assert finish(rows, column("Data", "blob"), encoding="hex")[0] == ['"00ff"', '""']


@DIALECTS
@pytest.mark.parametrize("word", [*WORDS, "\0", "\x01\x1f\x7f", "\u2028", "\ufeff"])
def test_text_is_escaped_here_as_the_server_does(dialect, word):
    """What is escaped on this side reads back as it was, in one line and one field of the dialect."""
    (line,), _ = finish([("1", word)], column("id", "int"), column("Text", "longtext"), dialect=dialect, nul="keep")
    _, field = dialect.split(line)
    assert (json.loads(field) if dialect is JSON else field[1:-1].replace('""', '"')) == word
    assert dialect is CSV or "\n" not in line


# --- NUL --------------------------------------------------------------------------------------------------------------

TEXT = (column("id", "int"), column("Text", "varchar(99)"), column("Data", "blob"))


def with_nul(dialect, text):
    return (f"1{dialect.separator}{dialect.escape(text)}", b"\0\0")


def text_of(dialect, line):
    field = dialect.split(line)[1]
    return json.loads(field) if dialect is JSON else field[1:-1].replace('""', '"')


@DIALECTS
@pytest.mark.parametrize(("nul", "text"), [("replace", 'a\ufffdb"\ufffd'), ("strip", 'ab"'), ("keep", 'a\0b"\0')])
def test_nul_is_replaced_stripped_or_kept(dialect, nul, text):
    """nul_in_text: a value with U+0000 is counted once, however many it holds; bytes are left alone."""
    (line,), altered = finish([with_nul(dialect, 'a\0b"\0')], *TEXT, dialect=dialect, nul=nul)
    assert text_of(dialect, line) == text
    assert altered == ({} if nul == "keep" else {NUL: 1})
    assert dialect.split(line)[2] == '"AAA="'


@DIALECTS
@pytest.mark.parametrize("nul", ["replace", "strip", "fail"])
@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "a \\u0000, b", '"\\u0000"', "\\x00 %00 &#0;"])
def test_text_that_looks_like_nul_stays(dialect, nul, text):
    """A backslash and the letters u0000 are text as any other: nothing is replaced, counted or refused."""
    row = with_nul(dialect, text)
    assert finish([row], *TEXT, dialect=dialect, nul=nul) == ([f'{row[0]}{dialect.separator}"AAA="'], {})


@DIALECTS
def test_text_beside_nul_stays(dialect):
    """Real NUL and text that looks like it, in one value and in its neighbour, do not mix."""
    columns = column("id", "int"), column("Text", "varchar(99)"), column("More", "varchar(99)")
    fields = [dialect.escape(text) for text in ("\\u0000 \0", "\\u0000")]
    (line,), altered = finish([(dialect.separator.join(["1", *fields]),)], *columns, dialect=dialect)
    assert dialect.split(line) == ["1", dialect.escape("\\u0000 \ufffd"), fields[1]]
    assert altered == {NUL: 1}


@DIALECTS
def test_nul_is_refused_by_its_column(dialect):
    """nul_in_text: fail names table and column, and shows nothing of the value."""
    with pytest.raises(NulError, match=r"column sample\.Text holds U\+0000") as caught:
        finish([with_nul(dialect, "secret\0")], *TEXT, dialect=dialect, nul="fail")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, OpenDentalError)


@DIALECTS
def test_nul_is_found_in_text_that_is_read_apart(dialect):
    """Long text is escaped on this side, and looked through as well."""
    columns = column("id", "int"), column("Text", "longtext")
    (line,), altered = finish([("1", "a\0")], *columns, dialect=dialect)
    assert text_of(dialect, line) == "a\ufffd"
    assert altered == {NUL: 1}


@DIALECTS
def test_nul_in_a_marked_row(dialect):
    """A row may need both: its date mended and its text cleaned."""
    columns = column("Day", "date"), column("Text", "varchar(99)")
    day = '"0000-00-00"' if dialect is JSON else "0000-00-00"
    (line,), altered = finish([(f"!{day}{dialect.separator}{dialect.escape(chr(0))}",)], *columns, dialect=dialect)
    assert dialect.split(line) == [dialect.null, dialect.escape("\ufffd")]
    assert altered == {ZERO_DATE: 1, NUL: 1}


# --- the SDK's path ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mysql_type", "token", "value"),
    [
        ("bigint unsigned", "18446744073709551615", 18446744073709551615),
        ("decimal(65,30)", "9" * 35 + "." + "9" * 30, Decimal("9" * 35 + "." + "9" * 30)),
        ("decimal(9,2)", "1.50", Decimal("1.50")),
        ("decimal(9,2)", "null", None),
        ("double", "0.30000000000000004", 0.30000000000000004),
        ("double", "5e-324", 5e-324),
        ("varchar(9)", '"a\\tb\\u2028"', "a\tb\u2028"),
        ("varchar(9)", '"null"', "null"),
        ("date", '"2024-02-29"', "2024-02-29"),
        ("date", "null", None),
        ("blob", '"AP8="', "AP8="),
    ],
)
def test_a_line_reads_as_a_record(mysql_type, token, value):
    """The SDK's loop gets the value that the line tells: DECIMAL exact, no double on its way."""
    record = parse_line(f"1\t{token}", [column("id", "int"), column("a", mysql_type, nullable=True)])
    assert record == {"id": 1, "a": value}
    assert type(record["a"]) is type(value)
