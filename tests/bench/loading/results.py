"""What was measured, kept as JSON beside the benchmarks: one file for each tool and number of rows, the newest only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import render_origin

from opendental_analyze.sandbox.binaries import find_postgres, read_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).resolve().parents[1] / "results" / "loading"


@dataclass(frozen=True)
class Result:
    """One tool in one series.

    `steps` has, by lot and step, the tool's outcome (`own`), and in the same series the yardstick's (`yardstick`) and
    that of our target (`ours`).
    `edges` has, by table of hard values, what was wrong (None: nothing). `missing` says why the tool was not run.
    """

    slug: str
    name: str
    kind: str
    rows: int
    version: str = ""
    note: str = ""
    origin: str = ""
    steps: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    edges: Mapping[str, str | None] = field(default_factory=dict)
    missing: str | None = None


def read_origin() -> str:
    """When, of which code and where this moment is."""
    return render_origin("", f"PostgreSQL {read_version(find_postgres() / 'postgres')}").strip()


def save(result: Result) -> None:
    """Replace the tool's older result for that kind of destination and number of rows."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{result.kind}-{result.rows}-{result.slug}.json"
    path.write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_all() -> Iterator[Result]:
    """Every result that is kept."""
    for path in sorted(FOLDER.glob("*.json")):
        yield Result(**json.loads(path.read_text(encoding="utf-8")))
