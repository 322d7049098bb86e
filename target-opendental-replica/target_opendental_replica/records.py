"""RECORD messages of one stream, gathered as CSV until they are worth a batch."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import MissingKeyPropertiesError

from target_opendental_replica.batches import Batch
from target_opendental_replica.errors import BrokenStreamError, UnfitError, ValueRefusedError
from target_opendental_replica.stream_facts import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_opendental_replica.stream_facts import StreamFacts


class MissingKeyError(BrokenStreamError, MissingKeyPropertiesError):
    """A record without a value of its key."""


class RecordBuffer:
    """Rows of one stream and version, as CSV text.

    `renderers` write a property's value, by name. A record without a property has NULL there; what the schema does not
    name is left out.
    """

    def __init__(self, facts: StreamFacts, renderers: Mapping[str, Callable[[object], str]]) -> None:
        self._facts = facts
        self._renderers = [*renderers.items()]
        self._rows: list[str] = []
        self._lines = array("Q")
        self._deletes = False
        self._version: int | None = None
        self._extracted_at: datetime | None = None
        self.size = 0

    def takes(self, message: Mapping[str, Any]) -> bool:
        """True where a record can be in one batch with those before it."""
        deletes = message["record"].get(DELETED_AT) is not None
        return not self._rows or (self._version == message.get("version") and self._deletes == deletes)

    def add(self, message: Mapping[str, Any], record: Mapping[str, Any], line: int) -> None:
        """Add a record; ValueRefusedError or MissingKeyError name stream, property and line."""
        if not self._rows:
            self._version = message.get("version")
            self._deletes = record.get(DELETED_AT) is not None
            self._extracted_at = _read_moment(message.get("time_extracted"))
        row = self._render(record, line)
        self._rows.append(row)
        self._lines.append(line)
        self.size += len(row) + 1

    def take(self) -> Batch | None:
        """Take what was gathered as a batch; None where there is nothing."""
        if not self._rows:
            return None
        columns = (*(name for name, _ in self._renderers), *([DELETED_AT] if self._deletes else []))
        header = ",".join(_quote(name) for name in columns)
        content = "\n".join([header, *self._rows, ""]).encode("utf-8", "surrogatepass")
        batch = Batch(
            columns,
            content,
            len(content),
            self._extracted_at or datetime.now(UTC),
            self._version,
            self._lines[0],
            self._lines,
        )
        self._rows, self._lines, self.size = [], array("Q"), 0
        return batch

    def _render(self, record: Mapping[str, Any], line: int) -> str:
        get = record.get
        try:
            row = ",".join([render(get(name)) for name, render in self._renderers])
        except (ValueError, TypeError, ArithmeticError):
            raise self._explain(record, line) from None
        if any(get(name) is None for name in self._facts.key):
            self._require_key(record, line)
        return f"{row},{_quote(_write_moment(get(DELETED_AT)))}" if self._deletes else row

    def _require_key(self, record: Mapping[str, Any], line: int) -> None:
        missing = [name for name in self._facts.key if record.get(name) is None]
        raise MissingKeyError(
            f"line {line}: a record of stream {self._facts.stream} has no value of its key {', '.join(missing)}"
        )

    def _explain(self, record: Mapping[str, Any], line: int) -> ValueRefusedError:
        """Find the property whose value does not fit, and say which; the value itself stays here."""
        for name, render in self._renderers:
            try:
                render(record.get(name))
            except (ValueError, TypeError, ArithmeticError) as error:
                why = str(error) if isinstance(error, UnfitError) else "it is of another type or form"
                return ValueRefusedError(
                    f"line {line}: property {name} of stream {self._facts.stream} does not fit its schema: {why}"
                )
        return ValueRefusedError(f"line {line}: a record of stream {self._facts.stream} does not fit its schema")


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _write_moment(value: object) -> str:
    """A moment in UTC, without a zone; one without a zone, and what is no moment, stays as it is."""
    try:
        moment = datetime.fromisoformat(str(value))
        return str(value) if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return str(value)


def _read_moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None
