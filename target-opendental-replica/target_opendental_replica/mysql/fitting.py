"""Making a table fit: by a copy beside it that takes its place at once, so that nothing is lost on the way.

The copy is made as it is wanted and takes the rows of the columns that both have. Where it altered a value or could not
take a row, the old table stays as `_od_kept_<table>_<n>`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import (
    MissingRowsError,
    ReplicaError,
    SchemaRefusedError,
    UnknownTypeError,
    describe_gone,
)
from target_opendental_replica.mysql.columns import BYTES, TEXTS, base_type, empty_value, render_value
from target_opendental_replica.mysql.errors import code_of
from target_opendental_replica.mysql.keys import make_keys
from target_opendental_replica.mysql.statements import match, own_name, strip_name
from target_opendental_replica.statements import quote, render_create_table
from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.types import render_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_opendental_replica.mysql.connection import Link
    from target_opendental_replica.mysql.layout import Layout
    from target_opendental_replica.mysql.ledger import Entry, Ledger

_NO_SUCH_TABLE = 1146
_MARK = "dropped at the source on "
_EXACT = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "numeric", "year", "bit", "integer"}
)
_APPROXIMATE = frozenset({"float", "double"})
_TIMES = (frozenset({"date", "datetime", "timestamp"}), frozenset({"time"}))
_LARGEST_WHOLE = 2**53

Columns = tuple["Mapping[str, Any]", ...]


def show_create(link: Link, table: str) -> str | None:
    """Return the table's SHOW CREATE TABLE without its name and counter; None where there is none."""
    try:
        rows = link.run(f"SHOW CREATE TABLE {quote(table)}", table=table).rows
    except ReplicaError as error:
        if code_of(error) == _NO_SUCH_TABLE:
            return None
        raise
    return strip_name(str(rows[0][1]), table)


def hash_text(text: str) -> str:
    """Return a hash of a DDL text."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Fitting:
    """A stream's table on its way to what it is to be; `begins` says that the tap starts before its first row."""

    link: Link
    ledger: Ledger
    layout: Layout
    notify: Callable[[str], None]
    begins: bool

    def fit(self, entry: Entry) -> Entry:
        """Make the table fit, and return what is to be remembered of it; commits.

        One statement where nothing changed. Where the table lost rows or columns that the source did not change, the
        stream's positions are forgotten, so that a state which builds on them is refused. MissingRowsError where the
        table is gone, and the tap does not begin.
        """
        found = show_create(self.link, self.layout.table)
        if found and entry.wanted == self.layout.wanted and entry.made == hash_text(found):
            return entry
        if found is None and entry.made:
            if not self.begins:
                raise MissingRowsError(f"stream {self.layout.stream}: {describe_gone([self.layout.table])}")
            self.notify(f"table {self.layout.table} is gone: it is made again, without its rows")
            entry = self.ledger.forget(self.layout.stream, replace(entry, kept=()))
        self._require_table()
        entry = replace(entry, kept=self._choose_kept())
        entry = self._remake(entry)
        made = show_create(self.link, self.layout.table) or ""
        entry = replace(entry, wanted=self.layout.wanted, made=hash_text(made))
        self.ledger.write(self.layout.stream, entry)
        self.link.commit()
        return entry

    def fit_gathered(self, entry: Entry) -> Entry:
        """Make the table of gathered rows like the table, when that was changed since; commits.

        Rows that lack a column, or would lose a value, are no use to their version: they are dropped, and so says what
        is returned. Their reading begins anew; a tap that goes on behind them is refused when the stream is opened.
        """
        table = self.layout.table
        gathered = own_name("new", table)
        if self._is_like(table, gathered):
            return entry
        shadow = self._make(gathered, lambda name: f"CREATE TABLE {quote(name)} LIKE {quote(table)}")
        before, after = read_columns(self.link, gathered), read_columns(self.link, shadow)
        follows = bool(self.layout.key) and _names(after) <= _names(before)
        if follows and not self._copy(gathered, shadow, before, after):
            self._rename(gathered, shadow, own_name("old", gathered), keeps=False)
            return entry
        self.link.run(f"DROP TABLE {quote(shadow)}, {quote(gathered)}", table=table)
        entry = replace(entry, versions=replace(entry.versions, gathered=None))
        self.ledger.write(self.layout.stream, entry)
        self.link.commit()
        self.notify(f"table {table} was changed while a version was gathered: its rows cannot follow, and are dropped")
        return entry

    def _is_like(self, table: str, gathered: str) -> bool:
        """True when gathered rows can go on as they are; indexes may wait until their version is whole."""
        if not self.layout.key:  # gathered in another engine
            return read_columns(self.link, table) == read_columns(self.link, gathered)
        wanted, there = show_create(self.link, table) or "", show_create(self.link, gathered) or ""
        waits = self.layout.is_transactional and _drop_keys(wanted) == _drop_keys(there)
        return wanted == there or (waits and set(_split(there)) <= set(_split(wanted)))

    def _remake(self, entry: Entry) -> Entry:
        table, layout = self.layout.table, self.layout
        facts = {**layout.facts, "columns": [*layout.facts["columns"], *entry.kept]}
        before = show_create(self.link, table)
        if before is None:
            self._create(table, render_create_table(facts))
            return entry
        shadow = self._make(table, lambda name: render_create_table(facts, name=name))
        wanted = show_create(self.link, shadow)
        if before == wanted or self._mend_keys(entry, before, wanted):
            self.link.run(f"DROP TABLE {quote(shadow)}")
        else:
            entry = self._swap(table, shadow, entry)
        return entry

    def _mend_keys(self, entry: Entry, before: str, wanted: str | None) -> bool:
        """Make indexes that are missing, new ones or those of a load that was cut; True when the table fits then."""
        table = self.layout.table
        if wanted is None or _drop_keys(before) != _drop_keys(wanted):
            return False
        make_keys(self.link, self.layout, table)
        fits = show_create(self.link, table) == wanted
        if fits and entry.wanted != self.layout.wanted:
            self.notify(f"table {table} was made to fit: it has new indexes")
        return fits

    def _make(self, table: str, render: Callable[[str], str]) -> str:
        shadow = own_name("shadow", table)
        self.link.run(f"DROP TABLE IF EXISTS {quote(shadow)}, {quote(own_name('old', table))}")
        self._create(table, render(shadow))
        return shadow

    def _create(self, table: str, ddl: str) -> None:
        try:
            self.link.run(ddl, table=table)
        except ReplicaError as error:
            if type(error) is not ReplicaError:
                raise
            raise SchemaRefusedError(
                f"table {table}: the server does not take its structure (MySQL error {code_of(error)})"
            ) from None

    def _swap(self, table: str, shadow: str, entry: Entry) -> Entry:
        """Fill the copy, put it into the table's place, and drop or keep what was there."""
        before, after = read_columns(self.link, table), read_columns(self.link, shadow)
        loses = self._copy(table, shadow, before, after)
        added, gone = _names(after) - _names(before), _names(before) - _names(after) - {DELETED_AT.lower()}
        if entry.made and entry.wanted == self.layout.wanted and (loses or added):
            entry = self.ledger.forget(self.layout.stream, entry)
        aside = self._free_name(table) if loses else own_name("old", table)
        self._rename(table, shadow, aside, keeps=loses)
        changes = [*(f"column {name} added" for name in sorted(added)), *(f"column {name} dropped" for name in gone)]
        kept = f"; the old table stays as {aside}, since not every value of it fits" if loses else ""
        self.notify(f"table {table} was made to fit: {', '.join(changes) or 'its structure changed'}{kept}")
        return entry

    def _rename(self, table: str, shadow: str, aside: str, *, keeps: bool) -> None:
        self.link.alter(
            f"RENAME TABLE {quote(table)} TO {quote(aside)}, {quote(shadow)} TO {quote(table)}", table=table
        )
        if not keeps:
            self.link.run(f"DROP TABLE {quote(aside)}", table=table)

    def _copy(self, table: str, shadow: str, before: Columns, after: Columns) -> bool:
        """Copy the rows; True when a value was altered or a row could not be taken."""
        there = _names(before)
        common = [column for column in after if column["name"].lower() in there]
        empty = [column for column in after if column["name"].lower() not in there and empty_value(column)]
        names = ", ".join(quote(column["name"]) for column in (*common, *empty))
        kinds = {column["name"].lower(): column["type"] for column in before}
        copied = [
            render_value(column, quote(column["name"]))
            if column["type"] == kinds[column["name"].lower()]
            else quote(column["name"])
            for column in common
        ]
        values = ", ".join([*copied, *(str(empty_value(column)) for column in empty)])
        if not common:
            return bool(self.link.run(f"SELECT 1 FROM {quote(table)} LIMIT 1").rows)
        revived = DELETED_AT.lower() in there and DELETED_AT.lower() not in _names(after)
        alive = f" WHERE {quote(DELETED_AT)} IS NULL" if revived else ""
        try:
            answer = self.link.run(
                f"INSERT IGNORE INTO {quote(shadow)} ({names}) SELECT {values} FROM {quote(table)}{alive}", table=table
            )
        except ReplicaError as error:
            if type(error) is not ReplicaError:
                raise
            self.link.run(f"TRUNCATE TABLE {quote(shadow)}", table=table)
            return True
        self.link.commit()
        return answer.warnings > 0 or self._altered(table, shadow, before, common)

    def _altered(self, table: str, shadow: str, before: Columns, common: Sequence[Mapping[str, Any]]) -> bool:
        """True unless every value of a column whose type changed is still the same: some are altered without a word."""
        old = {column["name"].lower(): column for column in before}
        pairs = [(old[column["name"].lower()], column) for column in common]
        changed = [pair for pair in pairs if _kind(pair[0]) != _kind(pair[1])]
        if not changed:
            return False
        keys = read_key(self.link, table)
        if not keys or not {key.lower() for key in keys} <= {column["name"].lower() for column in common}:
            return True
        same = " AND ".join(_render_kept(*pair) for pair in changed)
        rows = self.link.run(
            f"SELECT 1 FROM {quote(table)} o LEFT JOIN {quote(shadow)} n ON {match(keys, 'o', 'n')} "
            f"WHERE NOT ({same}) LIMIT 1",
            table=table,
        ).rows
        return bool(rows)

    def _choose_kept(self) -> Columns:
        """Return the facts of columns that are gone at the source and stay, marked with the day."""
        if self.layout.drops:
            return ()
        wanted = _names(self.layout.facts["columns"]) | {DELETED_AT.lower()}
        gone = [each for each in read_columns(self.link, self.layout.table) if each["name"].lower() not in wanted]
        return tuple(_keep(column) for column in gone)

    def _require_table(self) -> None:
        rows = self.link.run(
            "SELECT table_type FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            (self.layout.table,),
        ).rows
        if rows and rows[0][0] != "BASE TABLE":
            raise SchemaRefusedError(
                f"{self.layout.table} is no table but a {str(rows[0][0]).lower()}, which is not the target's: drop or "
                "rename it, then run again"
            )

    def _free_name(self, table: str) -> str:
        names = (own_name("kept", table, number) for number in count(1))
        return next(name for name in names if show_create(self.link, name) is None)


def read_columns(link: Link, table: str) -> Columns:
    """Return the facts of a table's columns as the server has them."""
    rows = link.run(
        "SELECT column_name, column_type, is_nullable, column_default, collation_name, column_comment, extra "
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (table,),
    ).rows
    names = ("name", "type", "nullable", "default", "collation", "comment")
    return tuple(
        {
            **dict(zip(names, row, strict=False)),
            "nullable": row[2] == "YES",
            "auto_increment": "auto_increment" in str(row[6]),
        }
        for row in rows
    )


def read_key(link: Link, table: str) -> tuple[str, ...]:
    """Return the columns of a table's primary key."""
    rows = link.run(
        "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = %s "
        "AND index_name = 'PRIMARY' ORDER BY seq_in_index",
        (table,),
    ).rows
    return tuple(str(row[0]) for row in rows)


def _drop_keys(ddl: str) -> list[str]:
    """Return the lines of a DDL text without those of indexes that are not UNIQUE."""
    return [line for line in _split(ddl) if not line.startswith(("  KEY `", "  FULLTEXT", "  SPATIAL"))]


def _split(ddl: str) -> list[str]:
    return [line.rstrip(",") for line in ddl.split("\n")]


def _keep(column: Mapping[str, Any]) -> Mapping[str, Any]:
    comment = str(column["comment"] or "")
    marked = comment if comment.startswith(_MARK) else f"{_MARK}{datetime.now(UTC).date()}"
    facts = {"name": column["name"], "type": column["type"], "collation": column["collation"]}
    return {**facts, "nullable": True, "default": "NULL", "comment": marked}


def _names(columns: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(column["name"]).lower() for column in columns}


def _kind(column: Mapping[str, Any]) -> tuple[str, str]:
    try:
        return render_type(str(column["type"]), where=""), str(column["collation"]).partition("_")[0]
    except UnknownTypeError:
        return str(column["type"]), ""


def _render_kept(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return SQL that is true when a value of the old table `o` is still all there in the new one `n`."""
    left, right = f"o.{quote(old['name'])}", f"n.{quote(new['name'])}"
    kinds = {base_type(old), base_type(new)}
    if kinds <= BYTES or any(kinds <= times for times in _TIMES):
        return f"{left} <=> {right}"
    if kinds <= _EXACT or kinds <= _APPROXIMATE:
        return f"{left} <=> {right}"
    if kinds <= _EXACT | _APPROXIMATE:  # compared as doubles, which are exact up to there
        return f"({left} <=> {right} AND COALESCE(ABS({left}) <= {_LARGEST_WHOLE}, TRUE))"
    if kinds <= TEXTS | {"enum", "set"}:
        return f"BINARY CONVERT({left} USING utf8mb4) <=> BINARY CONVERT({right} USING utf8mb4)"
    return f"BINARY CAST({left} AS CHAR) <=> BINARY CAST({right} AS CHAR)"
