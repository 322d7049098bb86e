"""How a state is taken back to the rows that a destination holds: a file, and the `meltano state` command for it."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_opendental_replica.positions import Position


def rewind(ahead: Mapping[str, Mapping[str, Any]], held: Iterable[Position]) -> dict[str, Any]:
    """Return the state that takes streams back to what is held; nothing held makes every value of an entry null.

    `meltano state merge` lays it over the state as it is, at every depth. A stream that stands where the state does and
    was refused all the same (rows of a version that is not whole are gone) goes back to its begin.
    """
    bookmarks = {}
    positions = _find_least(held)
    for stream, entry in ahead.items():
        kept = positions.get(str(entry.get("lineage")))
        is_before = kept is not None and kept.serial < int(entry.get("serial") or 0)
        bookmarks[stream] = lay_over(kept.bookmark if kept and is_before else {}, entry)
    return {"singer_state": {"bookmarks": bookmarks}}


def _find_least(held: Iterable[Position]) -> dict[str, Position]:
    """Return what is held of each lineage: of one that fills two tables, what the table with less holds."""
    return {each.lineage: each for each in sorted(held, key=lambda each: each.serial, reverse=True)}


def lay_over(kept: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes `entry` as good as `kept` when Meltano merges it: what cannot be put back becomes null.

    A key cannot be removed, so a null takes its place. A mapping cannot be laid over a null: Meltano would end each
    command from then on with a TypeError. There the null stays, which forgets a position within a table, say, so that
    more is read again.
    """
    laid: dict[str, Any] = dict.fromkeys(entry)
    for name, value in kept.items():
        there = entry.get(name, {})
        if not isinstance(value, dict):
            laid[name] = value
        elif isinstance(there, dict):
            laid[name] = lay_over(value, there)
    return laid


def write_rewind(state: Mapping[str, Any], environment: Mapping[str, str]) -> Path | None:
    """Write it for this user's eyes alone, among Meltano's own files or where there is a place; None where is none.

    The file is a new one, of a name that nobody could foresee: all users may write into the system's temporary folder.
    """
    project = environment.get("MELTANO_PROJECT_ROOT")
    folders = [*([Path(project, ".meltano")] if project else []), Path.cwd(), Path(tempfile.gettempdir())]
    for folder in folders:
        with suppress(OSError):
            descriptor, path = tempfile.mkstemp(prefix="rewind-", suffix=".json", dir=folder)
            with os.fdopen(descriptor, "w") as file:
                json.dump(state, file, indent=1)
            return Path(path)
    return None


def advise(
    ahead: Mapping[str, Mapping[str, Any]],
    held: Iterable[Position],
    environment: Mapping[str, str],
    *,
    is_gone: bool = False,
) -> str:
    """Say how the state is taken back, or adopted.

    That does not help where rows of a cut version are missing, nor where a table is gone (`is_gone`).
    """
    positions = [*held]
    path = write_rewind(rewind(ahead, positions), environment)
    how = f"`{render_command(path, environment)}`" if path else "`meltano state` (there is no place for a file of it)"
    serials = {lineage: position.serial for lineage, position in _find_least(positions).items()}
    may_adopt = all(serials.get(str(e.get("lineage")), 0) < int(e.get("serial") or 0) for e in ahead.values())
    adopt = (
        ", or, if you know that the rows are here (another target loaded them), run once with on_missing_rows: adopt"
    )
    return f"take the state back with {how} and run again{adopt if may_adopt and not is_gone else ''}"


def render_command(path: Path, environment: Mapping[str, str]) -> str:
    """The command; Meltano tells a loader its own name and the environment's, and of the extractor what it set."""
    parts = [environment.get(name) for name in ("MELTANO_ENVIRONMENT", "MELTANO_EXTRACTOR_NAME", "MELTANO_LOADER_NAME")]
    environment_name, extractor, loader = parts
    state_id = f"{environment_name or 'dev'}:{extractor or 'TAP'}-to-{loader or 'TARGET'}"
    return f"meltano state merge --input-file {shlex.quote(str(path))} {state_id}"
