"""Is the replica's table the source's? The structure as SHOW CREATE TABLE tells it, and every column's bytes.

Both databases are on one server, which compares them itself: the checksum of the whole table first, and where that
differs, row by row and column by column. Values are compared as bytes, so neither a collation nor NULL hides anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loading.findings import Difference, Verdict
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Engine

    from loading.jobs import Item

EXAMPLES = 4
SHOWN = 20
COUNTERS = re.compile(r" AUTO_INCREMENT=\d+")


def compare(admin: Engine, source: str, replica: str, item: Item) -> Verdict:
    """Compare a table of two databases; one that is not there has no row."""
    with admin.connect().execution_options(no_parameters=True) as connection:
        return compare_in(connection, source, replica, item)


def compare_in(connection: Connection, source: str, replica: str, item: Item) -> Verdict:
    """The same in an open transaction, which may hold a change that is taken back."""
    table, key = item.table, item.key
    one, other = (f"{quote(database)}.{quote(table)}" for database in (source, replica))
    expected = _ask(connection, f"SELECT COUNT(*) FROM {one}")[0]
    names = f"SHOW TABLES FROM {quote(replica)} LIKE '{table}'"
    if not connection.exec_driver_sql(names).first():
        return Verdict(expected, 0, missing=expected)
    found = _ask(connection, f"SELECT COUNT(*) FROM {other}")[0]
    structure = _compare_structures(connection, one, other)
    if not structure and _read_checksum(connection, one) == _read_checksum(connection, other):
        return Verdict(expected, found)
    return _compare_rows(connection, one, other, key, structure)


def _compare_structures(connection: Connection, one: str, other: str) -> tuple[Difference, ...]:
    """Lines of SHOW CREATE TABLE that only one has."""
    texts = [_ask_text(connection, f"SHOW CREATE TABLE {place}") for place in (one, other)]
    lines = [set(COUNTERS.sub("", text).splitlines()) for text in texts]
    pairs = [(_show(line), "nothing") for line in sorted(lines[0] - lines[1])]
    pairs += [("nothing", _show(line)) for line in sorted(lines[1] - lines[0])]
    return (Difference("", "structure", 0, tuple(pairs[:EXAMPLES])),) if pairs else ()


def _read_checksum(connection: Connection, place: str) -> int:
    return int(connection.exec_driver_sql(f"CHECKSUM TABLE {place}").one()[1])


def _compare_rows(connection: Connection, one: str, other: str, key: str, structure: tuple[Difference, ...]) -> Verdict:
    kinds = _read_kinds(connection, one)
    there = {name for name, _ in _read_kinds(connection, other)}
    using = f"JOIN {{}} b ON b.{quote(key)} = a.{quote(key)}"
    columns = [(name, kind) for name, kind in kinds if name in there]
    tests = [f"NOT ({_bare('a', name, kind)} <=> {_bare('b', name, kind)})" for name, kind in columns]
    sums = ", ".join(f"COALESCE(SUM({test}), 0)" for test in tests)
    counts = _ask(connection, f"SELECT {sums} FROM {one} a {using.format(other)}")
    missing, extra = (
        _ask(connection, f"SELECT COUNT(*) FROM {left} a LEFT {using.format(right)} WHERE b.{quote(key)} IS NULL")[0]
        for left, right in ((one, other), (other, one))
    )
    expected, found = (_ask(connection, f"SELECT COUNT(*) FROM {place}")[0] for place in (one, other))
    absent = [Difference(name, kind, expected) for name, kind in kinds if name not in there]
    different = [
        Difference(name, kind, rows, _read_examples(connection, f"{one} a {using.format(other)}", name, kind, test))
        for (name, kind), rows, test in zip(columns, counts, tests, strict=True)
        if rows
    ]
    found_out = (*structure, *absent, *different)
    if not (found_out or missing or extra):  # the checksums say so, and no column tells why
        found_out = (Difference("", "checksum", expected, (("one", "another"),)),)
    return Verdict(expected, found, missing, extra, found_out)


def _read_kinds(connection: Connection, place: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.exec_driver_sql(f"SHOW COLUMNS FROM {place}")]


def _bare(side: str, name: str, kind: str) -> str:
    """A value so that its text hides nothing: a FLOAT's has six digits."""
    column = f"{side}.{quote(name)}"
    return f"({column} + 0e0)" if kind.startswith("float") else f"BINARY {column}"


def _read_examples(connection: Connection, joined: str, name: str, kind: str, test: str) -> tuple[tuple[str, str], ...]:
    texts = (f"CONVERT(LEFT({_bare(side, name, kind)}, {SHOWN}) USING utf8mb4)" for side in "ab")
    query = f"SELECT DISTINCT {', '.join(texts)} FROM {joined} WHERE {test} LIMIT {EXAMPLES}"
    return tuple((_show(before), _show(after)) for before, after in connection.exec_driver_sql(query))


def _show(value: str | None) -> str:
    if value is None:
        return "NULL"
    shown = value.strip().encode("unicode_escape").decode().replace("|", "/").replace("`", "'")
    return f"`{shown}`" if shown else "''"


def _ask(connection: Connection, query: str) -> tuple[int, ...]:
    return tuple(int(value) for value in connection.exec_driver_sql(query).one())


def _ask_text(connection: Connection, query: str) -> str:
    return str(connection.exec_driver_sql(query).one()[1])


def prove(admin: Engine, source: str, replica: str, item: Item, changed: str) -> None:
    """Negative control: a changed value, NULL or empty for another, and a missing row must each be seen.

    All is taken back. Raises AssertionError when the comparison is blind to one of them.
    """
    place = f"{quote(replica)}.{quote(item.table)}"
    with admin.connect().execution_options(no_parameters=True) as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = ''")
        connection.commit()
        for plant in _plants(place, quote(item.key), quote(changed)):
            connection.exec_driver_sql(plant)
            if compare_in(connection, source, replica, item).is_equal:
                raise AssertionError(f"the comparison does not see: {plant}")
            connection.rollback()


def _plants(place: str, key: str, column: str) -> Iterable[str]:
    yield f"UPDATE {place} SET {column} = CONCAT(COALESCE({column}, ''), ' ') ORDER BY {key} LIMIT 1"
    yield f"UPDATE {place} SET {column} = IF({column} = '', 'x', '') ORDER BY {key} LIMIT 1"
    yield f"DELETE FROM {place} ORDER BY {key} DESC LIMIT 1"
