"""JSON Schema to MySQL's types, and values of RECORD messages to CSV fields, without a server."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_opendental_replica.errors import UnfitError, UnknownTypeError
from target_opendental_replica.mysql.bulk import Place, _read_warning
from target_opendental_replica.mysql.columns import describe_column, describe_table, make_slot
from target_opendental_replica.mysql.csv_rows import read_rows, skip_names
from target_opendental_replica.mysql.rendering import choose_renderer
from target_opendental_replica.mysql.statements import own_name
from target_opendental_replica.stream_facts import Field


def integer(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (integer(-128, 127), "tinyint"), (integer(0, 255), "tinyint unsigned"), (integer(-1, 255), "smallint"),
        (integer(0, 2**24 - 1), "mediumint unsigned"), (integer(0, 2**31), "int unsigned"),
        ({"type": "integer"}, "bigint"),
        (integer(0, 2**64 - 1), "bigint unsigned"), (integer(-1, 2**64 - 1), "decimal(65,0)"),
        ({"type": "number"}, "double"), ({"type": "number", "multipleOf": 1e-30}, "decimal(65,30)"),
        ({"type": "number", "multipleOf": 5}, "decimal(65,0)"), ({"type": ["integer", "number"]}, "double"),
        ({"type": "string"}, "longtext"), ({"type": "string", "maxLength": 255}, "varchar(255)"),
        ({"type": "string", "maxLength": 256}, "longtext"), ({"type": ["null", "boolean"]}, "tinyint(1)"),
        ({"type": ["string", "integer"]}, "longtext"), ({}, "longtext"), ({"type": "array"}, "longtext"),
        ({"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}, "datetime(6)"),
        ({"type": "string", "x-sql-datatype": "VARCHAR(9)"}, "varchar(9)"),
        ({"type": "boolean", "x-sql-datatype": "BOOLEAN"}, "tinyint(1)"),
    ],
)  # fmt: skip
def test_a_schema_chooses_a_type_that_holds_it(schema, kind):
    """The smallest whole number, nothing that rounds, text of the declared length."""
    assert describe_column(Field("a", schema))["type"] == kind


def test_hints_outside_the_grammar_are_refused():
    """x-sql-datatype never becomes SQL by itself."""
    with pytest.raises(UnknownTypeError, match="column a"):
        describe_column(Field("a", {"type": "string", "x-sql-datatype": "int); DROP TABLE x"}))


def test_keys_fit_an_index_and_rows_fit_a_row():
    """Keys share 3,072 bytes; 200 columns of text of 255 characters are not 65,535 bytes."""
    keys = [Field(f"k{number}", {"type": "string"}) for number in range(4)]
    texts = [Field(f"t{number}", {"type": "string", "maxLength": 255}) for number in range(200)]
    table = describe_table("t", [*keys, *texts], [key.name for key in keys], "utf8mb4_bin")
    kinds = [column["type"] for column in table["columns"]]
    assert kinds[:4] == ["varchar(192)"] * 4
    widths = [4 * int(kind[8:-1]) for kind in kinds if kind.startswith("varchar")]
    assert sum(widths) <= 60_000
    assert kinds.count("longtext") == 200 - (len(widths) - 4)


@pytest.mark.parametrize(
    ("schema", "value", "field"),
    [
        ({"type": "string"}, 'say "no"\n', '"say ""no""\n"'), ({"type": "string"}, None, "NULL"),
        ({"type": "string"}, "NULL", '"NULL"'), ({"type": "integer"}, -5, "-5"),
        ({"type": "integer"}, Decimal("5.0"), "5"),
        ({"type": "number"}, Decimal("0.30000000000000004"), "0.30000000000000004"), ({"type": "number"}, -0.0, "-0.0"),
        ({"type": "number"}, Decimal("1E-7"), "1E-7"), ({"type": "boolean"}, True, "true"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T10:00:00.5Z", "2024-01-01 10:00:00.5"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T10:00:00+02:00", "2024-01-01 08:00:00"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T10:00:00", "2024-01-01 10:00:00"),
        ({"type": "string", "format": "date"}, "2024-01-01T00:00:00Z", "2024-01-01"),
        ({"type": "string", "format": "time"}, "10:00:00+00:00", "10:00:00"),
        ({"type": ["object", "null"]}, {"a": ['"', 1]}, '"{""a"":[""\\"""",1]}"'), ({}, "text", '"text"'),
        ({}, 1, '"1"'),
        ({"type": "array"}, [Decimal("0.10"), 2**70], f'"[0.10,{2**70}]"'),
        ({"type": "string", "format": "date-time", "x-sql-datatype": "text"}, "now", '"now"'),
        ({"format": "date-time", "type": "string", "x-sql-datatype": "timestamp"}, "2024-01-01T10:00:00Z",
         "2024-01-01 10:00:00"),
    ],
)  # fmt: skip
def test_values_become_fields(schema, value, field):
    """Text quoted, all else bare, moments in UTC, NULL bare."""
    assert choose_renderer(Field("a", schema))(value) == field


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, 1), ({"type": "integer"}, "1"), ({"type": "integer"}, True), ({"type": "integer"}, 1.5),
        (integer(0, 9), 10), ({"type": "number"}, "1"), ({"type": "number"}, float("nan")), ({"type": "boolean"}, 1),
        ({"type": "number"}, Decimal("0.12345678901234567890")), ({"type": "number"}, Decimal("1e999")),
        ({"type": "string", "format": "date-time"}, "zaphod"),
        ({"type": "string", "format": "date"}, "2024-01-01T10:00:00"),
        ({"type": "string", "format": "time"}, "10:00:00+05:00"), ({"type": "string", "format": "date"}, 1),
        ({"type": "number"}, 2**64 - 1),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused_without_a_word_of_them(schema, value):
    """The error says what is wrong, and not with what."""
    with pytest.raises(UnfitError) as error:
        choose_renderer(Field("a", schema))(value)
    assert "zaphod" not in str(error.value)


FIELDS = st.none() | st.text(st.sampled_from('a",\n\\é\r\tNUL '), max_size=8)


@given(st.lists(st.lists(FIELDS, min_size=1, max_size=4), max_size=5), st.text(st.sampled_from('a"\n'), max_size=4))
def test_rows_are_read_as_they_were_written(rows, name):
    """Whatever text holds: quotes, newlines, the word NULL; also in the names before them."""
    render = choose_renderer(Field("a", {"type": "string"}))
    content = "".join(",".join(map(render, row)) + "\n" for row in [[name], *rows]).encode()
    assert list(read_rows(io.BytesIO(content))) == rows
    stream = io.BytesIO(content)
    skip_names(stream)
    assert stream.read() == content[len(render(name).encode()) + 1 :]


@pytest.mark.parametrize("content", [b'a\n"open\n', b'a\n"x"y\n', b'a\nx"y"\n'])
def test_what_is_not_of_the_dialect_is_refused(content):
    """Quotes that stay open, or stand where none may."""
    with pytest.raises(ValueError, match="quote"):
        list(read_rows(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("text", "column", "row"),
    [
        ("Data truncated for column 'Name' at row 3", "Name", 3),
        ("Incorrect integer value: 'Beeblebrox' for column `d`.`t`.`Name` at row 12", "Name", 12),
        ("Incorrect integer value: 'column 'Name' at row 9' for column `d`.`t`.`Other` at row 2", None, 2),
        ("Truncated incorrect INTEGER value: 'Beeblebrox'", None, None),
    ],
)
def test_of_a_warning_only_its_end_counts(text, column, row):
    """Its text may hold a value, which may look like anything; only columns of ours are named."""
    slot = make_slot(Field("name", {}), {"name": "Name", "type": "int(11)"}, is_exact=True)
    place = Place("t", None, (slot,))
    warning = _read_warning(place, 1366, text)
    assert (warning.column, warning.row) == (column, row)


def test_names_of_our_own_fit():
    """Beside a table with the longest name, of each kind, and apart from one another."""
    names = {own_name(kind, table) for kind in ("new", "old") for table in ("t", "é" * 64, "é" * 63 + "e")}
    assert len(names) == 6
    assert max(map(len, names)) <= 64
    assert own_name("kept", "t", 2) == "_od_kept_t_2"
