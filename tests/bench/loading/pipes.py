"""The yardstick: the server's own client into PostgreSQL's COPY, in one pipe.

Tables are made beforehand in the types that the product's first stream of them has, with their primary key. An
incremental run asks the destination how far it is, and merges through a temporary table.
"""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import psycopg
from contenders import read_client_version
from psycopg import sql

from loading.equality import FRACTIONS, Column, read_source_columns
from loading.jobs import Job, Tool, passwords, plain_url, write_client_file
from loading.running import Command
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from loading.jobs import Item

TYPES = {
    "tinyint": "smallint",
    "smallint": "integer",
    "mediumint": "integer",
    "int": "bigint",
    "bigint": "bigint",
    "year": "smallint",
    "date": "date",
    "datetime": "timestamp",
    "timestamp": "timestamp",
}


def prepare_tables(job: Job) -> None:
    """Make the job's tables; harmless when they are there."""
    with psycopg.connect(plain_url(job.destination, "postgresql")) as connection:
        for item in job.items:
            columns = read_source_columns(job.source, item.table)
            described = sql.SQL(", ").join(map(_describe, columns))
            place = sql.Identifier(job.space, item.table)
            creation = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))")
            connection.execute(creation.format(place, described, sql.Identifier(item.key)))


def _describe(column: Column) -> sql.Composed:
    wide = column.kind in FRACTIONS or (column.kind == "bigint" and column.is_unsigned)
    kind = "numeric" if wide else TYPES.get(column.kind, "text")
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(kind))


def pipe_copy(job: Job) -> Command:
    """One table after the other."""
    write_client_file(job, job.source, "source.cnf")
    script = "\n".join(["set -euo pipefail", *(_load(job, item) for item in job.items)])
    variables = {
        "PGHOST": str(job.destination.host),
        "PGPORT": str(job.destination.port),
        "PGUSER": str(job.destination.username),
        "PGPASSWORD": str(job.destination.password),
        "PGDATABASE": str(job.destination.database),
        "PGTZ": "UTC",
    }
    return Command(("bash", "-c", script), variables, passwords(job))


def _load(job: Job, item: Item) -> str:
    place = sql.Identifier(job.space, item.table).as_string(None)
    names = ", ".join(_select(column) for column in read_source_columns(job.source, item.table))
    query = f"SET time_zone = '+00:00'; SELECT {names} FROM {quote(item.table)}"
    copy = "COPY {} FROM STDIN (NULL 'NULL')"
    if job.is_first:
        return f"{_client(job, query)} | psql -qX -c {shlex.quote(copy.format(place))}"
    by, key = (sql.Identifier(name).as_string(None) for name in (item.by, item.key))
    told = f"psql -qXAt -c {shlex.quote(f'SELECT max({by}) FROM {place}')}"
    columns = [sql.Identifier(column.name).as_string(None) for column in read_source_columns(job.source, item.table)]
    merging = (
        f"INSERT INTO {place} SELECT * FROM more ON CONFLICT ({key}) DO UPDATE SET "
        f"({', '.join(columns)}) = ROW({', '.join(f'excluded.{name}' for name in columns)})"
    )
    words = [f"CREATE TEMPORARY TABLE more (LIKE {place})", copy.format("more"), merging]
    loading = " ".join(f"-c {shlex.quote(word)}" for word in words)
    return f"since=$({told})\n{_client(job, query, since=item.by)} | psql -qX {loading}"


def _select(column: Column) -> str:
    """A column as PostgreSQL takes it: a FLOAT's text would have six digits."""
    return f"CAST({quote(column.name)} AS DOUBLE)" if column.kind == "float" else quote(column.name)


def _client(job: Job, query: str, since: str | None = None) -> str:
    words = [
        "mariadb", f"--defaults-file={job.folder / 'source.cnf'}", "--default-character-set=utf8mb4", "--quick",
        "--batch", "--skip-column-names", f"--database={job.source.database}", "--execute", query,
    ]  # fmt: skip
    told = shlex.join(words)
    return f"""{told}" WHERE "{shlex.quote(quote(since))}" > '$since'\"""" if since else told


def read_version() -> str:
    """Both programs."""
    told = subprocess.run(["psql", "--version"], check=True, capture_output=True, text=True).stdout
    return f"mariadb {read_client_version()}, psql {told.split()[2]}"


PIPE = Tool(
    "pipe",
    "mariadb --quick --batch, psql COPY",
    pipe_copy,
    read_version,
    prepare_tables,
    takes_many=True,
    note="Tables made by hand, with their primary keys.",
)
