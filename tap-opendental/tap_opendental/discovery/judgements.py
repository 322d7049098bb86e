"""What the rules decided about tables and columns, each with its reason: frozen values, and the shape of analysis.json.

`to_dict()` gives plain JSON types; docs/analysis.schema.json describes them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_opendental.discovery.model import Server, Table, TableSize
    from tap_opendental.discovery.table_config import TableConfig

Method = Literal["INCREMENTAL", "FULL_TABLE"]
Verdict = Literal["safe", "append_only_key", "insert_only", "event_time", "dead_copy", "unusable"]
ReferenceSource = Literal["documented", "name", "contained_name", "alias"]
UpdateFrequency = Literal["high", "moderate", "low", "insert_only", "static"]
Importance = Literal["critical", "important", "reference", "audit", "standard"]
ColumnKind = Literal[
    "boolean", "enum", "ticks", "interval", "colour", "sentinel_date", "large_text", "key", "reference"
]

ANALYSIS_VERSION = "1"
POLYMORPHIC_CONFIDENCE = 0.5


@dataclass(frozen=True)
class Candidate:
    """A column that could be taken for a replication key, and what it is in truth.

    Only `safe` and `append_only_key` may be used; `unusable` is a column that would be safe if something else did not
    stand against it (no primary key, random primary keys), which the reason names.
    """

    column: str
    verdict: Verdict
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class ReplicationChoice:
    """How changes are found: Singer's method, its key (None for a full table), why, and what was turned down.

    `append_only` says that the key is a primary key that only grows; otherwise it is a column that updates itself.
    `indexed` says that an index leads with the key.
    """

    method: Method
    key: str | None
    reason: str
    append_only: bool = False
    indexed: bool = False
    candidates: tuple[Candidate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"candidates": [candidate.to_dict() for candidate in self.candidates]}


@dataclass(frozen=True)
class Reference:
    """A column whose values are keys of another table; 0 means none.

    `confidence` is from 0 to 1; 0.5 where another column says row by row which table is meant. `orphans` of `sampled`
    distinct values had no row there, when `--probe` looked.
    """

    table: str
    column: str
    to_table: str
    to_column: str
    source: ReferenceSource
    confidence: float
    reason: str
    sampled: int | None = None
    orphans: int | None = None

    @property
    def is_certain(self) -> bool:
        """True when the column is a key of this table in every row, or most likely so."""
        return self.confidence > POLYMORPHIC_CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class TableRelationships:
    """References out of and into one table; `polymorphic` columns are keys of a table that another column names."""

    table: str
    references: tuple[Reference, ...]
    referenced_by: tuple[Reference, ...]
    polymorphic: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "table": self.table,
            "references": [reference.to_dict() for reference in self.references],
            "referenced_by": [reference.to_dict() for reference in self.referenced_by],
            "polymorphic": list(self.polymorphic),
        }


@dataclass(frozen=True)
class Dependency:
    """A table that another one needs, over `distance` references; `via` is the table that names it."""

    table: str
    distance: int
    via: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class UsagePattern:
    """How often a table's rows change, and how that is known; `recent_rows` changed in the last week, if probed."""

    update_frequency: UpdateFrequency
    reason: str
    recent_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class ImportanceChoice:
    """The class of a table, the score behind it (0 to 100), and what counted: ``+20 referenced by 31 tables``."""

    importance: Importance
    score: int
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"reasons": list(self.reasons)}


@dataclass(frozen=True)
class ColumnMeaning:
    """What a column is beyond its SQL type: kinds with their reasons, patient-data classes, why it is secret (or None).

    `kinds` maps each kind to its reason, as in ``{"boolean": "documented", "sentinel_date": "default is 0001-01-01"}``.
    """

    name: str
    kinds: Mapping[ColumnKind, str] = field(default_factory=dict)
    patient_data: tuple[str, ...] = ()
    secret: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "name": self.name,
            "kinds": dict(self.kinds),
            "patient_data": list(self.patient_data),
            "secret": self.secret,
        }


@dataclass(frozen=True)
class Problem:
    """Something in a table's configuration that does not fit: the key, and what to do, in one line."""

    table: str
    key: str
    message: str

    @property
    def stops_reading(self) -> bool:
        """True when the tap cannot follow the key; what is there for people and dbt alone does not concern it."""
        return self.key not in ("dependencies", "overrides")

    def __str__(self) -> str:
        return f"table {self.table}, {self.key}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """A difference from the previous tables.yml; `key` is ``table`` (added, removed) or a key of the configuration."""

    table: str
    key: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class LeftOut:
    """A table that could not be analysed, and why."""

    table: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class TableAnalysis:
    """Everything about one table: facts, judgement, and the configuration that follows, its choices explained.

    `config` holds a person's overrides already; `reasons` maps keys of the configuration to words.
    """

    table: Table
    size: TableSize
    columns: tuple[ColumnMeaning, ...]
    replication: ReplicationChoice
    usage: UsagePattern
    importance: ImportanceChoice
    references: tuple[Reference, ...]
    referenced_by: tuple[Reference, ...]
    polymorphic: tuple[str, ...]
    config: TableConfig
    reasons: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """One entry of analysis.json's `tables`; `referenced_by` holds ``table.column`` texts."""
        return {
            "name": self.table.name,
            "engine": self.table.engine,
            "charset": self.table.charset,
            "collation": self.table.collation,
            "schema_hash": self.table.schema_hash,
            "primary_key": list(self.table.primary_key),
            "rows": self.size.rows,
            "rows_exact": self.size.exact,
            "megabytes": round(self.size.megabytes, 3),
            "columns": [self._column(meaning) for meaning in self.columns],
            "indexes": [asdict(index) | {"columns": [*map(asdict, index.columns)]} for index in self.table.indexes],
            "replication": self.replication.to_dict(),
            "usage": self.usage.to_dict(),
            "importance": self.importance.to_dict(),
            "references": [reference.to_dict() for reference in self.references],
            "referenced_by": [f"{reference.table}.{reference.column}" for reference in self.referenced_by],
            "polymorphic": list(self.polymorphic),
            "configuration": self.config.to_dict(),
            "reasons": dict(self.reasons),
        }

    def _column(self, meaning: ColumnMeaning) -> dict[str, Any]:
        return asdict(self.table.column(meaning.name)) | meaning.to_dict()


@dataclass(frozen=True)
class SchemaAnalysis:
    """The whole database. `missing` are official tables that the user does not see; `changes` are against tables.yml.

    `analyzed_on` is an ISO date. `probed` says whether data was sampled, `complete` whether all tables were asked for.
    `configs` is what tables.yml shall hold, which is more than `tables` when only some were analysed; analysis.json
    leaves it out.
    """

    database: str
    server: Server
    knowledge_version: str
    analyzed_on: str
    tables: tuple[TableAnalysis, ...]
    left_out: tuple[LeftOut, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    probed: bool = False
    complete: bool = True
    configs: Mapping[str, TableConfig] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of analysis.json."""
        return {
            "analysis_version": ANALYSIS_VERSION,
            "database": self.database,
            "server": asdict(self.server),
            "knowledge_version": self.knowledge_version,
            "analyzed_on": self.analyzed_on,
            "probed": self.probed,
            "complete": self.complete,
            "summary": self.summarize(),
            "tables": [table.to_dict() for table in self.tables],
            "left_out": [left.to_dict() for left in self.left_out],
            "missing": list(self.missing),
            "problems": [problem.to_dict() for problem in self.problems],
            "changes": [change.to_dict() for change in self.changes],
        }

    def summarize(self) -> dict[str, Any]:
        """Count what a person wants to know first; see `summary` in docs/analysis.schema.json."""
        importances = [table.importance.importance for table in self.tables]
        strategies = [table.config.extraction_strategy for table in self.tables]
        verdicts = [candidate.verdict for table in self.tables for candidate in table.replication.candidates]
        return {
            "tables": len(self.tables),
            "columns": sum(len(table.columns) for table in self.tables),
            "rows": sum(table.size.rows for table in self.tables),
            "megabytes": round(sum(table.size.megabytes for table in self.tables), 1),
            "empty_tables": sum(table.size.rows == 0 for table in self.tables),
            "importance": {name: importances.count(name) for name in get_args(Importance)},
            "strategies": {name: strategies.count(name) for name in sorted(set(strategies))},
            "incremental_columns": sum(table.replication.key is not None for table in self.tables),
            "monitored": sum(table.config.monitoring.alert_on_failure for table in self.tables),
            "references": sum(len(table.references) for table in self.tables),
            "traps": {
                "event_time": verdicts.count("event_time"),
                "insert_only": verdicts.count("insert_only"),
                "dead_copy": verdicts.count("dead_copy"),
                "unusable": verdicts.count("unusable"),
                "no_primary_key": sum(not table.table.primary_key for table in self.tables),
            },
            "secrets": sum(column.secret is not None for table in self.tables for column in table.columns),
            "left_out": len(self.left_out),
            "missing": len(self.missing),
            "problems": len(self.problems),
            "changes": len(self.changes),
        }
