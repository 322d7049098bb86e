"""A Singer target that is small enough to be obviously right: `oracle_target.py FOLDER < lines`.

It keeps the lines that make tables (SCHEMA, RECORD, ACTIVATE_VERSION) as they came, in FOLDER/lines.jsonl, and the last
STATE in FOLDER/state.json, which is written after everything before it is on the disk. What the tables hold is what the
lines make of them, one after the other (`replay`), so nothing is ever changed in place: killed at any point, the target
has lost no line that a state on the disk comes after.

Exit codes: 3, the input ended within a line, and all whole lines are kept; 4, a line is not what Singer allows here.
"""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable

HALF_LINE, BROKEN_LINE = 3, 4
LINES, STATE = "lines.jsonl", "state.json"

Key = tuple[str, ...]
Tables = dict[str, dict[Key, dict[str, Any]]]


class BrokenLineError(Exception):
    """A line that this target cannot apply."""


def replay(lines: Iterable[bytes]) -> Tables:
    """Tables by stream and key: a RECORD replaces the row of its key, ACTIVATE_VERSION removes all other versions."""
    keys: dict[str, list[str]] = {}
    rows: dict[str, dict[Key, tuple[int | None, dict[str, Any]]]] = {}
    for message in map(parse, lines):
        table = rows.setdefault(message["stream"], {})
        if message["type"] == "SCHEMA":
            keys[message["stream"]] = message["key_properties"]
        elif message["type"] == "RECORD":
            key = tuple(str(message["record"][name]) for name in keys[message["stream"]])
            table[key] = (message.get("version"), message["record"])
        else:
            for key in [key for key, (version, _) in table.items() if version != message["version"]]:
                del table[key]
    return {stream: {key: record for key, (_, record) in table.items()} for stream, table in rows.items()}


def read_tables(folder: Path) -> Tables:
    """Return what the target holds now; a line that was cut by a kill is not there."""
    return replay(whole_lines(folder / LINES))


def read_state(folder: Path) -> dict[str, Any] | None:
    """The last state that is on the disk."""
    path = folder / STATE
    return json.loads(path.read_bytes()) if path.exists() else None


def whole_lines(path: Path) -> list[bytes]:
    """The file's lines up to its last line end."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def parse(line: bytes) -> dict[str, Any]:
    """One message, with numbers as exact as they came."""
    return json.loads(line, parse_float=Decimal)


def main(folder: Path) -> int:
    """Apply standard input to the folder; the exit code says how it ended."""
    path = folder / LINES
    whole = sum(len(line) + 1 for line in whole_lines(path))
    with path.open("ab") as log:
        log.truncate(whole)
        try:
            return apply_lines(sys.stdin.buffer, log, folder)
        except BrokenLineError as error:
            sys.stderr.write(f"oracle target: {error}\n")
            return BROKEN_LINE
        finally:
            to_disk(log)


def apply_lines(lines: Iterable[bytes], log: BinaryIO, folder: Path) -> int:
    """Apply line by line; BrokenLineError tells which one cannot be applied."""
    keys: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            sys.stderr.write(f"oracle target: line {number} is cut\n")
            return HALF_LINE
        try:
            apply(line, keys, log, folder)
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenLineError(f"line {number}: {type(error).__name__}") from None
    return 0


def apply(line: bytes, keys: dict[str, list[str]], log: BinaryIO, folder: Path) -> None:
    """Apply one line; KeyError for a row before its SCHEMA or without its key, ValueError for an unknown kind."""
    message = parse(line)
    kind = message["type"]
    if kind == "STATE":
        to_disk(log)
        write_state(message["value"], folder)
        return
    if kind == "SCHEMA":
        keys[message["stream"]] = message["key_properties"]
    elif kind == "RECORD":
        _ = [message["record"][name] for name in keys[message["stream"]]]
    elif kind == "ACTIVATE_VERSION":
        _ = keys[message["stream"]], message["version"]
    else:
        raise ValueError(kind)
    log.write(line)


def write_state(value: dict[str, Any], folder: Path) -> None:
    """Replace the state, whole or not at all."""
    draft = folder / (STATE + ".new")
    with draft.open("wb") as file:
        file.write(json.dumps(value).encode())
        to_disk(file)
    draft.replace(folder / STATE)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def to_disk(file: BinaryIO) -> None:
    """Return when the disk has what was written."""
    file.flush()
    os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
