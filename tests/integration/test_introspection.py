"""Introspection of what is not in order: damaged tables, tables of rare types, servers that are too old."""

from __future__ import annotations

import json
import os

import pytest
import sqlalchemy as sa
from tests.integration.conftest import config_of

from opendental_analyze.sandbox.databases import mariadb_root
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.introspect import _find_unreadable, _server, _shorten
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.errors import ConfigError, DamagedTableError, ExitCode, NotFoundError
from target_opendental_replica.statements import render_create_table

COLUMNS = "(Num bigint PRIMARY KEY AUTO_INCREMENT, Note varchar(20), KEY (Note))"


@pytest.fixture
def server(sandbox, mariadb_database):
    """Run statements in the throw-away database as the server's administrator: FLUSH and REPAIR are his."""
    root = mariadb_root(sandbox.state)
    with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"USE `{mariadb_database.name}`")
        yield connection.exec_driver_sql
        # A table without its .frm or with a broken one cannot be dropped, and its database neither.
        for path in (sandbox.state.mariadb.data / mariadb_database.name).glob("*.*"):
            if path.name != "db.opt":
                path.unlink()
    root.dispose()


@pytest.fixture
def files(sandbox, mariadb_database):
    """The directory of the throw-away database's files."""
    return sandbox.state.mariadb.data / mariadb_database.name


def create(server, *names):
    for name in names:
        server(f"CREATE TABLE `{name}` {COLUMNS} ENGINE=MyISAM COMMENT='ours'")
        server(f"INSERT INTO `{name}` (Note) VALUES ('row value'), ('b'), ('c')")
    server("FLUSH TABLES")


def discover(database):
    return SchemaDiscovery(sa.create_engine(database.reader_url), database.name)


DAMAGES = {
    "index file cut": (lambda files: os.truncate(files / "damaged.MYI", 100), "Index for table ... is corrupt"),
    "index file empty": (lambda files: os.truncate(files / "damaged.MYI", 0), "Incorrect file format ..."),
    "index file gone": (lambda files: (files / "damaged.MYI").unlink(), "Can't find file: ... (errno: 2 ...)"),
    "data file gone": (lambda files: (files / "damaged.MYD").unlink(), "File ... not found (Errcode: 2 ...)"),
    "definition cut": (lambda files: os.truncate(files / "damaged.frm", 40), "Incorrect information in file: ..."),
    "definition empty": (lambda files: os.truncate(files / "damaged.frm", 0), "Incorrect information in file: ..."),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_named_and_never_left_out(damage, server, files, mariadb_database):
    """Whatever file is damaged, the reader's discovery lists the table as unreadable, with the server's phrase."""
    create(server, "damaged", "sound")
    do_damage, phrase = DAMAGES[damage]
    do_damage(files)
    discovery = discover(mariadb_database)
    assert discovery.discover_all_tables() == ("damaged", "sound")
    discovery.require_readable(["sound"])
    assert discovery.get_table_schema("sound").primary_key == ("Num",)
    for ask in (discovery.get_table_schema, discovery.get_table_size_info, discovery.get_replication_choice):
        with pytest.raises(DamagedTableError) as raised:
            ask("damaged")
    assert phrase in str(raised.value)
    assert "table damaged (" in str(raised.value)
    assert "CHECK TABLE `damaged`; REPAIR TABLE `damaged`" in str(raised.value)
    assert mariadb_database.name not in str(raised.value)
    assert raised.value.exit_code == ExitCode.NOT_FOUND
    assert not isinstance(raised.value, NotFoundError)


def test_the_advice_repairs_the_table(server, files, mariadb_database):
    """REPAIR TABLE ... USE_FRM brings the key and the rows back, and the table is read again."""
    create(server, "damaged")
    os.truncate(files / "damaged.MYI", 100)
    with pytest.raises(DamagedTableError, match="USE_FRM"):
        discover(mariadb_database).require_readable(["damaged"])
    assert "OK" in [row[3] for row in server("REPAIR TABLE `damaged` USE_FRM")]
    assert discover(mariadb_database).get_table_schema("damaged").primary_key == ("Num",)
    assert discover(mariadb_database).get_table_size_info("damaged").rows == 3


def test_the_tap_refuses_a_damaged_table_and_takes_an_exclusion(server, files, mariadb_database, run_tap):
    """A run that is asked for a damaged table ends with code 6 and names it; exclude_tables leaves it out."""
    create(server, "damaged", "sound")
    os.truncate(files / "damaged.MYI", 100)
    config = config_of(sa.make_url(mariadb_database.reader_url))
    refused = run_tap(config, "--discover")
    assert refused.returncode == ExitCode.NOT_FOUND, refused.stderr
    assert "table damaged (Index for table ... is corrupt; try to repair it)" in refused.stderr
    assert refused.stdout == ""
    catalog = run_tap({**config, "exclude_tables": ["damaged"]}, "--discover")
    assert catalog.returncode == 0, catalog.stderr
    assert [stream["tap_stream_id"] for stream in json.loads(catalog.stdout)["streams"]] == ["sound"]


def test_a_table_marked_as_crashed_fails_when_it_is_read(server, files, mariadb_database, run_tap):
    """Lost rows do not show in information_schema: the run fails at the table, and does not end with fewer rows."""
    create(server, "crashed")
    os.truncate(files / "crashed.MYD", 5)
    discover(mariadb_database).require_readable(["crashed"])
    run = run_tap(config_of(sa.make_url(mariadb_database.reader_url)))
    assert run.returncode != 0
    assert "table crashed" in run.stderr
    assert "row value" not in run.stderr


def test_a_damaged_preference_stops_nobody(server, files, mariadb_database):
    """A settings table that cannot be read leaves the question of random keys open, and all other tables are judged."""
    server("CREATE TABLE preference (PrefNum int PRIMARY KEY, PrefName varchar(99), ValueString text) ENGINE=MyISAM")
    server("INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')")
    server("CREATE TABLE securitylog (SecurityLogNum bigint AUTO_INCREMENT PRIMARY KEY) ENGINE=MyISAM")
    assert discover(mariadb_database).get_replication_choice("securitylog").append_only
    server("FLUSH TABLES")
    os.truncate(files / "preference.MYD", 3)
    choice = discover(mariadb_database).get_replication_choice("securitylog")
    assert choice.key is None
    assert "cannot be read" in choice.reason


def test_a_key_without_an_index_is_damage_too():
    """When STATISTICS fails where TABLES did not, the column that is marked as key gives it away."""
    table = {"TABLE_NAME": "t", "ENGINE": "MyISAM", "TABLE_COMMENT": ""}
    key, plain = {"COLUMN_NAME": "k", "COLUMN_KEY": "PRI"}, {"COLUMN_NAME": "k", "COLUMN_KEY": "MUL"}
    unique, other = {"COLUMN_NAME": "k", "NON_UNIQUE": 0}, {"COLUMN_NAME": "k", "NON_UNIQUE": 1}
    assert _find_unreadable([table], {"t": [key]}, {"t": []}) == {"t": "its indexes cannot be read"}
    assert _find_unreadable([table], {"t": [key]}, {"t": [other]}) == {"t": "its indexes cannot be read"}
    assert _find_unreadable([table], {"t": [key]}, {"t": [unique, other]}) == {}
    assert _find_unreadable([table], {"t": [plain]}, {"t": []}) == {}


def test_tables_that_never_had_a_primary_key_are_not_damaged(server, mariadb_database):
    """Keyless tables, a unique key in a primary key's place, and no comment: all are sound."""
    server("CREATE TABLE keyless (a int) ENGINE=MyISAM")
    server("CREATE TABLE by_unique (a int NOT NULL, UNIQUE (a)) ENGINE=MyISAM")
    server("CREATE TABLE innodb (a int PRIMARY KEY) ENGINE=InnoDB")
    server("CREATE TABLE memory (a int PRIMARY KEY) ENGINE=MEMORY")
    discovery = discover(mariadb_database)
    discovery.require_readable(discovery.discover_all_tables())
    assert discovery.get_table_schema("by_unique").primary_key == ()
    for table in ("innodb", "memory"):
        server(f"DROP TABLE {table}")


def test_a_message_quotes_nothing():
    """Of the server's words the phrase is kept, and nothing that stood in quotes, however it is spelled."""
    assert _shorten("Incorrect file format 'we'ird'") == "Incorrect file format ..."
    assert _shorten("Table 'a.b' doesn't exist in engine") == "Table ... doesn't exist in engine"
    assert _shorten("Can't find file: './d/t.MYI' (errno: 2 \"No such\")") == "Can't find file: ... (errno: 2 ...)"
    assert _shorten("") == _shorten(None) == "no reason given"


def test_versioned_tables_are_found_and_views_and_sequences_are_not(server, mariadb_database):
    """A table WITH SYSTEM VERSIONING is read like any other; what holds no rows of its own is no table."""
    server("CREATE TABLE versioned (Num bigint PRIMARY KEY, Note varchar(20)) WITH SYSTEM VERSIONING")
    server("CREATE VIEW looking AS SELECT * FROM versioned")
    server("CREATE SEQUENCE counting")
    discovery = discover(mariadb_database)
    assert discovery.discover_all_tables() == ("versioned",)
    assert discovery.get_table_schema("versioned").primary_key == ("Num",)
    assert discovery.get_table_schema("versioned").column_names == ("Num", "Note")


def test_a_copy_of_the_users_offers_no_password(server, mariadb_database, run_tap):
    """`CREATE TABLE userod_bak LIKE userod` adds a stream without the secrets, and the log names what is withheld."""
    known = load_knowledge().table("userod").table
    server(render_create_table(known.to_dict()))
    server("CREATE TABLE userod_bak LIKE userod")
    run = run_tap(config_of(sa.make_url(mariadb_database.reader_url)), "--discover")
    assert run.returncode == 0, run.stderr
    offered = {s["tap_stream_id"]: set(s["schema"]["properties"]) for s in json.loads(run.stdout)["streams"]}
    secrets = {"BadgeId", "EClipboardClinicalPin", "MobileWebPin", "Password"}
    assert offered == dict.fromkeys(("userod", "userod_bak"), set(known.column_names) - secrets)
    assert "8 columns hold secrets and are not read; 4 of them by their name alone: userod_bak." in run.stderr


@pytest.mark.parametrize(
    "version",
    ["5.5.5-10.6.1-MariaDB", "10.2.7-MariaDB-log", "10.11.6-MariaDB-0+deb12u1", "11.4.2-MariaDB", "5.7.44-log",
     "8.0.35", "8.4.0-commercial", "9.1", "5.7", "unreadable"],
)  # fmt: skip
def test_supported_servers_are_let_in(version):
    """A version is read in every spelling, with MariaDB's replication prefix too; what cannot be read is let in."""
    assert _server(version).version == version


@pytest.mark.parametrize(
    "version",
    ["5.5.5-10.1.48-MariaDB", "10.2.6-MariaDB", "5.5.68-MariaDB", "5.6.51-log", "5.5.5-m3", "5.1.73", "4.1"],
)
def test_servers_that_are_too_old_are_refused_before_anything_is_read(version):
    """One line says which version the server has and which are supported, instead of an unknown column."""
    with pytest.raises(ConfigError) as raised:
        _server(version)
    assert str(raised.value) == (
        f"the server's version is {version}: supported are MariaDB 10.2.7 or later and MySQL 5.7 or later"
    )
