"""From facts, choices and tables.yml to the plan of each stream: which tables, which columns, which cursor."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_opendental.decisions import decide
from tap_opendental.discovery.knowledge import REVIEWED
from tap_opendental.discovery.rules.replication import leads_an_index
from tap_opendental.drift import Adoption, Structure, adopt, describe_change, hold_back
from tap_opendental.errors import NothingSelectedError
from tap_opendental.patterns import matches
from tap_opendental.streams import TablePlan
from tap_opendental.types import choose_reading, is_keyed_by_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_opendental.decisions import Decision
    from tap_opendental.discovery import SchemaDiscovery
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Table, TableSize
    from tap_opendental.discovery.table_config import TableConfig
    from tap_opendental.discovery.tables_config import TablesFile
    from tap_opendental.settings import Settings
    from tap_opendental.types import Reading

PAGE_BYTES = 8_388_608
_SHOWN = 10
logger = logging.getLogger("tap-opendental")


@dataclass(frozen=True)
class Inputs:
    """All that plans are made from; `reviewed` is tables.yml if there is one, `remembered` what the state says."""

    discovery: SchemaDiscovery
    knowledge: Knowledge
    settings: Settings
    reviewed: TablesFile | None = None
    remembered: Mapping[str, Structure] = field(default_factory=dict)


def plan_tables(inputs: Inputs) -> list[TablePlan]:
    """Plan every table that the settings ask for; what is left out is named in one clear line.

    Raises NothingSelectedError when a pattern matches nothing, DamagedTableError when the server cannot open a table
    that is asked for. Where tables.yml does not fit, the table's plan says so.
    """
    discovery, knowledge, settings = inputs.discovery, inputs.knowledge, inputs.settings
    wanted = _leave_out_unreviewed(inputs, _choose_tables(discovery, settings))
    wanted = _leave_out_secret_keys(discovery, knowledge, wanted)
    _log_withheld([discovery.get_table_schema(name) for name in wanted], knowledge)
    decisions = {name: decide(discovery, inputs.reviewed, name) for name in wanted}
    _log_mended(decisions)
    adoptions = {name: _adopt(inputs, name, decision) for name, decision in decisions.items()}
    _log_drift(adoptions)
    return [_plan(inputs, name, decisions[name], adoption) for name, adoption in adoptions.items()]


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


def _leave_out_unreviewed(inputs: Inputs, names: Sequence[str]) -> list[str]:
    """Leave out tables that tables.yml does not know, where a change of structure must not pass unseen."""
    reviewed = inputs.reviewed
    if reviewed is None:
        return list(names)
    _log_unknown(inputs.discovery.discover_all_tables(), reviewed)
    new = [name for name in names if name not in reviewed.entries]
    if not new or inputs.settings.on_schema_change == "fail":  # then each new table is refused by name
        return list(names)
    if inputs.settings.on_schema_change == "evolve":
        more = " ..." if len(new) > _SHOWN else ""  # a short file, written by hand, is fine
        shown = ", ".join(new[:_SHOWN]) + more
        logger.info("%d tables are not in tables.yml and are read as the rules choose: %s", len(new), shown)
        return list(names)
    logger.warning("%d tables are not in tables.yml and are left out: %s", len(new), ", ".join(new))
    return _require_any([name for name in names if name not in set(new)])


def _log_unknown(existing: Sequence[str], reviewed: TablesFile) -> None:
    present = {name.lower() for name in existing}
    unknown = sorted(name for name in reviewed.entries if name.lower() not in present)
    if unknown:
        logger.warning("tables.yml names tables that the database does not have: %s", ", ".join(unknown))


def _log_mended(decisions: Mapping[str, Decision]) -> None:
    for decision in decisions.values():
        if decision.mended:
            logger.warning("tables.yml no longer fits, the rules decide instead: %s", decision.mended)


def _adopt(inputs: Inputs, name: str, decision: Decision) -> Adoption:
    """Hold a table's structure against the reviewed one and the last one sent."""
    table, mode = inputs.discovery.get_table_schema(name), inputs.settings.on_schema_change
    secrets = {column for column in table.column_names if inputs.knowledge.is_secret(name, column)}
    today = Structure.of(table, without=secrets, overrides=decision.config.column_overrides)
    remembered = inputs.remembered.get(name)
    if inputs.reviewed is None:
        return adopt(today, remembered, None, mode, key=table.primary_key)
    entry = inputs.reviewed.entries.get(name)
    if entry is None and mode == "fail":
        return Adoption(today.schema_hash, refusal="not in tables.yml")
    if decision.lost_excludes:
        return _hold_what_may_be_excluded(today, remembered, decision.lost_excludes, table.primary_key)
    return adopt(today, remembered, entry.get("schema_hash") if entry else None, mode, key=table.primary_key)


def _hold_what_may_be_excluded(
    today: Structure, remembered: Structure | None, lost: Sequence[str], key: Sequence[str]
) -> Adoption:
    """An excluded column is gone, or is a key now: nothing is sent that was not sent before, whatever its name."""
    notice = f"{describe_change(today, remembered)}; tables.yml excludes {' '.join(lost)}, which may have a new name"
    if remembered is None or not remembered.columns:
        return Adoption(today.schema_hash, refusal=notice)
    return hold_back(today, remembered, notice, key)


def _log_drift(adoptions: Mapping[str, Adoption]) -> None:
    """Name the tables whose structure moved, and what is done about it."""
    moved = {name: adoption for name, adoption in adoptions.items() if adoption.notice}
    held = [f"{name} ({adoption.notice})" for name, adoption in moved.items() if adoption.columns is not None]
    read = [f"{name} ({adoption.notice})" for name, adoption in moved.items() if adoption.columns is None]
    for tables, doing in ((held, "the old columns are read"), (read, "the new structure is read")):
        if tables:
            logger.warning(
                "%d tables changed since they were reviewed: %s; %s; run `opendental analyze` and review tables.yml",
                len(tables),
                "; ".join(tables),
                doing,
            )


def _plan(inputs: Inputs, name: str, decision: Decision, adoption: Adoption) -> TablePlan:
    table, config = inputs.discovery.get_table_schema(name), decision.config
    readings = _choose_readings(inputs, table, config, adoption)
    cursor = config.incremental_column if config.incremental_column in readings else None
    return TablePlan(
        name=name,
        readings=readings,
        primary_key=table.primary_key,
        cursor=cursor,
        incremental=config.is_incremental and cursor is not None,
        cursor_indexed=cursor is not None and leads_an_index(table, cursor),
        cursor_in_local_time=cursor is not None and table.column(cursor).base_type == "datetime",
        append_only=cursor is not None and (cursor,) == table.primary_key,
        keyed_by_number=frozenset(key for key in table.primary_key if is_keyed_by_number(table.column(key))),
        page_rows=choose_page_rows(config.batch_size, inputs.discovery.get_table_size_info(name)),
        contents=Structure.of(table, overrides=config.column_overrides).columns,
        adoption=adoption,
        remembered=inputs.remembered.get(name),
        misfit=decision.misfit,
    )


def choose_page_rows(batch_size: int, size: TableSize) -> int:
    """Bound a page in bytes too, by the table's mean row: pages are held whole, and documents are megabytes long."""
    mean = size.data_bytes // size.rows if size.rows else 0
    return min(batch_size, max(1, PAGE_BYTES // mean)) if mean else batch_size


def _choose_readings(inputs: Inputs, table: Table, config: TableConfig, adoption: Adoption) -> dict[str, Reading]:
    """How each column is read; secrets are not even in the plan, so no SELECT can name them."""
    knowledge, overrides = inputs.knowledge, config.column_overrides
    excluded = {name for name, override in overrides.items() if override.conversion_rule == "exclude"}
    return {
        column.name: choose_reading(
            table.name,
            column,
            knowledge.column(table.name, column.name),
            inputs.settings.reading,
            overrides.get(column.name),
        )
        for column in table.columns
        if not knowledge.is_secret(table.name, column.name)
        and column.name not in excluded
        and (adoption.columns is None or column.name in adoption.columns)
    }
