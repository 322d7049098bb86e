"""The grammar of MySQL and MariaDB column types and of their string literals: text in, text out."""

from __future__ import annotations

import re

from target_opendental_replica.errors import UnknownTypeError

_LENGTH = r"(\(\d{1,5}\))?"
_SCALE = r"(\(\d{1,3}(,\d{1,2})?\))?"
_SIGN = r"( unsigned)?( zerofill)?"
_FORMS = (
    rf"(tinyint|smallint|mediumint|int|integer|bigint){_LENGTH}{_SIGN}",
    rf"(decimal|numeric|float|double){_SCALE}{_SIGN}",
    rf"(bit|char|binary|year){_LENGTH}",
    r"(varchar|varbinary)\(\d{1,5}\)",
    r"(time|datetime|timestamp)(\([0-6]\))?",
    r"date|json|uuid|inet4|inet6",
    r"(tiny|medium|long)?(text|blob)",
    r"geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection",
)
_PLAIN = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.ASCII)
_SERVER_NOTE = re.compile(r"\s*/\*[^*/]*\*/\s*$")
_STRING = r"'(?:[^'\\]|''|\\.)*'"
_LIST = re.compile(rf"(enum|set)\s*\(\s*({_STRING}(?:\s*,\s*{_STRING})*)\s*\)", re.IGNORECASE | re.DOTALL)
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRING_PART = re.compile(r"''|\\(.)|([^'\\])", re.DOTALL)
_READ = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_WRITE = str.maketrans({"'": "''", "\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"})


def render_type(text: str, *, where: str) -> str:
    """The same type written anew; `where` names the column in the error for a type outside the grammar."""
    bare = _SERVER_NOTE.sub("", text).strip()
    plain = re.sub(r"\s*,\s*", ",", re.sub(r"\s+", " ", bare)).lower()
    if _PLAIN.fullmatch(plain):
        return plain
    if members := _LIST.fullmatch(bare):
        return f"{members[1].lower()}({','.join(map(render_string, read_members(bare)))})"
    raise UnknownTypeError(
        f"column {where}: {text!r} is not a column type that this version knows; exclude the table or report the type"
    )


def read_members(text: str) -> tuple[str, ...]:
    """The members of an ``enum(...)`` or ``set(...)``; none for another type."""
    members = _LIST.fullmatch(_SERVER_NOTE.sub("", text).strip())
    return tuple(read_string(literal) for literal in _STRINGS.findall(members[2])) if members else ()


def is_string(text: str) -> bool:
    """True for exactly one quoted SQL string."""
    return re.fullmatch(_STRING, text, re.DOTALL) is not None


def read_string(literal: str) -> str:
    """The value of a quoted SQL string, with doubled quotes and backslashes read as MySQL reads them."""
    return _STRING_PART.sub(_read_part, literal[1:-1])


def render_string(value: str) -> str:
    """A value as a quoted SQL string; the inverse of `read_string`."""
    return "'" + value.translate(_WRITE) + "'"


def _read_part(part: re.Match[str]) -> str:
    if part[1] is not None:
        return _READ.get(part[1], part[1])
    return part[2] or "'"
