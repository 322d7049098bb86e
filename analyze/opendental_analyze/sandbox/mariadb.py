"""MariaDB for a sandbox: how its data is created and with which settings it runs."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox.addresses import ROOT
from opendental_analyze.sandbox.binaries import find_mariadbd, find_system_tables
from opendental_analyze.sandbox.ports import LOOPBACK
from opendental_analyze.sandbox.servers import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opendental_analyze.sandbox.account import Account

SIGNALS = ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))

# As Open Dental sets its server up, or as a throw-away server may be: small, and without waiting for the disk.
_SETTINGS = (
    "--sql-mode=",
    "--character-set-server=utf8mb3",
    "--collation-server=utf8mb3_general_ci",
    "--explicit-defaults-for-timestamp=ON",  # what a table's facts leave out must not appear by itself
    "--skip-log-bin",
    "--innodb-strict-mode=OFF",  # the widest official tables convert to InnoDB only so
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=64M",
    "--sync-frm=OFF",
    "--max-allowed-packet=64M",
    "--loose-performance-schema=OFF",
)
_RUN_SETTINGS = (
    f"--bind-address={LOOPBACK}",
    "--socket=mariadb.sock",  # relative to the data directory: a full path may exceed the 107 characters of a socket
    "--pid-file=mariadb.pid",
    "--skip-name-resolve",
    "--default-storage-engine=MyISAM",
    "--local-infile=ON",
    "--key-buffer-size=64M",
    "--max-connections=200",
    "--log-warnings=1",
)


def initialise(directory: Path, account: Account, password: str) -> None:
    """Create the system tables and one user, all-powerful from this machine with that password.

    The server reads everything from its standard input before it ever listens: no moment without a password.
    """
    mariadbd = find_mariadbd()
    script = "\n".join(_bootstrap(find_system_tables(mariadbd), password))
    done = subprocess.run(  # noqa: S603  # a found server and our own arguments
        [mariadbd, *_arguments(directory), "--bootstrap"], check=False, capture_output=True, cwd=directory,
        **{name: value for name, value in account.popen_arguments.items() if name != "stdin"},
        input=script.encode(),
    )  # fmt: skip
    if done.returncode:
        raise SandboxError(f"MariaDB cannot create its system tables in {directory}: {_last_line(done.stderr)}")


def render_command(directory: Path, port: int) -> list[str | Path]:
    """The command line that serves the directory's data on a loopback port."""
    return [find_mariadbd(), *_arguments(directory), *_RUN_SETTINGS, f"--port={port}"]


def _arguments(directory: Path) -> tuple[str, ...]:
    return ("--no-defaults", f"--datadir={directory / 'data'}", f"--tmpdir={directory / 'tmp'}", *_SETTINGS)


def _bootstrap(scripts: tuple[Path, ...], password: str) -> Iterator[str]:
    yield from ("CREATE DATABASE mysql;", "USE mysql;")
    yield from (script.read_text(encoding="utf-8") for script in scripts)
    yield "FLUSH PRIVILEGES;"
    yield f"CREATE USER '{ROOT}'@'{LOOPBACK}' IDENTIFIED BY '{password}';"
    yield f"GRANT ALL ON *.* TO '{ROOT}'@'{LOOPBACK}' WITH GRANT OPTION;"
    yield ""


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if "ERROR" in line]
    return lines[0] if lines else "no reason given"


PROGRAM = Program(title="MariaDB", initialise=initialise, render_command=render_command, signals=SIGNALS)
