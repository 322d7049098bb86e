"""The next tables.yml from the last one and a fresh analysis: what stays, what moves, what no longer fits (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import Change, Problem
from tap_opendental.discovery.table_config import TableConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_opendental.discovery.tables_config import TablesFile

_GONE = "the table is not in the database; its overrides are kept until you remove the entry"


@dataclass(frozen=True)
class Reconciled:
    """The configurations to write, by table in its database's spelling, and what a person should look at."""

    configs: Mapping[str, TableConfig]
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


def reconcile(
    previous: TablesFile, fresh: Mapping[str, TableConfig], *, existing: Collection[str], analyzed_on: str
) -> Reconciled:
    """Date what moved, keep what a person wrote, carry over what was not analysed now.

    `fresh` are the analysed tables, overrides in force; `existing` are all tables of the database, by which an entry is
    known to be of a table that is gone: it goes too, unless a person wrote into it.
    """
    dated = {name: _date(config, previous.config(name, TableConfig()), analyzed_on) for name, config in fresh.items()}
    analysed, present = _fold(fresh), _fold(existing)
    others = {name: config for name, config in _entries(previous).items() if name.lower() not in analysed}
    gone = {name for name in others if name.lower() not in present}
    carried = {name: config for name, config in others.items() if name not in gone or _is_personal(config)}
    return Reconciled(
        configs=carried | dated,
        changes=tuple(_list_changes(previous, carried | dated)),
        problems=tuple(Problem(name, "overrides", _GONE) for name in sorted(gone & set(carried))),
    )


def _fold(names: Iterable[str]) -> frozenset[str]:
    """Names as they are compared: a server may fold their case."""
    return frozenset(name.lower() for name in names)


def _entries(previous: TablesFile) -> dict[str, TableConfig]:
    return {name: previous.config(name, TableConfig()) or TableConfig() for name in previous.entries}


def _is_personal(config: TableConfig) -> bool:
    return bool(config.overrides or config.column_overrides)


def _date(config: TableConfig, previous: TableConfig | None, analyzed_on: str) -> TableConfig:
    """Keep the date of the last analysis that found something else; a table that moved gets this one's."""
    unmoved = previous is not None and replace(config, last_analyzed=previous.last_analyzed) == previous
    kept = previous.last_analyzed if previous is not None and unmoved else None
    return replace(config, last_analyzed=kept or analyzed_on)


def _list_changes(previous: TablesFile, configs: Mapping[str, TableConfig]) -> Iterable[Change]:
    """Changes by table and key, additions and removals first; the date alone is none."""
    if not previous.entries:
        return
    before = _entries(previous)
    spelled = {name: previous.name_of(name) for name in configs}
    yield from (Change(name, "table", None, "added") for name in sorted(configs) if spelled[name] is None)
    kept = set(spelled.values())
    yield from (Change(name, "table", "removed", None) for name in sorted(before) if name not in kept)
    for name in sorted(configs):
        earlier = spelled[name]
        if earlier is not None:
            yield from _compare(name, before[earlier], configs[name])


def _compare(name: str, before: TableConfig, after: TableConfig) -> Iterable[Change]:
    old, new = before.to_dict(), after.to_dict()
    for key in old:
        if key != "last_analyzed" and old[key] != new[key]:
            yield Change(name, key, old[key], new[key])
