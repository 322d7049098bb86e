"""The configuration of one table: the vocabulary of tables.yml as a frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_opendental.discovery.judgements import Importance

Strategy = Literal["full_table", "incremental", "chunked_incremental", "streaming_incremental"]
ConversionRule = Literal["tinyint_to_boolean", "decimal_round", "exclude"]

STRATEGIES: tuple[Strategy, ...] = ("full_table", "incremental", "chunked_incremental", "streaming_incremental")
CONVERSION_RULES: tuple[ConversionRule, ...] = ("tinyint_to_boolean", "decimal_round", "exclude")
DEFAULT_BATCH_SIZE, MAX_BATCH_SIZE = 5000, 1_000_000
CONFIG_VERSION = "1"


@dataclass(frozen=True)
class Monitoring:
    """When a table's load is worth a person's attention; `max_extraction_time_minutes` is from 5 to 180."""

    alert_on_failure: bool = False
    max_extraction_time_minutes: int = 5
    data_quality_threshold: float = 0.95


@dataclass(frozen=True)
class ColumnOverride:
    """A person's word on one column; `precision` is the number of decimals that `decimal_round` keeps."""

    conversion_rule: ConversionRule
    precision: int | None = None


@dataclass(frozen=True)
class TableConfig:
    """How one table is read and watched; `batch_size` is in rows a page, the last seen size in rows and MB.

    `overrides` are the values that a person set against the rules: they are in force already, and named so that the
    next generation keeps them. `schema_hash` is the reviewed structure; None when nobody has reviewed it.
    """

    incremental_column: str | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    extraction_strategy: Strategy = "full_table"
    table_importance: Importance = "standard"
    estimated_size_mb: float = 0.0
    estimated_rows: int = 0
    dependencies: tuple[str, ...] = ()
    is_modeled: bool = False
    schema_hash: str | None = None
    last_analyzed: str | None = None
    analysis_version: str = CONFIG_VERSION
    column_overrides: Mapping[str, ColumnOverride] = field(default_factory=dict)
    monitoring: Monitoring = Monitoring()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_incremental(self) -> bool:
        """True when only changed rows are read, by `incremental_column`."""
        return self.extraction_strategy != "full_table"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {
            "dependencies": list(self.dependencies),
            "column_overrides": {name: asdict(override) for name, override in self.column_overrides.items()},
        }
