"""MariaDB servers that encrypt, or do not, and show whatever certificate a test gives them."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import ROOTS

from opendental_analyze.sandbox import databases, mariadb
from opendental_analyze.sandbox.account import choose_account
from opendental_analyze.sandbox.addresses import ROOT
from opendental_analyze.sandbox.ports import LOOPBACK
from opendental_analyze.sandbox.processes import read_start
from opendental_analyze.sandbox.sandbox import Sandbox, choose_home
from opendental_analyze.sandbox.servers import Program, Server
from opendental_analyze.sandbox.state import create_state, read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATABASE = "clinic"
_KEY, _CERTIFICATE, _CA, _LOG = "key.pem", "certificate.pem", "ca.pem", "general.log"


@dataclass(frozen=True)
class Shown:
    """What a server shows to its clients, as PEM: its certificate, that one's key, and the CA of clients it knows."""

    certificate: bytes
    key: bytes
    ca: bytes


@dataclass(frozen=True)
class TlsServer:
    """A server with one table in `clinic`, and the password of the user of that name, who may read it."""

    place: Sandbox
    password: str

    @property
    def config(self) -> dict[str, object]:
        """The tap's settings that reach this server, without one on TLS."""
        login = {"user": DATABASE, "password": self.password, "database": DATABASE}
        return {"host": LOOPBACK, "port": self.place.state.mariadb.port, **login}

    @property
    def logins(self) -> list[str]:
        """How each login of the reader came, granted or refused, in order: `SSL/TLS` or `TCP/IP`."""
        log = Path(self.place.state.mariadb.directory) / _LOG
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.rpartition(" using ")[2] for line in lines if f"Connect\t{DATABASE}@" in line]

    def run(self, *statements: str) -> None:
        """Execute statements as the server's administrator."""
        databases.run(databases.mariadb_root(self.place.state), statements)


@contextmanager
def tls_server(shown: Shown | None) -> Iterator[TlsServer]:
    """Start a server, which encrypts if it has something to show; stopped and deleted when the block ends.

    It is a sandbox without a PostgreSQL, named as the test run's other one: what a killed run leaves is found.
    """
    root = Path(tempfile.mkdtemp(prefix=f"{ROOTS}{os.getpid()}-{read_start(os.getpid())}-"))
    root.chmod(0o755)
    server = TlsServer(Sandbox(root), secrets.token_hex(20))
    try:
        _start(root, shown)
        databases.create_mariadb_database(server.place.state, DATABASE)
        databases.create_reader(server.place.state, DATABASE, server.password)
        server.run(
            f"CREATE TABLE {DATABASE}.note (NoteNum BIGINT NOT NULL PRIMARY KEY, Body TEXT)",
            f"INSERT INTO {DATABASE}.note VALUES (1, 'a'), (2, 'b')",
        )
        yield server
    finally:
        server.place.shut_down(delete=True)


def _start(root: Path, shown: Shown | None) -> None:
    account = choose_account()
    whole = create_state(choose_home(root, account))
    state = replace(whole, servers={"mariadb": whole.mariadb})
    write_state(root, state)
    Server(
        program=_describe_program(shown),
        account=account,
        password=state.passwords[f"mariadb:{ROOT}"],
        ready=lambda now: databases.answers_as_root(databases.mariadb_root(state.with_server("mariadb", now))),
        remember=lambda now: write_state(root, read_state(root).with_server("mariadb", now)),
    ).ensure_running(state.mariadb)


def _describe_program(shown: Shown | None) -> Program:
    """The sandbox's MariaDB with TLS files beside its data, and a log of who connects, and how."""
    files: Mapping[str, bytes] = {_KEY: shown.key, _CERTIFICATE: shown.certificate, _CA: shown.ca} if shown else {}

    def initialise(directory, account, password):
        mariadb.initialise(directory, account, password)
        for name, content in files.items():
            account.write_secret(directory / name, content.decode())

    def render_command(directory, port):
        tls = zip(("--ssl-key", "--ssl-cert", "--ssl-ca"), files, strict=False)
        options = [f"{option}={directory / name}" for option, name in tls] or ["--skip-ssl"]
        log = ["--general-log", f"--general-log-file={directory / _LOG}"]
        return [*mariadb.render_command(directory, port), *options, *log]

    return replace(mariadb.PROGRAM, initialise=initialise, render_command=render_command)
