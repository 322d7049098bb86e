"""The tools that are measured: how each is started, and how the keys that it delivered are found in its output."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from timing import clean_environment

from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

TAP = Path(sys.executable).parent / "tap-opendental"
STOCK_TAP = Path(__file__).parent / "stock_tap.py"
GZIP_MAGIC = b"\x1f\x8b"
LONGEST_VALUE = 1 << 27


@dataclass(frozen=True)
class Job:
    """What a tool has to read: one table by its key, where the source is, and a folder for all that it writes."""

    table: str
    key: str
    url: sa.URL
    folder: Path

    @property
    def stdout(self) -> Path:
        """Where its standard output goes."""
        return self.folder / "stdout"


@dataclass(frozen=True)
class Contender:
    """A tool: its command line, and the keys in what it wrote, one a row, in the order in which they came."""

    name: str
    command: Callable[[Job], list[str]]
    keys: Callable[[Job], Iterator[int]]


def tap_config(url: sa.URL, **settings: Any) -> dict[str, Any]:
    """The tap's config for an address."""
    address = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    return {**address, "database": url.database, **settings}


def write_private(path: Path, text: str) -> Path:
    """A file for its owner only: it holds a password."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def tap_record(job: Job) -> list[str]:
    """This tap as it comes."""
    return _tap(job)


def tap_csv(job: Job) -> list[str]:
    """This tap with files of CSV, which nobody compresses: the loader is beside them."""
    return _tap(job, batch_config=_batch_config(job, compression="none"), batch_format="csv")


def tap_jsonl(job: Job) -> list[str]:
    """This tap with files as the SDK's targets take them."""
    return _tap(job, batch_config=_batch_config(job, compression="gzip"), batch_format="jsonl")


def _tap(job: Job, **settings: Any) -> list[str]:
    config = tap_config(job.url, tables=[job.table], **settings)
    return [str(TAP), "--config", str(write_private(job.folder / "config.json", json.dumps(config)))]


def _batch_config(job: Job, compression: str) -> dict[str, Any]:
    root = (job.folder / "batch").as_uri()
    return {"encoding": {"format": "jsonl", "compression": compression}, "storage": {"root": root}}


def mariadb_client(job: Job) -> list[str]:
    """The server's own client, row by row to its output."""
    address = {"host": job.url.host, "port": job.url.port, "user": job.url.username, "password": job.url.password}
    lines = ["[client]", *(f"{name}={value}" for name, value in address.items()), "protocol=tcp"]
    options = write_private(job.folder / "client.cnf", "\n".join(lines) + "\n")
    return [
        "mariadb", f"--defaults-file={options}", "--default-character-set=utf8mb4", "--quick", "--batch",
        "--skip-column-names", "--database", str(job.url.database), "--execute", f"SELECT * FROM {quote(job.table)}",
    ]  # fmt: skip


def stock_tap(job: Job) -> list[str]:
    """The SDK's SQL tap with a catalog of this one table, made before: its discovery is not in its time."""
    config = {"sqlalchemy_url": job.url.render_as_string(hide_password=False)}
    path = write_private(job.folder / "config.json", json.dumps(config))
    program = [sys.executable, str(STOCK_TAP), "--config", str(path)]
    return [*program, "--catalog", str(_choose_stock_stream(job, program))]


def _choose_stock_stream(job: Job, program: list[str]) -> Path:
    """Its own discovery's catalog, with the job's table selected and nothing else in it."""
    found = subprocess.run([*program, "--discover"], check=True, capture_output=True, env=clean_environment())
    wanted = f"{job.url.database}-{job.table}"
    (entry,) = [stream for stream in json.loads(found.stdout)["streams"] if stream["tap_stream_id"] == wanted]
    next(node for node in entry["metadata"] if not node["breadcrumb"])["metadata"]["selected"] = True
    path = job.folder / "catalog.json"
    path.write_text(json.dumps({"streams": [entry]}))
    return path


def read_client_version() -> str:
    """The version that the client reports of itself."""
    told = subprocess.run(["mariadb", "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+\.\d+(?=-MariaDB)", told)
    return found[0] if found else told.strip()


def record_keys(job: Job) -> Iterator[int]:
    """The keys of RECORD messages."""
    find = re.compile(rb'"%b": ?(\d+)' % job.key.encode()).search
    with job.stdout.open("rb") as lines:
        for line in lines:
            if line.startswith((b'{"type":"RECORD"', b'{"type": "RECORD"')):
                yield _key(find(line))


def client_keys(job: Job) -> Iterator[int]:
    """The first field of each line; the client escapes newlines inside values."""
    with job.stdout.open("rb") as lines:
        for line in lines:
            yield int(line[: line.index(b"\t")])


def jsonl_keys(job: Job) -> Iterator[int]:
    """The keys in the files that BATCH messages name, one JSON object a line."""
    find = re.compile(rb'"%b": ?(\d+)' % job.key.encode()).search
    for file in _batch_files(job):
        for line in file:
            yield _key(find(line))


def csv_keys(job: Job) -> Iterator[int]:
    """The keys in the CSV files that BATCH messages name; each begins with a line of its columns' names."""
    csv.field_size_limit(LONGEST_VALUE)
    for file in _batch_files(job):
        rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        place = next(rows).index(job.key)
        for row in rows:
            yield int(row[place])


def _batch_files(job: Job) -> Iterator[io.BufferedIOBase]:
    with job.stdout.open("rb") as lines:
        messages = [json.loads(line) for line in lines if line.startswith((b'{"type":"BATCH"', b'{"type": "BATCH"'))]
    for message in messages:
        for url in message["manifest"]:
            path = Path(unquote(urlsplit(url).path))
            with path.open("rb") as file:
                packed = file.read(2) == GZIP_MAGIC
            with gzip.open(path, "rb") if packed else path.open("rb") as file:
                yield file


def _key(found: re.Match[bytes] | None) -> int:
    if found is None:
        raise ValueError("a row without its key")
    return int(found[1])


RECORD = Contender("tap RECORD", tap_record, record_keys)
CSV = Contender("tap BATCH csv", tap_csv, csv_keys)
JSONL = Contender("tap BATCH jsonl.gz", tap_jsonl, jsonl_keys)
CLIENT = Contender("mariadb --quick --batch", mariadb_client, client_keys)
STOCK = Contender("stock SDK tap", stock_tap, record_keys)
