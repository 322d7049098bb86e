"""Finished lines as RECORD messages on stdout: whole pages, whole lines, one write each."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_opendental.extraction.lines import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_opendental.extraction.lines import Column


def render_template(columns: Sequence[Column], constants: Mapping[str, Any] | None = None) -> str:
    """Return a JSON object with a place for each column's token, in the line's order; for the % operator.

    `constants` follow the columns, the same in each row.
    """
    places = [f"{_escape(column.name)}:%s" for column in columns]
    places += [f"{_escape(name)}:{_escape(value)}" for name, value in (constants or {}).items()]
    return "{" + ",".join(places) + "}"


def describe_extraction(version: int | None, extracted: datetime) -> dict[str, Any]:
    """What an SDK target adds to a RECORD and not to a line of a file: who writes the file has to.

    ACTIVATE_VERSION removes every row whose `_sdc_table_version` is smaller, or none (a test shows it).
    """
    moment = extracted.isoformat()
    sequence = int(extracted.timestamp() * 1000)
    facts = {"_sdc_extracted_at": moment, "_sdc_batched_at": moment, "_sdc_sequence": sequence}
    return facts if version is None else {**facts, "_sdc_table_version": version}


def _escape(value: str | int) -> str:
    return json.dumps(value).replace("%", "%%")


def render_objects(template: str, lines: Sequence[str]) -> str:
    """Make a line of JSON of each row, and end each with a newline."""
    return "\n".join([template % tuple(line.split(JSON.separator)) for line in lines]) + "\n"


def render_record_template(stream: str, columns: Sequence[Column], version: int | None, extracted: datetime) -> str:
    """Return a RECORD message with a place for each column's token."""
    ending = f',"time_extracted":"{extracted.isoformat()}"' + (f',"version":{version}' if version is not None else "")
    return f'{{"type":"RECORD","stream":{_escape(stream)},"record":{render_template(columns)}{ending}}}'


def write_records(stream: str, columns: Sequence[Column], version: int | None, lines: Sequence[str]) -> None:
    """Write a page to stdout. A signal waits until it is out: half a line is printed whole into a target's log."""
    template = render_record_template(stream, columns, version, datetime.now(UTC))
    data = render_objects(template, lines).encode()
    with held_signals():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold back SIGTERM and SIGINT; they arrive at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
