"""A tables.yml for small practices: what is incremental in a real one, where tables are large, is so here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Engine


def write_incremental(path: Path, engine: Engine, database: str, pages: Mapping[str, int] | None = None) -> str:
    """Make every table with a safe key incremental, as from 1 MB on, with pages of some rows where asked for."""
    discovery = SchemaDiscovery(engine, database)
    tables = {
        name: {"extraction_strategy": "incremental"}
        for name in discovery.discover_all_tables()
        if discovery.get_replication_choice(name).key
    }
    for name, rows in (pages or {}).items():
        tables.setdefault(name, {})["batch_size"] = rows
    path.write_text(yaml.safe_dump({"tables": tables}))
    return str(path)
