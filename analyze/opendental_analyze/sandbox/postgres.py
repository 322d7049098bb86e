"""PostgreSQL for a sandbox: how its data is created and with which settings it runs."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox.addresses import ROOT
from opendental_analyze.sandbox.binaries import find_postgres
from opendental_analyze.sandbox.ports import LOOPBACK
from opendental_analyze.sandbox.servers import Program

if TYPE_CHECKING:
    from pathlib import Path

    from opendental_analyze.sandbox.account import Account

SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))  # SIGTERM would wait for clients

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "shared_buffers": "128MB",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm is tiny in many containers
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",  # a failed statement holds row values: none of them in a log
}


def initialise(directory: Path, account: Account, password: str) -> None:
    """Create a cluster whose one superuser has that password; nobody connects without one."""
    secret = directory / "tmp" / "password"
    account.write_secret(secret, password)
    initdb: list[str | Path] = [
        find_postgres() / "initdb", "--no-sync", "--auth=scram-sha-256", f"--username={ROOT}", f"--pwfile={secret}",
        "--encoding=UTF8", "--locale=C", f"--pgdata={directory / 'data'}",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603  # a found server and our own arguments
            initdb, check=False, capture_output=True, text=True, cwd=directory, **account.popen_arguments
        )
    finally:
        secret.unlink()
    if done.returncode:
        raise SandboxError(f"PostgreSQL cannot create its cluster in {directory}: {done.stderr.strip()[-300:]}")


def render_command(directory: Path, port: int) -> list[str | Path]:
    """The command line that serves the directory's data on a loopback port."""
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    return [find_postgres() / "postgres", "-D", directory / "data", f"--port={port}", *settings]


PROGRAM = Program(title="PostgreSQL", initialise=initialise, render_command=render_command, signals=SIGNALS)
