"""Analyses to draw: the official tables with one practice's published sizes, judged by small rules of this file.

The judgements are plausible, not right: the report draws what it is given, and SchemaDiscovery has tests of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tap_opendental.discovery.judgements import (
    Change,
    ColumnMeaning,
    ImportanceChoice,
    LeftOut,
    Problem,
    Reference,
    SchemaAnalysis,
    TableAnalysis,
    UsagePattern,
)
from tap_opendental.discovery.knowledge import KnownTable, load_knowledge
from tap_opendental.discovery.model import Server, TableSize
from tap_opendental.discovery.rules.replication import choose_replication
from tap_opendental.discovery.table_config import Monitoring, TableConfig

CRITICAL = frozenset(
    {"patient", "procedurelog", "appointment", "claim", "claimproc", "payment", "paysplit", "adjustment"}
)
HOSTILE_NAME = "<img src=x onerror=alert(1)>`'\"%s \u202e\u05d0\u05d1 </script><!--\u2028"
HOSTILE_REASON = (
    "</script><script>window.wasRun = true</script><img src=//evil.example/x onerror='window.wasRun = true'>"
)


def make_analysis() -> SchemaAnalysis:
    """All official tables, with some changes, a problem, a table left out and one missing."""
    known = load_knowledge()
    references = {name: _references(table) for name, table in known.tables.items()}
    incoming: dict[str, list[Reference]] = {}
    for reference in (reference for each in references.values() for reference in each):
        incoming.setdefault(reference.to_table, []).append(reference)
    tables = tuple(
        _analyze(table, references[name], tuple(incoming.get(name, ()))) for name, table in sorted(known.tables.items())
    )
    return SchemaAnalysis(
        database="opendental",
        server=Server("10.11.14-MariaDB", "mariadb"),
        knowledge_version=known.version,
        analyzed_on="2026-11-22",
        tables=tables,
        left_out=(LeftOut("tempschedule_bak_20200424", "no SELECT on it: GRANT SELECT ON opendental.* TO the reader"),),
        missing=("zipcode",),
        problems=(
            Problem("commlog", "overrides.incremental_column", "column DateTimeStamp is gone: name another one"),
        ),
        changes=(
            Change("procedurelog", "schema_hash", "5ac1" * 16, "77e0" * 16),
            Change("procedurelog", "batch_size", 3000, 2000),
            Change("securitylog", "estimated_rows", 3_500_000, 4_740_000),
            Change("orthochartlog", "table", None, "added"),
            Change("etrans835attach", "table", "removed", None),
        ),
    )


def make_report_input() -> dict[str, Any]:
    """The same as a report gets it: the content of analysis.json."""
    return make_analysis().to_dict()


def make_hostile_input() -> dict[str, Any]:
    """A database whose names and reasons try to become markup, script, a style or a prototype."""
    analysis = make_report_input()
    names = [HOSTILE_NAME, "__proto__", "constructor", "a.b.c", "%E0%A4%A", "\u0645\u0631\u064a\u0636"]
    template = next(table for table in analysis["tables"] if table["name"] == "commlog")
    analysis["tables"] = [_hostile(template, name) for name in names]
    analysis["database"] = HOSTILE_REASON
    analysis["problems"] = [{"table": HOSTILE_NAME, "key": HOSTILE_NAME, "message": HOSTILE_REASON}]
    analysis["changes"] = [{"table": HOSTILE_NAME, "key": "dependencies", "before": [HOSTILE_NAME], "after": None}]
    return analysis


def make_large_input(tables: int) -> dict[str, Any]:
    """As many tables as asked for: the official ones, again and again under other names."""
    analysis = make_report_input()
    originals = analysis["tables"]
    copies = ({**originals[at % len(originals)], "name": f"copy{at:05d}"} for at in range(tables - len(originals)))
    analysis["tables"] = [*originals, *copies]
    analysis["summary"]["tables"] = tables
    return analysis


def _hostile(template: dict[str, Any], name: str) -> dict[str, Any]:
    reference = {
        **template["references"][0],
        "column": HOSTILE_NAME,
        "to_table": HOSTILE_NAME,
        "reason": HOSTILE_REASON,
    }
    column = {**template["columns"][0], "name": HOSTILE_NAME, "default": HOSTILE_REASON, "type": "enum('</script>')"}
    candidate = {"column": HOSTILE_NAME, "verdict": "event_time", "reason": HOSTILE_REASON}
    return {
        **template,
        "name": name,
        "columns": [column],
        "references": [{**reference, "table": name}],
        "referenced_by": [f"{name}.{HOSTILE_NAME}", "a.b.c.d"],
        "replication": {**template["replication"], "key": HOSTILE_NAME, "candidates": [candidate]},
        "importance": {**template["importance"], "reasons": [HOSTILE_REASON]},
        "reasons": {"batch_size": HOSTILE_REASON},
    }


def _analyze(known: KnownTable, outgoing: tuple[Reference, ...], incoming: tuple[Reference, ...]) -> TableAnalysis:
    table, rows = known.table, known.typical_rows or 0
    size = TableSize(rows, int((known.typical_megabytes or 0) * 1_048_576), 0, exact=True)
    replication = choose_replication(table, known, random_keys=False)
    importance = _importance(table.name, rows, len(outgoing), len(incoming))
    strategy = _strategy(size.megabytes, safe=replication.key is not None)
    alarmed = importance.importance in {"critical", "important"}
    config = TableConfig(
        incremental_column=replication.key,
        batch_size=5000 if size.megabytes < 1 else 3000 if size.megabytes < 100 else 1000,
        extraction_strategy=strategy,
        table_importance=importance.importance,
        estimated_size_mb=round(size.megabytes, 1),
        estimated_rows=rows,
        dependencies=tuple(sorted({reference.to_table for reference in outgoing})),
        is_modeled=alarmed,
        schema_hash=table.schema_hash,
        last_analyzed="2026-11-22",
        monitoring=Monitoring(alert_on_failure=alarmed),
    )
    return TableAnalysis(
        table=table,
        size=size,
        columns=tuple(_meaning(known, name, outgoing) for name in table.column_names),
        replication=replication,
        usage=UsagePattern("high" if rows > 500_000 else "low" if rows else "static", f"{rows} rows"),
        importance=importance,
        references=outgoing,
        referenced_by=incoming,
        polymorphic=tuple(name for name, column in known.columns.items() if len(column.references) > 1),
        config=config if table.name != "commlog" else replace(config, overrides={"batch_size": 3000}),
        reasons={"extraction_strategy": f"{size.megabytes:.1f} MB", "batch_size": "by size and update frequency"},
    )


def _references(known: KnownTable) -> tuple[Reference, ...]:
    """One in seven is made a guess, so that both kinds of line are drawn."""
    targets = [(name, column.references[0]) for name, column in known.columns.items() if len(column.references) == 1]
    found = []
    for column, target in targets:
        to_table, _, to_column = target.partition(".")
        guessed = len(column + known.table.name) % 7 == 0
        source, confidence = ("alias", 0.9) if guessed else ("documented", 1.0)
        found.append(
            Reference(known.table.name, column, to_table.lower(), to_column, source, confidence, f"{source}: {target}")
        )
    return tuple(found)


def _importance(name: str, rows: int, outgoing: int, incoming: int) -> ImportanceChoice:
    score = min(100, (60 if name in CRITICAL else 0) + min(30, incoming) + min(10, outgoing) + min(20, rows // 50_000))
    reasons = (f"+{min(30, incoming)} referenced by {incoming} columns", f"+{min(10, outgoing)} refers to {outgoing}")
    if name in CRITICAL:
        return ImportanceChoice("critical", score, ("+60 clinical or financial core", *reasons))
    if name.endswith(("log", "loghash")) and name != "commlog":
        return ImportanceChoice("audit", score, ("audit trail", *reasons))
    if rows and rows < 5000 and incoming > 2:
        return ImportanceChoice("reference", score, ("small and pointed to", *reasons))
    return ImportanceChoice("important" if score > 20 else "standard", score, reasons)


def _strategy(megabytes: float, *, safe: bool) -> Any:
    if megabytes < 1 or not safe:
        return "full_table"
    return "incremental" if megabytes < 100 else "chunked_incremental" if megabytes < 1000 else "streaming_incremental"


def _meaning(known: KnownTable, name: str, outgoing: tuple[Reference, ...]) -> ColumnMeaning:
    column, facts = known.columns[name], known.table.column(name)
    found = {
        "key": name in known.table.primary_key and "primary key",
        "reference": next((f"{each.to_table}.{each.to_column}" for each in outgoing if each.column == name), ""),
        "boolean": column.is_boolean and "documented",
        "enum": column.is_enum and f"documented: {column.enum_name}",
        "sentinel_date": "0001-01-01" in (facts.default or "") and "default is 0001-01-01",
        "large_text": facts.base_type in {"text", "mediumtext", "longtext"} and facts.type,
    }
    kinds = {kind: str(reason) for kind, reason in found.items() if reason}
    secret = load_knowledge().why_secret(known.table.name, name)
    return ColumnMeaning(name, kinds, column.patient_data, secret)  # type: ignore[arg-type]
