"""The replica's tables are the source's, and follow them: drift is mended by a copy that takes the table's place."""

import re
from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, facts_of, make_batch, position
from tests.values import HOSTILE_NAMES

from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.source import create_tables
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.errors import (
    ConfigError,
    ExitCode,
    IdentifierError,
    SchemaRefusedError,
    UnknownTypeError,
)
from target_opendental_replica.stream_facts import Field, Start, StreamFacts
from target_opendental_replica.warehouse import Counts

START = Start("a" * 16, 0)
BOTH = ("Num", "Name")
OFFICIAL = [known.table for known in load_knowledge().tables.values()]
TABLE = Table("t", (NUM, NAME), ("Num",), engine="InnoDB")


def read_all(engine, tables):
    """SHOW CREATE TABLE of each table, and without counters."""
    with engine.connect() as connection:
        plain = connection.execution_options(no_parameters=True)
        found = (plain.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1] for table in tables)
        return [re.sub(r" AUTO_INCREMENT=\d+(?= DEFAULT)", "", ddl) for ddl in found]


@pytest.fixture(scope="module")
def source_ddl(sandbox):
    """What a source on MyISAM, as Open Dental makes it, says of its tables."""
    with throw_away(sandbox.state, "source") as source:
        create_tables(source.engine, OFFICIAL, source.name, "MyISAM", lambda *_: None)
        return read_all(source.engine, [table.name for table in OFFICIAL])


@pytest.mark.parametrize("engine", [None, "InnoDB"])
def test_all_tables_of_open_dental_are_the_sources(engine, source_ddl, replica):
    """SHOW CREATE TABLE of all 424 is that of the source, its engine kept or set; a second look changes nothing."""
    session = replica.connect(engine=engine)
    for table in OFFICIAL:
        session.open_stream(facts_of(replace(table, engine="MyISAM"), start=START), replica.notices.append)
    wanted = [ddl.replace("ENGINE=MyISAM", f"ENGINE={engine or 'MyISAM'}") for ddl in source_ddl]
    assert read_all(replica.database.engine, [table.name for table in OFFICIAL]) == wanted
    replica.close()
    session = replica.connect(engine=engine)
    for table in OFFICIAL[:20]:
        session.open_stream(facts_of(replace(table, engine="MyISAM"), start=START), replica.notices.append)
    assert replica.notices == []


def fill(replica, table, *rows, **settings):
    """Load rows by all columns of the table, and settle."""
    loader = replica.open(facts_of(table, start=START), **settings)
    loader.load(make_batch(table.column_names, *rows))
    counts = loader.settle(position(1))
    replica.close()
    return counts


def fit(replica, table, **settings):
    """Open the stream with other facts; return what was told."""
    replica.notices.clear()
    replica.open(facts_of(table, start=START), **settings)
    replica.close()
    return replica.notices


WIDE = Column("Name", "varchar(200)", default="NULL")
SHORT = Column("Name", "varchar(3)", default="NULL")
ADDED = Column("Added", "varchar(9)", nullable=False)
EASY = {
    "column added": replace(TABLE, columns=(NUM, ADDED, NAME)),
    "column widened": replace(TABLE, columns=(NUM, WIDE)),
    "column moved": replace(TABLE, columns=(NAME, NUM)),
    "type changed": replace(TABLE, columns=(NUM, Column("Name", "longtext", default="NULL"))),
    "engine changed": replace(TABLE, engine="MyISAM"),
    "charset changed": replace(TABLE, collation="utf8mb4_general_ci"),
    "index added": replace(TABLE, indexes=(Index("byname", (IndexColumn("Name", 3),)),)),
    "default changed": replace(TABLE, columns=(NUM, replace(NAME, default="'x'"))),
    "key changed": replace(
        TABLE, columns=(NUM, replace(NAME, nullable=False, default=None)), primary_key=("Num", "Name")
    ),
    "key added": replace(
        TABLE, columns=(NUM, NAME), primary_key=("Num",), indexes=(Index("u", (IndexColumn("Name"),), unique=True),)
    ),
}


@pytest.mark.parametrize("change", EASY)
def test_a_table_follows_its_source(change, replica):
    """The structure becomes the new one, every row stays, nothing is left behind, and it is told once."""
    fill(replica, TABLE, (1, "one"), (2, "twö"))
    assert len(fit(replica, EASY[change])) == 1
    assert replica.rows("t", "Num, Name") == [(1, "one"), (2, "twö")]
    wanted = replace(EASY[change], name="wanted")
    replica.make(wanted)
    assert replica.ddl("t").replace("`t`", "`wanted`", 1) == replica.ddl("wanted")
    replica.ask("DROP TABLE wanted")
    assert replica.tables() == ["_od_load_state", "_od_tables", "t"]
    assert fit(replica, EASY[change]) == []
    assert fill(replica, EASY[change], *replica.rows("t")) == Counts(unchanged=2)


LOSSY = {
    "column narrowed": replace(TABLE, columns=(NUM, SHORT)),
    "text to number": replace(TABLE, columns=(NUM, Column("Name", "int(11)", default="NULL"))),
    "charset narrowed": replace(TABLE, columns=(NUM, replace(NAME, collation="latin1_swedish_ci"))),
    "key to a column that is not unique": Table("t", (NUM, Column("Name", "varchar(20)", nullable=False)), ("Name",)),
    "nullability": replace(TABLE, columns=(NUM, replace(NAME, nullable=False, default=None))),
    "unique": replace(TABLE, indexes=(Index("u", (IndexColumn("Name"),), unique=True),)),
    "column renamed and narrowed": replace(TABLE, columns=(NUM, replace(SHORT, name="NAME"))),
}


@pytest.mark.parametrize("change", LOSSY)
def test_what_does_not_fit_any_more_is_kept_aside(change, replica):
    """Where a value would be altered or a row lost, the old table stays, whole; the stream goes on."""
    rows = [(1, "long one"), (2, "long 表"), (3, "long one"), (4, None)]
    fill(replica, TABLE, *rows)
    for number in (1, 2):
        before = replica.ddl("t").replace("`t`", f"`_od_kept_t_{number}`", 1)
        told = fit(replica, LOSSY[change])
        assert "_od_kept_t_" in told[0]
        assert replica.rows(f"_od_kept_t_{number}") == rows
        assert replica.ddl(f"_od_kept_t_{number}") == before
        fill(replica, TABLE)
        replica.ask("DELETE FROM t")
        replica.ask("INSERT INTO t SELECT * FROM _od_kept_t_1")
    wanted = replace(LOSSY[change], name="wanted")
    fit(replica, LOSSY[change])
    replica.make(wanted)
    assert replica.ddl("t").replace("`t`", "`wanted`", 1) == replica.ddl("wanted")


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("double", "float", "0.1"), ("datetime(6)", "datetime", "2024-01-01 00:00:00.5"), ("double", "int(11)", "1.5"),
        ("decimal(10,3)", "decimal(10,2)", "1.005"), ("bigint(20)", "double", "9007199254740993"),
        ("varchar(9)", "int(11)", "007"), ("datetime", "date", "2024-01-01 10:00:00"),
        ("time(3)", "time", "10:00:00.5"),
    ],
)  # fmt: skip
def test_values_that_the_server_alters_without_a_word_are_noticed(old, new, value, replica):
    """Rounding warns of nothing: the copy is compared."""
    table = replace(TABLE, columns=(NUM, Column("Name", old)))
    fill(replica, table, (1, value))
    assert "_od_kept_t_1" in fit(replica, replace(TABLE, columns=(NUM, Column("Name", new))))[0]
    plain = "2024-01-01" if old.startswith("date") else "2"
    fill(replica, replace(TABLE, name="u", columns=(NUM, Column("Name", old))), (1, plain))
    assert "_od_kept" not in fit(replica, replace(TABLE, name="u", columns=(NUM, Column("Name", "varchar(30)"))))[0]


def test_a_dropped_column_goes_or_stays(replica):
    """drop: it is gone. keep: it stays, nullable and marked, its values with it, through merges and versions."""
    old = replace(TABLE, columns=(NUM, NAME, Column("Gone", "varchar(9)", nullable=False)))
    fill(replica, old, (1, "one", "x"), (2, "two", "y"), drops_columns=False)
    assert "column gone dropped" not in fit(replica, TABLE, drops_columns=False)[0]
    assert re.search(
        r"`Gone` varchar\(9\) DEFAULT NULL COMMENT 'dropped at the source on 20..-..-..'", replica.ddl("t")
    )
    loader = replica.open(facts_of(TABLE, start=START), drops_columns=False)
    loader.load(make_batch(BOTH, (1, "uno"), (3, "three")))
    loader.settle(None)
    assert replica.rows("t") == [(1, "uno", "x"), (2, "two", "y"), (3, "three", None)]
    loader.load(make_batch(BOTH, (1, "eins"), (2, "two"), version=3))
    loader.activate(3)
    loader.settle(None)
    assert replica.rows("t") == [(1, "eins", "x"), (2, "two", "y")]
    assert fit(replica, TABLE, drops_columns=False) == []
    assert "column gone dropped" in fit(replica, TABLE)[0]
    assert replica.rows("t") == [(1, "eins"), (2, "two")]


def test_columns_that_are_not_sent_have_their_default(replica):
    """Withheld columns are there, empty or with their default, and keep what they have."""
    kinds = ("varchar(9)", "int(11)", "date", "timestamp", "enum('x','y')", "blob", "double", "time", "year(4)", "text")
    secrets = tuple(Column(f"S{number}", kind, nullable=False) for number, kind in enumerate(kinds))
    more = (
        Column("D", "varchar(9)", nullable=False, default="'none'"),
        Column("M", "timestamp", nullable=False, default="current_timestamp()", on_update="current_timestamp()"),
    )
    table = replace(TABLE, columns=(NUM, *secrets, *more, NAME))
    withheld = tuple(column.name for column in (*secrets, *more))
    facts = facts_of(table, withheld=withheld, start=START)
    for local in (True, False):
        loader = replica.open(facts, local_infile=local)
        loader.load(make_batch(BOTH, (1, "one")))
        loader.settle(None)
        loader.load(make_batch(BOTH, (2, "two")))
        loader.settle(None)
        names = ", ".join(f"CAST({column.name} AS CHAR)" for column in (*secrets, more[0]))
        empty = ("", "0", "0000-00-00", "0000-00-00 00:00:00", "x", "", "0", "00:00:00", "0000", "", "none")
        assert replica.rows("t", names) == [empty, empty]
        replica.ask("UPDATE t SET S0 = 'kept', M = '2001-01-01'")
        loader = replica.open(facts, local_infile=local)
        loader.load(make_batch(BOTH, (1, "uno")))
        assert loader.settle(None) == Counts(updated=1)
        assert replica.rows("t", "S0, CAST(M AS CHAR), Name")[0] == ("kept", "2001-01-01 00:00:00", "uno")
        loader.load(make_batch(BOTH, (1, "due"), version=5))
        loader.activate(5)
        loader.settle(None)
        assert replica.rows("t", "S0, CAST(M AS CHAR), Name") == [("kept", "2001-01-01 00:00:00", "due")]
        replica.close()
        replica.ask("DROP TABLE t, _od_tables")


def test_a_table_that_lost_something_here_is_sent_again(replica):
    """A table or column that was dropped here takes the positions with it, so that no state builds on what is gone."""
    facts = facts_of(TABLE, start=START)
    fill(replica, TABLE, (1, "one"))
    assert replica.open(facts).held == position(1)
    replica.close()
    replica.ask("ALTER TABLE t DROP Name")
    assert replica.open(facts).held is None
    fill(replica, TABLE, (1, "one"))
    replica.ask("DROP TABLE t")
    assert replica.open(facts).held is None
    fill(replica, TABLE, (1, "one"))
    replica.ask("ALTER TABLE t ADD Mine int, ADD KEY mine (Mine)")
    assert replica.open(facts).held == position(1)
    assert replica.rows("t") == [(1, "one")]


def test_a_table_made_by_hand_is_taken_over(replica):
    """Its rows stay where they fit."""
    replica.ask("CREATE TABLE t (Num int, Name varchar(50), Other int) ENGINE=Aria")
    replica.ask("INSERT INTO t VALUES (1, 'one', 5)")
    assert "other dropped" in fit(replica, TABLE)[0]
    assert replica.rows("t") == [(1, "one")]


@pytest.fixture
def giving_defaults(sandbox):
    """A server that gives the first TIMESTAMP of a table moments of its own, as all did once."""
    root = mariadb_root(sandbox.state)
    with root.connect() as connection:
        connection.exec_driver_sql("SET GLOBAL explicit_defaults_for_timestamp = 0")
        yield
        connection.exec_driver_sql("SET GLOBAL explicit_defaults_for_timestamp = 1")
    root.dispose()


def test_a_moment_without_a_default_gets_none(giving_defaults, replica):
    """Where the server would give a TIMESTAMP one, and ON UPDATE: the replica is as the source; a control has both."""
    replica.ask("CREATE TABLE control (At timestamp NOT NULL)")
    moment = Column("At", "timestamp", nullable=False)
    fill(replica, Table("t", (NUM, moment), ("Num",), engine="InnoDB"), ("1", "2026-11-22 10:00:00"))
    control, ours = read_all(replica.database.engine, ["control", "t"])
    assert "ON UPDATE" in control
    assert "`At` timestamp NOT NULL,\n" in ours


def test_what_is_no_table_is_refused(replica):
    """A view, or a sequence, of the name stays as it is, and the error says what it is."""
    replica.ask("CREATE VIEW t AS SELECT 1 AS Num, 'x' AS Name")
    with pytest.raises(SchemaRefusedError, match="t is no table but a view"):
        fit(replica, TABLE)
    replica.ask("DROP VIEW t")
    replica.ask("CREATE SEQUENCE t")
    with pytest.raises(SchemaRefusedError, match="t is no table but a sequence"):
        fit(replica, TABLE)


UNIQUE_SECRET = Table(
    *("t", (NUM, Column("S", "int", nullable=False)), ("Num",)),
    indexes=(Index("u", (IndexColumn("S"),), unique=True),),
)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        (replace(facts_of(TABLE), is_exact=False), ConfigError),
        (facts_of(TABLE, withheld=("Num",)), ConfigError),
        (facts_of(replace(TABLE, name="_OD_tables")), ConfigError),
        (facts_of(replace(TABLE, name="x" * 65)), IdentifierError),
        (facts_of(replace(TABLE, columns=(NUM, Column("Name", "frob(3)")))), UnknownTypeError),
        (facts_of(replace(TABLE, engine="nope")), SchemaRefusedError),
        (StreamFacts("u", (Field("a", {"type": "string", "x-sql-datatype": "frob"}),)), UnknownTypeError),
        (facts_of(UNIQUE_SECRET, withheld=("S",)), ConfigError),
    ],
)  # fmt: skip
def test_what_cannot_be_a_replica_is_refused(facts, error, replica):
    """With the class of its error, before anything is made."""
    with pytest.raises(error):
        replica.open(facts)
    assert replica.tables() == ["_od_load_state", "_od_tables"]


@pytest.mark.parametrize("name", ["tooth \U0001f9b7", "t\t", "t\n", "t\v", "t\f", "t\r", "t ", "\ud83e", "x" * 65, ""])
def test_a_name_that_the_server_does_not_take_is_refused(name, replica):
    """As table, column or index: with the stream, before anything is made, and by its own class."""
    column = Column(name, "int(11)", default="NULL")
    for table in (
        replace(TABLE, name=name),
        replace(TABLE, columns=(NUM, NAME, column)),
        replace(TABLE, indexes=(Index(name, (IndexColumn("Name"),)),)),
    ):
        with pytest.raises(IdentifierError, match="stream") as refused:
            replica.open(facts_of(table))
        assert repr(table.name) in str(refused.value) or "stream t:" in str(refused.value)
        assert refused.value.exit_code == ExitCode.CONFIG
    assert replica.tables() == ["_od_load_state", "_od_tables"]


def test_names_that_the_server_takes_are_not_refused(replica):
    """The control: the last character of utf8mb3, other spaces at the end, a space at the begin."""
    for number, name in enumerate((" t", "t\uffff", "t\u00a0", "t\u3000", "t\x1c", "t\x7f")):
        column = Column(name, "int(11)", default="NULL")
        table = Table(f"{name}", (NUM, column), ("Num",), (Index(name, (IndexColumn(name),)),), engine="InnoDB")
        loader = replica.open(facts_of(table))
        loader.load(make_batch(table.column_names, (1, number)))
        assert loader.settle(None) == Counts(inserted=1)
        assert replica.rows(name) == [(1, number)]


def test_hostile_names_stay_names(replica):
    """Tables, columns and indexes of any name are made, filled, merged, swapped and changed; a canary survives."""
    replica.ask("CREATE TABLE canary (a int)")
    replica.ask("INSERT INTO canary VALUES (1)")
    names = [
        *HOSTILE_NAMES,
        "`; DROP TABLE canary; --",
        "x' OR 1=1; DROP TABLE canary; -- ",
        "é" * 64,
        "a.b",
        "@f0",
        "?",
    ]
    for name in (name.rstrip() for name in names):
        columns = (NUM, *(Column(each.rstrip(), "varchar(99)", default="'a`%s'") for each in names), ADDED)
        table = Table(name, columns, ("Num",), (Index(name, (IndexColumn(name, 5),)),), engine="InnoDB")
        rows = [(number, *names, name[:9]) for number in (1, 2)]
        assert fill(replica, replace(table, columns=columns[:-1]), *(row[:-1] for row in rows)) == Counts(inserted=2)
        assert len(fit(replica, table)) == 1
        loader = replica.open(facts_of(table))
        loader.load(make_batch(table.column_names, *rows))
        loader.load(make_batch(table.column_names, rows[0], version=1))
        loader.activate(1)
        assert loader.settle(None) == Counts(unchanged=1, deleted=1, updated=2)
        assert replica.rows(name) == rows[:1]
    assert replica.rows("canary") == [(1,)]
    assert len(replica.tables()) == len(names) + 3


OTHER = {
    "i": ({"type": ["integer", "null"], "minimum": 0, "maximum": 200}, "tinyint(3) unsigned"),
    "j": ({"type": "integer"}, "bigint(20)"),
    "n": ({"type": "number"}, "double"),
    "m": ({"type": "number", "multipleOf": 0.01}, "decimal(65,2)"),
    "s": ({"type": ["null", "string"], "maxLength": 99}, "varchar(99)"),
    "l": ({"type": "string"}, "longtext"),
    "d": ({"type": "string", "format": "date"}, "date"),
    "t": ({"type": "string", "format": "date-time"}, "datetime(6)"),
    "c": ({"anyOf": [{"type": "string", "format": "time"}, {"type": "null"}]}, "time(6)"),
    "b": ({"type": "boolean"}, "tinyint(1)"),
    "o": ({"type": "object"}, "longtext"),
    "h": ({"type": "string", "x-sql-datatype": "NUMERIC(10, 2)"}, "decimal(10,2)"),
    "": ({}, ""),
}


def test_a_stream_of_another_tap_gets_a_table_of_its_schema(replica):
    """By JSON Schema and x-sql-datatype, utf8mb4 and binary; what is sent is what is stored."""
    fields = (Field("id", {"type": "string"}), *(Field(name, schema) for name, (schema, _) in OTHER.items() if name))
    facts = StreamFacts("users-x", fields, ("id",))
    loader = replica.open(facts)
    ddl = replica.ddl("users-x")
    assert "`id` varchar(255) NOT NULL" in ddl
    for name, (_, kind) in OTHER.items():
        assert not name or f"`{name}` {kind} DEFAULT NULL" in ddl
    assert "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin" in ddl
    row = (
        "a",
        200,
        2**63 - 1,
        0.1,
        0.01,
        "é",
        "x" * 999,
        "2024-02-29",
        "2024-01-01 10:00:00.5",
        "10:00:00",
        1,
        '{"a": 1}',
        1.5,
    )
    loader.load(make_batch(facts.names, row, ("A", *[None] * 12)))
    assert loader.settle(None) == Counts(inserted=2)
    assert replica.rows("users-x", "n, m, CAST(t AS CHAR), b, o, h", "id DESC")[0][2:5] == (
        "2024-01-01 10:00:00.500000",
        1,
        '{"a": 1}',
    )
