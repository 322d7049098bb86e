"""Ways from one MySQL database to another: the server's dump, mydumper, and the server itself."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from contenders import read_client_version

from loading.jobs import Job, Tool, passwords, write_client_file
from loading.running import Command
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from loading.jobs import Item

THREADS = 2


def run_dump(job: Job) -> Command:
    """`mariadb-dump | mariadb`; of the changed rows, with REPLACE."""
    source, destination = _options(job)
    script = "\n".join(["set -euo pipefail", *(_dump(job, item, source, destination) for item in job.items)])
    return Command(("bash", "-c", script), {}, passwords(job))


def _dump(job: Job, item: Item, source: str, destination: str) -> str:
    words = ["mariadb-dump", source, "--default-character-set=utf8mb4", "--quick", "--single-transaction", "--hex-blob"]
    client = shlex.join(["mariadb", destination, "--default-character-set=utf8mb4", str(job.destination.database)])
    names = [str(job.source.database), item.table]
    if job.is_first:
        return f"{shlex.join([*words, *names])} | {client}"
    told = shlex.join(["mariadb", destination, "-NBe", f"SELECT MAX({quote(item.by)}) FROM {_place(job, item)}"])
    dump = shlex.join([*words, "--no-create-info", "--replace", "--skip-add-locks", *names])
    return f"since=$({told})\n{dump} --where={shlex.quote(quote(item.by))}\" > '$since'\" | {client}"


def run_mydumper(job: Job) -> Command:
    """A dump into files, and the files into the other database, each with two threads."""
    folder = job.folder / "dump"
    names = ("host", "port", "user", "password")
    reading, writing = (
        [f"--{name}={getattr(url, 'username' if name == 'user' else name)}" for name in names]
        for url in (job.source, job.destination)
    )
    threads = f"--threads={THREADS}"
    dump = ["mydumper", *reading, f"--database={job.source.database}", f"--tables-list={job.item.table}", threads]
    dump += [f"--outputdir={folder}", "--no-locks", "--rows=25000"]
    load = ["myloader", *writing, f"--database={job.destination.database}", f"--directory={folder}", threads]
    script = f"set -e\n{shlex.join(dump)}\n{shlex.join([*load, '--overwrite-tables'])}"
    return Command(("bash", "-c", script), {}, passwords(job))


def run_insert(job: Job) -> Command:
    """INSERT ... SELECT inside the one server; of the changed rows, REPLACE."""
    _, destination = _options(job)
    statements = ["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", *(_insert(job, item) for item in job.items)]
    script = shlex.join(["mariadb", destination, "--default-character-set=utf8mb4", "--execute", "; ".join(statements)])
    return Command(("bash", "-c", script), {}, passwords(job))


def _insert(job: Job, item: Item) -> str:
    source, place = f"{quote(str(job.source.database))}.{quote(item.table)}", _place(job, item)
    if job.is_first:
        return f"CREATE TABLE {place} LIKE {source}; INSERT INTO {place} SELECT * FROM {source}"
    by = quote(item.by)
    return f"REPLACE INTO {place} SELECT * FROM {source} WHERE {by} > (SELECT MAX({by}) FROM {place})"


def _place(job: Job, item: Item) -> str:
    return f"{quote(str(job.destination.database))}.{quote(item.table)}"


def _options(job: Job) -> tuple[str, str]:
    urls = {"source.cnf": job.source, "destination.cnf": job.destination}
    source, destination = (f"--defaults-file={write_client_file(job, url, name)}" for name, url in urls.items())
    return source, destination


def _read_mydumper() -> str:
    return subprocess.check_output(["mydumper", "--version"], text=True).split(",")[0].strip()


DUMP = Tool("dump", "mariadb-dump, mariadb", run_dump, lambda: f"mariadb-dump {read_client_version()}", takes_many=True)
MYDUMPER = Tool(
    "mydumper",
    "mydumper, myloader",
    run_mydumper,
    _read_mydumper,
    loads_changes=False,
    note=f"{THREADS} threads each, chunks of 25,000 rows; whole tables only.",
)
INSERT = Tool(
    "insert",
    "INSERT ... SELECT",
    run_insert,
    lambda: f"mariadb {read_client_version()}",
    takes_many=True,
    note="Needs both databases on one server.",
)
