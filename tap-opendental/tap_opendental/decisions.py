"""How one table is read: what tables.yml says, as far as it fits, and the rules' choice for the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_opendental.discovery.tables_config import apply_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_opendental.discovery import SchemaDiscovery
    from tap_opendental.discovery.judgements import Problem
    from tap_opendental.discovery.table_config import TableConfig
    from tap_opendental.discovery.tables_config import Entry, TablesFile

_COLUMNS = "column_overrides."


@dataclass(frozen=True)
class Decision:
    """A table's configuration, and what of tables.yml could not be followed.

    `misfit` is a person's mistake, for which the table is not read. `mended` says what no longer fitted and was passed
    over. `lost_excludes` are columns that a person excluded and that the table no longer has.
    """

    config: TableConfig
    misfit: str | None = None
    mended: str | None = None
    lost_excludes: tuple[str, ...] = ()


def decide(discovery: SchemaDiscovery, reviewed: TablesFile | None, name: str) -> Decision:
    """Follow tables.yml; where a key of it does not fit, find out whose it is and whether the table moved.

    What a person wrote about the structure as it is, is a mistake to be mended by a person. What an upgrade broke, or
    what was generated, is passed over key by key: all else of the entry stays in force.
    """
    choice = discovery.get_pipeline_configuration(name)
    entry = reviewed.entries.get(name) if reviewed else None
    if entry is None:
        return Decision(choice)
    config = apply_entry(entry, choice)
    problems = [one for one in discovery.validate_table_configuration(name, config) if one.stops_reading]
    moved = entry.get("schema_hash") not in (None, choice.schema_hash)
    personal = [problem for problem in problems if _is_personal(problem, entry)]
    if personal and not moved:
        return Decision(config, misfit=_tell(personal))
    return Decision(
        _without(config, problems, choice),
        mended=_tell(problems) if problems else None,
        lost_excludes=_find_lost_excludes(config, problems),
    )


def _is_personal(problem: Problem, entry: Entry) -> bool:
    """True for what stands under overrides, and for every word of an entry that was not generated."""
    generated = "schema_hash" in entry and problem.key not in entry.get("overrides", {})
    return problem.key.startswith(_COLUMNS) or not generated


def _without(config: TableConfig, problems: Sequence[Problem], choice: TableConfig) -> TableConfig:
    """Take the keys that do not fit from the rules: how changes are found, or what becomes of a column."""
    columns = {problem.key.removeprefix(_COLUMNS) for problem in problems if problem.key.startswith(_COLUMNS)}
    kept = {name: override for name, override in config.column_overrides.items() if name not in columns}
    if all(problem.key.startswith(_COLUMNS) for problem in problems):
        return replace(config, column_overrides=kept)
    column = choice.incremental_column
    strategy = config.extraction_strategy if not config.is_incremental or column else "full_table"
    return replace(config, column_overrides=kept, incremental_column=column, extraction_strategy=strategy)


def _find_lost_excludes(config: TableConfig, problems: Sequence[Problem]) -> tuple[str, ...]:
    misfits = {problem.key for problem in problems}
    return tuple(
        name
        for name, override in config.column_overrides.items()
        if override.conversion_rule == "exclude" and f"{_COLUMNS}{name}" in misfits
    )


def _tell(problems: Sequence[Problem]) -> str:
    return "; ".join(map(str, problems))
