"""A dbt sources.yml for `raw`, as the pipeline loads it with target-postgres: pure, an analysis in, text out.

The syntax is that of dbt 1.11 (1.10 takes `arguments` of a test only with a flag): what can be under `config` is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from opendental_analyze.explain.dbt_columns import describe_column, escape_jinja, find_raw_type, is_plain
from tap_opendental.discovery.table_config import ColumnOverride
from tap_opendental.errors import ConfigError, NothingSelectedError
from tap_opendental.patterns import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_opendental.discovery.knowledge import Knowledge

    _Facts = Mapping[str, Any]

_INTEGERS = frozenset({"smallint", "integer", "bigint"})
# Days without a changed row until dbt warns, and until it fails, by how often the application writes to the table.
# The practice is closed at night, on weekends and holidays: an hour without a change says nothing, a week does.
_PATIENCE: Mapping[str, tuple[int, int | None]] = {
    "high": (4, 14),
    "moderate": (14, None),
    "insert_only": (14, None),
    "low": (60, None),
}
_HEADER = """\
# Written by `opendental analyze dbt-sources`: generate it again instead of editing it. For dbt 1.11 or later.
# The tables of Open Dental as the pipeline loads them. Columns that hold secrets are not loaded, and not here.
"""


@dataclass(frozen=True)
class Wish:
    """What the file shall say: PostgreSQL's schema, dbt's name of the source, patterns of tables (all when empty)."""

    schema: str = "raw"
    source_name: str = "opendental"
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The text of sources.yml, how many tables it names, and which tables are not loaded, with the reason."""

    text: str
    tables: int
    not_loaded: Mapping[str, str]


def render_sources(analysis: _Facts, knowledge: Knowledge, wish: Wish) -> Sources:
    """Render sources.yml from the content of analysis.json: the same analysis gives the same bytes.

    Raises NothingSelectedError when a pattern matches no table, or no table that matches is loaded, and ConfigError for
    a name of the source that dbt could not look up.
    """
    if not is_plain(wish.source_name):
        raise ConfigError("--source-name: letters, digits and _ only, since tests name the source in quotes")
    chosen = _choose_tables(analysis["tables"], wish.patterns)
    not_loaded = {table["name"]: why for table in chosen if (why := why_not_loaded(table))}
    loaded = [table for table in chosen if table["name"] not in not_loaded]
    if not loaded:
        raise NothingSelectedError(f"no table is left to describe: {len(not_loaded)} match and none of them is loaded")
    warehouse = _Warehouse(knowledge, wish, {table["name"].lower(): table for table in loaded})
    document = {"version": 2, "sources": [_source(warehouse, loaded, wish)]}
    return Sources(_HEADER + _dump(document), len(loaded), not_loaded)


def why_not_loaded(table: _Facts) -> str | None:
    """Say why the tap leaves a whole table out by default; None when it loads it."""
    if not table["primary_key"]:
        return "no primary key"
    withheld = {column["name"] for column in table["columns"]} - {column["name"] for column in _loaded_columns(table)}
    needed = {*table["primary_key"], table["configuration"]["incremental_column"]}
    return "its key is withheld" if withheld & needed else None


def _choose_tables(tables: Sequence[_Facts], patterns: Sequence[str]) -> list[_Facts]:
    """Tables that match one of the patterns as the shell matches, without regard to case."""
    for pattern in patterns:
        if not any(matches(table["name"], pattern) for table in tables):
            raise NothingSelectedError(f"pattern {pattern!r} matches none of {len(tables)} tables of the analysis")
    chosen = [table for table in tables if not patterns or any(matches(table["name"], pattern) for pattern in patterns)]
    return sorted(chosen, key=lambda table: str(table["name"]))


def _loaded_columns(table: _Facts) -> list[_Facts]:
    """All but secrets and what a person excluded: only these exist in raw."""
    overrides = _overrides(table)
    excluded = {name for name, override in overrides.items() if override.conversion_rule == "exclude"}
    return [c for c in table["columns"] if c["secret"] is None and c["name"].lower() not in excluded]


def _overrides(table: _Facts) -> dict[str, ColumnOverride]:
    """A person's word on columns, by their names in lower case."""
    overrides = table["configuration"]["column_overrides"]
    return {
        name.lower(): ColumnOverride(override["conversion_rule"], override["precision"])
        for name, override in overrides.items()
    }


@dataclass(frozen=True)
class _Warehouse:
    """What one table's description needs to know of the others: `tables` are those in the file, by lower name."""

    knowledge: Knowledge
    wish: Wish
    tables: Mapping[str, _Facts]

    def raw_type(self, table: _Facts, name: str) -> str | None:
        """The PostgreSQL type of a loaded column; None when there is no such column, or its type is not known."""
        column = next((column for column in _loaded_columns(table) if column["name"].lower() == name.lower()), None)
        return self.type_of(table, column) if column else None

    def type_of(self, table: _Facts, column: _Facts) -> str | None:
        known = self.knowledge.column(table["name"], column["name"])
        return find_raw_type(table["name"], column, known, _overrides(table).get(column["name"].lower()))


def _source(warehouse: _Warehouse, tables: Sequence[_Facts], wish: Wish) -> dict[str, Any]:
    return {
        "name": wish.source_name,
        "description": "Open Dental, as the pipeline copies it. Names are Open Dental's own: write them in quotes.",
        "schema": wish.schema,
        "loader": "target-postgres",
        "quoting": {"schema": True, "identifier": True},
        "tables": [_table(warehouse, table) for table in tables],
    }


def _table(warehouse: _Warehouse, table: _Facts) -> dict[str, Any]:
    # target-postgres takes what precedes a hyphen for the name of a schema; dbt does not double a quote in a name.
    landed = str(table["name"]).rpartition("-")[2].replace('"', '""')
    return {
        "name": table["name"],
        **({} if landed == table["name"] else {"identifier": landed}),
        "description": _describe_table(table),
        "config": {"meta": _table_meta(table), **_freshness(table)},
        "columns": [_column(warehouse, table, column) for column in _loaded_columns(table)],
    }


def _describe_table(table: _Facts) -> str:
    configuration = table["configuration"]
    if configuration["extraction_strategy"] == "full_table":
        return "Read whole at every run."
    key = configuration["incremental_column"]
    seen = "new rows" if table["replication"]["append_only"] else "rows that changed"
    return f"Only {seen} are read, by {key}: rows that are deleted in Open Dental stay here."


def _table_meta(table: _Facts) -> dict[str, Any]:
    configuration = table["configuration"]
    loaded = {column["name"] for column in _loaded_columns(table)}
    return {
        "importance": configuration["table_importance"],
        "is_modeled": configuration["is_modeled"],
        "extraction_strategy": configuration["extraction_strategy"],
        "replication_key": configuration["incremental_column"],
        "primary_key": list(table["primary_key"]),
        "not_loaded": [column["name"] for column in table["columns"] if column["name"] not in loaded],
        "schema_hash": table["schema_hash"],
    }


def _freshness(table: _Facts) -> dict[str, Any]:
    """Freshness by the replication key, where that is a moment in UTC; an error only where the table is modeled.

    A small table is read whole and has its key all the same: it tells when Open Dental last wrote a row. Rows dated in
    the future are not asked: one of them would look fresh for years.
    """
    configuration = table["configuration"]
    key, patience = configuration["incremental_column"], _PATIENCE.get(table["usage"]["update_frequency"])
    if patience is None or not _is_moment(table, key):
        return {}
    moment = f"\"{key}\" at time zone 'UTC'"
    errors = configuration["is_modeled"] and patience[1] is not None
    limits = {"warn_after": patience[0]} | ({"error_after": patience[1]} if errors else {})
    rules = {name: {"count": days, "period": "day"} for name, days in limits.items()}
    return {"freshness": {**rules, "filter": f"{moment} <= now()"}, "loaded_at_field": moment}


def _is_moment(table: _Facts, key: str | None) -> bool:
    types = {column["name"]: column["type"].lower() for column in table["columns"]}
    return key is not None and is_plain(key) and types.get(key, "").startswith("timestamp")


def _column(warehouse: _Warehouse, table: _Facts, column: _Facts) -> dict[str, Any]:
    raw_type = warehouse.type_of(table, column)
    tests = list(_tests(warehouse, table, column, raw_type)) if is_plain(table["name"], column["name"]) else []
    meta = _column_meta(table, column)
    return {
        "name": column["name"],
        "quote": True,
        **({"data_type": raw_type} if raw_type else {}),
        "description": describe_column(column, warehouse.knowledge.column(table["name"], column["name"]), raw_type),
        **({"config": {"meta": meta}} if meta else {}),
        **({"data_tests": tests} if tests else {}),
    }


def _column_meta(table: _Facts, column: _Facts) -> dict[str, Any]:
    references = [f"{found['to_table']}.{found['to_column']}" for found in _references(table, column)]
    patient_data = list(column["patient_data"])
    return {name: value for name, value in (("patient_data", patient_data), ("references", references)) if value}


def _references(table: _Facts, column: _Facts) -> list[_Facts]:
    return [reference for reference in table["references"] if reference["column"] == column["name"]]


def _tests(
    warehouse: _Warehouse, table: _Facts, column: _Facts, raw_type: str | None
) -> Iterator[str | dict[str, Any]]:
    if list(table["primary_key"]) == [column["name"]]:
        yield from ("unique", "not_null")
    for reference in _references(table, column):
        if raw_type in _INTEGERS and "enum" not in column["kinds"] and _holds(warehouse, table, reference):
            yield _relationship(warehouse, reference)


def _holds(warehouse: _Warehouse, table: _Facts, reference: _Facts) -> bool:
    """True where every value but 0 and -1 has a row to go to: documented, unambiguous, to an integer key."""
    target = warehouse.tables.get(reference["to_table"].lower())
    alone = len(_references(table, {"name": reference["column"]})) == 1
    if target is None or not alone or reference["source"] != "documented" or reference.get("orphans"):
        return False
    key = [name.lower() for name in target["primary_key"]]
    sound = is_plain(target["name"], reference["to_column"]) and key == [reference["to_column"].lower()]
    return sound and warehouse.raw_type(target, reference["to_column"]) in _INTEGERS


def _relationship(warehouse: _Warehouse, reference: _Facts) -> dict[str, Any]:
    """Warn of orphans: Open Dental declares no foreign key, and 0 (in places -1) stands for none."""
    target = warehouse.tables[reference["to_table"].lower()]
    source = f"source('{warehouse.wish.source_name}', '{target['name']}')"
    return {
        "relationships": {
            "arguments": {"to": source, "field": f'"{target["primary_key"][0]}"'},
            "config": {"severity": "warn", "where": f'"{reference["column"]}" not in (0, -1)'},
        }
    }


class _Dumper(yaml.SafeDumper):
    """Plain block style, lists indented under their key, no anchors for values that occur twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, False)  # noqa: FBT003  # PyYAML's own signature


def _dump(document: Mapping[str, Any]) -> str:
    text: str = yaml.dump(escape_jinja(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
