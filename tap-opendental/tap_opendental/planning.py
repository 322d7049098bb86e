"""From facts, choices and tables.yml to the plan of each stream: which tables, which columns, which cursor."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_opendental.decisions import decide
from tap_opendental.discovery.knowledge import REVIEWED
from tap_opendental.discovery.rules.replication import leads_an_index
from tap_opendental.discovery.structure import describe_content
from tap_opendental.drift import Adoption, Structure, adopt, describe_change, hold_back
from tap_opendental.errors import NothingSelectedError
from tap_opendental.extraction.lines import Column
from tap_opendental.names import rename_all
from tap_opendental.order import order_tables
from tap_opendental.patterns import matches
from tap_opendental.plan import TablePlan
from tap_opendental.types import choose_reading, is_keyed_by_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_opendental.decisions import Decision
    from tap_opendental.discovery import SchemaDiscovery
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Table
    from tap_opendental.discovery.tables_config import TablesFile
    from tap_opendental.settings import Settings

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
    ordered = order_tables({name: decision.config for name, decision in decisions.items()})
    wanted = _require_any([n for n in ordered if decisions[n].config.table_importance in settings.importance])
    sketches = {name: _sketch(inputs, names, decisions[name]) for name, names in _choose_names(inputs, wanted).items()}
    adoptions = {name: _adopt(inputs, sketch, decisions[name]) for name, sketch in sketches.items()}
    _log_drift(adoptions)
    return [_plan(inputs, sketches[name], decisions[name], adoption) for name, adoption in adoptions.items()]


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


def _adopt(inputs: Inputs, sketch: _Sketch, decision: Decision) -> Adoption:
    """Hold a table's structure against the reviewed one and the last one sent."""
    mode, key, today = inputs.settings.on_schema_change, sketch.table.primary_key, sketch.structure
    remembered = inputs.remembered.get(sketch.names.stream)
    if inputs.reviewed is None:
        return adopt(today, remembered, None, mode, key=key)
    entry = inputs.reviewed.entries.get(sketch.table.name)
    if entry is None and mode == "fail":
        return Adoption(today.schema_hash, refusal="not in tables.yml")
    if decision.lost_excludes:
        return _hold_what_may_be_excluded(today, remembered, decision.lost_excludes, key)
    return adopt(today, remembered, entry.get("schema_hash") if entry else None, mode, key=key)


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


@dataclass(frozen=True)
class _Names:
    """A table's own name, its stream's, and the property of each column."""

    table: str
    stream: str
    properties: Mapping[str, str]


def _choose_names(inputs: Inputs, tables: Sequence[str]) -> dict[str, _Names]:
    """Names for targets: the tables' own, or safe ones with a line for each that is renamed; never one twice."""
    exact = inputs.settings.exact_names
    streams = {name: name for name in tables} if exact else dict(rename_all(inputs.discovery.discover_all_tables()))
    chosen = {}
    for table in tables:
        columns = inputs.discovery.get_table_schema(table).column_names
        properties = {name: name for name in columns} if exact else rename_all(columns)
        chosen[table] = _Names(table, streams[table], properties)
    _log_renamed(chosen)
    return chosen


def _log_renamed(chosen: Mapping[str, _Names]) -> None:
    tables = [f"{names.table} as {names.stream}" for names in chosen.values() if names.table != names.stream]
    columns = [
        f"{names.table}.{name} as {safe}"
        for names in chosen.values()
        for name, safe in names.properties.items()
        if name != safe
    ]
    if renamed := [*tables, *columns]:
        logger.warning(
            "%d names are not safe for every target and are sent changed: %s", len(renamed), "; ".join(renamed)
        )


@dataclass(frozen=True)
class _Sketch:
    """A table with all columns that may be read, and its structure as the state remembers it."""

    table: Table
    names: _Names
    columns: tuple[Column, ...]

    @property
    def structure(self) -> Structure:
        """Hash, and what the values of each column depend on."""
        contents = {column.source: self._describe(column) for column in self.columns}
        return Structure(self.table.schema_hash, contents, key=self.key)

    @property
    def key(self) -> tuple[str, ...]:
        """The properties of the primary key."""
        return tuple(self.names.properties[name] for name in self.table.primary_key)

    def _describe(self, column: Column) -> str:
        """What a column's values depend on, and its name at the target."""
        parts = (
            describe_content(self.table.column(column.source)),
            column.reading.note,
            f"as {column.name}" if column.name != column.source else None,
        )
        return " ".join(filter(None, parts))


def _sketch(inputs: Inputs, names: _Names, decision: Decision) -> _Sketch:
    """Choose how each column is read; secrets are not even in the plan, so no SELECT can name them."""
    knowledge, overrides = inputs.knowledge, decision.config.column_overrides
    table = inputs.discovery.get_table_schema(names.table)
    excluded = {name for name, override in overrides.items() if override.conversion_rule == "exclude"}
    columns = (
        Column(
            names.properties[column.name],
            column.name,
            choose_reading(
                table.name,
                replace(column, collation=column.collation or table.collation),
                knowledge.column(table.name, column.name),
                inputs.settings.reading,
                overrides.get(column.name),
            ),
        )
        for column in table.columns
        if not knowledge.is_secret(table.name, column.name) and column.name not in excluded
    )
    return _Sketch(table, names, tuple(columns))


def _plan(inputs: Inputs, sketch: _Sketch, decision: Decision, adoption: Adoption) -> TablePlan:
    table, config = sketch.table, decision.config
    columns = tuple(c for c in sketch.columns if adoption.columns is None or c.source in adoption.columns)
    cursor = next((column for column in columns if column.source == config.incremental_column), None)
    size = inputs.discovery.get_table_size_info(table.name)
    return TablePlan(
        name=sketch.names.stream,
        table=table.name,
        columns=columns,
        primary_key=sketch.key,
        key=table.primary_key,
        contents=sketch.structure.columns,
        adoption=adoption,
        cursor=cursor,
        incremental=config.is_incremental and cursor is not None,
        append_only=cursor is not None and (cursor.source,) == table.primary_key,
        cursor_indexed=cursor is not None and leads_an_index(table, cursor.source),
        cursor_in_local_time=cursor is not None and table.column(cursor.source).base_type == "datetime",
        saves_often=config.extraction_strategy in {"chunked_incremental", "streaming_incremental"},
        keyed_by_number=frozenset(key for key in table.primary_key if is_keyed_by_number(table.column(key))),
        page_rows=config.batch_size,
        mean_row_bytes=size.data_bytes // size.rows if size.rows else 0,
        misfit=decision.misfit,
        facts=table.to_dict(),
    )
