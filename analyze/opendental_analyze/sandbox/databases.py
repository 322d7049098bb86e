"""The databases of a sandbox and the rights of its users: the SQL that creates, drops and measures them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from opendental_analyze.sandbox.addresses import (
    ADMIN,
    ANALYTICS,
    ANALYTICS_OWNER,
    MELTANO,
    MELTANO_OWNER,
    READER,
    REPLICA,
    REPLICA_OWNER,
    ROOT,
    SCHEMAS,
    SOURCE,
    mariadb_url,
    postgres_url,
)
from opendental_analyze.sandbox.ports import LOOPBACK
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import URL, Engine

    from opendental_analyze.sandbox.state import State

THROW_AWAY = "tmp_"


@dataclass(frozen=True)
class DatabaseSize:
    """A database of the sandbox: how many tables it has and how much room they take."""

    server: str
    name: str
    tables: int
    size_bytes: int


def connect(url: URL, *, autocommit: bool = False) -> Engine:
    """An engine without a pool: a sandbox's connections end when their block ends."""
    bulk_load = {"local_infile": True} if url.get_backend_name() == "mysql" else {}
    options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    return create_engine(url, poolclass=NullPool, connect_args=bulk_load, **options)


def mariadb_root(state: State) -> Engine:
    """The sandbox's own way into MariaDB."""
    return connect(mariadb_url(state, ROOT, None), autocommit=True)


def postgres_root(state: State, database: str = "postgres") -> Engine:
    """The sandbox's own way into PostgreSQL; databases cannot be created inside a transaction."""
    return connect(postgres_url(state, ROOT, database), autocommit=True)


def answers_as_root(engine: Engine) -> bool:
    """True when the server is up and is ours: it takes this sandbox's password."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError:
        return False
    return True


def run(engine: Engine, statements: Iterable[str]) -> None:
    """Execute statements as they stand: no parameters, so a percent sign or a colon is only a character."""
    with engine.connect() as connection:
        verbatim = connection.execution_options(no_parameters=True)
        for statement in statements:
            verbatim.exec_driver_sql(statement)


def create_databases(state: State) -> None:
    """Create what is not there yet: databases, users and their rights. Harmless when all is there."""
    run(mariadb_root(state), _mariadb_setup(state))
    root = postgres_root(state)
    for owner in (ANALYTICS_OWNER, MELTANO_OWNER):
        _create_role(root, owner, state.passwords[f"postgres:{owner}"])
    for name, owner, schemas in ((ANALYTICS, ANALYTICS_OWNER, SCHEMAS), (MELTANO, MELTANO_OWNER, ())):
        if not _exists(root, "SELECT 1 FROM pg_database WHERE datname = :name", name):
            create_postgres_database(state, name, owner=owner, schemas=schemas)


def drop_databases(state: State) -> None:
    """Drop the sandbox's databases, with everything in them."""
    run(mariadb_root(state), (f"DROP DATABASE IF EXISTS {quote(name)}" for name in (SOURCE, REPLICA)))
    for name in (ANALYTICS, MELTANO):
        drop_postgres_database(state, name)


def recreate_source(state: State) -> None:
    """Empty the source database by dropping it."""
    run(mariadb_root(state), (f"DROP DATABASE IF EXISTS {quote(SOURCE)}", *_create_mariadb_database(SOURCE)))


def create_mariadb_database(state: State, name: str) -> None:
    """Create a database with the character set of Open Dental."""
    run(mariadb_root(state), _create_mariadb_database(name))


def create_reader(state: State, name: str, password: str) -> None:
    """Create a user that may read the database of the same name, and nothing else."""
    run(mariadb_root(state), (*_create_user(name, password), _grant("SELECT", name, name)))


def drop_mariadb_database(state: State, name: str) -> None:
    """Drop a database and the reader that was made for it."""
    drops = (f"DROP DATABASE IF EXISTS {quote(name)}", f"DROP USER IF EXISTS {_account(name)}")
    run(mariadb_root(state), drops)


def create_postgres_database(state: State, name: str, *, owner: str, schemas: Iterable[str] = ()) -> None:
    """Create a database that only its owner can enter, with these schemas."""
    database = _quote_postgres(name)
    creation = (f"CREATE DATABASE {database} OWNER {owner}", f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    run(postgres_root(state), creation)
    run(postgres_root(state, name), (f"CREATE SCHEMA {schema} AUTHORIZATION {owner}" for schema in schemas))


def drop_postgres_database(state: State, name: str) -> None:
    """Drop a database, whoever is still connected to it."""
    run(postgres_root(state), (f"DROP DATABASE IF EXISTS {_quote_postgres(name)} WITH (FORCE)",))


def read_sizes(state: State) -> tuple[DatabaseSize, ...]:
    """How large each database of the sandbox is."""
    return (*_read_mariadb_sizes(state), *_read_postgres_sizes(state))


def read_tables(engine: Engine, database: str, *, storage: str) -> tuple[str, ...]:
    """The tables of a MariaDB database that one storage engine keeps."""
    query = text(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = :database AND engine = :storage ORDER BY table_name"
    )
    with engine.connect() as connection:
        return tuple(connection.execute(query, {"database": database, "storage": storage}).scalars())


def _mariadb_setup(state: State) -> Iterator[str]:
    for name in (SOURCE, REPLICA):
        yield from _create_mariadb_database(name)
    for user in (READER, ADMIN, REPLICA_OWNER):
        yield from _create_user(user, state.passwords[f"mariadb:{user}"])
    yield _grant("SELECT", SOURCE, READER)
    yield _grant("ALL", SOURCE, ADMIN)
    yield f"GRANT ALL ON {quote(_escape(THROW_AWAY) + '%')}.* TO {_account(ADMIN)}"
    yield _grant("ALL", REPLICA, REPLICA_OWNER)


def _create_mariadb_database(name: str) -> tuple[str, ...]:
    return (f"CREATE DATABASE IF NOT EXISTS {quote(name)} CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci",)


def _create_user(user: str, password: str) -> tuple[str, ...]:
    return (f"CREATE USER IF NOT EXISTS {_account(user)} IDENTIFIED BY '{password}'",)


def _grant(right: str, database: str, user: str) -> str:
    return f"GRANT {right} ON {quote(_escape(database))}.* TO {_account(user)}"


def _account(user: str) -> str:
    return f"{quote(user)}@'{LOOPBACK}'"


def _escape(database: str) -> str:
    return database.replace("_", "\\_")  # in a GRANT an underscore stands for any character


def _create_role(root: Engine, role: str, password: str) -> None:
    if not _exists(root, "SELECT 1 FROM pg_roles WHERE rolname = :name", role):
        run(root, (f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",))


def _exists(engine: Engine, query: str, name: str) -> bool:
    with engine.connect() as connection:
        return connection.execute(text(query), {"name": name}).scalar() is not None


def _quote_postgres(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _read_mariadb_sizes(state: State) -> Iterator[DatabaseSize]:
    query = text(
        "SELECT s.schema_name, COUNT(t.table_name), COALESCE(SUM(t.data_length + t.index_length), 0) "
        "FROM information_schema.schemata s LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name "
        "WHERE s.schema_name IN (:source, :replica) GROUP BY s.schema_name ORDER BY s.schema_name"
    )
    with mariadb_root(state).connect() as connection:
        for name, tables, size in connection.execute(query, {"source": SOURCE, "replica": REPLICA}):
            yield DatabaseSize("mariadb", name, int(tables), int(size))


def _read_postgres_sizes(state: State) -> Iterator[DatabaseSize]:
    query = text(
        "SELECT pg_database_size(current_database()), (SELECT COUNT(*) FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema'))"
    )
    for name in (ANALYTICS, MELTANO):
        with postgres_root(state, name).connect() as connection:
            size, tables = connection.execute(query).one()
        yield DatabaseSize("postgres", name, int(tables), int(size))
