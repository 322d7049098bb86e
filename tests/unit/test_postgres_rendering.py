"""Values of JSON as CSV fields: quoted, checked, and refused without the value."""

from decimal import Decimal

import pytest

from target_opendental_replica.errors import UnfitError
from target_opendental_replica.postgres.rendering import choose_render

INTEGER, NUMBER, BOOLEAN, TEXT = ({"type": [kind, "null"]} for kind in ("integer", "number", "boolean", "string"))
DATE, MOMENT, TIME, UUID = (TEXT | {"format": each} for each in ("date", "date-time", "time", "uuid"))
MONEY = TEXT | {"format": "x-singer.decimal", "precision": 10, "scale": 2}
TREE, LIST = {"type": ["object", "null"]}, {"type": ["array", "null"]}
TEXTS, NUMBERS, TREES = ({"type": "array", "items": {"type": each}} for each in ("string", "number", "object"))
EITHER = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
MANY = {"type": ["string", "integer", "boolean", "null"]}
WORD = "Jane-Doe-4711"


@pytest.mark.parametrize(
    ("schema", "value", "field"),
    [
        (INTEGER, 2**70, str(2**70)),
        (INTEGER, Decimal("5.0"), "5"),
        (INTEGER, 5.0, "5"),
        (NUMBER, Decimal("1.10"), "1.10"),
        (NUMBER, Decimal("1E+300"), "1E+300"),
        (NUMBER, 18446744073709551615, "18446744073709551615"),
        (NUMBER, 0.30000000000000004, "0.30000000000000004"),
        (NUMBER, -0.0, "-0.0"),
        (BOOLEAN, True, "true"),
        (BOOLEAN, False, "false"),
        (TEXT, "", '""'),
        (TEXT, "NULL", '"NULL"'),
        (TEXT, 'a"b\n,', '"a""b\n,"'),
        (TEXT, "a\0b", '"a\ufffdb"'),
        (TEXT, "\U0001f9b7", '"\U0001f9b7"'),
        (DATE, "2026-02-30", "2026-02-30"),
        (MOMENT, "2026-03-08T02:15:00.123456", "2026-03-08T02:15:00.123456"),
        (MOMENT, "2026-03-08 02:15", "2026-03-08 02:15"),
        (MOMENT, "2026-03-08", "2026-03-08"),
        (MOMENT, "2026-03-08T02:15:00Z", "2026-03-08T02:15:00Z"),
        (MOMENT, "2026-03-08T02:15:00+00:00", "2026-03-08T02:15:00+00:00"),
        (MOMENT, "2026-03-08T02:15:00-05:00", "2026-03-08T07:15:00"),
        (MOMENT, "2026-03-08T02:15:00.1234567+01:00", "2026-03-08T01:15:00.123456"),
        (TIME, "23:59:59.5", "23:59:59.5"),
        (UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        (MONEY, "-12.50", "-12.50"),
        (MONEY, Decimal("12.50"), "12.50"),
        (TREE, {"a": [1, None, Decimal("1.10")]}, '"{""a"":[1,null,1.10]}"'),
        (TREE, {"a": 2**70, "\0": "\0"}, f'"{{""a"":{2**70},""\ufffd"":""\ufffd""}}"'),
        (TREE, {"a": "\\u0000"}, '"{""a"":""\\\\u0000""}"'),
        (TREE, None, '"null"'),
        (LIST, [1, "a"], '"[1,""a""]"'),
        (TEXTS, ["a", 'b"\\', "", None, "\0"], '"{""a"",""b\\""\\\\"","""",NULL,""\ufffd""}"'),
        (NUMBERS, [1, Decimal("1.10"), None], '"{1,1.10,NULL}"'),
        (TREES, [{}, None], '"{""{}"",""null""}"'),
        (EITHER, "word", '"{""word""}"'),
        (EITHER, ["word"], '"{""word""}"'),
        (MANY, 5, '"5"'),
        (MANY, True, '"true"'),
        ({}, {"b": [1, "\u00e9"]}, '"{""b"": [1, ""\\u00e9""]}"'),
        ({}, Decimal("1.50"), '"1.50"'),
    ],
)
def test_render(schema, value, field):
    """NULL is bare, text is quoted, digits are kept, moments are UTC."""
    render = choose_render(schema)
    assert render(value) == field
    if value is not None and schema is not TREE and schema is not LIST:
        assert render(None) == "NULL"


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (INTEGER, [WORD, "5", True, 5.5, Decimal("12345678901234567.5"), float("nan"), Decimal("NaN"), [], 1e300]),
        (NUMBER, [WORD, "5", True, float("inf"), Decimal("-Infinity"), Decimal("NaN"), {}]),
        (BOOLEAN, [WORD, 0, 1, "true"]),
        (TEXT, [5, True, [WORD], {WORD: 1}, "a\ud800"]),
        (DATE, [WORD, 5, "2026-1-2", "2026-01-02T00:00:00", "\u0662026-01-02", "2026-01-02\n"]),
        (
            MOMENT,
            [WORD, 5, "2026-13-01T00:00:00+01:00", "2026-01-01T25:00:00", "now", "infinity", "0001-01-01T00:00+05:00"],
        ),
        (TIME, [WORD, 5, "24:00:00", "-01:00:00", "1:2"]),
        (UUID, [WORD, 5, "a0eebc99"]),
        (MONEY, [WORD, "NaN", "1,5", True]),
        (TREE, [{"a": "\ud800"}]),
        (TEXTS, [WORD, [5], {"a": 1}]),
        (NUMBERS, [[WORD]]),
        (EITHER, [5]),
        (MANY, [float("nan")]),
    ],
)
def test_a_value_of_another_type_is_refused(schema, values):
    """With our own error, which never holds the value."""
    render = choose_render(schema)
    for value in values:
        with pytest.raises(UnfitError) as refused:
            render(value)
        assert WORD not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
