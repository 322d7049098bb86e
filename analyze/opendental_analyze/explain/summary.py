"""The analysis in one screen: values in, lines of text out; the same lines are plain in summary.txt."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING, Any, get_args

from rich.cells import cell_len
from rich.text import Text

from opendental_analyze.terminal import printable
from tap_opendental.discovery.judgements import Importance
from tap_opendental.discovery.table_config import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_opendental.discovery.judgements import Change, SchemaAnalysis, TableAnalysis

WIDTH = 100
LABEL = 18
SHOWN_CHANGES, SHOWN_FINDINGS = 5, 3
FLAVOURS = {"mariadb": "MariaDB", "mysql": "MySQL"}
COLOURS = {"critical": "bold red", "important": "yellow", "reference": "cyan", "audit": "magenta", "standard": ""}
_GAP = "    "


def render_summary(
    analysis: SchemaAnalysis, *, first: bool, patterns: Sequence[str] = (), width: int = WIDTH
) -> tuple[Text, ...]:
    """Render at most 40 lines of at most `width` columns; below 100 columns the two tables stand one above the other.

    `first` says that there was no tables.yml to compare with; `patterns` are those that chose the tables, if any did.
    """
    blank = (Text(),)
    importance = _render_block("Importance", get_args(Importance), _group(analysis.tables, "importance"), 11)
    strategies = _render_block("Read as", STRATEGIES, _group(analysis.tables, "strategy"), 22)
    blocks = _beside(importance, strategies) if width >= WIDTH else (*importance, *blank, *strategies)
    news = (*_render_changes(analysis, first=first), *_render_doubts(analysis, width))
    lines = (*_render_head(analysis, patterns), *blank, *blocks, *blank, *_render_facts(analysis, width), *blank, *news)
    return tuple(_fit(line, width) for line in lines)


def render_plain(lines: Iterable[Text]) -> str:
    """Render the text of summary.txt: no colour, no trailing blanks, a newline at the end."""
    return "".join(f"{line.plain.rstrip()}\n" for line in lines)


def _render_head(analysis: SchemaAnalysis, patterns: Sequence[str]) -> tuple[Text, Text]:
    summary = analysis.summarize()
    server = f"{FLAVOURS[analysis.server.flavour]} {analysis.server.version.partition('-')[0]}"
    probed = ", data sampled" if analysis.probed else ""
    about = "" if all(table.size.exact for table in analysis.tables) else "about "
    only = f" like {', '.join(map(printable, patterns))}" if patterns else ""
    totals = (
        f"{_count(summary['tables'], 'table')}{only} ({summary['empty_tables']:,} empty)",
        _count(summary["columns"], "column"),
        f"{about}{_count(summary['rows'], 'row')}",
        f"{summary['megabytes']:,.1f} MB",
        _count(summary["references"], "reference"),
    )
    known = f"knowledge of Open Dental {analysis.knowledge_version}"
    title = (f"Database {printable(analysis.database)}", "bold"), f"  {analysis.analyzed_on}{probed}, {server}, {known}"
    return Text.assemble(*title), Text("   ".join(totals))


# --- two tables of counts -----------------------------------------------------------------------------------------


def _group(tables: Sequence[TableAnalysis], by: str) -> dict[str, list[TableAnalysis]]:
    groups: dict[str, list[TableAnalysis]] = {}
    for table in tables:
        name = table.config.table_importance if by == "importance" else table.config.extraction_strategy
        groups.setdefault(name, []).append(table)
    return groups


def _render_block(
    title: str, names: Sequence[str], groups: dict[str, list[TableAnalysis]], width: int
) -> tuple[Text, ...]:
    head = Text(f"{title:<{width}}{'tables':>7}{'rows':>13}{'MB':>11}", "bold")
    return (head, *(_render_group(name, groups.get(name, []), width) for name in names))


def _render_group(name: str, tables: Sequence[TableAnalysis], width: int) -> Text:
    rows = sum(table.size.rows for table in tables)
    megabytes = sum(table.size.megabytes for table in tables)
    numbers = f"{len(tables):>7,}{rows:>13,}{megabytes:>11,.1f}"
    return Text.assemble((f"{name:<{width}}", COLOURS.get(name, "")), (numbers, "" if tables else "dim"))


def _beside(left: Sequence[Text], right: Sequence[Text]) -> tuple[Text, ...]:
    """Put two blocks side by side; the left one is the longer."""
    short = len(left) - len(right)
    return tuple(Text.assemble(one, _GAP, other) for one, other in zip(left, (*right, *[Text()] * short), strict=True))


# --- rows with a label --------------------------------------------------------------------------------------------


def _render_facts(analysis: SchemaAnalysis, width: int) -> list[Text]:
    rows = [
        ("Replication keys", _describe_keys(analysis.tables)),
        ("Traps avoided", _describe_traps(analysis.summarize()["traps"])),
        ("Secrets", [f"{_count(analysis.summarize()['secrets'], 'column')} that no SELECT will name"]),
        ("Monitoring", _describe_monitoring(analysis.tables)),
        ("Overrides", _describe_overrides(analysis.tables)),
    ]
    return [line for label, parts in rows for line in _render_row(label, parts, width)]


def _describe_keys(tables: Sequence[TableAnalysis]) -> list[str]:
    choices = [table.replication for table in tables]
    moving = [choice for choice in choices if choice.key and not choice.append_only]
    bare = sum(not choice.indexed for choice in moving)
    return [
        f"{_count(len(moving), 'self-updating column')} ({bare:,} without an index)",
        _count(sum(choice.append_only for choice in choices), "append-only primary key"),
        f"none for {_count(sum(choice.key is None for choice in choices), 'table')}",
    ]


def _describe_traps(traps: dict[str, int]) -> list[str]:
    names = {
        "event_time": ("event time", None),
        "insert_only": ("insert-only time", None),
        "dead_copy": ("dead copy", "dead copies"),
        "unusable": ("unusable key", None),
        "no_primary_key": ("table without a primary key", "tables without a primary key"),
    }
    return [_count(traps[trap], *words) for trap, words in names.items() if traps[trap]] or ["none met"]


def _describe_monitoring(tables: Sequence[TableAnalysis]) -> list[str]:
    watched = [table for table in tables if table.config.monitoring.alert_on_failure]
    if not watched:
        return ["no table alerts on failure"]
    minutes = {table.config.monitoring.max_extraction_time_minutes for table in watched}
    limit = f"a limit of {max(minutes)} minutes" if len(minutes) == 1 else f"limits of {min(minutes)} to {max(minutes)}"
    each = f"{limit} each" if len(minutes) == 1 else f"{limit} minutes"
    return [f"{_count(len(watched), 'table')} {'alerts' if len(watched) == 1 else 'alert'} on failure", each]


def _describe_overrides(tables: Sequence[TableAnalysis]) -> list[str]:
    configs = [table.config for table in tables]
    counts = [len({*config.overrides} - {"reason"}) + len(config.column_overrides) for config in configs]
    if not any(counts):
        return ["none"]
    return [f"{_count(sum(counts), 'value')} that a person set, in {_count(sum(map(bool, counts)), 'table')}"]


def _render_row(label: str, parts: Iterable[str], width: int, style: str = "") -> list[Text]:
    """Fill lines with the parts, none of them broken, under one label."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}, {part}" if lines else part
        if lines and cell_len(joined) <= width - LABEL - 1:
            lines[-1] = joined
        else:
            lines = [*lines[:-1], f"{lines[-1]},", part] if lines else [part]
    labels = (label, *[""] * len(lines))
    return [
        Text.assemble((f"{name:<{LABEL}}", "bold"), (line, style)) for name, line in zip(labels, lines, strict=False)
    ]


# --- what a person should look at ---------------------------------------------------------------------------------


def _render_changes(analysis: SchemaAnalysis, *, first: bool) -> list[Text]:
    if first:
        return _render_row("Changes", ["this is the first tables.yml here"], WIDTH)
    if not analysis.changes:
        return _render_row("Changes", ["none since the last tables.yml"], WIDTH, "green")
    entries = [
        _describe_change(change) for change in sorted(analysis.changes, key=lambda change: change.key != "table")
    ]
    return _render_list("Changes", _count_changes(analysis.changes), entries, SHOWN_CHANGES)


def _count_changes(changes: Sequence[Change]) -> str:
    """Say how many tables came, went and changed, and in what."""
    came = sum(change.key == "table" and change.before is None for change in changes)
    went = sum(change.key == "table" and change.before is not None for change in changes)
    other = [change for change in changes if change.key != "table"]
    counts = Counter("structure" if change.key == "schema_hash" else change.key for change in other)
    keys = ", ".join(f"{key} {count:,}" for key, count in counts.most_common(2)) + (", ..." if len(counts) > 2 else "")  # noqa: PLR2004  # those two
    altered = f"{_count(len({change.table for change in other}), 'table')} changed ({keys})" if other else ""
    parts = (_count(came, "new table") if came else "", _count(went, "table") + " gone" if went else "", altered)
    return ", ".join(part for part in parts if part)


def _describe_change(change: Change) -> str:
    name = printable(change.table)
    if change.key == "table":
        return f"+ {name}" if change.before is None else f"- {name}"
    if change.key == "schema_hash":
        return f"~ {name}  structure"
    return f"~ {name}  {change.key} {_show(change.before)} -> {_show(change.after)}"


def _show(value: Any) -> str:  # noqa: ANN401  # any value of tables.yml
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int | float) else printable(str(value))


def _render_doubts(analysis: SchemaAnalysis, width: int) -> list[Text]:
    """Problems, tables that were left out, and official tables that the user does not see."""
    problems = [printable(f"{problem.table}, {problem.key}: {problem.message}") for problem in analysis.problems]
    left_out = [f"{printable(left.table)}: {printable(left.reason)}" for left in analysis.left_out]
    return [
        *_render_findings("Problems", problems, "in tables.yml", width),
        *_render_findings("Left out", left_out, "that could not be analysed", width),
        *_render_missing(analysis.missing),
    ]


def _render_findings(label: str, entries: Sequence[str], what: str, width: int) -> list[Text]:
    """Show the first findings on two lines each: the fix stands at the end of a finding."""
    if not entries:
        return _render_row(label, ["none"], WIDTH, "green")
    noun = "problem" if label == "Problems" else "table"
    folded = ["\n".join(wrap(entry, width - LABEL, subsequent_indent="  ", max_lines=2)) for entry in entries]
    return _render_list(label, f"{_count(len(entries), noun)} {what}", folded, SHOWN_FINDINGS, "yellow")


def _render_missing(missing: Sequence[str]) -> list[Text]:
    if not missing:
        return _render_row("Not seen", ["none of the official tables"], WIDTH, "green")
    head = f"{_count(len(missing), 'official table')} that this user does not see, or that the database does not have"
    return _render_list("Not seen", head, [" ".join(map(printable, missing))], 1)


def _render_list(label: str, head: str, entries: Sequence[str], most: int, style: str = "") -> list[Text]:
    """Show the head beside the label and below it the first entries; the rest is counted."""
    shown = entries if len(entries) <= most else entries[: most - 1]
    lines = [line for entry in shown for line in entry.split("\n")]
    if len(entries) > len(shown):
        lines.append(f"... and {len(entries) - len(shown):,} more")
    return [*_render_row(label, [head], WIDTH, style), *(Text(" " * LABEL + line) for line in lines)]


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _fit(line: Text, width: int) -> Text:
    if cell_len(line.plain) > width:
        line.truncate(width - 3)
        line.append("...")
    return line
