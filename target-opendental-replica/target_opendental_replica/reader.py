"""Singer lines in, messages out: what cannot be read is told by its number and its stream, never by its text."""

from __future__ import annotations

import re
import sys
from collections import Counter
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, TextIO

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_opendental_replica.errors import BrokenStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A line that is cut may still name its stream, in front of its values.
_STREAM = re.compile(r'^\{\s*"type"\s*:\s*"[A-Z_]{1,20}"\s*,\s*"stream"\s*:\s*"([A-Za-z0-9_]{1,64})"')
_REQUIRED: dict[str, dict[str, type]] = {
    "SCHEMA": {"stream": str, "schema": dict},
    "RECORD": {"stream": str, "record": dict},
    "BATCH": {"stream": str, "encoding": dict, "manifest": list},
    "ACTIVATE_VERSION": {"stream": str, "version": int},
    "STATE": {"value": dict},
}
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def decode_record(text: bytes) -> dict[str, Any]:
    """Read a JSON object, with every digit of its numbers; MsgspecError where it is none."""
    return _decoder.decode(text)


class LineReader(GenericSingerReader[str]):
    """Reads messages; numbers keep every digit. `line` is the number of the line at hand, from 1 on."""

    line = 0

    @property
    def default_input(self) -> TextIO:
        """Standard input, which need not be decoded before JSON is."""
        return sys.stdin

    def process_lines(
        self, file_input: IO[str] | None, callbacks: Mapping[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Give each message to the callback of its type, and count them.

        BrokenStreamError says which line is no message; what a callback raises of ours without saying where comes out
        as it is.
        """
        counts: Counter[str] = Counter()
        for self.line, line in enumerate(file_input or sys.stdin.buffer, 1):
            message = self.deserialize_json(line)
            callbacks[message["type"]](message)
            counts[message["type"]] += 1
        return counts

    def deserialize_json(self, line: str | bytes) -> dict[str, Any]:
        """Read a line as a message; BrokenStreamError where it is none."""
        try:
            message = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ArithmeticError):
            raise BrokenStreamError(f"line {self.line}{_guess_stream(line)} is no JSON object: {_ADVICE}") from None
        return self._checked(message)

    def _checked(self, message: dict[str, Any]) -> dict[str, Any]:
        kind = message.get("type")
        if not isinstance(kind, str) or kind not in _REQUIRED:
            raise BrokenStreamError(
                f"line {self.line} is no Singer message: its type is none of {', '.join(_REQUIRED)}"
            )
        for name, kind_of_value in _REQUIRED[kind].items():
            if type(message.get(name)) is not kind_of_value:
                stream = message.get("stream")
                of = f" of stream {stream}" if isinstance(stream, str) and name != "stream" else ""
                raise BrokenStreamError(
                    f"line {self.line}{of} is no {kind} message: {name} is missing or of another type; {_ADVICE}"
                )
        return message


_ADVICE = "was the tap cut off, or does something else write to its standard output?"


def _guess_stream(line: str | bytes) -> str:
    start = line[:200].decode("utf-8", "replace") if isinstance(line, bytes) else line[:200]
    found = _STREAM.match(start)
    return f" of stream {found[1]}" if found else ""
