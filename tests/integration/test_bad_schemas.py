"""The analysis of what is not in order: an error of our own or a line in `left_out`, never a traceback."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from opendental_analyze.sandbox.databases import mariadb_root, run
from opendental_analyze.sandbox.ports import LOOPBACK
from tap_opendental.discovery import SchemaDiscovery, introspect
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.errors import OpenDentalError, SchemaDiscoveryError, SchemaNotFoundError
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2024-06-30"
STAMPED = (
    "(Num bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, Note varchar(20), DateTStamp timestamp NOT NULL "
    "DEFAULT current_timestamp() ON UPDATE current_timestamp(), KEY (Note)) ENGINE=MyISAM"
)
RECALL = (
    "CREATE TABLE recall (RecallNum bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, PatNum bigint NOT NULL, "
    "Note text NULL, DateTStamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(), "
    "KEY PatNum (PatNum)) ENGINE=MyISAM"
)
PATIENT = "CREATE TABLE patient (PatNum bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, LName varchar(100)) ENGINE=MyISAM"
PREFERENCE = (
    "CREATE TABLE preference (PrefName varchar(255) NOT NULL, ValueString text NOT NULL, "
    "PrefNum bigint NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=MyISAM"
)
SECURITYLOG = (
    "CREATE TABLE securitylog (SecurityLogNum bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, LogText text) ENGINE=MyISAM"
)

KEY = "SecurityLogNum"


def prefer(value):
    return f"INSERT INTO preference (PrefName, ValueString) VALUES ('RandomPrimaryKeys', '{value}')"


@pytest.fixture
def place(sandbox, mariadb_database) -> Iterator[SimpleNamespace]:
    """A throw-away database: `.run` statements in it, `.grant` the reader these rights only, `.discover` as reader."""
    root, name = mariadb_root(sandbox.state), mariadb_database.name
    reader, files = sa.create_engine(mariadb_database.reader_url), sandbox.state.mariadb.data / name
    account = f"{quote(name)}@'{LOOPBACK}'"

    def grant(*rights: str) -> None:
        run(root, [f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"])
        run(root, [f"GRANT {right} TO {account}" for right in rights])
        reader.dispose()  # a connection keeps the rights on a database that it began with

    yield SimpleNamespace(
        name=name,
        quoted=quote(name),
        reader=reader,
        files=files,
        grant=grant,
        run=lambda *statements: run(root, [f"USE {quote(name)}", *statements]),
        discover=lambda database=name: SchemaDiscovery(reader, database),
    )
    reader.dispose()
    run(root, ["FLUSH TABLES"])
    # A table with a broken definition cannot be dropped, and of 5,000 files each goes 20 times faster than its table.
    for file in files.glob("*.*"):
        if file.name != "db.opt":
            file.unlink()
    root.dispose()


def analyse(place):
    return place.discover().analyze_complete_schema(analyzed_on=DAY)


def names(analysis):
    return [table.table.name for table in analysis.tables]


def left_out(analysis):
    return {left.table: left.reason for left in analysis.left_out}


def one(analysis, name):
    return next(table for table in analysis.tables if table.table.name == name)


def test_a_table_without_rights_is_missing(place):
    """A table that the user may not read is not seen by anybody: an official one is named as missing."""
    place.run(RECALL, PATIENT)
    place.grant(f"SELECT ON {place.quoted}.recall")
    analysis = analyse(place)
    assert names(analysis) == ["recall"]
    assert "patient" in analysis.missing
    assert "recall" not in analysis.missing
    assert len(analysis.missing) == len(load_knowledge().tables) - 1


def test_asking_for_a_table_without_rights_names_it_and_the_right(place):
    """A question about such a table fails with its name, the database's, and both ways out."""
    place.run(RECALL, PATIENT)
    place.grant(f"SELECT ON {place.quoted}.recall")
    discovery = place.discover()
    for ask in (
        discovery.get_table_schema,
        discovery.get_table_size_info,
        discovery.get_incremental_columns,
        discovery.get_pipeline_configuration,
        discovery.get_table_dependencies_recursive,
        lambda table: discovery.has_schema_changed(table, "0" * 64),
        lambda table: discovery.analyze_complete_schema([table], analyzed_on=DAY),
    ):
        with pytest.raises(SchemaNotFoundError) as raised:
            ask("patient")
        assert "patient" in str(raised.value)
        assert place.name in str(raised.value)
        assert "GRANT SELECT" in str(raised.value)


@pytest.mark.parametrize(
    "columns",
    ["Note", "PatNum, DateTStamp", "RecallNum, PatNum, DateTStamp", "RecallNum, PatNum, Note, DateTStamp"],
)
def test_a_table_with_rights_on_some_columns_is_left_out(place, columns):
    """Column rights hide columns and keys: nothing of such a table is believed, and the line says which right helps."""
    place.run(RECALL, PATIENT)
    place.grant(f"SELECT ON {place.quoted}.patient", f"SELECT ({columns}) ON {place.quoted}.recall")
    analysis = analyse(place)
    assert names(analysis) == ["patient"]
    assert list(left_out(analysis)) == ["recall"]
    assert "column" in left_out(analysis)["recall"]
    assert "GRANT SELECT" in left_out(analysis)["recall"]


@pytest.mark.parametrize("key", ["", "UNIQUE KEY (b)", "KEY (b)"])
def test_rights_on_some_columns_show_without_a_primary_key_too(place, key):
    """A keyless table of which one column may be read is left out, and is not taken for a table of one column."""
    place.run(PATIENT, f"CREATE TABLE keyless (a int, b int{', ' * bool(key)}{key}) ENGINE=MyISAM")
    place.grant(f"SELECT ON {place.quoted}.patient", f"SELECT (a) ON {place.quoted}.keyless")
    assert list(left_out(analyse(place))) == ["keyless"]


def test_column_rights_beside_a_right_on_the_database_hide_nothing(place):
    """A leftover column grant of a user who may read everything leaves nothing out."""
    place.run(RECALL, PATIENT)
    place.grant(f"SELECT ON {place.quoted}.*", f"SELECT (Note) ON {place.quoted}.recall")
    analysis = analyse(place)
    assert names(analysis) == ["patient", "recall"]
    assert one(analysis, "recall").table.column_names == ("RecallNum", "PatNum", "Note", "DateTStamp")


@pytest.mark.parametrize("after", ["tables", "columns", "indexes"])
def test_a_table_dropped_between_two_statements(place, monkeypatch, after):
    """A table that goes while the schema is read is left out with a line; the others are analysed as ever."""
    place.run(RECALL, PATIENT, f"CREATE TABLE zz_gone {STAMPED}")
    read = introspect._read
    dropped = []

    def read_and_drop(connection, name, database):
        rows = read(connection, name, database)
        if name == after:
            place.run("DROP TABLE zz_gone")
            dropped.append(name)
        return rows

    monkeypatch.setattr(introspect, "_read", read_and_drop)
    analysis = analyse(place)
    assert dropped == [after]
    assert [name for name in names(analysis) if name != "zz_gone"] == ["patient", "recall"]
    if after == "indexes":  # all was read by then: nothing is wrong with what was seen
        assert left_out(analysis) == {}
    else:
        assert list(left_out(analysis)) == ["zz_gone"]
        assert "zz_gone" not in names(analysis)


def test_a_table_created_between_two_statements_waits_for_the_next_analysis(place, monkeypatch):
    """Columns of a table that nobody has listed yet disturb nobody."""
    place.run(PATIENT)
    read = introspect._read

    def create_and_read(connection, name, database):
        if name == "columns":
            place.run(f"CREATE TABLE zz_new {STAMPED}")
        return read(connection, name, database)

    monkeypatch.setattr(introspect, "_read", create_and_read)
    analysis = analyse(place)
    assert names(analysis) == ["patient"]
    assert analysis.left_out == ()


def test_an_empty_database_is_refused(place):
    """No table at all: the error names the database and says that it, or a right, may be the wrong one."""
    with pytest.raises(SchemaDiscoveryError) as raised:
        analyse(place)
    assert place.name in str(raised.value)
    assert "GRANT SELECT" in str(raised.value)


def test_a_database_of_views_is_refused(place):
    """Views are no tables: a database that holds nothing else is as empty."""
    place.run("CREATE VIEW zz_view AS SELECT 1 AS one")
    with pytest.raises(SchemaDiscoveryError, match=place.name):
        analyse(place)


def test_a_database_that_does_not_exist_is_named(place):
    """The error names the database that was asked for, and never comes as SQLAlchemy's."""
    with pytest.raises(SchemaNotFoundError, match="no_such_practice"):
        place.discover("no_such_practice").analyze_complete_schema()


@pytest.mark.parametrize(
    "wrong",
    [{"database": "no_such_practice"}, {"password": "wrong"}, {"port": 1}, {"host": "no-such-host.invalid"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_connection_that_fails_is_one_of_our_errors(place, wrong):
    """A wrong address, password or database in the engine itself ends as a line of ours without the password."""
    engine = sa.create_engine(place.reader.url.set(**wrong))
    with pytest.raises(OpenDentalError) as raised:
        SchemaDiscovery(engine, place.name).discover_all_tables()
    assert "\n" not in str(raised.value)
    assert place.reader.url.password not in str(raised.value)


def test_views_are_passed_over_even_when_broken(place):
    """A view whose table is gone is no table and no trouble."""
    place.run(PATIENT, f"CREATE TABLE zz_gone {STAMPED}", "CREATE VIEW zz_view AS SELECT * FROM zz_gone")
    place.run("DROP TABLE zz_gone")
    analysis = analyse(place)
    assert names(analysis) == ["patient"]
    assert analysis.left_out == ()


@pytest.mark.parametrize(
    ("damage", "phrase"), [("MYI", "Index for table ... is corrupt"), ("frm", "Incorrect information in file: ...")]
)
def test_a_damaged_table_is_left_out_with_the_servers_words(place, damage, phrase):
    """The analysis goes on without it, and the line says what the server said, whichever file is damaged."""
    place.run(PATIENT, f"CREATE TABLE damaged {STAMPED}", "FLUSH TABLES")
    os.truncate(place.files / f"damaged.{damage}", 40)
    analysis = analyse(place)
    assert names(analysis) == ["patient"]
    assert list(left_out(analysis)) == ["damaged"]
    assert phrase in left_out(analysis)["damaged"]


def test_without_rights_on_preference_append_only_tables_are_read_whole(place):
    """Nobody knows whether keys grow when `preference` cannot be read: the reason says so, and nothing fails."""
    place.run(
        SECURITYLOG, PREFERENCE, "INSERT INTO preference (PrefName, ValueString) VALUES ('RandomPrimaryKeys', '0')"
    )
    assert one(analyse(place), "securitylog").replication.key == KEY
    place.grant(f"SELECT ON {place.quoted}.securitylog")
    choice = one(analyse(place), "securitylog").replication
    assert (choice.method, choice.key) == ("FULL_TABLE", None)
    assert "RandomPrimaryKeys" in choice.reason
    assert "preference" in choice.reason


@pytest.mark.parametrize(
    ("rows", "key"),
    [((), None), (("0",), KEY), (("1",), None), (("",), None), (("1", "0"), None), ((" 0 ",), KEY),
     (("0", "1"), None)],
)  # fmt: skip
def test_whatever_preference_says_only_a_plain_no_lets_keys_be_followed(place, rows, key):
    """No row, an empty value, or two rows that contradict each other: the append-only tables are read whole."""
    place.run(SECURITYLOG, PREFERENCE)
    place.run(
        *(f"INSERT INTO preference (PrefName, ValueString) VALUES ('RandomPrimaryKeys', '{row}')" for row in rows)
    )
    assert one(analyse(place), "securitylog").replication.key == key


def test_a_preference_table_of_another_shape_is_no_error(place):
    """A clinic's own table of that name, without the column that is asked for, is an answer too: nobody knows."""
    place.run(SECURITYLOG, "CREATE TABLE preference (Num int PRIMARY KEY) ENGINE=MyISAM")
    assert one(analyse(place), "securitylog").replication.key is None


def test_5000_tables_cost_no_more_statements_than_one(place):
    """The complete analysis of 5,000 tables works, in at most 15 statements."""
    place.run(f"CREATE TABLE zz_0 {STAMPED}", "FLUSH TABLES")
    copies = [place.files / f"zz_{number}" for number in range(1, 5000)]
    for copy in copies:  # a link is a hundred times faster than CREATE TABLE ... LIKE
        for part in (".frm", ".MYD", ".MYI"):
            os.link(place.files / f"zz_0{part}", f"{copy}{part}")
    statements = count_statements(place.reader)
    analysis = analyse(place)
    assert len(analysis.tables) == 5000
    assert {table.replication.key for table in analysis.tables} == {"DateTStamp"}
    assert len(statements) <= 15


def test_a_table_of_1000_columns(place):
    """A thousand columns are analysed like ten."""
    columns = ", ".join(f"c{number} smallint NOT NULL DEFAULT 0" for number in range(999))
    place.run(f"CREATE TABLE wide (Num bigint PRIMARY KEY, {columns}) ENGINE=MyISAM")
    analysis = analyse(place)
    assert [len(table.columns) for table in analysis.tables] == [1000]


def count_statements(engine):
    """A list that grows with each statement of an engine."""
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    return statements
