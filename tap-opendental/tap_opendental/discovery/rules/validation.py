"""Whether a table's configuration fits the table: what loses data or cannot be read is named, with the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tap_opendental.discovery.judgements import ReplicationChoice
    from tap_opendental.discovery.model import Table
    from tap_opendental.discovery.table_config import ColumnOverride, TableConfig

_ROUNDABLE = frozenset({"decimal", "numeric", "double", "real", "float"})


def find_problems(
    table: Table,
    config: TableConfig,
    replication: ReplicationChoice,
    *,
    trusted_keys: Collection[str],
    existing: frozenset[str],
) -> tuple[Problem, ...]:
    """List what does not fit, each with its key and what to do.

    `trusted_keys` are columns that a person may vouch for as append-only; `existing` are all tables, in lower case.
    """
    return (
        *_check_cursor(table, config, replication, trusted_keys),
        *_check_dependencies(table, config, existing),
        *_check_columns(table, config),
    )


def _check_cursor(
    table: Table, config: TableConfig, replication: ReplicationChoice, trusted_keys: Collection[str]
) -> Iterable[Problem]:
    column = config.incremental_column
    way_out = f"use {replication.key}" if replication.key else "use extraction_strategy full_table, and no column"
    if column is not None and column not in table.column_names:
        yield Problem(table.name, "incremental_column", f"there is no column {column!r}; {way_out}")
    elif column is not None and column not in {replication.key, *trusted_keys}:
        why = next((each.reason for each in replication.candidates if each.column == column), "it does not show edits")
        yield Problem(table.name, "incremental_column", f"{column} would lose changes: {why}; {way_out}")
    if config.is_incremental and column is None:
        yield Problem(
            table.name,
            "extraction_strategy",
            f"{config.extraction_strategy} does not fit: {replication.reason}; use full_table",
        )


def _check_dependencies(table: Table, config: TableConfig, existing: frozenset[str]) -> Iterable[Problem]:
    missing = [name for name in config.dependencies if name.lower() not in existing]
    if missing:
        yield Problem(table.name, "dependencies", f"not in the database: {', '.join(missing)}; remove them")


def _check_columns(table: Table, config: TableConfig) -> Iterable[Problem]:
    for name, override in config.column_overrides.items():
        complaint = _check_column(table, config, name, override)
        if complaint:
            yield Problem(table.name, f"column_overrides.{name}", complaint)


def _check_column(table: Table, config: TableConfig, name: str, override: ColumnOverride) -> str | None:
    if name not in table.column_names:
        return "there is no such column; remove the override"
    rule, kind = override.conversion_rule, table.column(name).base_type
    if rule == "exclude" and name in {*table.primary_key, config.incremental_column}:
        return "a key cannot be left out: no row could be merged, no change be found"
    if name in table.primary_key:
        return "a key cannot be converted: rows would merge into each other"
    if rule == "tinyint_to_boolean" and kind != "tinyint":
        return f"tinyint_to_boolean is for tinyint, and the column is {kind}; remove the override"
    if rule == "decimal_round" and kind not in _ROUNDABLE:
        return f"decimal_round is for numbers with decimals, and the column is {kind}; remove the override"
    return None
