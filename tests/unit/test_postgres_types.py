"""JSON Schema to PostgreSQL types as stock has them, and types that grow."""

import itertools

import pytest

from target_opendental_replica.postgres.types import choose_type, unify

TIMESTAMP = "timestamp without time zone"


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["null", "string"], "format": "date-time"}, TIMESTAMP),
        ({"type": ["string"], "format": "date"}, "date"),
        ({"type": "string", "format": "time"}, "time without time zone"),
        ({"type": "string", "format": "uuid"}, "uuid"),
        ({"type": "string", "format": "ipv4"}, "text"),
        ({"type": "string", "format": "no such format"}, "text"),
        ({"type": "string", "maxLength": 20}, "text"),
        ({"type": "string", "format": "x-singer.decimal"}, "numeric"),
        ({"type": "string", "format": "x-singer.decimal", "precision": 10, "scale": 2}, "numeric(10,2)"),
        ({"type": "string", "format": "x-singer.decimal", "precision": 10}, "numeric(10,0)"),
        ({"type": "string", "format": "x-singer.decimal", "precision": "1); DROP", "scale": -1}, "numeric"),
        ({"type": "string", "format": "x-singer.decimal", "precision": 9999}, "numeric"),
        ({"type": "integer"}, "bigint"),
        ({"type": "integer", "minimum": 0, "maximum": 32767}, "smallint"),
        ({"type": "integer", "minimum": 0, "maximum": 65535}, "integer"),
        ({"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}, "integer"),
        ({"type": "integer", "minimum": 0, "maximum": 2**32 - 1}, "bigint"),
        ({"type": "integer", "maximum": 5}, "bigint"),
        ({"type": ["null", "number"]}, "numeric"),
        ({"type": "boolean"}, "boolean"),
        ({"type": ["object", "null"], "properties": {"a": {}}}, "jsonb"),
        ({"type": "array"}, "jsonb"),
        ({"type": "array", "items": {"type": "string", "format": "date"}}, "text[]"),
        ({"type": "array", "items": {"type": ["integer", "null"]}}, "bigint[]"),
        ({"type": "array", "items": "number"}, "numeric[]"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "jsonb[]"),
        ({"type": "array", "items": {"anyOf": []}}, "jsonb[]"),
        ({"type": "array", "items": [{"type": "string"}]}, "jsonb[]"),
        ({"type": "array", "items": {"type": "no such type"}}, "text[]"),
        ({"type": ["string", "integer"]}, "text"),
        ({"type": ["string", "integer"], "format": "date"}, "text"),
        ({"type": ["boolean", "integer", "number"]}, "numeric"),
        ({"type": ["boolean", "integer"]}, "bigint"),
        ({"type": ["string", "array", "null"]}, "jsonb"),
        ({"type": ["no such", "types"]}, "text"),
        ({"type": "null"}, "text"),
        ({"type": ["null"]}, "text"),
        ({}, "text"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}, {"type": "string"}]}, "bigint"),
        ({"anyOf": [{"anyOf": []}, {"type": "string", "format": "date"}]}, "date"),
        ({"x-sql-datatype": "smallint", "type": "string"}, "smallint"),
        ({"x-sql-datatype": "int; DROP TABLE x", "type": "integer"}, "bigint"),
    ],
)
def test_choose_type(schema, kind):
    """Each case is what target-postgres 0.8.1 makes; none becomes SQL by itself."""
    assert choose_type(schema) == kind


KINDS = (
    *("boolean", "smallint", "integer", "bigint", "numeric", "numeric(10,2)", "double precision"),
    *("date", TIMESTAMP, "timestamp with time zone", "time without time zone"),
    *("uuid", "jsonb", "text[]", "bigint[]", "character varying(10)", "character varying", "text"),
)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("smallint", "integer", "integer"),
        ("bigint", "smallint", "bigint"),
        ("integer", "numeric", "numeric"),
        ("numeric(10,2)", "bigint", "numeric"),
        ("numeric(10,2)", "numeric(12,4)", "numeric"),
        ("double precision", "bigint", "numeric"),
        ("boolean", "smallint", "smallint"),
        ("numeric", "boolean", "numeric"),
        ("date", TIMESTAMP, TIMESTAMP),
        ("timestamp with time zone", TIMESTAMP, "timestamp with time zone"),
        ("date", "time without time zone", "text"),
        ("boolean", "date", "text"),
        ("jsonb", "text[]", "text"),
        ("character varying(10)", "text", "text"),
        ("character varying", "text", "character varying"),
        ("text", "bigint", "text"),
    ],
)
def test_unify(old, new, kind):
    """The smallest type that holds both."""
    assert unify(old, new) == kind


def test_unify_settles():
    """A table that was changed once is not changed again by the same stream, nor by the one before it."""
    for old, new in itertools.product(KINDS, KINDS):
        unified = unify(old, new)
        assert unify(unified, new) == unified, (old, new)
        assert unify(unified, old) == unified, (old, new)
