"""Finished lines as RECORD messages on stdout: whole pages, whole lines, one write each."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_opendental.extraction.lines import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_opendental.extraction.lines import Column

Template = tuple[str, ...]
"""The text before each token, and that behind the last."""

# Lines that are rendered at once: what fits the processor's cache is rendered faster, and a page of 8 MB of tokens is
# 30 MB of records.
_SLICE = 500


def render_template(columns: Sequence[Column], constants: Mapping[str, Any] | None = None) -> Template:
    """Return a JSON object with a place for each column's token, in the line's order.

    `constants` follow the columns, the same in each row.
    """
    names = [f"{json.dumps(column.name)}:" for column in columns]
    facts = [f",{json.dumps(name)}:{json.dumps(value)}" for name, value in (constants or {}).items()]
    return ("{" + names[0], *(f",{name}" for name in names[1:]), "".join([*facts, "}"]))


def describe_extraction(version: int | None, extracted: datetime) -> dict[str, Any]:
    """What an SDK target adds to a RECORD and not to a line of a file: who writes the file has to.

    ACTIVATE_VERSION removes every row whose `_sdc_table_version` is smaller, or none (a test shows it).
    """
    moment = extracted.isoformat()
    sequence = int(extracted.timestamp() * 1000)
    facts = {"_sdc_extracted_at": moment, "_sdc_batched_at": moment, "_sdc_sequence": sequence}
    return facts if version is None else {**facts, "_sdc_table_version": version}


def render_objects(template: Template, lines: Sequence[str]) -> str:
    """Make a line of JSON of each row, and end each with a newline.

    Text and tokens are laid into one list, column by column, and joined once: half of what formatting each row costs.
    ValueError when there are tokens too many or too few.
    """
    count, width = len(lines), 2 * len(template) - 1
    tokens = JSON.separator.join(lines).split(JSON.separator)
    parts = [""] * (count * width)
    for place, text in enumerate((*template[:-1], f"{template[-1]}\n")):
        parts[2 * place :: width] = [text] * count
    for place in range(len(template) - 1):
        parts[2 * place + 1 :: width] = tokens[place :: len(template) - 1]
    return "".join(parts)


def render_slices(template: Template, lines: Sequence[str]) -> Iterator[str]:
    """Render a page piece by piece, whole lines each."""
    return (render_objects(template, part) for part in cut(lines))


def cut(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a page into pieces that are small enough to be rendered at once."""
    return (lines[begin : begin + _SLICE] for begin in range(0, len(lines), _SLICE))


def render_record_template(
    stream: str, columns: Sequence[Column], version: int | None, extracted: datetime
) -> Template:
    """Return a RECORD message with a place for each column's token."""
    first, *others, last = render_template(columns)
    ending = f',"time_extracted":"{extracted.isoformat()}"' + (f',"version":{version}' if version is not None else "")
    return (f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{first}', *others, f"{last}{ending}}}")


def write_records(stream: str, columns: Sequence[Column], version: int | None, lines: Sequence[str]) -> None:
    """Write a page to stdout, which is buffered; BrokenPipeError when nobody reads any more.

    A signal must not raise in here: half a line is printed into a target's log.
    """
    template = render_record_template(stream, columns, version, datetime.now(UTC))
    sys.stdout.flush()
    for text in render_slices(template, lines):
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()


def buffer_stdout() -> None:
    """Give stdout the buffer that PYTHONUNBUFFERED, usual in container images, took from it.

    Without one, Python drops the rest of a write that a signal interrupted: half a line, with no error.
    """
    bare = sys.stdout
    if isinstance(bare.buffer, io.RawIOBase):
        sys.stdout = os.fdopen(bare.fileno(), "w", encoding=bare.encoding, errors=bare.errors, closefd=False)
