"""Rights of the sandbox's users, and databases that live as long as a test."""

from __future__ import annotations

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError

from opendental_analyze.sandbox import databases
from opendental_analyze.sandbox.addresses import render_environment
from opendental_analyze.sandbox.throw_away import clone_source
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away


def run(url, *statements):
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return results[-1].all() if results[-1].returns_rows else []


@pytest.fixture
def urls(sandbox):
    """The URLs that `env` prints."""
    return {name: url for name, url in render_environment(sandbox.state).items() if name.endswith(("_URL", "_URI"))}


@pytest.fixture
def visits(urls):
    """A table in the source, for this test."""
    run(
        urls["OPENDENTAL_SOURCE_ADMIN_URL"],
        "CREATE TABLE visits (a INT) ENGINE=MyISAM",
        "INSERT INTO visits VALUES (1)",
    )
    yield
    run(urls["OPENDENTAL_SOURCE_ADMIN_URL"], "DROP TABLE visits")


WRITES = (
    "INSERT INTO visits VALUES (2)",
    "UPDATE visits SET a = 3",
    "DELETE FROM visits",
    "ALTER TABLE visits ADD b INT",
    "CREATE TABLE other (a INT)",
    "LOCK TABLES visits READ",
    "CREATE TEMPORARY TABLE t (a INT)",
    "SET GLOBAL sql_mode = ''",
    "FLUSH TABLES",
    "CREATE DATABASE tmp_mine",
)


@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize("statement", WRITES)
def test_reader_can_read_and_do_nothing_else(urls, statement):
    """The source's reader is refused every kind of writing that the admin may do."""
    assert run(urls["OPENDENTAL_SOURCE_URL"], "SELECT a FROM visits") == [(1,)]
    with pytest.raises(DatabaseError, match="denied"):
        run(urls["OPENDENTAL_SOURCE_URL"], statement)


@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize("statement", WRITES[:5])
def test_admin_can_do_what_the_reader_cannot(urls, statement):
    """The same statements pass as the admin, so the refusals above are about rights and not about the statements."""
    run(urls["OPENDENTAL_SOURCE_ADMIN_URL"], statement, "DROP TABLE IF EXISTS other")


@pytest.mark.usefixtures("visits")
def test_each_mariadb_user_stays_in_its_database(urls):
    """Reader and replica owner see no table of the other's database, nor MariaDB's own users."""
    for name, others in (("OPENDENTAL_SOURCE_URL", "opendental_replica"), ("OPENDENTAL_REPLICA_URL", "opendental")):
        shown = {row[0] for row in run(urls[name], "SHOW DATABASES")}
        assert others not in shown
        with pytest.raises(DatabaseError, match="denied"):
            run(urls[name], "SELECT * FROM mysql.global_priv")
    with pytest.raises(DatabaseError, match="denied"):
        run(urls["OPENDENTAL_REPLICA_URL"], "SELECT * FROM opendental.visits")
    run(urls["OPENDENTAL_REPLICA_URL"], "CREATE TABLE mine (a INT)", "DROP TABLE mine")


def test_underscore_in_a_grant_is_no_wildcard(sandbox, urls):
    """The replica's owner has no right on a database whose name differs in the place of the underscore."""
    databases.run(databases.mariadb_root(sandbox.state), ["CREATE DATABASE opendentalXreplica"])
    try:
        with pytest.raises(DatabaseError, match="denied"):
            run(urls["OPENDENTAL_REPLICA_URL"], "CREATE TABLE opendentalXreplica.t (a INT)")
    finally:
        databases.run(databases.mariadb_root(sandbox.state), ["DROP DATABASE opendentalXreplica"])


@pytest.mark.parametrize("name", ["OPENDENTAL_SOURCE_URL", "OPENDENTAL_ANALYTICS_URL"])
def test_no_one_enters_without_the_password(urls, name):
    """A wrong password and an empty one are refused by both servers."""
    for password in ("wrong", ""):
        with pytest.raises(OperationalError, match=r"denied|authentication failed|no password"):
            run(make_url(urls[name]).set(password=password), "SELECT 1")


def test_mariadb_knows_no_user_but_ours(sandbox):
    """No root, no anonymous user and no user of the installation is left."""
    rows = run(
        databases.mariadb_root(sandbox.state).url,
        "SELECT user, host FROM mysql.global_priv WHERE user NOT LIKE 'tmp%%'",
    )
    assert {host for _, host in rows} <= {"127.0.0.1", "localhost"}
    logins = {user for user, host in rows if host == "127.0.0.1"}
    assert logins == {"sandbox_root", "opendental_reader", "opendental_admin", "replica_owner"}
    assert {user for user, host in rows if host == "localhost"} <= {"mariadb.sys"}


def test_owner_of_analytics_owns_the_four_schemas_only(urls):
    """The analytics owner builds in raw and its sisters; it is no superuser and cannot enter Meltano's database."""
    url = urls["OPENDENTAL_ANALYTICS_URL"]
    owned = "SELECT nspname FROM pg_namespace WHERE nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
    assert {row[0] for row in run(url, owned)} == {"raw", "staging", "intermediate", "marts"}
    run(url, "CREATE TABLE raw.t (a INT)", "DROP TABLE raw.t")
    assert run(url, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user") == [
        (False, False, False)
    ]
    with pytest.raises(OperationalError, match="permission denied"):
        run(make_url(url).set(database="meltano"), "SELECT 1")
    run(urls["MELTANO_DATABASE_URI"], "CREATE TABLE t (a INT)", "DROP TABLE t")


def test_source_server_is_set_up_like_open_dental(urls):
    """No strict mode, three-byte text and MyISAM by default, and bulk loads from the client are allowed."""
    row = run(
        urls["OPENDENTAL_SOURCE_URL"],
        "SELECT @@sql_mode, @@collation_database, @@default_storage_engine, @@local_infile",
    )
    assert row == [("", "utf8mb3_general_ci", "MyISAM", 1)]


def test_throw_away_databases_are_separate_and_go_away(sandbox):
    """Two databases do not see each other's tables; each is gone with its reader after the block."""
    with throw_away(sandbox.state) as first, throw_away(sandbox.state) as second:
        run(first.admin_url, "CREATE TABLE t (a INT)")
        assert run(second.admin_url, "SHOW TABLES") == []
        assert run(first.reader_url, "SHOW TABLES") == [("t",)]
        with pytest.raises(DatabaseError, match="denied"):
            run(first.reader_url, "INSERT INTO t VALUES (1)")
        with pytest.raises(DatabaseError, match="denied"):
            run(first.reader_url, f"SHOW TABLES FROM {second.name}")
    root = databases.mariadb_root(sandbox.state)
    for query in ("SELECT user FROM mysql.global_priv", "SELECT schema_name FROM information_schema.schemata"):
        assert first.name not in {name for (name,) in run(root.url, query)}


def test_postgres_database_is_ready_to_load(postgres_database):
    """A throw-away PostgreSQL database has the four schemas, owned by the user of its URL."""
    with postgres_database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE raw.t AS SELECT 1 AS a"))
        assert connection.execute(text("SELECT a FROM raw.t")).scalar_one() == 1


@pytest.mark.usefixtures("visits")
def test_clone_of_the_source_has_its_rows(sandbox, urls):
    """A clone holds tables and rows of the source, and writing to it leaves the source alone."""
    with throw_away(sandbox.state, "clone") as clone:
        clone_source(sandbox.state, clone.name)
        assert run(clone.admin_url, "SELECT a FROM visits") == [(1,)]
        run(clone.admin_url, "DELETE FROM visits")
        assert run(urls["OPENDENTAL_SOURCE_URL"], "SELECT a FROM visits") == [(1,)]
