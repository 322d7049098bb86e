"""Text files that a setting or an option names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tap_opendental.errors import ConfigError


def read_text(path: str, complaint: str) -> str:
    """Read a UTF-8 file; ConfigError is the complaint, with the reason in the place of its `{reason}`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(complaint.replace("{reason}", str(reason))) from None


def read_if_there(path: Path, complaint: str) -> str | None:
    """Read a UTF-8 file; None when there is none of that name, ConfigError as `read_text` for all else."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(complaint.replace("{reason}", str(error.strerror))) from None
    return read_text(str(path), complaint)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all, its folder too if need be; ConfigError names it and the reason."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); give another folder") from None
