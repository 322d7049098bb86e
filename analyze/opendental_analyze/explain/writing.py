"""Files that appear whole, and together, or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tap_opendental.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_folder(folder: Path) -> None:
    """Refuse a place where files cannot be written, before the work is done; ConfigError says why."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not os.path.isdir(nearest):  # noqa: PTH112  # never raises: Path.is_dir does, in a folder without rights
        raise ConfigError(f"--output: {nearest} is no directory; name one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"--output: {nearest} is not writable; name another directory")


def write_files(folder: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    """Write every text under its name into a folder, which is made if need be; return the paths.

    All texts are on the disk before the first name is changed, and names change in the order of the mapping: put the
    file that others obey last. A reader sees an old or a new file, never half of one. What could not be written
    leaves the folder as it was; ConfigError names the file and the reason.
    """
    paths = {name: folder / name for name in texts}
    drafts: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = _resolve(paths[name])
            draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
            drafts[draft] = path
            _write_draft(draft, text, like=path)
        for draft, path in drafts.items():
            draft.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename2 or error.filename}: {error.strerror}") from None
    finally:
        for draft in drafts:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
    return paths


def _resolve(path: Path) -> Path:
    """Follow a link, so that it stays one; refuse a directory, or a link to itself, before any file has changed."""
    try:
        real = Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        real = Path(os.path.realpath(path))
    if real.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory; move it away", str(real))
    return real


def _write_draft(draft: Path, text: str, *, like: Path) -> None:
    """Put a text on the disk, with the rights of the file that it will replace."""
    with draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if like.exists():
        draft.chmod(like.stat().st_mode & 0o777)
