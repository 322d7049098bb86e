"""The source database of a sandbox: every official table, the leftovers of a live database, and their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from opendental_analyze.sandbox.databases import run
from opendental_analyze.sandbox.leftovers import choose_leftovers
from target_opendental_replica.statements import quote, render_create_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Engine

    from opendental_analyze.sandbox.leftovers import Leftover
    from tap_opendental.discovery.model import Table

ENGINES = ("MyISAM", "InnoDB", "mixed")
STEP = 50


def choose_engine(wanted: str, table: str) -> str:
    """The storage engine of one table; `mixed` splits the tables in halves, always the same."""
    if wanted != "mixed":
        return wanted
    return ENGINES[crc32(table.encode()) % 2]


def create_source(
    engine: Engine, official: Mapping[str, Table], *, database: str, storage: str, progress: Callable[[str, int], None]
) -> int:
    """Create the official tables and the leftovers with their rows; returns how many rows that is."""
    leftovers = choose_leftovers(official)
    create_tables(
        engine, (*official.values(), *(leftover.table for leftover in leftovers)), database, storage, progress
    )
    fill_leftovers(engine, leftovers, database)
    return sum(len(leftover.rows) for leftover in leftovers)


def create_tables(
    engine: Engine, tables: Iterable[Table], database: str, storage: str, progress: Callable[[str, int], None]
) -> None:
    """Create these tables, empty."""
    statements = [f"USE {quote(database)}"]
    statements += [render_create_table(table.to_dict(), engine=choose_engine(storage, table.name)) for table in tables]
    for start in range(0, len(statements), STEP):
        run(engine, [statements[0], *statements[max(start, 1) : start + STEP]])
        progress(f"created {min(start + STEP, len(statements)) - 1} tables", 0)


def fill_leftovers(engine: Engine, leftovers: Iterable[Leftover], database: str) -> None:
    """Write the rows of the leftovers, which hold what a strict server would refuse."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = '', time_zone = '+00:00'")
        for leftover in leftovers:
            marks = ", ".join(["%s"] * len(leftover.table.columns))
            insert = f"INSERT INTO {quote(database)}.{quote(leftover.table.name)} VALUES ({marks})"
            connection.exec_driver_sql(insert, list(leftover.rows))
