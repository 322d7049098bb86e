"""What differs between two analyses: pure, from the content of two analysis.json to frozen values."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tap_opendental.discovery.model import Column
from tap_opendental.discovery.structure import canonical_type
from tap_opendental.errors import NothingSelectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    _Facts = Mapping[str, Any]

_COLUMN_KEYS = ("type", "nullable", "default", "on_update", "auto_increment", "collation", "generated")
_TEXT_KEYS = ("charset", "collation")
_CONFIGURATION_KEYS = ("incremental_column", "extraction_strategy", "table_importance", "batch_size", "is_modeled")


@dataclass(frozen=True)
class Side:
    """What was analysed: `label` is how it was named, `analyzed_on` an ISO date, `complete` that all was asked for."""

    label: str
    database: str
    server: str
    analyzed_on: str
    knowledge_version: str
    tables: int
    complete: bool


@dataclass(frozen=True)
class TableFact:
    """A table that stands on one side only."""

    name: str
    columns: int
    importance: str
    strategy: str


@dataclass(frozen=True)
class ColumnFact:
    """A column that stands on one side only, with what makes it worth a look: patient data, or why it is secret."""

    name: str
    type: str
    patient_data: tuple[str, ...] = ()
    secret: str | None = None


@dataclass(frozen=True)
class ValueChange:
    """A value that differs: `key` is a fact's or a configuration's name. Before and after are JSON values."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ColumnChange:
    """A column on both sides whose facts differ."""

    name: str
    changes: tuple[ValueChange, ...]


@dataclass(frozen=True)
class TableDiff:
    """A table on both sides that differs. Indexes are described as ``PatNum (PatNum, AptDateTime)``.

    `structure` are changes of engine, character set, primary key and order of columns; `configuration` are changes of
    how it is read. `unexplained` says that the hashes differ by something that analysis.json does not spell out.
    """

    name: str
    same_hash: bool
    columns_added: tuple[ColumnFact, ...] = ()
    columns_removed: tuple[ColumnFact, ...] = ()
    columns_changed: tuple[ColumnChange, ...] = ()
    indexes_added: tuple[str, ...] = ()
    indexes_removed: tuple[str, ...] = ()
    structure: tuple[ValueChange, ...] = ()
    configuration: tuple[ValueChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing differs."""
        return self.same_hash and not (self._explains_hash or self.structure or self.configuration)

    @property
    def unexplained(self) -> bool:
        """True when the structures differ and no listed change says how."""
        keys = {change.key for change in self.structure} & {"primary_key", "column_order", "collation"}
        return not self.same_hash and not self._explains_hash and not keys

    @property
    def _explains_hash(self) -> bool:
        lists = (self.columns_added, self.columns_removed, self.columns_changed)
        return any(lists) or bool(self.indexes_added or self.indexes_removed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"unexplained": self.unexplained}


@dataclass(frozen=True)
class AnalysisDiff:
    """The whole comparison. `unknown` maps tables that one side could not analyse to the reason: they may differ.

    `not_compared` are the tables of one side that the other, a partial one, was not asked for: nothing is said of them.
    """

    before: Side
    after: Side
    tables_added: tuple[TableFact, ...]
    tables_removed: tuple[TableFact, ...]
    tables_changed: tuple[TableDiff, ...]
    unknown: Mapping[str, str]
    not_compared: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when no table differs; dates, sizes and labels do not count."""
        return not (self.tables_added or self.tables_removed or self.tables_changed or self.unknown)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: what `--json` prints."""
        return {
            "equal": self.is_empty,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "tables_added": [asdict(table) for table in self.tables_added],
            "tables_removed": [asdict(table) for table in self.tables_removed],
            "tables_changed": [table.to_dict() for table in self.tables_changed],
            "unknown": dict(self.unknown),
            "not_compared": list(self.not_compared),
        }


def compare_analyses(before: _Facts, after: _Facts, *, labels: tuple[str, str] = ("before", "after")) -> AnalysisDiff:
    """Compare two contents of analysis.json, table by table; the case of a table's name does not count.

    Names of columns do count in full: a column that changes its case is another column in `raw`. What a partial
    analysis does not hold was perhaps not asked for, and is not compared: NothingSelectedError when nothing is left.
    """
    left_out = {**_read_left_out(before), **_read_left_out(after)}
    pairs = _pair_tables(before["tables"], after["tables"])
    seen = [pair for pair in pairs if _name(pair) not in left_out]
    known = [pair for pair in seen if _was_asked_for(pair, before, after)]
    unknown = _find_unknown(before, after)
    if len(known) < len(seen) and not known and not unknown:
        raise NothingSelectedError("a partial analysis has no table in common with the other: nothing to compare")
    changed = (_compare_tables(old, new) for old, new in known if old is not None and new is not None)
    return AnalysisDiff(
        before=_describe_side(before, labels[0]),
        after=_describe_side(after, labels[1]),
        tables_added=tuple(_describe_table(new) for old, new in known if old is None and new is not None),
        tables_removed=tuple(_describe_table(old) for old, new in known if new is None and old is not None),
        tables_changed=tuple(table for table in changed if not table.is_empty),
        unknown=unknown,
        not_compared=tuple(_name(pair) for pair in seen if not _was_asked_for(pair, before, after)),
    )


def _was_asked_for(pair: tuple[_Facts | None, _Facts | None], before: _Facts, after: _Facts) -> bool:
    """False when a side does not hold the table because it was made of other tables."""
    return (pair[0] is not None or before["complete"]) and (pair[1] is not None or after["complete"])


def _find_unknown(before: _Facts, after: _Facts) -> dict[str, str]:
    """Tables that only one side could not analyse; what neither could is no difference that anybody can state.

    Nor is one that a partial other side was not asked for.
    """
    sides = {"before": (_read_left_out(before), after), "after": (_read_left_out(after), before)}
    both = sides["before"][0].keys() & sides["after"][0].keys()
    found = {
        name: f"{side}: {reason}"
        for side, (reasons, other) in sides.items()
        for name, reason in reasons.items()
        if name not in both and (other["complete"] or name in {table["name"].lower() for table in other["tables"]})
    }
    return dict(sorted(found.items()))


def _read_left_out(side: _Facts) -> dict[str, str]:
    return {item["table"].lower(): item["reason"] for item in side["left_out"]}


def _pair_tables(before: Sequence[_Facts], after: Sequence[_Facts]) -> list[tuple[_Facts | None, _Facts | None]]:
    """Match tables by name, exactly first and then without regard to case, sorted by name.

    A server that keeps case may hold Fee and fee: two tables, which one lower-case table cannot both match.
    """
    exact = {table["name"]: table for table in before}
    pairs: list[tuple[_Facts | None, _Facts | None]] = [(exact.pop(t["name"], None), t) for t in after]
    folded: defaultdict[str, list[_Facts]] = defaultdict(list)
    for table in exact.values():
        folded[table["name"].lower()].append(table)
    for number, (old, new) in enumerate(pairs):
        if old is None and new is not None and folded[new["name"].lower()]:
            pairs[number] = (folded[new["name"].lower()].pop(0), new)
    pairs += [(table, None) for tables in folded.values() for table in tables]
    return sorted(pairs, key=_name)


def _name(pair: tuple[_Facts | None, _Facts | None]) -> str:
    facts = pair[1] or pair[0]
    return str(facts["name"]).lower() if facts else ""


def _describe_side(analysis: _Facts, label: str) -> Side:
    server = analysis["server"]
    return Side(
        label=label,
        database=analysis["database"],
        server=f"{server['flavour']} {server['version']}",
        analyzed_on=analysis["analyzed_on"],
        knowledge_version=analysis["knowledge_version"],
        tables=len(analysis["tables"]),
        complete=analysis["complete"],
    )


def _describe_table(table: _Facts) -> TableFact:
    configuration = table["configuration"]
    importance, strategy = configuration["table_importance"], configuration["extraction_strategy"]
    return TableFact(table["name"], len(table["columns"]), importance, strategy)


def _compare_tables(before: _Facts, after: _Facts) -> TableDiff:
    old, new = ({column["name"]: column for column in table["columns"]} for table in (before, after))
    indexes = [_describe_indexes(table) for table in (before, after)]
    return TableDiff(
        name=after["name"],
        same_hash=before["schema_hash"] == after["schema_hash"],
        columns_added=tuple(_describe_column(column) for name, column in new.items() if name not in old),
        columns_removed=tuple(_describe_column(column) for name, column in old.items() if name not in new),
        columns_changed=tuple(_compare_columns(old, new)),
        indexes_added=tuple(index for index in indexes[1] if index not in indexes[0]),
        indexes_removed=tuple(index for index in indexes[0] if index not in indexes[1]),
        structure=tuple(_compare_structure(before, after, [n for n in old if n in new], [n for n in new if n in old])),
        configuration=tuple(_differing(before["configuration"], after["configuration"], _CONFIGURATION_KEYS)),
    )


def _compare_structure(before: _Facts, after: _Facts, *orders: list[str]) -> Iterable[ValueChange]:
    """Engine, character set, primary key, and the order of the columns that both sides have."""
    yield from _differing(before, after, ("engine", "primary_key"))
    old, new = ({key: _spell_charset(table[key]) for key in _TEXT_KEYS} for table in (before, after))
    yield from _differing(old, new, _TEXT_KEYS)
    if orders[0] != orders[1]:
        yield ValueChange("column_order", *orders)


def _differing(before: _Facts, after: _Facts, keys: Iterable[str]) -> Iterable[ValueChange]:
    for key in keys:
        if before.get(key) != after.get(key):
            yield ValueChange(key, before.get(key), after.get(key))


def _compare_columns(before: Mapping[str, _Facts], after: Mapping[str, _Facts]) -> Iterable[ColumnChange]:
    for name in after:
        changes = tuple(_differing(_spell(before[name]), _spell(after[name]), _COLUMN_KEYS)) if name in before else ()
        if changes:
            yield ColumnChange(name, changes)


def _spell(column: _Facts) -> dict[str, Any]:
    """A column's facts as every server would spell them: no display width, no quotes around a number's default."""
    value = Column(column["name"], column["type"])
    default = column["default"]
    bare = default.strip("'") if default is not None and not value.is_text and _is_number(default) else default
    collation = _spell_charset(column["collation"])
    return {**column, "type": canonical_type(value), "default": bare, "collation": collation}


def _spell_charset(name: str | None) -> str | None:
    """Older servers call utf8mb3 by its first name, utf8."""
    return re.sub(r"^utf8(?=_|$)", "utf8mb3", name) if name else name


def _is_number(default: str) -> bool:
    return default.strip("'").lstrip("-").replace(".", "", 1).isdecimal()


def _describe_column(column: _Facts) -> ColumnFact:
    return ColumnFact(column["name"], column["type"], tuple(column["patient_data"]), column["secret"])


def _describe_indexes(table: _Facts) -> list[str]:
    return [_describe_index(index) for index in table["indexes"]]


def _describe_index(index: _Facts) -> str:
    parts = ", ".join(_describe_part(part) for part in index["columns"])
    marks = [word for word, told in (("unique", index["unique"]), (index["kind"], index["kind"] != "BTREE")) if told]
    return " ".join([f"{index['name']} ({parts})", *marks])


def _describe_part(part: _Facts) -> str:
    length = f"({part['length']})" if part.get("length") else ""
    return f"{part['name']}{length}{' descending' if part.get('descending') else ''}"
