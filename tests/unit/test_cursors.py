"""The front of a line: its cursor, as a bookmark has it, and its key, where that is of whole numbers."""

import pytest

from tap_opendental.discovery.model import Column as SourceColumn
from tap_opendental.extraction.cursors import choose_key_reader, read_cursors
from tap_opendental.extraction.lines import CSV, JSON, Column
from tap_opendental.types import ReadingOptions, choose_reading


def column(name, sql_type, *, exact=False):
    """A column of that type, as the tap reads it."""
    options = ReadingOptions(exact=exact)
    return Column(name, name, choose_reading("t", SourceColumn(name, sql_type, nullable=False), None, options, None))


STAMP, CLOCK = column("s", "timestamp"), column("s", "datetime")
EXACT_STAMP, EXACT_CLOCK = column("s", "timestamp(3)", exact=True), column("s", "datetime", exact=True)
NUMBER, UNSIGNED, WORD = column("k", "bigint(20)"), column("u", "int(10) unsigned"), column("w", "varchar(9)")


@pytest.mark.parametrize(
    ("dialect", "cursor", "line", "found"),
    [
        (JSON, STAMP, '"2024-06-28T18:00:00+00:00"\t7', "2024-06-28T18:00:00+00:00"),
        (JSON, CLOCK, '"2024-06-28T18:00:00"\t7', "2024-06-28T18:00:00"),
        (CSV, STAMP, "2024-06-28 18:00:00,7", "2024-06-28T18:00:00+00:00"),
        (CSV, CLOCK, "2024-06-28 18:00:00,7", "2024-06-28T18:00:00"),
        (JSON, STAMP, "null\t7", None),
        (CSV, STAMP, "NULL,7", None),
        (JSON, NUMBER, "-7\tx", -7),
        (CSV, UNSIGNED, "4294967295", 2**32 - 1),
    ],
)
def test_a_cursor_is_the_first_field_as_a_bookmark_has_it(dialect, cursor, line, found):
    """The same in both dialects, so that a state is one for RECORD and BATCH."""
    assert read_cursors(dialect, cursor.reading)([line]) == [found]
    assert read_cursors(dialect, cursor.reading)([]) == []


@pytest.mark.parametrize(
    ("cursor", "field", "found"),
    [
        (EXACT_STAMP, "2024-06-28 18:00:00.120", "2024-06-28T18:00:00.120+00:00"),
        (EXACT_CLOCK, "2024-06-28 18:00:00", "2024-06-28T18:00:00"),
        (EXACT_CLOCK, "0001-01-01 00:00:00", "0001-01-01T00:00:00"),
        (EXACT_STAMP, "0000-00-00 00:00:00.000", None),
        (EXACT_CLOCK, "2022-11-00 00:00:00", None),
        (EXACT_CLOCK, "2023-02-31 00:00:00", None),
    ],
)
def test_a_cursor_of_exact_values_is_the_same(cursor, field, found):
    """Bookmarks do not depend on how values are written; a moment that no calendar has is no cursor."""
    assert read_cursors(JSON, cursor.reading)([f'"{field}"\t7', "null\t8"]) == [found, None]
    assert read_cursors(CSV, cursor.reading)([f"{field},7", "NULL,8"]) == [found, None]


@pytest.mark.parametrize("dialect", [JSON, CSV])
def test_a_key_of_whole_numbers_is_read_from_the_line(dialect):
    """In front, or behind the cursor; a row that the server marked for a second look has its key all the same."""
    line = dialect.separator.join(("5", "4294967295", "x"))
    read = choose_key_reader(dialect, [NUMBER, UNSIGNED, WORD], ["k", "u"])
    assert read((line,)) == read((f"!{line}", b"apart")) == (5, 2**32 - 1)
    behind = choose_key_reader(dialect, [STAMP, NUMBER, WORD], ["k"])
    assert behind((dialect.separator.join(("null", "-5", "x")),)) == (-5,)
    assert choose_key_reader(dialect, [NUMBER], ["k"])(("7",)) == (7,)


@pytest.mark.parametrize(
    ("inline", "key"),
    [
        ([NUMBER, UNSIGNED], []),
        ([WORD, NUMBER], ["w"]),
        ([NUMBER, WORD], ["k", "w"]),
        ([UNSIGNED, NUMBER], ["k", "u"]),
        ([NUMBER, WORD], ["k", "u"]),
        ([STAMP, WORD, NUMBER], ["k"]),
        ([], ["k"]),
    ],
)
def test_any_other_key_is_selected_beside_the_line(inline, key):
    """No key at all, text, another order, a column that is read apart, or one that stands too far behind."""
    assert choose_key_reader(JSON, inline, key) is None
