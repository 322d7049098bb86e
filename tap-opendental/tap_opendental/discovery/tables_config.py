"""tables.yml, both ways: text to validated entries, configurations to text.

```yaml
defaults: {extraction_strategy: full_table, batch_size: 5000}
tables:
  procedurelog:
    incremental_column: DateTStamp
    overrides: {batch_size: 1000, reason: notes are long}
    column_overrides:
      ProcFee: {conversion_rule: decimal_round, precision: 2}
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import yaml

from tap_opendental.discovery.judgements import Importance
from tap_opendental.discovery.table_config import (
    CONVERSION_RULES,
    MAX_BATCH_SIZE,
    STRATEGIES,
    ColumnOverride,
    Monitoring,
    TableConfig,
)
from tap_opendental.errors import ConfigError
from tap_opendental.files import read_if_there, read_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

Entry = Mapping[str, Any]

HEADER = """\
# How each table is read. Written by `opendental analyze` and read by tap-opendental (setting tables_config).
# A table states only what differs from the defaults. To decide otherwise, put your values under `overrides:` of the
# table, with a reason; they and column_overrides survive when this file is written again. All else is replaced.
"""
_DEEPEST = 10
_MAX_PRECISION = 30  # the scale of MySQL's DECIMAL
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast, where PyYAML was built with it


@dataclass(frozen=True)
class TablesFile:
    """What tables.yml states: by table, the keys that it gives, its defaults applied.

    A key that is given nowhere is missing from the entry: then it is as the rules choose.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def spelled_as(self, tables: Iterable[str]) -> TablesFile:
        """Give the entries the names of the database: a server may fold the case of names, where only one is meant.

        An entry of a table that is not there keeps its own name.
        """
        there = frozenset(tables)
        names = dict(_pair_by_case(self.entries.keys() - there, there - self.entries.keys()))
        return TablesFile({names.get(name, name): entry for name, entry in self.entries.items()})

    def config(self, table: str, fallback: TableConfig) -> TableConfig | None:
        """Return a table's configuration, overrides in force; None when the file does not know the table."""
        return apply_entry(self.entries[table], fallback) if table in self.entries else None


def _pair_by_case(orphans: Iterable[str], free: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pair names that differ in case only, where there is exactly one on either side."""
    mine, theirs = _fold(orphans), _fold(free)
    for lower, names in mine.items():
        found = theirs.get(lower, [])
        if len(names) == len(found) == 1:
            yield names[0], found[0]


def _fold(names: Iterable[str]) -> dict[str, list[str]]:
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.lower(), []).append(name)
    return folded


def apply_entry(entry: Entry, fallback: TableConfig) -> TableConfig:
    """Put what a table's entry states, and above it the person's overrides, on a configuration."""
    overrides = entry.get("overrides", {})
    stated = {key: value for key, value in entry.items() if key != "monitoring"}
    config = replace(fallback, **{**stated, "monitoring": replace(fallback.monitoring, **entry.get("monitoring", {}))})
    return apply_overrides(config, overrides)


def apply_overrides(config: TableConfig, overrides: Mapping[str, Any]) -> TableConfig:
    """Put a person's overrides into force, and remember them as such."""
    values = {key: value for key, value in overrides.items() if key not in ("reason", "monitoring")}
    monitoring = replace(config.monitoring, **overrides.get("monitoring", {}))
    return replace(config, **{**values, "monitoring": monitoring, "overrides": overrides})


# --- reading ------------------------------------------------------------------------------------------------------


def load_tables_file(path: str) -> TablesFile:
    """Read and validate tables.yml; ConfigError names the file, the line, the key and what to do."""
    text = read_text(path, f"{path}: cannot be read ({{reason}}); correct the path or unset tables_config")
    return parse_tables_file(text, path)


def load_previous(path: Path) -> TablesFile | None:
    """Read the tables.yml that is to be written again; None when there is none."""
    text = read_if_there(path, f"{path}: cannot be read ({{reason}})")
    return None if text is None else parse_tables_file(text, str(path))


def parse_tables_file(text: str, path: str) -> TablesFile:
    """Validate the text of a tables.yml; `path` is what errors call it."""
    root = _Place(path, "", _compose(text, path))
    top = root.members({"defaults": None, "tables": None}) if root.node else {}
    if "tables" not in top:
        root.refuse("no mapping `tables:` at its top; `opendental analyze` writes such a file")
    shared = _read_keys(top["defaults"], _DEFAULTABLE) if "defaults" in top else {}
    return TablesFile({name: _entry(place, shared) for name, place in top["tables"].members().items()})


@dataclass(frozen=True)
class _Place:
    """A node of the file, and how to name it to a person."""

    path: str
    name: str
    node: Any

    def refuse(self, complaint: str) -> NoReturn:
        line = f" line {self.node.start_mark.line + 1}" if self.node else ""
        where = f", {self.name}" if self.name else ""
        raise ConfigError(f"{self.path}{line}{where}: {complaint}")

    def members(self, known: Collection[str] | None = None) -> dict[str, _Place]:
        """Return the members of a mapping by the text of their keys; refuses a key that is unknown or stands twice."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse("expected a mapping such as {batch_size: 2000}")
        found: dict[str, _Place] = {}
        for key, value in self.node.value:
            place = _Place(self.path, f"{self.name}.{key.value}".lstrip("."), value)
            at_key = replace(place, name=self.name, node=key)
            if not isinstance(key, yaml.ScalarNode):
                at_key.refuse("a key must be a plain word")
            if key.value in found:
                at_key.refuse(f"key {key.value!r} stands twice")
            if known is not None and key.value not in known:
                at_key.refuse(f"unknown key {key.value!r}{_did_you_mean(key.value, known)}")
            found[key.value] = place
        return found

    def value(self) -> Any:  # noqa: ANN401 - whatever the YAML says, until it is checked
        """Return the Python value of a scalar or list; a date stays text."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:timestamp":
            return self.node.value
        try:
            return yaml.constructor.SafeConstructor().construct_object(self.node, deep=True)
        except (yaml.YAMLError, ValueError, KeyError, OverflowError):  # !!int abc, 2024-99-99, a tag of somebody's own
            self.refuse("not a plain value")


def _compose(text: str, path: str) -> Any:  # noqa: ANN401 - PyYAML's node
    try:
        _require_shallow(text, path)
        return yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path} line {line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: not valid YAML") from None


def _require_shallow(text: str, path: str) -> None:
    """Refuse nesting beyond what a tables.yml can have: composing it would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{path} line {line}: nested too deeply")


def _did_you_mean(key: str, known: Collection[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"


def _entry(place: _Place, shared: Entry) -> Entry:
    stated = _read_keys(place, _READERS)
    monitoring = {**shared.get("monitoring", {}), **stated.get("monitoring", {})}
    return {**shared, **stated, **({"monitoring": monitoring} if monitoring else {})}


def _read_keys(place: _Place, readers: Mapping[str, Callable[[_Place], Any]]) -> dict[str, Any]:
    return {key: readers[key](member) for key, member in place.members(readers).items()}


def _whole(least: int, most: int, what: str) -> Callable[[_Place], int]:
    def read(place: _Place) -> int:
        value = place.value()
        if type(value) is not int or not least <= value <= most:
            place.refuse(f"must be {what}, from {least:,} to {most:,}")
        return value

    return read


def _number(least: float, most: float) -> Callable[[_Place], float]:
    def read(place: _Place) -> float:
        value = place.value()
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            place.refuse(f"must be a number from {least:g} to {most:g}")
        return float(value)

    return read


def _one_of(words: Iterable[str]) -> Callable[[_Place], str]:
    choices = tuple(words)

    def read(place: _Place) -> str:
        value = place.value()
        if value not in choices:
            close = _did_you_mean(value, choices) if isinstance(value, str) else ""
            place.refuse(f"must be one of {', '.join(choices)}{close if 'mean' in close else ''}")
        return str(value)

    return read


def _truth(place: _Place) -> bool:
    value = place.value()
    if not isinstance(value, bool):
        place.refuse("must be true or false")
    return value


def _text(place: _Place) -> str:
    value = place.value()
    if not isinstance(value, str):
        place.refuse("must be text; put it in quotes")
    return value


def _text_or_none(place: _Place) -> str | None:
    return None if place.value() is None else _text(place)


def _names(place: _Place) -> tuple[str, ...]:
    value = place.value()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        place.refuse("must be a list of table names")
    return tuple(value)


def _columns(place: _Place) -> dict[str, ColumnOverride]:
    return {name: _column_override(member) for name, member in place.members().items()}


def _column_override(place: _Place) -> ColumnOverride:
    values = _read_keys(
        place, {"conversion_rule": _one_of(CONVERSION_RULES), "precision": _whole(0, _MAX_PRECISION, "decimals")}
    )
    if "conversion_rule" not in values:
        place.refuse(f"conversion_rule is missing: one of {', '.join(CONVERSION_RULES)}")
    if (values["conversion_rule"] == "decimal_round") != ("precision" in values):
        place.refuse("precision belongs to decimal_round, and decimal_round needs it")
    return ColumnOverride(**values)


_MONITORING = {
    "alert_on_failure": _truth,
    "max_extraction_time_minutes": _whole(1, 1440, "minutes"),
    "data_quality_threshold": _number(0, 1),
}
_BY_A_PERSON: dict[str, Callable[[_Place], Any]] = {
    "incremental_column": _text_or_none,
    "batch_size": _whole(1, MAX_BATCH_SIZE, "a whole number of rows"),
    "extraction_strategy": _one_of(STRATEGIES),
    "table_importance": _one_of(get_args(Importance)),
    "dependencies": _names,
    "is_modeled": _truth,
    "monitoring": lambda place: _read_keys(place, _MONITORING),
}
_DEFAULTABLE: dict[str, Callable[[_Place], Any]] = _BY_A_PERSON | {
    "estimated_size_mb": _number(0, 1e12),
    "estimated_rows": _whole(0, 10**15, "rows"),
    "last_analyzed": _text,
    "analysis_version": _text,
}
_READERS: dict[str, Callable[[_Place], Any]] = _DEFAULTABLE | {
    "schema_hash": _text,
    "column_overrides": _columns,
    "overrides": lambda place: _read_keys(place, _BY_A_PERSON | {"reason": _text}),
}


# --- writing ------------------------------------------------------------------------------------------------------


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C class where it was built
    """Lists and inner mappings on one line, tables and their keys on lines of their own."""


class _OneLine(dict[str, Any]):
    """A mapping to write as ``{a: 1}``."""


_Dumper.add_representer(
    _OneLine, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)
)
_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def render_tables_file(configs: Mapping[str, TableConfig]) -> str:
    """Render tables.yml: defaults once, then the tables in the order of their names, each with what differs.

    The same configurations give the same bytes.
    """
    dates = Counter(config.last_analyzed for config in configs.values() if config.last_analyzed)
    usual = min(dates, key=lambda date: (-dates[date], date), default=None)
    defaults = TableConfig(last_analyzed=usual)
    body = {
        "defaults": _render_defaults(defaults),
        "tables": {name: _render_entry(configs[name], defaults) for name in sorted(configs)},
    }
    text = yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return HEADER + str(text)


def _render_defaults(defaults: TableConfig) -> dict[str, Any]:
    values = {key: _plain(getattr(defaults, key)) for key in _DEFAULTABLE if key != "incremental_column"}
    return {key: value for key, value in values.items() if value is not None}


def _render_entry(config: TableConfig, defaults: TableConfig) -> dict[str, Any]:
    """State what differs from the defaults; what a person overrides stands under `overrides` only."""
    entry: dict[str, Any] = {}
    for key in (each.name for each in fields(TableConfig)):
        value, usual = getattr(config, key), getattr(defaults, key)
        if value is None or value == usual or (key in config.overrides and key != "monitoring"):
            continue
        entry[key] = _render_monitoring(config, defaults) if key == "monitoring" else _plain(value)
    if config.overrides:
        entry["overrides"] = _OneLine({key: _plain(value) for key, value in config.overrides.items()})
    return {key: value for key, value in entry.items() if value != {}}


def _render_monitoring(config: TableConfig, defaults: TableConfig) -> dict[str, Any]:
    usual = asdict(defaults.monitoring)
    mine = config.overrides.get("monitoring", {})
    stated = asdict(config.monitoring).items()
    return _OneLine({key: value for key, value in stated if value != usual[key] and key not in mine})


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of the vocabulary
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, ColumnOverride | Monitoring):
        return _OneLine({key: part for key, part in asdict(value).items() if part is not None})
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return value
