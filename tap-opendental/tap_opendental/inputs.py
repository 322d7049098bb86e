"""What comes from outside as JSON: config, state and catalog are checked before anything is believed."""

from __future__ import annotations

import json
from io import StringIO
from typing import IO, TYPE_CHECKING, Any

from tap_opendental.errors import ConfigError, OpenDentalError
from tap_opendental.files import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_object(name: str, text: str, error: type[OpenDentalError] = ConfigError) -> dict[str, Any]:
    """Parse a JSON object; the error names the file and the place, never its content."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        raise error(f"{name}: not valid JSON (line {problem.lineno}, column {problem.colno})") from None
    if not isinstance(content, dict):
        raise error(f"{name}: a JSON object is expected")
    return content


def read_config_file(path: str) -> dict[str, Any]:
    """Read a config file; ConfigError names the file and why it cannot be read."""
    name = f"config file {path}"
    return read_object(name, read_text(path, f"{name}: cannot be read ({{reason}})"))


def checked_file(
    file: IO[str] | None, what: str, check: Callable[[dict[str, Any]], None], error: type[OpenDentalError]
) -> IO[str] | None:
    """Read and check a state or a catalog, and give it back for reading."""
    if file is None:
        return None
    with file:
        text = file.read()
    check(read_object(f"{what} file {file.name}", text, error))
    return StringIO(text)


def check_catalog(catalog: Mapping[str, Any]) -> None:
    """Refuse what is not a Singer catalog: a list of streams, each with an id, a schema and metadata."""
    streams = catalog.get("streams")
    if not isinstance(streams, list):
        raise ConfigError("catalog: `streams` must be a list; make a catalog with --discover")
    for stream in streams:
        if not isinstance(stream, dict) or not isinstance(stream.get("schema"), dict) or not _stream_name(stream):
            raise ConfigError("catalog: a stream without tap_stream_id or schema; make a catalog with --discover")


def _stream_name(stream: Mapping[str, Any]) -> str | None:
    return stream.get("tap_stream_id") or stream.get("stream")
