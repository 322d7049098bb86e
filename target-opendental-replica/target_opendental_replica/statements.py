"""SQL text from facts: pure functions, text out, no connection.

Facts have the shape of `to_dict()` of a table: names, types, defaults and indexes in structured form. Whatever is
not a quoted name or a quoted literal is matched against a grammar and written anew, so no text of the facts ever
becomes SQL. String literals assume that the session lacks NO_BACKSLASH_ESCAPES (``sql_mode=''`` has that effect).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import IdentifierError, TableFactsError, UnknownDefaultError
from target_opendental_replica.types import is_string, read_string, render_string, render_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_IDENTIFIER = 64
# https://mariadb.com/docs/server/reference/sql-structure/sql-language-structure/identifier-names
_SPACES = frozenset(" \t\n\v\f\r")
_LAST_CHARACTER = "\uffff"
_SURROGATE = re.compile("[\ud800-\udfff]")

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_BYTES = re.compile(r"b'[01]*'|x'(?:[0-9a-f]{2})*'", re.IGNORECASE)
_NOW = re.compile(r"current_timestamp(?:\(([0-6]?)\))?", re.IGNORECASE)
_INDEX_KINDS = {
    "BTREE": ("KEY", ""),
    "HASH": ("KEY", " USING HASH"),
    "FULLTEXT": ("FULLTEXT KEY", ""),
    "SPATIAL": ("SPATIAL KEY", ""),
}


def quote(identifier: str) -> str:
    """A name in backticks, whatever it contains; refuses what MySQL cannot store as a name."""
    if not identifier or "\0" in identifier or identifier[-1] in _SPACES:
        raise IdentifierError(f"{identifier!r} cannot be a name in MySQL: empty, with a NUL, or ending in a space")
    if max(identifier) > _LAST_CHARACTER or _SURROGATE.search(identifier):
        raise IdentifierError(f"{identifier!r} cannot be a name in MySQL: it has a character beyond U+FFFF (utf8mb3)")
    if len(identifier) > LONGEST_IDENTIFIER:
        raise IdentifierError(f"{identifier!r} cannot be a name in MySQL: over {LONGEST_IDENTIFIER} characters")
    return "`" + identifier.replace("`", "``") + "`"


def render_create_table(
    facts: Mapping[str, Any], *, name: str | None = None, engine: str | None = None, temporary: bool = False
) -> str:
    """The CREATE TABLE of these facts, under another name or engine if given.

    A generated column becomes a stored one: its values arrive as rows, and its expression is text that is never run.
    """
    table = str(facts["name"]) if name is None else name
    lines = [_column(table, column) for column in facts["columns"]]
    lines += _keys(table, facts)
    charset, collation = _charset(table, str(facts.get("collation", "utf8mb3_general_ci")))
    engine_word = _word(table, "engine", str(facts.get("engine", "MyISAM")) if engine is None else engine)
    body = ",\n  ".join(lines)
    create = "CREATE TEMPORARY TABLE" if temporary else "CREATE TABLE"
    return f"{create} {quote(table)} (\n  {body}\n) ENGINE={engine_word} DEFAULT CHARSET={charset} COLLATE={collation}"


def render_add_keys(facts: Mapping[str, Any], indexes: Iterable[Mapping[str, Any]], *, name: str) -> str:
    """The ALTER TABLE that adds indexes of these facts to the table of that name."""
    known = {str(column["name"]) for column in facts["columns"]}
    return f"ALTER TABLE {quote(name)} " + ", ".join(f"ADD {_index(name, index, known)}" for index in indexes)


def _column(table: str, column: Mapping[str, Any]) -> str:
    where = f"{table}.{column['name']}"
    parts = [quote(str(column["name"])), render_type(str(column["type"]), where=where)]
    if column.get("collation"):
        parts.append("CHARACTER SET {} COLLATE {}".format(*_charset(where, str(column["collation"]))))
    parts.append("NULL" if column.get("nullable", True) else "NOT NULL")
    parts += [] if column.get("generated") else _origins(column, where)
    if column.get("comment"):
        parts.append("COMMENT " + render_string(str(column["comment"])))
    return " ".join(parts)


def _origins(column: Mapping[str, Any], where: str) -> Iterable[str]:
    """What gives the column a value that no statement gives."""
    if column.get("default") is not None:
        yield "DEFAULT " + _default(str(column["default"]), where)
    if column.get("on_update"):
        yield "ON UPDATE " + _now(str(column["on_update"]), where)
    if column.get("auto_increment"):
        yield "AUTO_INCREMENT"


def _default(text: str, where: str) -> str:
    if text.upper() == "NULL":
        return "NULL"
    if _NUMBER.fullmatch(text) or _BYTES.fullmatch(text):
        return text
    if is_string(text):
        return render_string(read_string(text))
    return _now(text, where)


def _now(text: str, where: str) -> str:
    moment = _NOW.fullmatch(text)
    if moment is None:
        raise UnknownDefaultError(
            f"column {where}: default {text!r} is neither a literal nor current_timestamp; an expression is never run"
        )
    return f"current_timestamp({moment[1] or ''})"


def _keys(table: str, facts: Mapping[str, Any]) -> Iterable[str]:
    known = {str(column["name"]) for column in facts["columns"]}
    primary = [{"name": name} for name in facts.get("primary_key", ())]
    if primary:
        yield f"PRIMARY KEY ({_key_columns(table, 'PRIMARY', primary, known)})"
    for index in facts.get("indexes", ()):
        yield _index(table, index, known)


def _index(table: str, index: Mapping[str, Any], known: set[str]) -> str:
    name = str(index["name"])
    kind = str(index.get("kind", "BTREE")).upper()
    if kind not in _INDEX_KINDS:
        raise TableFactsError(f"index {table}.{name}: {kind!r} is not one of {', '.join(_INDEX_KINDS)}")
    keyword, using = _INDEX_KINDS[kind]
    unique = "UNIQUE " if index.get("unique") and keyword == "KEY" else ""
    return f"{unique}{keyword} {quote(name)} ({_key_columns(table, name, index['columns'], known)}){using}"


def _key_columns(table: str, index: str, columns: Iterable[Mapping[str, Any]], known: set[str]) -> str:
    rendered = []
    for column in columns:
        name, length = str(column["name"]), column.get("length")
        if name not in known:
            raise TableFactsError(f"index {table}.{index}: there is no column {name!r}")
        if length is not None and (type(length) is not int or length < 1):
            raise TableFactsError(f"index {table}.{index}: {length!r} is not the length of a prefix")
        prefix = "" if length is None else f"({length})"
        rendered.append(quote(name) + prefix + (" DESC" if column.get("descending") else ""))
    return ", ".join(rendered)


def _charset(where: str, collation: str) -> tuple[str, str]:
    word = _word(where, "collation", collation)
    return word.partition("_")[0], word


def _word(where: str, what: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        raise TableFactsError(f"{where}: {text!r} cannot be the name of a {what}")
    return text
