"""From the judgement of a table to its configuration, each choice with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_opendental.discovery.rules.sizing import (
    choose_batch_size,
    choose_size_class,
    choose_strategy,
    infer_size_class,
    settle_megabytes,
    settle_rows,
)
from tap_opendental.discovery.table_config import Monitoring, TableConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_opendental.discovery.judgements import Importance, Reference, ReplicationChoice, UsagePattern
    from tap_opendental.discovery.model import Table, TableSize
    from tap_opendental.discovery.rules.sizing import SizeClass

_WATCHED: frozenset[Importance] = frozenset({"critical", "important"})
_QUALITY: Mapping[Importance, float] = {"critical": 0.99}
_SHORTEST_MINUTES, _LONGEST_MINUTES, _MEGABYTES_A_MINUTE = 5, 180, 10


def settle_size(size: TableSize, previous: TableConfig | None) -> tuple[int, float]:
    """Rows and MB that decide: those of the previous configuration while the table has not left them."""
    return (
        settle_rows(size.rows, previous.estimated_rows if previous else None),
        settle_megabytes(size.megabytes, previous.estimated_size_mb if previous else None),
    )


def choose_configuration(
    table: Table,
    size: TableSize,
    *,
    replication: ReplicationChoice,
    usage: UsagePattern,
    importance: Importance,
    references: Iterable[Reference],
    previous: TableConfig | None = None,
) -> TableConfig:
    """Choose every key of a table's configuration; a previous one keeps estimates and size class from wavering."""
    rows, megabytes = settle_size(size, previous)
    size_class = _class_of(size, usage, previous)
    return TableConfig(
        incremental_column=replication.key,
        batch_size=choose_batch_size(size_class, frequent=is_frequent(usage)),
        extraction_strategy=choose_strategy(size_class, has_key=replication.key is not None),
        table_importance=importance,
        estimated_size_mb=megabytes,
        estimated_rows=rows,
        dependencies=tuple(sorted({one.to_table for one in references if one.is_certain} - {table.name})),
        is_modeled=importance in _WATCHED,
        schema_hash=table.schema_hash,
        monitoring=choose_monitoring(importance, megabytes),
    )


def explain_configuration(
    config: TableConfig, size: TableSize, *, replication: ReplicationChoice, usage: UsagePattern
) -> dict[str, str]:
    """Say why each key has its value; a person's overrides are the person's."""
    measured = f"{size.megabytes:.1f} MB, counted as {infer_size_class(config, frequent=is_frequent(usage))}"
    strategy = f"{measured}: small enough to be read whole, which shows deleted rows too"
    if replication.key is None:
        strategy = replication.reason
    elif config.is_incremental:
        strategy = f"{measured}, changed rows by {config.incremental_column}"
    reasons = {
        "incremental_column": replication.reason,
        "extraction_strategy": strategy,
        "batch_size": f"{measured}, update frequency {usage.update_frequency}",
        "is_modeled": f"importance is {config.table_importance}",
        "monitoring": f"importance is {config.table_importance}; 1 minute for {_MEGABYTES_A_MINUTE} MB",
    }
    return reasons | {key: "set by a person in tables.yml" for key in config.overrides if key != "reason"}


def choose_monitoring(importance: Importance, megabytes: float) -> Monitoring:
    """Alert on what matters; 1 minute for 10 MB, from 5 to 180; 0.99 of critical rows must be good, else 0.95."""
    return Monitoring(
        alert_on_failure=importance in _WATCHED,
        max_extraction_time_minutes=round(
            min(max(megabytes / _MEGABYTES_A_MINUTE, _SHORTEST_MINUTES), _LONGEST_MINUTES)
        ),
        data_quality_threshold=_QUALITY.get(importance, 0.95),
    )


def is_frequent(usage: UsagePattern) -> bool:
    """True when rows are changed so often that pages should be shorter."""
    return usage.update_frequency == "high"


def _class_of(size: TableSize, usage: UsagePattern, previous: TableConfig | None) -> SizeClass:
    earlier = infer_size_class(previous, frequent=is_frequent(usage)) if previous else None
    return choose_size_class(size.megabytes, earlier)
