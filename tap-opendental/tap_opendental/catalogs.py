"""What of a catalog is taken: selection and columns, and of replication only what loses nothing (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.singerlib import Schema

from tap_opendental.errors import ConfigError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from singer_sdk.singerlib import CatalogEntry

    from tap_opendental.plan import TablePlan


def declare_columns(plan: TablePlan, declared: Iterable[str]) -> dict[str, Schema]:
    """Declare of the catalog's columns those that are sent, as they are sent, and what no row can do without.

    The catalog may be older than the structure: types may have moved since, and the key.
    """
    wanted = {*declared, *plan.primary_key, plan.cursor_name}
    return {
        column.name: Schema.from_dict(dict(column.reading.schema)) for column in plan.columns if column.name in wanted
    }


def choose_replication_key(
    plan: TablePlan, entry: CatalogEntry, logger: logging.Logger, *, is_read: bool = True
) -> str | None:
    """The key to go by, None to read the table whole, as a catalog asks: the plan's, or FULL_TABLE.

    ConfigError for any other method or key, of a stream that `is_read`: an event time as replication key would miss
    every later edit.
    """
    method, key = _requested(entry)
    if key is not None and key not in {column.name for column in plan.columns}:
        logger.warning("the catalog's key %s of %s is gone: the stream goes by what there is", key, plan.name)
        method, key = None, None
    cursor = plan.cursor_name
    if is_read and not _loses_nothing(cursor, method, key):
        fits = f"INCREMENTAL by {cursor}" if cursor else "FULL_TABLE"
        raise ConfigError(f"catalog, stream {plan.name}: {method} by {key} would lose changes; use {fits}")
    incremental = method == "INCREMENTAL" or (method is None and (plan.incremental or key is not None))
    return cursor if incremental else None


def select_needed(plan: TablePlan, entry: CatalogEntry) -> None:
    """Select the key and the cursor whatever the catalog says: no row can be merged, no bookmark moved without them."""
    for name in filter(None, (*plan.primary_key, plan.cursor_name)):
        if column := entry.metadata.get(("properties", name)):
            column.selected = True


def _requested(entry: CatalogEntry) -> tuple[str | None, str | None]:
    """Method and key that a catalog asks for; FULL_TABLE wins, from the entry or from its metadata."""
    root = entry.metadata.get(())
    forced = getattr(root, "forced_replication_method", None)
    method = "FULL_TABLE" if forced == "FULL_TABLE" else entry.replication_method or forced
    return method, entry.replication_key or getattr(root, "replication_key", None)


def _loses_nothing(cursor: str | None, method: str | None, key: str | None) -> bool:
    if method == "INCREMENTAL":
        return cursor is not None and key in (None, cursor)
    return method == "FULL_TABLE" or (method is None and key in (None, cursor))
