"""One day at the practice, from the first patient to the upgrade after hours."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

from opendental_analyze.sandbox.day import money, unseen, visitors
from opendental_analyze.sandbox.day.live import read_live_tables
from opendental_analyze.sandbox.day.merge import merge_patients
from opendental_analyze.sandbox.day.upgrade import upgrade
from opendental_analyze.sandbox.day.writer import Writer
from tap_opendental.discovery.knowledge import load_knowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from opendental_analyze.sandbox.day.live import LiveTable
    from tap_opendental.discovery.knowledge import Knowledge

_SESSION: Final = "SET SESSION sql_mode = '', time_zone = '+00:00'"
_NEXT_SECOND: Final = "DO SLEEP(1.01 - MICROSECOND(NOW(6)) / 1000000)"


def play_day(engine: Engine, *, database: str, seed: int, with_upgrade: bool = True) -> Mapping[str, Any]:
    """Play one day and tell what it did (see the package for the shape); without the upgrade no structure moves."""
    knowledge = load_knowledge()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(_SESSION)
        connection.exec_driver_sql(_NEXT_SECOND)
        tables = read_live_tables(connection, database)
        random = Random(f"{seed}:day")  # noqa: S311 - repeatable, not secret
        writer = Writer(connection=connection, database=database, tables=tables, random=random)
        started = _server_time(connection)
        _work(writer, knowledge)
        if with_upgrade:
            upgrade(writer)
        finished = _server_time(connection)
    return {"seed": seed, "started_at": started, "finished_at": finished, **_tell(writer, knowledge)}


def _work(writer: Writer, knowledge: Knowledge) -> None:
    newcomers = visitors.register_patients(writer)
    visitors.book_appointments(writer, newcomers)
    visitors.treat(writer)
    money.change_estimates(writer)
    money.take_payments(writer)
    visitors.talk(writer)
    visitors.fill_in_forms(writer)
    visitors.change_records(writer)
    unseen.rewrite_silently(writer)
    merged_into = merge_patients(writer, knowledge)
    unseen.delete_rows(writer)
    if merged_into is not None:
        unseen.delete_after_merge(writer, merged_into)


def _server_time(connection: Connection) -> str:
    return str(connection.exec_driver_sql("SELECT CAST(NOW() AS CHAR)").scalar_one())


def _tell(writer: Writer, knowledge: Knowledge) -> dict[str, Any]:
    journal = writer.journal
    incremental = [table for table in writer.tables.values() if table.is_incremental]
    append_only = [table for table in writer.tables.values() if _is_append_only(table, knowledge)]
    return {
        "tables": journal.counts(),
        "added_columns": dict(sorted(journal.added_columns.items())),
        "invisible": journal.hidden(incremental),
        "invisible_append_only": journal.hidden(append_only),
    }


def _is_append_only(table: LiveTable, knowledge: Knowledge) -> bool:
    known = knowledge.table(table.name)
    return known is not None and known.change_tracking == "append_only" and bool(table.key)
