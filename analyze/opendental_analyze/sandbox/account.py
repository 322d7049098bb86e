"""Who runs the servers: nobody special, and never root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """The user and group that own the servers' files and processes; `switch` says whether root must become it."""

    uid: int
    gid: int
    switch: bool

    @property
    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess` needs to run a program as this account, in the surroundings of a plain service."""
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}
        return {**identity, "env": _environment(), "stdin": subprocess.DEVNULL}

    def can_enter(self, directory: Path) -> bool:
        """True when the account can pass through every parent of the directory and into it."""
        command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]
        arguments = {**self.popen_arguments, "cwd": "/", "stderr": subprocess.DEVNULL}
        return subprocess.run(command, check=False, **arguments).returncode == 0  # noqa: S603  # our own arguments

    def make_directory(self, directory: Path) -> None:
        """Create a directory that only the account can use."""
        directory.mkdir(mode=0o700)
        if self.switch:
            os.chown(directory, self.uid, self.gid)

    def write_secret(self, path: Path, text: str) -> None:
        """Create a file that only the account can read."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose_account() -> Account:
    """The caller itself, or, since PostgreSQL refuses root, `nobody` when the caller is root."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), switch=False)
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**inherited, "LC_ALL": "C.UTF-8"}
