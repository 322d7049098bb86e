"""A disk of a few megabytes under a database that is empty so far; it takes root, or sudo without a password."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opendental_analyze.sandbox.account import choose_account
from opendental_analyze.sandbox.databases import postgres_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.reliability.destinations import Destination

    from opendental_analyze.sandbox.sandbox import Sandbox

_MEGABYTES = {"mysql": 16, "postgresql": 28}  # a database of PostgreSQL has 8 MB of catalogs


@contextmanager
def small_disk(sandbox: Sandbox, destination: Destination) -> Iterator[Path]:
    """The folder, a disk of its own, in which the database's files are from now on."""
    root = ["sudo", "--non-interactive"] if os.geteuid() else []
    name, account = str(destination.url.database), choose_account()
    is_mysql = destination.dialect == "mysql"
    place = sandbox.state.mariadb.data / name if is_mysql else sandbox.root / f"disk-{name}"
    place.mkdir(exist_ok=True)
    options = f"size={_MEGABYTES[destination.dialect]}m,mode=0700,uid={account.uid},gid={account.gid}"
    subprocess.run([*root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        if not is_mysql:
            _move(sandbox, name, place)
        yield place
        if not is_mysql:
            destination.engine.dispose()
            _move(sandbox, name, None)
    finally:
        subprocess.run([*root, "umount", "--lazy", place], check=True)
        if not is_mysql:
            place.rmdir()  # what is left in a sandbox keeps its folder


def _move(sandbox: Sandbox, database: str, place: Path | None) -> None:
    """Move a database to a tablespace of its own in a folder, or back."""
    engine, tablespace = postgres_root(sandbox.state), f"small_{database}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if place is not None:
            connection.exec_driver_sql(f"CREATE TABLESPACE {tablespace} LOCATION '{place}'")
        connection.exec_driver_sql(f"ALTER DATABASE {database} SET TABLESPACE {tablespace if place else 'pg_default'}")
        if place is None:
            connection.exec_driver_sql(f"DROP TABLESPACE {tablespace}")
    engine.dispose()
