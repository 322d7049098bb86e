"""From an address and the last tables.yml to everything that `opendental analyze` says and writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opendental_analyze.explain.summary import WIDTH, render_plain, render_summary
from opendental_analyze.explain.writing import write_files
from opendental_analyze.report import render_report
from tap_opendental.connector import create_source_engine
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.tables_config import TablesFile, parse_tables_file, render_tables_file
from tap_opendental.errors import NothingSelectedError, SchemaAnalysisError
from tap_opendental.files import read_if_there
from tap_opendental.patterns import matches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.text import Text

    from opendental_analyze.progress import Steps
    from tap_opendental.connector import SourceAddress
    from tap_opendental.discovery.judgements import SchemaAnalysis

TABLES, ANALYSIS, SUMMARY, REPORT = "tables.yml", "analysis.json", "summary.txt", "report.html"


@dataclass(frozen=True)
class Wish:
    """What to analyse: tables as shell patterns (none means all), with or without a look at rows, on which date."""

    patterns: tuple[str, ...]
    probe: bool
    analyzed_on: str


@dataclass(frozen=True)
class Explanation:
    """An analysis, the tables.yml that follows from it, and the text of the last one (None if there was none)."""

    wish: Wish
    analysis: SchemaAnalysis
    tables_text: str
    previous_text: str | None

    @property
    def would_change(self) -> bool:
        """True when the text of tables.yml is not what it would be now."""
        return self.tables_text != self.previous_text

    @property
    def is_first(self) -> bool:
        """True when there was no tables.yml."""
        return self.previous_text is None

    @property
    def refused(self) -> tuple[str, ...]:
        """Tables that the tap will not read until a person mends their entry in tables.yml."""
        return tuple(sorted({problem.table for problem in self.analysis.problems if problem.stops_reading}))

    def summary(self, width: int = WIDTH) -> tuple[Text, ...]:
        """Return the lines for a terminal of that many columns."""
        return render_summary(self.analysis, first=self.is_first, patterns=self.wish.patterns, width=width)

    def warnings(self) -> list[str]:
        """A line for each problem in tables.yml and for each table that was left out."""
        problems = [str(problem) for problem in self.analysis.problems]
        return [*problems, *(f"table {left.table} is left out: {left.reason}" for left in self.analysis.left_out)]

    def to_dict(self) -> dict[str, Any]:
        """Return what a program wants to know; analysis.json has the rest."""
        content = self.analysis.to_dict()
        wanted = {key: content[key] for key in ("summary", "changes", "problems", "left_out", "missing")}
        return {**wanted, "would_change": self.would_change}


def explain_source(address: SourceAddress, folder: Path, wish: Wish, progress: Steps) -> Explanation:
    """Analyse a source and compare with the tables.yml of a folder; nothing is written.

    Raises the tap's errors: a server that does not answer, a refused user, no table, a tables.yml that is malformed.
    """
    path = folder / TABLES
    text = read_if_there(path, f"{path}: cannot be read ({{reason}})")
    previous = TablesFile() if text is None else parse_tables_file(text, str(path))
    engine = create_source_engine(address)
    try:
        discovery = SchemaDiscovery(engine, address.database)
        progress("reading the schema")
        analysis = discovery.analyze_complete_schema(
            choose_tables(discovery, wish.patterns),
            previous=previous,
            analyzed_on=wish.analyzed_on,
            probe=wish.probe,
            progress=progress,
        )
    finally:
        engine.dispose()
    return Explanation(wish, analysis, render_tables_file(analysis.configs), text)


def write_explanation(explanation: Explanation, folder: Path) -> dict[str, Path]:
    """Write the four files; tables.yml changes last: the tap obeys it, and the next analysis starts from it."""
    content = explanation.analysis.to_dict()
    texts = {
        REPORT: render_report(content),
        ANALYSIS: json.dumps(content, indent=1, ensure_ascii=False) + "\n",
        SUMMARY: render_plain(explanation.summary()),
        TABLES: explanation.tables_text,
    }
    return write_files(folder, texts)


def choose_tables(discovery: SchemaDiscovery, patterns: Sequence[str]) -> list[str] | None:
    """Return the tables that match a pattern, as a shell does it and in any case; None for all, without a pattern.

    A damaged table that a pattern happens to match is left out like any other, unless nothing else matches.
    NothingSelectedError when one of the patterns matches no table.
    """
    existing = discovery.discover_all_tables()
    if not patterns or not existing:
        return None
    for pattern in patterns:
        if not any(matches(name, pattern) for name in existing):
            raise NothingSelectedError(f"--tables: {pattern!r} matches none of {len(existing)} tables")
    chosen = [name for name in existing if any(matches(name, pattern) for pattern in patterns)]
    return [name for name in chosen if _is_readable(discovery, name)] or chosen


def _is_readable(discovery: SchemaDiscovery, name: str) -> bool:
    try:
        discovery.require_readable([name])
    except SchemaAnalysisError:
        return False
    return True
