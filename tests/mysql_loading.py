"""The MySQL dialect on a real server, for its tests: facts, batches and a look at what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opendental_analyze.sandbox.databases import run
from tap_opendental.discovery.model import Column, Table
from target_opendental_replica.batches import Batch
from target_opendental_replica.mysql import MySQLWarehouse
from target_opendental_replica.positions import Position
from target_opendental_replica.settings import Address, Settings, Tls
from target_opendental_replica.statements import quote, render_create_table
from target_opendental_replica.stream_facts import Field, Start, StreamFacts

if TYPE_CHECKING:
    from target_opendental_replica.warehouse import Counts

NUM = Column("Num", "bigint(20)", nullable=False)
NAME = Column("Name", "varchar(20)", default="NULL")


def settings_of(database: Any, **changes: Any) -> Settings:
    """Settings that write that database as its administrator."""
    url = database.engine.url
    tls = changes.pop("tls", Tls())
    address = Address(url.host, url.port, url.username, url.password, database.name, tls=tls)
    return replace(Settings("mysql", address, drops_columns=True, lock_wait_seconds=5), **changes)


def facts_of(table: Table, *, withheld: tuple[str, ...] = (), start: Start | None = None) -> StreamFacts:
    """Facts of an exact stream of that table."""
    fields = tuple(
        Field(column.name, schema_of(column), column.__dict__)
        for column in table.columns
        if column.name not in withheld
    )
    return StreamFacts(table.name, fields, table.primary_key, table.to_dict(), is_exact=True, start=start)


def schema_of(column: Column) -> dict[str, Any]:
    """The JSON Schema of a column in exact mode, as far as the target looks at it."""
    base = column.base_type
    if base in ("year", "bit", "enum", "set") or base.endswith("int"):
        return {"type": ["integer", "null"]}
    encoded = "blob" in base or "binary" in base or base in ("geometry", "point")
    return {"type": ["string", "null"], **({"contentEncoding": "base64"} if encoded else {})}


def make_batch(columns: tuple[str, ...], *rows: tuple[Any, ...], version: int | None = None, **about: Any) -> Batch:
    """A batch of rows: None is NULL, text is quoted, anything else bare."""
    lines = [",".join(f'"{name}"' for name in columns), *(",".join(map(_field, row)) for row in rows)]
    content = "".join(f"{line}\n" for line in lines).encode()
    return Batch(columns, content, len(content), datetime.now(UTC), version, **about)


def _field(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value)


@dataclass
class Replica:
    """A database that is written by the dialect; `notices` are what it told."""

    database: Any
    settings: Settings
    notices: list[str] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)

    def connect(self, **changes: Any) -> Any:
        """Open a session."""
        session = MySQLWarehouse(replace(self.settings, **changes)).connect()
        self.sessions.append(session)
        return session

    def open(self, facts: StreamFacts, **changes: Any) -> Any:
        """Open a stream on a session of its own, after closing those before."""
        self.close()
        return self.connect(**changes).open_stream(facts, self.notices.append)

    def close(self) -> None:
        """Close all sessions, as a crash does."""
        while self.sessions:
            self.sessions.pop().close()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator."""
        with self.database.engine.connect() as plain:
            connection = plain.execution_options(no_parameters=True, isolation_level="AUTOCOMMIT")
            result = connection.exec_driver_sql(sql)
            return [tuple(row) for row in result] if result.returns_rows else []

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[tuple[Any, ...]]:
        """Rows of a table."""
        return self.ask(f"SELECT {columns} FROM {quote(table)} ORDER BY {order}")

    def tables(self) -> list[str]:
        """Names of all tables."""
        return sorted(row[0] for row in self.ask("SHOW TABLES"))

    def ddl(self, table: str) -> str:
        """SHOW CREATE TABLE."""
        return self.ask(f"SHOW CREATE TABLE {quote(table)}")[0][1]

    def make(self, table: Table, **options: Any) -> None:
        """Create a table as the target renders it."""
        run(self.database.engine, ["SET SESSION sql_mode = ''", render_create_table(table.to_dict(), **options)])


def position(serial: int, lineage: str = "a" * 16, **bookmark: Any) -> Position:
    """A position of a lineage."""
    return Position(lineage, serial, {"lineage": lineage, "serial": serial, **bookmark})


def activate(replica: Replica, facts: StreamFacts, names: tuple[str, ...], *rows: Any, version: int) -> Counts:
    """Load the rows of a whole version and settle them."""
    loader = replica.open(facts)
    loader.load(make_batch(names, *rows, version=version))
    loader.activate(version)
    return loader.settle(position(9))
