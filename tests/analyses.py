"""Analyses for tests without a server: what the knowledge says of Open Dental, judged in the plainest way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_opendental.discovery.judgements import (
    ColumnMeaning,
    ImportanceChoice,
    Reference,
    ReplicationChoice,
    SchemaAnalysis,
    TableAnalysis,
    UsagePattern,
)
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Server, Table, TableSize
from tap_opendental.discovery.table_config import Monitoring, TableConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_opendental.discovery.knowledge import KnownColumn

CRITICAL = frozenset(
    ["patient", "procedurelog", "appointment", "claim", "claimproc", "payment", "paysplit", "adjustment"]
)


def analysis_of(*names: str, **facts: Any) -> dict[str, Any]:
    """The content of analysis.json for tables that the knowledge has (all of them when none is named)."""
    tables = load_knowledge().tables
    return content_of([analyse(tables[name].table) for name in (names or tables)], **facts)


def content_of(tables: Sequence[TableAnalysis], **facts: Any) -> dict[str, Any]:
    """What analysis.json holds of these tables: through JSON and back, so that it is what a file gives."""
    analysis = SchemaAnalysis(
        **{
            "database": "opendental",
            "server": Server("10.11.6-MariaDB", "mariadb"),
            "knowledge_version": "24.3",
            "analyzed_on": "2026-11-22",
            "tables": tuple(tables),
        }
        | facts
    )
    return json.loads(json.dumps(analysis.to_dict()))


def analyse(table: Table, **config: Any) -> TableAnalysis:
    """Judge one table as the rules would, roughly; `config` replaces single keys of its configuration."""
    known = load_knowledge().table(table.name)
    key = next((column.name for column in table.columns if column.updates_itself), None)
    important = "critical" if table.name in CRITICAL else "standard"
    return TableAnalysis(
        table=table,
        size=TableSize(known.typical_rows or 0 if known else 0, 1_048_576, 0, exact=True),
        columns=tuple(meaning(table, column.name) for column in table.columns),
        replication=ReplicationChoice("INCREMENTAL" if key else "FULL_TABLE", key, "as the test says"),
        usage=UsagePattern("high" if table.name in CRITICAL else "low", "as the test says"),
        importance=ImportanceChoice(important, 90 if important == "critical" else 10, ("as the test says",)),
        references=tuple(references(table)),
        referenced_by=(),
        polymorphic=(),
        config=TableConfig(
            **{
                "incremental_column": key,
                "extraction_strategy": "incremental" if key else "full_table",
                "table_importance": important,
                "is_modeled": important == "critical",
                "schema_hash": table.schema_hash,
                "last_analyzed": "2026-11-22",
                "monitoring": Monitoring(alert_on_failure=important == "critical"),
            }
            | config
        ),
        reasons={"batch_size": "as the test says"},
    )


def meaning(table: Table, name: str) -> ColumnMeaning:
    knowledge = load_knowledge()
    known = knowledge.column(table.name, name)
    default = table.column(name).default or ""
    kinds = kinds_of(known) | ({"sentinel_date": "default is 0001-01-01"} if "0001-01-01" in default else {})
    return ColumnMeaning(name, kinds, known.patient_data if known else (), knowledge.why_secret(table.name, name))


def kinds_of(known: KnownColumn | None) -> dict[str, str]:
    if known is None:
        return {}
    told = {
        "boolean": known.is_boolean,
        "enum": known.is_enum,
        "ticks": known.is_ticks,
        "interval": known.is_interval,
        "colour": known.is_colour,
        "reference": bool(known.references),
    }
    return {kind: "documented" for kind, so in told.items() if so}


def references(table: Table) -> list[Reference]:
    known = load_knowledge().table(table.name)
    targets = (
        [(column.name, *target.split(".")) for column in known.columns.values() for target in column.references]
        if known
        else []
    )
    return [
        Reference(table.name, *target, source="documented", confidence=1.0, reason="documented") for target in targets
    ]
