"""From facts, choices and tables.yml to the plan of each stream: which tables, which columns, which cursor."""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tap_opendental.discovery.knowledge import REVIEWED
from tap_opendental.discovery.rules.replication import leads_an_index
from tap_opendental.discovery.tables_config import TableConfig
from tap_opendental.errors import ConfigError, NothingSelectedError
from tap_opendental.streams import TablePlan
from tap_opendental.types import choose_reading, is_keyed_by_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_opendental.discovery import SchemaDiscovery
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Table, TableSize
    from tap_opendental.settings import Settings
    from tap_opendental.types import Reading, ReadingOptions

PAGE_BYTES = 8_388_608
logger = logging.getLogger("tap-opendental")


def plan_tables(
    discovery: SchemaDiscovery, knowledge: Knowledge, settings: Settings, configs: Mapping[str, TableConfig]
) -> list[TablePlan]:
    """Plan every table that the settings ask for; keyless tables are left out with one clear line.

    Raises NothingSelectedError when a pattern matches nothing, ConfigError when tables.yml does not fit the schema,
    DamagedTableError when the server cannot open a table that is asked for.
    """
    existing = discovery.discover_all_tables()
    _check_configs(existing, configs)
    wanted = _leave_out_secret_keys(discovery, knowledge, _choose_tables(discovery, settings))
    _log_withheld([discovery.get_table_schema(name) for name in wanted], knowledge)
    return [
        _plan(
            discovery, discovery.get_table_schema(name), knowledge, settings, configs.get(name.lower(), TableConfig())
        )
        for name in wanted
    ]


def matches(name: str, pattern: str) -> bool:
    """Match as the shell does, without regard to case: table names fold to lower case on some servers."""
    return fnmatchcase(name.lower(), pattern.lower())


def _choose_tables(discovery: SchemaDiscovery, settings: Settings) -> list[str]:
    existing = discovery.discover_all_tables()
    for setting in ("tables", "exclude_tables", "keyless_tables"):
        _check_patterns(existing, setting, getattr(settings, setting))
    chosen = [
        name
        for name in existing
        if any(matches(name, pattern) for pattern in settings.tables)
        and not any(matches(name, pattern) for pattern in settings.exclude_tables)
    ]
    discovery.require_readable(chosen)  # first of all: a damaged table looks as if it had no primary key
    keyless = [
        name
        for name in chosen
        if not discovery.get_table_schema(name).primary_key
        and not any(matches(name, pattern) for pattern in settings.keyless_tables)
    ]
    if keyless:
        logger.warning(
            "%d tables have no primary key and are left out: %s (to read them whole, name them in keyless_tables)",
            len(keyless),
            ", ".join(keyless),
        )
    return _require_any([name for name in chosen if name not in set(keyless)])


def _leave_out_secret_keys(discovery: SchemaDiscovery, knowledge: Knowledge, names: Sequence[str]) -> list[str]:
    """Leave out tables that cannot be read without their secret: it is their key, or shows what changed."""
    locked = {
        name
        for name in names
        for column in (*discovery.get_table_schema(name).primary_key, discovery.get_replication_choice(name).key)
        if column and knowledge.is_secret(name, column)
    }
    if locked:
        logger.warning(
            "%d tables have a secret as their key and are left out: %s", len(locked), ", ".join(sorted(locked))
        )
    return _require_any([name for name in names if name not in locked])


def _log_withheld(tables: Sequence[Table], knowledge: Knowledge) -> None:
    """Say in one line how many columns are not read, and name those that no person has reviewed."""
    reasons = {
        f"{table.name}.{column}": knowledge.why_secret(table.name, column)
        for table in tables
        for column in table.column_names
    }
    guessed = [f"{name} ({reason})" for name, reason in reasons.items() if reason not in (None, REVIEWED)]
    known = sum(reason == REVIEWED for reason in reasons.values())
    logger.info("%d columns hold secrets and are not read%s", known + len(guessed), _list_guessed(guessed))


def _list_guessed(guessed: Sequence[str]) -> str:
    return f"; {len(guessed)} of them by their name alone: {', '.join(guessed)}" if guessed else ""


def _check_patterns(existing: Sequence[str], setting: str, patterns: Sequence[str]) -> None:
    if not existing:
        raise NothingSelectedError("the user sees no table in the database: check setting database, or GRANT SELECT")
    for pattern in patterns:
        if not any(matches(name, pattern) for name in existing):
            raise NothingSelectedError(f"setting {setting}: pattern {pattern!r} matches none of {len(existing)} tables")


def _require_any(names: list[str]) -> list[str]:
    if not names:
        raise NothingSelectedError("settings tables and exclude_tables leave no table with a primary key to read")
    return names


def _check_configs(existing: Sequence[str], configs: Mapping[str, TableConfig]) -> None:
    unknown = sorted(set(configs) - {name.lower() for name in existing})
    if unknown:
        logger.warning("tables.yml names tables that the database does not have: %s", ", ".join(unknown))


def _plan(
    discovery: SchemaDiscovery, table: Table, knowledge: Knowledge, settings: Settings, config: TableConfig
) -> TablePlan:
    cursor = _choose_cursor(discovery, table, config)
    return TablePlan(
        name=table.name,
        readings=_choose_readings(table, knowledge, settings.reading),
        primary_key=table.primary_key,
        cursor=cursor,
        cursor_indexed=cursor is not None and leads_an_index(table, cursor),
        cursor_in_local_time=cursor is not None and table.column(cursor).base_type == "datetime",
        keyed_by_number=frozenset(name for name in table.primary_key if is_keyed_by_number(table.column(name))),
        page_rows=choose_page_rows(config.batch_size, discovery.get_table_size_info(table.name)),
    )


def choose_page_rows(batch_size: int, size: TableSize) -> int:
    """Bound a page in bytes too, by the table's mean row: pages are held whole, and documents are megabytes long."""
    mean = size.data_bytes // size.rows if size.rows else 0
    return min(batch_size, max(1, PAGE_BYTES // mean)) if mean else batch_size


def _choose_cursor(discovery: SchemaDiscovery, table: Table, config: TableConfig) -> str | None:
    """Take the rules' choice; tables.yml may turn it into a full table, never into a column that loses changes."""
    choice = discovery.get_replication_choice(table.name)
    if config.extraction_strategy == "full_table":
        return None
    if config.extraction_strategy is not None and choice.key is None:
        raise ConfigError(
            f"tables.yml, table {table.name}: extraction_strategy {config.extraction_strategy} does not fit: "
            f"{choice.reason}; use full_table"
        )
    if config.incremental_column not in (None, choice.key):
        raise ConfigError(
            f"tables.yml, table {table.name}: incremental_column {config.incremental_column!r} does not update itself "
            f"on every write and would lose changes; {f'use {choice.key}' if choice.key else 'use full_table'}"
        )
    return choice.key


def _choose_readings(table: Table, knowledge: Knowledge, options: ReadingOptions) -> dict[str, Reading]:
    """How each column is read; secrets are not even in the plan, so no SELECT can name them."""
    return {
        column.name: choose_reading(table.name, column, knowledge.column(table.name, column.name), options)
        for column in table.columns
        if not knowledge.is_secret(table.name, column.name)
    }
