"""How each property becomes a column: its MySQL type, and how a CSV field is stored in it (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.types import render_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_opendental_replica.stream_facts import Field

LONGEST_KEY = 255
_LONGEST_KEYS = 3072 // 4  # characters of utf8mb4 in an InnoDB index
_WIDEST_ROW = 60_000  # of 65,535 bytes, which text outside the row does not count in
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_OTHER_NAMES = {"boolean": "tinyint(1)", "bool": "tinyint(1)"}
_FORMATS = {"date": "date", "date-time": "datetime(6)", "time": "time(6)"}
_DECODERS = {"base64": "FROM_BASE64({})", "base16": "UNHEX({})"}
_FINEST = 30

BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
SHAPES = frozenset(
    {
        *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
        "geometrycollection",
    }
)
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json"})


@dataclass(frozen=True)
class Slot:
    """A property and its column: `load` is the SQL that stores a CSV field, {} standing for it."""

    name: str
    column: str
    facts: Mapping[str, Any]
    load: str = "{}"

    @property
    def warns_of_zero(self) -> bool:
        """True for an ENUM by number: the server warns of 0, which is a value that it can have."""
        return base_type(self.facts) == "enum" and self.load != "{}"


def base_type(column: Mapping[str, Any]) -> str:
    """Return the bare type word: ``tinyint`` of ``tinyint(3) unsigned``."""
    word = re.match(r"[a-z0-9]+", str(column["type"]).lower())
    return word[0] if word else ""


def make_slot(field: Field, facts: Mapping[str, Any], *, is_exact: bool) -> Slot:
    """Return where a property goes: into the column of those facts."""
    base = base_type(facts)
    load = _choose_load(field, base, is_exact=is_exact)
    if base == "timestamp" and load == "{}" and not facts.get("nullable", True):
        load = "COALESCE({}, '')"  # NULL would become the present moment without a warning; this warns
    return Slot(field.name, str(facts["name"]), facts, load)


def deleted_slot() -> Slot:
    """Return the slot of `_sdc_deleted_at`, as the text that it came in."""
    return Slot(DELETED_AT, DELETED_AT, {"name": DELETED_AT, "type": "varchar(255)", "default": "NULL"})


def deleted_column() -> dict[str, Any]:
    """Return the facts of the column that marks rows which are gone at the source."""
    return {"name": DELETED_AT, "type": "datetime(6)", "nullable": True, "default": "NULL"}


def _choose_load(field: Field, base: str, *, is_exact: bool) -> str:
    kinds = kinds_of(field.schema)
    if encoding := facet(field.schema, "contentEncoding"):
        decoded = _DECODERS.get(str(encoding), "{}") if field.column is not None else "{}"
        # What is exact is the server's own form of a shape, with its SRID; else it is WKB.
        return f"ST_GeomFromWKB({decoded})" if base in SHAPES and not is_exact else decoded
    if "boolean" in kinds:
        return "IF({} IN ('true', 'false'), {} = 'true', {})"
    by_number = base in ("year", "bit") or (base in ("enum", "set") and kinds == {"integer"})
    return "CAST({} AS UNSIGNED)" if by_number else "{}"


def describe_column(field: Field, *, is_key: bool = False, keys: int = 1) -> dict[str, Any]:
    """Return facts of a column that holds what the property's JSON Schema allows; UnknownTypeError for a wrong hint.

    Whole numbers get the smallest type that holds the declared range. Other numbers are DOUBLE, which holds every
    number that was one, or DECIMAL where `multipleOf` says how fine they are; one that does not fit is refused, never
    rounded. `keys` is the number of properties in the key, which share an index.
    """
    kind = _choose_type(field, is_key=is_key, keys=keys)
    column = {"name": field.name, "type": kind, "nullable": not is_key, "default": None if is_key else "NULL"}
    own = field.column or {}
    if own.get("collation"):
        column["collation"] = own["collation"]
    return column


def _choose_type(field: Field, *, is_key: bool, keys: int) -> str:
    hint = field.schema.get("x-sql-datatype")
    if field.column is not None:
        kind = render_type(str(field.column["type"]), where=field.name)
    elif hint is not None:
        kind = render_type(_OTHER_NAMES.get(str(hint).lower(), str(hint)), where=field.name)
    else:
        kind = _from_schema(field.schema)
    long = kind.endswith(("text", "json"))
    return f"varchar({min(LONGEST_KEY, _LONGEST_KEYS // keys)})" if is_key and long else kind


def _from_schema(schema: Mapping[str, Any]) -> str:
    kinds = kinds_of(schema)
    if kinds == {"boolean"}:
        return "tinyint(1)"
    if kinds == {"integer"}:
        return _integer(schema)
    if kinds and kinds <= {"integer", "number"}:
        return _number(schema)
    return _string(schema) if kinds == {"string"} else "longtext"


def kinds_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types that a schema allows, null left out; nothing for any."""
    kinds: set[str] = set()
    for each in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        kind = each.get("type", ()) if isinstance(each, dict) else ()
        kinds |= {kind} if isinstance(kind, str) else set(map(str, kind))
    return frozenset(kinds - {"null"})


def facet(schema: Mapping[str, Any], name: str) -> object:
    """Return what a schema, or the first of its alternatives, says under that word; None for nothing."""
    alternatives = (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()))
    return next((each[name] for each in alternatives if isinstance(each, dict) and name in each), None)


def _integer(schema: Mapping[str, Any]) -> str:
    low, high = facet(schema, "minimum"), facet(schema, "maximum")
    if not isinstance(low, int | float | Decimal) or not isinstance(high, int | float | Decimal):
        return "bigint"
    for name, bits in _INTEGERS.items():
        if low >= -(2 ** (bits - 1)) and high <= 2 ** (bits - 1) - 1:
            return name
        if low >= 0 and high <= 2**bits - 1:
            return f"{name} unsigned"
    return "decimal(65,0)"


def _number(schema: Mapping[str, Any]) -> str:
    step = facet(schema, "multipleOf")
    if not isinstance(step, int | float | Decimal) or not step:
        return "double"
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    return f"decimal(65,{min(max(-int(exponent), 0), _FINEST)})"


def _string(schema: Mapping[str, Any]) -> str:
    length, form = facet(schema, "maxLength"), facet(schema, "format")
    if str(form) in _FORMATS:
        return _FORMATS[str(form)]
    return f"varchar({length})" if isinstance(length, int) and 0 < length <= LONGEST_KEY else "longtext"


def describe_table(name: str, fields: Sequence[Field], key: Sequence[str], collation: str) -> dict[str, Any]:
    """Return facts of a table for a stream that has none, in that collation, rows below the server's limit."""
    keys = [each.name for each in fields if each.name in key]
    columns = [describe_column(each, is_key=each.name in keys, keys=len(keys) or 1) for each in fields]
    width = sum(_width(column) for column in columns)
    for column in sorted(columns, key=_width, reverse=True):
        if width <= _WIDEST_ROW or column["name"] in keys:
            break
        width -= _width(column)
        column["type"] = "longtext"
    return {"name": name, "columns": columns, "primary_key": list(key), "engine": "InnoDB", "collation": collation}


def _width(column: Mapping[str, Any]) -> int:
    length = re.search(r"varchar\((\d+)\)", str(column["type"]))
    return 4 * int(length[1]) if length else 0


def render_equal(column: Mapping[str, Any], left: str, right: str) -> str:
    """Return SQL that is true when two stored values of a column are the same to the last bit, NULL included."""
    base = base_type(column)
    if base in TEXTS:
        return f"BINARY {left} <=> BINARY {right}"
    if base in ("enum", "set"):  # by number: an ENUM's value 0 reads like a member that is empty
        return f"CAST({left} AS UNSIGNED) <=> CAST({right} AS UNSIGNED)"
    if base in ("float", "double"):  # -0 and 0 are equal, and their texts are not
        return f"({left} <=> {right} AND CAST({left} AS CHAR) <=> CAST({right} AS CHAR))"
    return f"{left} <=> {right}"


def render_value(column: Mapping[str, Any], value: str) -> str:
    """Return SQL that copies a stored value: the server copies a SET by its text, in which an empty member is lost."""
    return f"CAST({value} AS UNSIGNED)" if base_type(column) == "set" else value


def empty_value(column: Mapping[str, Any]) -> str | None:
    """Return SQL of the value that a column has which is not sent, must have one, and has no default; else None."""
    if column.get("nullable", True) or column.get("default") is not None or column.get("auto_increment"):
        return None
    base = base_type(column)
    if base == "enum":
        return "1"
    if base in SHAPES:
        return "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')" if base.startswith("geom") else None
    zeros = {"date": "'0000-00-00'", "datetime": "'0000-00-00 00:00:00'", "timestamp": "'0000-00-00 00:00:00'"}
    texts = {"uuid": f"'{'-'.join(['0' * 8, *['0' * 4] * 3, '0' * 12])}'", "inet4": "'0.0.0.0'", "inet6": "'::'"}
    is_text = base in TEXTS or base in BYTES or base == "set"
    return zeros.get(base) or texts.get(base) or ("''" if is_text else "0")
