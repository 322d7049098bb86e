"""Text files that a setting or an option names."""

from __future__ import annotations

from pathlib import Path

from tap_opendental.errors import ConfigError


def read_text(path: str, complaint: str) -> str:
    """Read a UTF-8 file; ConfigError is the complaint, with the reason in the place of its `{reason}`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(complaint.replace("{reason}", str(reason))) from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all, its folder too if need be; ConfigError names it and the reason."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); give another folder") from None
