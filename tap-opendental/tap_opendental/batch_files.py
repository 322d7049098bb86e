"""The run's private folder for BATCH files: nobody else reads it, and no other run removes what is still needed."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import stat
import tempfile
import time
import zlib
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from tap_opendental.errors import ConfigError
from tap_opendental.names import safe_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SETTING = "batch_config.storage.root"
_PREFIX = "opendental-run-"
_LOCK = "lock"
# A target may still be reading the files of a tap that ended: it gets a day.
_KEEP_SECONDS = 86_400
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
# zlib's number for a gzip header (without name and time, so that equal rows make equal files).
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 1

logger = logging.getLogger("tap-opendental")


class BatchFolder:
    """A folder of mode 0700 with an unpredictable name, whose files have mode 0600, whatever the umask.

    It holds a lock file, which this process has locked until it ends, however it ends. A new folder first removes those
    of runs that ended (the lock is free) once nothing changed in them for a day, at once if no file is left in them.

    `storage_root` is `batch_config.storage.root`: where the folder is made; None takes `opendental-batches-<uid>` in
    the system's folder for temporary files. Raises ConfigError if that place cannot be used, or is not private enough:
    a symbolic link, of another user, or open for all to rename what is in it.
    """

    def __init__(self, storage_root: str | None = None) -> None:
        root = choose_root(storage_root)
        with _plain_errors(root):
            self._root = _open_root(root)
            _remove_leftovers(self._root)
            self._name, self._folder, self._lock = _make_folder(self._root)
        self.path = root / self._name
        self._numbers = count(1)
        self._is_closed = False

    def write(self, stream: str, chunks: Iterable[bytes], suffix: str) -> str:
        """Write a new file and return its file:// URL; compressed by gzip if the suffix ends in `.gz`.

        The file appears under its name only when it is whole. If it cannot be written, or the chunks raise, nothing of
        it stays; ConfigError says in the first case which folder is full or gone. What the chunks raise comes out as it
        is.
        """
        name = f"{safe_name(stream)}-{next(self._numbers):06d}{suffix}"
        draft = f".{name}.part"
        try:
            self._write_draft(draft, _compress(chunks) if suffix.endswith(".gz") else chunks)
            with _plain_errors(self.path):
                os.rename(draft, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=self._folder)
            raise
        return f"file://{self.path / name}"

    def close(self) -> None:
        """Free the lock. An empty folder goes; files stay, since a target may not have read them yet."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError):
            if _is_empty(self._folder):
                _remove(self._root, self._name, self._folder)
        for descriptor in (self._lock, self._folder, self._root):
            os.close(descriptor)

    def _write_draft(self, draft: str, chunks: Iterable[bytes]) -> None:
        with _plain_errors(self.path):
            file = os.open(draft, _NEW_FILE, 0o600, dir_fd=self._folder)
        try:
            os.fchmod(file, 0o600)
            for chunk in chunks:
                with _plain_errors(self.path):
                    _write_all(file, chunk)
        finally:
            with _plain_errors(self.path):  # some file systems tell only now that the disk is full
                os.close(file)


def choose_root(storage_root: str | None) -> Path:
    """The folder that a `batch_config.storage.root` means: an absolute path, `file://` before it or not.

    Raises ConfigError for any other storage, and for a path that a URL would have to escape: stock targets do not
    undo that, others do.
    """
    if not storage_root:
        return _require_plain(Path(tempfile.gettempdir()) / f"opendental-batches-{os.geteuid()}")
    scheme, separator, path = storage_root.rpartition("://")
    if separator and scheme != "file":
        raise ConfigError(f"{_SETTING}: {scheme}:// is not supported; name a folder as file:///path")
    return _require_plain(Path(path).absolute())


def _require_plain(root: Path) -> Path:
    if root.as_uri() != f"file://{root}":
        raise ConfigError(
            f"{_SETTING}: targets read {str(root)!r} in different ways in a URL; name a folder whose path has only "
            "letters and digits of ASCII and . _ - / in it"
        )
    return root


def _open_root(root: Path) -> int:
    """Open the folder that holds the runs' folders, made if need be; its parents are not made."""
    if root.is_symlink():
        raise ConfigError(f"{_SETTING}: {root} is a symbolic link; name the folder itself")
    root.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(root, _FOLDER)
    try:
        _refuse_unsafe(root, os.fstat(descriptor))
    except ConfigError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_unsafe(root: Path, facts: os.stat_result) -> None:
    """Raise ConfigError where somebody else could put a folder of his own in the place of the run's."""
    if facts.st_uid != os.geteuid():
        raise ConfigError(
            f"{_SETTING}: {root} belongs to user {facts.st_uid}, and the tap runs as user {os.geteuid()}; name a "
            "folder that belongs to the tap's user"
        )
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        raise ConfigError(f"{_SETTING}: anybody may write to {root}; take that right away, or name another folder")


def _make_folder(root: int) -> tuple[str, int, int]:
    """Make the run's folder: its name, and descriptors of it and of its lock.

    Another run that starts at the same time may take the folder for an empty leftover before its lock is held: then
    the lock cannot be taken, or is of a file that is gone, and another folder is made.
    """
    while True:
        name = _PREFIX + secrets.token_hex(16)
        os.mkdir(name, 0o700, dir_fd=root)
        with suppress(FileNotFoundError):
            os.chmod(name, 0o700, dir_fd=root)
            folder = os.open(name, _FOLDER, dir_fd=root)
            lock = _take_lock(folder)
            if lock is not None and os.fstat(lock).st_nlink:
                return name, folder, lock


def _take_lock(folder: int) -> int | None:
    """Lock the folder's lock file, made if need be; None when another process holds it."""
    lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        os.fchmod(lock, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def _remove_leftovers(root: int) -> None:
    """Remove the folders of runs that ended, and say how many."""
    names = [name for name in os.listdir(root) if name.startswith(_PREFIX)]
    removed = sum(_remove_leftover(root, name) for name in names)
    if removed:
        logger.info("Removed %d folders of batch files, of runs that ended", removed)


def _remove_leftover(root: int, name: str) -> bool:
    """Remove a folder that nobody needs; False when it stays, because it is in use, young, or not ours to remove."""
    with suppress(OSError):
        folder = os.open(name, _FOLDER, dir_fd=root)
        try:
            return _remove_if_free(root, name, folder)
        finally:
            os.close(folder)
    return False


def _remove_if_free(root: int, name: str, folder: int) -> bool:
    facts = os.fstat(folder)  # before the lock: making one would make the folder young
    if facts.st_uid != os.geteuid() or (lock := _take_lock(folder)) is None:
        return False
    try:
        if not _is_empty(folder) and time.time() - facts.st_mtime < _KEEP_SECONDS:
            return False
        _remove(root, name, folder)
        return True
    finally:
        os.close(lock)


def _is_empty(folder: int) -> bool:
    return os.listdir(folder) == [_LOCK]


def _remove(root: int, name: str, folder: int) -> None:
    """Remove a folder and its files; never what a symbolic link points at."""
    for file in os.listdir(folder):
        os.unlink(file, dir_fd=folder)
    os.rmdir(name, dir_fd=root)


def _compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _write_all(file: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(file, rest) :]


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    """Raise what the system says of the folder or a file in it as one line that names the folder and the setting."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{folder}: batch files cannot be written ({error.strerror}); make room or rights there, or name another "
            f"folder in {_SETTING}"
        ) from None
