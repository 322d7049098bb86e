"""From the facts of one table to its whole judgement, through all rules (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import TableAnalysis
from tap_opendental.discovery.rules.columns import describe_columns
from tap_opendental.discovery.rules.configuration import choose_configuration, explain_configuration, settle_size
from tap_opendental.discovery.rules.importance import choose_importance
from tap_opendental.discovery.rules.usage import choose_usage
from tap_opendental.discovery.tables_config import apply_overrides

if TYPE_CHECKING:
    from tap_opendental.discovery.judgements import Reference, ReplicationChoice
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Table, TableSize
    from tap_opendental.discovery.table_config import TableConfig


@dataclass(frozen=True)
class TableFacts:
    """What is known of a table before it is judged; `replication` and the references come from the whole schema."""

    table: Table
    size: TableSize
    replication: ReplicationChoice
    references: tuple[Reference, ...] = ()
    referenced_by: tuple[Reference, ...] = ()
    polymorphic: tuple[str, ...] = field(default=())


def judge_table(facts: TableFacts, knowledge: Knowledge, previous: TableConfig | None = None) -> TableAnalysis:
    """Judge a table; its previous configuration keeps estimates from wavering and a person's overrides in force."""
    table, known = facts.table, knowledge.table(facts.table.name)
    rows, megabytes = settle_size(facts.size, previous)
    usage = choose_usage(table, rows, facts.replication, known)
    importance = choose_importance(
        table,
        rows=rows,
        megabytes=megabytes,
        usage=usage,
        references=[one for one in facts.references if one.is_certain],
        referenced_by=[one for one in facts.referenced_by if one.is_certain],
        known=known,
    )
    overrides = previous.overrides if previous else {}
    config = choose_configuration(
        table,
        facts.size,
        replication=facts.replication,
        usage=usage,
        importance=overrides.get("table_importance", importance.importance),
        references=facts.references,
        previous=previous,
    )
    if previous is not None:
        config = replace(apply_overrides(config, overrides), column_overrides=previous.column_overrides)
    return TableAnalysis(
        table=table,
        size=facts.size,
        columns=describe_columns(table, knowledge, facts.references),
        replication=facts.replication,
        usage=usage,
        importance=importance,
        references=facts.references,
        referenced_by=facts.referenced_by,
        polymorphic=facts.polymorphic,
        config=config,
        reasons=explain_configuration(config, facts.size, replication=facts.replication, usage=usage),
    )
