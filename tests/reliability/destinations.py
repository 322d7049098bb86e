"""Where the target writes in these tests: a database of the test's own of either dialect, and how it is compared."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from tests.oracle import differing, read_columns, read_keys, read_raw, read_source

from opendental_analyze.sandbox.throw_away import mariadb_database, postgres_database
from opendental_analyze.verify.comparison import Side, compare_all
from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from tests.oracle import Key
    from tests.reliability.conftest import Practice, Source

    from opendental_analyze.sandbox.sandbox import Sandbox
    from opendental_analyze.verify.comparison import TableComparison

DIALECTS = ("mysql", "postgresql")


@dataclass(frozen=True)
class Destination:
    """One database; `tap_settings` are what the tap needs to fill it."""

    dialect: str
    url: sa.URL
    engine: sa.Engine

    @property
    def tap_settings(self) -> dict[str, Any]:
        """The replica takes exact values under the source's own names."""
        return {"values": "exact", "names": "exact"} if self.dialect == "mysql" else {}

    def write_config(self, folder: Path, **settings: Any) -> str:
        """Write the target's config; its path."""
        address = {name: getattr(self.url, name) for name in ("host", "port", "database", "password")}
        path = folder / "target.json"
        path.write_text(json.dumps({"dialect": self.dialect, "user": self.url.username, **address, **settings}))
        return str(path)

    def differing(self, practice: Practice) -> dict[str, Any]:
        """What differs of these tables, row by row over all columns."""
        return self.differing_keys(practice.source, practice.tables)

    def differing_keys(self, source: Source, tables: Collection[str] | None = None) -> dict[str, dict[Key, str]]:
        """Keys that are missing, extra or different, by table; without `tables` all that have a key."""
        keys = read_keys(source.engine, source.name)
        compare = self._differing_in_replica if self.dialect == "mysql" else self._differing_in_raw
        found = compare(source, {table: keys[table] for table in tables or keys})
        return {table: problems for table, problems in found.items() if problems}

    def _differing_in_replica(self, source: Source, keys: Mapping[str, Key]) -> Mapping[str, dict[Key, str]]:
        ours = Side(source.engine, SchemaDiscovery(source.engine, source.name), source.name)
        name = str(self.url.database)
        theirs = Side(self.engine, SchemaDiscovery(self.engine, name), name)
        return {result.table: _tell(result) for result in compare_all(ours, theirs, tables=keys)}

    def _differing_in_raw(self, source: Source, keys: Mapping[str, Key]) -> Mapping[str, dict[Key, str]]:
        columns = read_columns(source.engine, source.name)
        there = sa.inspect(self.engine).get_table_names(schema="raw")
        problems = {}
        for table, key in keys.items():
            found = read_raw(self.engine, table, columns[table], key) if table in there else {}
            expected = read_source(source.engine, table, columns[table], key)
            problems[table] = {k: what.partition(":")[0] for k, what in differing(expected, found).items()}
        return problems


def _tell(result: TableComparison) -> dict[Key, str]:
    """The same words as the oracle's; a structure that differs has no key."""
    words = {"missing": result.lost, "extra": result.extra, "different": result.different}
    told = {tuple(map(str, key)): word for word, keys in words.items() for key in keys}
    other = result.is_missing or not result.same_structure
    return told | ({(): "another structure"} if other else {})


@contextmanager
def open_destination(sandbox: Sandbox, dialect: str) -> Iterator[Destination]:
    """An empty destination of a dialect."""
    throw_away = mariadb_database if dialect == "mysql" else postgres_database
    with throw_away(sandbox.state) as database:
        yield Destination(dialect, sa.make_url(database.admin_url), database.engine)
