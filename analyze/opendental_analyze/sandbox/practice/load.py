"""The only place of this package that touches a database or a file: blocks are rendered, written, bulk loaded."""

from __future__ import annotations

import tempfile
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox.practice.blocks import blocks_of
from opendental_analyze.sandbox.practice.content import plan_practice, render_block
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from typing import TypeAlias

    import sqlalchemy as sa

    from opendental_analyze.sandbox.practice.blocks import Block, Plan
    from tap_opendental.discovery.knowledge import Knowledge, KnownTable
    from tap_opendental.discovery.model import Table

    _Task: TypeAlias = tuple[KnownTable, Block, Path]

_WORKERS: Final = 2
_AHEAD: Final = 4
_WORKERS_PAY_FROM: Final = 400_000
_KEYS_PAY_FROM: Final = 20_000
_SESSION: Final = (
    "SET SESSION sql_mode = '', time_zone = '+00:00', unique_checks = 0, foreign_key_checks = 0",
    "SET SESSION myisam_sort_buffer_size = 134217728",
)


class PracticeError(SandboxError):
    """The server did not take the practice as it was made; the message names the table."""


def fill_practice(
    engine: sa.Engine,
    *,
    knowledge: Knowledge,
    database: str,
    patients: int,
    seed: int,
    progress: Callable[[str, int], None],
) -> Mapping[str, int]:
    """Fill the empty tables of a database; the rows of each table are returned, and told one table after the other."""
    plan = plan_practice(knowledge, patients=patients, seed=seed)
    with (
        tempfile.TemporaryDirectory(prefix="opendental-practice-") as folder,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        closing(_rendered(plan, knowledge, Path(folder))) as rendered,
    ):
        for statement in _SESSION:
            connection.exec_driver_sql(statement)
        for block, file in rendered:
            _load_block(connection, database, knowledge.tables[block.table].table, block, file)
            if block.is_last:
                progress(block.table, block.rows)
    return plan.rows


def _rendered(plan: Plan, knowledge: Knowledge, folder: Path) -> Generator[tuple[Block, Path]]:
    """Every block in order with its file, which is removed afterwards."""
    blocks = [block for table in plan.rows for block in blocks_of(plan, table)]
    tasks = [(knowledge.tables[block.table], block, folder / f"{number}.tsv") for number, block in enumerate(blocks)]
    render = _render_ahead if sum(plan.rows.values()) >= _WORKERS_PAY_FROM else _render_here
    for block, file in zip(blocks, render(tasks), strict=True):
        yield block, file
        file.unlink()


def _render_here(tasks: Iterable[_Task]) -> Iterator[Path]:
    return (_write_block(*task) for task in tasks)


def _render_ahead(tasks: Iterable[_Task]) -> Iterator[Path]:
    """Render in processes of their own, a few blocks ahead of the load, so that memory and disk stay bounded."""
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as workers:
        waiting: deque[Future[Path]] = deque()
        for task in tasks:
            waiting.append(workers.submit(_write_block, *task))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_block(table: KnownTable, block: Block, file: Path) -> Path:
    file.write_bytes(render_block(table, block))
    return file


def _load_block(connection: sa.Connection, database: str, table: Table, block: Block, file: Path) -> None:
    """Load one block; the indexes of a large table are built once, after its last block."""
    name = f"{quote(database)}.{quote(table.name)}"
    by_hand = block.rows >= _KEYS_PAY_FROM
    if by_hand and block.first == 1:
        connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE KEYS")
    loaded = connection.exec_driver_sql(_load_statement(name, table), (str(file),)).rowcount
    warnings = connection.exec_driver_sql("SHOW WARNINGS LIMIT 1").all()
    if loaded != block.count or warnings:
        raise PracticeError(f"{table.name}: {loaded} of {block.count} rows loaded from key {block.first} ({warnings})")
    if by_hand and block.is_last:
        connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE KEYS")


def _load_statement(name: str, table: Table) -> str:
    blobs = [column.name for column in table.columns if column.base_type.endswith("blob")]
    fields = ", ".join(f"@{quote(column)}" if column in blobs else quote(column) for column in table.column_names)
    assignments = ", ".join(f"{quote(column)} = UNHEX(@{quote(column)})" for column in blobs)
    return (
        f"LOAD DATA LOCAL INFILE %s INTO TABLE {name} CHARACTER SET utf8mb4 "
        r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
        f"({fields})" + (f" SET {assignments}" if assignments else "")
    )
