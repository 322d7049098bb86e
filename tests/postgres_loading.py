"""The postgresql dialect as the target drives it, and stock target-postgres beside it, for tests."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from target_opendental_replica.batches import Batch
from target_opendental_replica.postgres import PostgresWarehouse
from target_opendental_replica.settings import Address, Settings
from target_opendental_replica.stream_facts import Field, Start, StreamFacts, read_schema_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_opendental_replica.postgres.loader import PostgresLoader
    from target_opendental_replica.postgres.session import PostgresSession

SCHEMA = "raw"
EXTRACTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STOCK = Path(__file__).parents[1] / ".meltano/loaders/target-postgres/venv/bin/target-postgres"
_READER = msgspec.json.Decoder(float_hook=Decimal)
_STOCK_SETTINGS = {
    "use_copy": False,
    "batch_size_rows": 50_000,
    "validate_records": False,
    "hard_delete": True,
    "add_record_metadata": True,
    "activate_version": True,
    "sanitize_null_text_characters": True,
    "default_target_schema": SCHEMA,
}
INTEGER, TEXT = {"type": ["integer", "null"]}, {"type": ["string", "null"]}
NUMBER, BOOLEAN = {"type": ["number", "null"]}, {"type": ["boolean", "null"]}
DATE, MOMENT = TEXT | {"format": "date"}, TEXT | {"format": "date-time"}
SMALL = INTEGER | {"minimum": -32768, "maximum": 32767}


def settings_for(database: Any, **changes: Any) -> Settings:
    """The target's settings for a throw-away database."""
    url = make_url(database.admin_url)
    address = Address(str(url.host), int(url.port or 0), str(url.username), str(url.password), str(url.database))
    return replace(Settings("postgresql", address, lock_wait_seconds=5), **changes)


def describe(
    properties: Mapping[str, Any], key: Sequence[str] = ("id",), stream: str = "patient", start: Start | None = None
) -> StreamFacts:
    """A stream's facts."""
    return StreamFacts(stream, tuple(Field(name, each) for name, each in properties.items()), tuple(key), start=start)


def batch(
    properties: Mapping[str, Any], rows: Iterable[Sequence[Any]], version: int | None = None, line: int = 1
) -> Batch:
    """A batch of RECORD lines, whose rows have a value for each property, in their order."""
    renders = [PostgresWarehouse.render(None, Field(name, each)) for name, each in properties.items()]  # type: ignore[arg-type]
    lines = [",".join(render(value) for render, value in zip(renders, row, strict=True)) for row in rows]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in properties)
    content = "\n".join([header, *lines, ""]).encode()
    numbers = tuple(range(line, line + len(lines)))
    return Batch(tuple(properties), content, len(content), EXTRACTED_AT, version, line, numbers)


class Desk:
    """One session at a time on one database, and what it told."""

    def __init__(self, database: Any, **changes: Any) -> None:
        self._settings = settings_for(database, **changes)
        self.warehouse = PostgresWarehouse(self._settings)
        self.told: list[str] = []
        self.session: PostgresSession = self.warehouse.connect()

    def open(self, properties: Mapping[str, Any], *arguments: Any, **more: Any) -> PostgresLoader:
        """Open a stream."""
        self.told.clear()
        return self.session.open_stream(describe(properties, *arguments, **more), self.told.append)

    def again(self) -> None:
        """Close the session as a crash would, and begin another one."""
        self.session.close()
        self.session = self.warehouse.connect()

    def restart(self) -> None:
        """Close the session, and begin another run."""
        self.session.close()
        self.warehouse = PostgresWarehouse(self._settings)
        self.session = self.warehouse.connect()

    def run(self, statement: str, *identifiers: str) -> list[tuple[Any, ...]]:
        """Run SQL on a connection of its own."""
        return run(self.warehouse, statement, *identifiers)

    def rows(self, columns: str = "*", table: str = "patient") -> list[tuple[Any, ...]]:
        """The rows of a table, sorted."""
        found = self.run(f"SELECT {columns} FROM {SCHEMA}.{{}}", table)
        return sorted(found, key=repr)


@contextmanager
def at_desk(database: Any, **changes: Any) -> Iterator[Desk]:
    """A desk whose session is closed at the end."""
    desk = Desk(database, **changes)
    try:
        yield desk
    finally:
        desk.session.close()


def run(warehouse: PostgresWarehouse, statement: str, *identifiers: str) -> list[tuple[Any, ...]]:
    """Run SQL on a connection of its own, and commit."""
    session = warehouse.connect()
    try:
        with session._connection as connection:
            cursor = connection.execute(SQL(statement).format(*map(Identifier, identifiers)))
            return cursor.fetchall() if cursor.description else []
    finally:
        session.close()


def load_singer(warehouse: PostgresWarehouse, lines: str) -> None:
    """Load Singer lines in one session, as simply as can be: one batch for each run of RECORD lines of a stream."""
    session = warehouse.connect()
    try:
        _Feed(session).take(lines)
    finally:
        session.close()


class _Feed:
    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._loaders: dict[str, PostgresLoader] = {}
        self._facts: dict[str, StreamFacts] = {}
        self._rows: list[Any] = []
        self._of: tuple[str, int | None] = ("", None)

    def take(self, lines: str) -> None:
        for line in lines.splitlines():
            message = _READER.decode(line) if line.strip() else {"type": ""}
            self._take(message)
        self._flush()
        for loader in self._loaders.values():
            loader.settle(None)

    def _take(self, message: dict[str, Any]) -> None:
        stream = message.get("stream", "")
        if message["type"] == "RECORD" and self._of == (stream, message.get("version")):
            self._rows.append(message["record"])
            return
        self._flush()
        if message["type"] == "SCHEMA":
            self._facts[stream] = read_schema_message(message)
            if stream in self._loaders:
                self._loaders[stream].settle(None)
            self._loaders[stream] = self._session.open_stream(self._facts[stream], lambda _: None)
        elif message["type"] == "RECORD":
            self._of, self._rows = (stream, message.get("version")), [message["record"]]
        elif message["type"] == "ACTIVATE_VERSION":
            self._loaders[stream].activate(message["version"])

    def _flush(self) -> None:
        if self._rows:
            stream, version = self._of
            properties = {each.name: each.schema for each in self._facts[stream].fields}
            rows = ([record.get(name) for name in properties] for record in self._rows)
            self._loaders[stream].load(batch(properties, rows, version))
        self._rows, self._of = [], ("", None)


def load_stock(database: Any, path: Path, lines: str) -> None:
    """Load Singer lines with stock target-postgres, as meltano.yml sets it."""
    address = settings_for(database).address
    login = {each: getattr(address, each) for each in ("host", "port", "user", "password", "database")}
    config = path / "target-postgres.json"
    config.write_text(json.dumps(_STOCK_SETTINGS | login), encoding="utf-8")
    done = subprocess.run(
        [STOCK, "--config", config], input=lines, text=True, capture_output=True, check=False, env={"PGTZ": "UTC"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
