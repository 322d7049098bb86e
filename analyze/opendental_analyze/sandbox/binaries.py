"""Where the server programs are, and which package brings a missing one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from opendental_analyze.errors import MissingServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

MARIADB_PACKAGE = "mariadb-server-core"
POSTGRES_PACKAGE = "postgresql"
POSTGRES_VERSIONS = Path("/usr/lib/postgresql")
_SHARES = ("mysql", "mariadb")
_SYSTEM_TABLES = ("{}_system_tables.sql", "{}_performance_tables.sql")


def require_servers() -> None:
    """An error that names the package when a server is not installed, before anything is written."""
    find_mariadbd()
    find_postgres()


def find_mariadbd() -> Path:
    """The MariaDB server program."""
    return _find(("mariadbd",), "the MariaDB server", MARIADB_PACKAGE)


def find_postgres() -> Path:
    """The directory of PostgreSQL's server programs, the newest version first."""
    return _find(("postgres", "initdb"), "the PostgreSQL server", POSTGRES_PACKAGE).parent


def find_system_tables(mariadbd: Path) -> tuple[Path, ...]:
    """The two scripts, installed with MariaDB, that create its system tables."""
    for prefix in (mariadbd.resolve().parent.parent, Path("/usr")):
        for share in _SHARES:
            for flavour in _SHARES:
                scripts = tuple(prefix / "share" / share / name.format(flavour) for name in _SYSTEM_TABLES)
                if all(script.is_file() for script in scripts):
                    return scripts
    raise MissingServerError(_missing("MariaDB's system tables (mysql_system_tables.sql)", MARIADB_PACKAGE))


def read_version(program: Path) -> str:
    """The version number that a server program reports of itself."""
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)  # noqa: S603  # a found server
    match = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return match[0] if match else done.stdout.strip()


def _find(programs: tuple[str, ...], what: str, package: str) -> Path:
    for directory in _directories():
        if all(os.access(directory / program, os.X_OK) for program in programs):
            return directory / programs[0]
    raise MissingServerError(_missing(what, package))


def _directories() -> Iterator[Path]:
    yield from (Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry)
    yield from (Path("/usr/sbin"), Path("/usr/local/sbin"))
    yield from sorted(POSTGRES_VERSIONS.glob("*/bin"), key=_major, reverse=True)


def _major(directory: Path) -> int:
    return int(directory.parent.name) if directory.parent.name.isdigit() else 0


def _missing(what: str, package: str) -> str:
    return f"{what} is not installed: run `make servers`, or install the Debian or Ubuntu package {package}"
