"""How one column is read: what every choice of a reading is made of (pure)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_opendental.discovery.model import Column

# Storage sizes of https://mariadb.com/docs/server/reference/data-types/numeric-data-types
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
# The longest text of each type in bytes; varchar and char count characters of up to four bytes.
_TEXT_BYTES = {"tinytext": 255, "text": 65_535, "enum": 1_020, "set": 65_535}
_LONG_TEXT = frozenset({"mediumtext", "longtext", "json"})
_CHARACTERS = frozenset({"char", "varchar"})
WORDS = frozenset({"uuid", "inet4", "inet6"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
GEOMETRY = frozenset({"geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"})
GEOMETRY |= frozenset({"multipoint", "multilinestring", "multipolygon"})
TEXT = frozenset({*_TEXT_BYTES, *_LONG_TEXT, *_CHARACTERS})
_LENGTH = re.compile(r"\((\d+)\)")
# A DECIMAL has up to 65 digits, a sign and a point; a DOUBLE's shortest text has 24 characters.
_NUMBER_BYTES, MOMENT_BYTES, _CHARACTER_BYTES = 70, 40, 4


class Kind(Enum):
    """How a value's text becomes a field of a line: what has to be put around it, and who does that."""

    BARE = "bare"
    """A number or a boolean: its text stands as it is."""
    PLAIN = "plain"
    """Text that holds nothing to escape: dates and times."""
    TEXT = "text"
    """Text that the server escapes, or this side where it is long."""
    BYTES = "bytes"
    """Bytes, which this side encodes: an expression beyond max_allowed_packet becomes NULL with only a warning."""


Mend = Callable[[str, Counter[str]], "str | None"]


@dataclass(frozen=True)
class Reading:
    """How one column is read: its JSON Schema, and the SQL of its text, in which ``{0}`` is the quoted name.

    `json_expression` is the text for JSON where it differs. `suspect` is an SQL condition: where it holds, `mend` has
    the last word on the value's text, and counts what it alters. `max_bytes` bounds the text in UTF-8; None is no
    bound worth the name, and such a column is read apart. `exact` numbers are no doubles. `note` names the choice that
    the values depend on beside the column's type.
    """

    schema: Mapping[str, Any]
    kind: Kind = Kind.BARE
    expression: str = "{0}"
    json_expression: str | None = None
    nullable: bool = False
    suspect: str | None = None
    mend: Mend | None = None
    max_bytes: int | None = _NUMBER_BYTES
    exact: bool = False
    in_utc: bool = False
    note: str = ""


def encode_bytes(value: bytes, encoding: str) -> str:
    """Write bytes as base64 or hex."""
    return value.hex() if encoding == "hex" else b64encode(value).decode("ascii")


def typed(column: Column, name: str) -> dict[str, Any]:
    """The schema of a value that is NULL only where the column may be."""
    return {"type": [name, "null"] if column.nullable else [name]}


def read_length(column: Column) -> int | None:
    """The number in the type's brackets, if there is one."""
    length = _LENGTH.search(column.type)
    return int(length.group(1)) if length else None


def describe_text(column: Column) -> tuple[dict[str, Any], int | None]:
    """The schema of a column of text, and its longest value in bytes of UTF-8, None for no bound."""
    schema, length = typed(column, "string"), read_length(column) if column.base_type in _CHARACTERS else None
    if length is None:
        return schema, _TEXT_BYTES.get(column.base_type)
    return schema | {"maxLength": length}, length * _CHARACTER_BYTES


def is_utf8(column: Column) -> bool:
    """True of text that needs no conversion; a column of no character set counts as such."""
    return (column.collation or "utf8").startswith("utf8")
