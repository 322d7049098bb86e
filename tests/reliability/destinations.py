"""Where the target writes in these tests: a database of the test's own of either dialect, and how it is compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from tests.oracle import differing, read_columns, read_keys, read_raw, read_source

from opendental_analyze.verify.comparison import Side, compare_all
from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.reliability.conftest import Practice

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
        """What differs of any table, row by row over all columns."""
        compare = self._differing_in_replica if self.dialect == "mysql" else self._differing_in_raw
        return {table: found for table, found in compare(practice).items() if found}

    def _differing_in_replica(self, practice: Practice) -> Mapping[str, Any]:
        source = practice.source
        ours = Side(source.engine, SchemaDiscovery(source.engine, source.name), source.name)
        name = str(self.url.database)
        theirs = Side(self.engine, SchemaDiscovery(self.engine, name), name)
        results = compare_all(ours, theirs, tables=practice.tables)
        return {result.table: None if result.is_equal else result for result in results}

    def _differing_in_raw(self, practice: Practice) -> Mapping[str, Any]:
        source = practice.source
        columns, keys = read_columns(source.engine, source.name), read_keys(source.engine, source.name)
        there = sa.inspect(self.engine).get_table_names(schema="raw")
        return {
            table: differing(
                read_source(source.engine, table, columns[table], keys[table]),
                read_raw(self.engine, table, columns[table], keys[table]) if table in there else {},
            )
            for table in practice.tables
        }
