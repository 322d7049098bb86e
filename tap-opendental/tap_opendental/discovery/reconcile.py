"""The next tables.yml from the last one and a fresh analysis: what stays, what moves, what no longer fits (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import Change, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_opendental.discovery.table_config import TableConfig

_GONE = "the table is not in the database; its overrides are kept until you remove the entry"


@dataclass(frozen=True)
class Reconciled:
    """The configurations to write, by table, and what a person should look at."""

    configs: Mapping[str, TableConfig]
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


def reconcile(
    before: Mapping[str, TableConfig],
    fresh: Mapping[str, TableConfig],
    *,
    existing: Collection[str],
    analyzed_on: str,
) -> Reconciled:
    """Date what moved, keep what a person wrote, carry over what was not analysed now.

    `before` is the last tables.yml in the database's spelling, `fresh` are the analysed tables, overrides in force.
    `existing` are all tables of the database, by which an entry is known to be of a table that is gone: it goes too,
    unless a person wrote into it.
    """
    dated = {name: _date(config, before.get(name), analyzed_on) for name, config in fresh.items()}
    gone = before.keys() - dated.keys() - set(existing)
    carried = {
        name: config
        for name, config in before.items()
        if name not in dated and (name not in gone or _is_personal(config))
    }
    return Reconciled(
        configs=carried | dated,
        changes=tuple(_list_changes(before, carried | dated)),
        problems=tuple(Problem(name, "overrides", _GONE) for name in sorted(gone & carried.keys())),
    )


def _is_personal(config: TableConfig) -> bool:
    return bool(config.overrides or config.column_overrides)


def _date(config: TableConfig, before: TableConfig | None, analyzed_on: str) -> TableConfig:
    """Keep the date of the last analysis that found something else; a table that moved gets this one's."""
    unmoved = before is not None and replace(config, last_analyzed=before.last_analyzed) == before
    kept = before.last_analyzed if before is not None and unmoved else None
    return replace(config, last_analyzed=kept or analyzed_on)


def _list_changes(before: Mapping[str, TableConfig], after: Mapping[str, TableConfig]) -> Iterable[Change]:
    """Changes by table and key, additions and removals first; the date alone is none."""
    if not before:
        return
    yield from (Change(name, "table", None, "added") for name in sorted(after.keys() - before.keys()))
    yield from (Change(name, "table", "removed", None) for name in sorted(before.keys() - after.keys()))
    for name in sorted(after.keys() & before.keys()):
        yield from _compare(name, before[name], after[name])


def _compare(name: str, before: TableConfig, after: TableConfig) -> Iterable[Change]:
    old, new = before.to_dict(), after.to_dict()
    for key in old:
        if key != "last_analyzed" and old[key] != new[key]:
            yield Change(name, key, old[key], new[key])
