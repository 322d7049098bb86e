"""What a benchmark prints and writes into docs/benchmarks.md: tables, goals, and where the figures come from."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from opendental_analyze.sandbox.binaries import find_mariadbd, read_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("singer-sdk", "sqlalchemy", "pymysql")
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Goal:
    """One promise of the project beside what was measured; `least` turns the limit from a most into a least."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    least: bool = False

    @property
    def met(self) -> bool:
        """True when the figure keeps the promise."""
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def cells(self) -> tuple[str, str, str, str]:
        """One line of the table of goals."""
        bound = f"at {'least' if self.least else 'most'} {self.limit:g}{self.unit}"
        return self.what, bound, f"{self.measured:.3g}{self.unit}", "pass" if self.met else "**FAIL**"


def publish(section: str, body: str, *, write: bool) -> None:
    """Print a benchmark's results, and write them between the section's comments in the document if asked to."""
    print(body)  # noqa: T201 - what a person waited for
    if not write:
        return
    block = re.compile(rf"(<!-- {section}: begin -->\n).*?(<!-- {section}: end -->)", re.DOTALL)
    text = DOCUMENT.read_text(encoding="utf-8")
    if len(block.findall(text)) != 1:
        raise SystemExit(f"{DOCUMENT.name}: the comments of section {section} must be there once")
    DOCUMENT.write_text(block.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text), encoding="utf-8")


def render_origin(what: str, *also: str) -> str:
    """One paragraph: which run the figures come from, when, of which code, and where."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEGABYTE / 1024
    software = [
        f"MariaDB {read_version(find_mariadbd())}",
        f"Python {platform.python_version()}",
        *(f"{package} {version(package)}" for package in PACKAGES),
        *also,
    ]
    return (
        f"{what} Measured {datetime.now(UTC):%Y-%m-%d} at commit {_read_commit()} on {os.cpu_count()} cores "
        f"({_read_processor()}), {memory:.0f} GB; {', '.join(software)}."
    )


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads on a terminal too; all columns but the first stand to the right."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_render_line(line, widths) for line in (lines[0], rule, *lines[1:]))


def render_goals(goals: Iterable[Goal]) -> str:
    """The table of promises."""
    return render_table(("goal", "promised", "measured", "verdict"), [goal.cells() for goal in goals])


def _render_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def _read_commit() -> str:
    """The commit's short name, and whether the tap differs from it."""
    name = _ask_git("rev-parse", "--short", "HEAD")
    return f"{name} with changes in the tap" if _ask_git("status", "--porcelain", "--", "tap-opendental") else name


def _ask_git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def _read_processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
