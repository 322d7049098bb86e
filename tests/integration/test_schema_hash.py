"""The hash of a table's structure on a real server, and the table that is created from that structure elsewhere."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from opendental_analyze.sandbox.databases import mariadb_root, run
from opendental_analyze.sandbox.source import create_tables
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.errors import SchemaDiscoveryError, SchemaNotFoundError
from target_opendental_replica.statements import quote, render_create_table

OFFICIAL = [known.table for known in load_knowledge().tables.values()]
CREATE = """CREATE TABLE zz (
  Num bigint(20) NOT NULL AUTO_INCREMENT,
  Name varchar(100) NOT NULL DEFAULT '',
  Code varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL,
  Flag tinyint(1) NOT NULL DEFAULT 0,
  Amount double NOT NULL DEFAULT 0,
  Price decimal(10,2) DEFAULT NULL,
  Day date NOT NULL DEFAULT '0001-01-01',
  Entered datetime NOT NULL DEFAULT current_timestamp(),
  Changed timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  Doubled double GENERATED ALWAYS AS (Amount * 2) STORED,
  PRIMARY KEY (Num),
  KEY named (Name),
  KEY byname (Name(10), Code),
  KEY byday (Day)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3"""

SAME = {
    "nothing": "DO 0",
    "analyze": "ANALYZE TABLE zz",
    "optimize": "OPTIMIZE TABLE zz",
    "rows": "INSERT INTO zz (Name, Code) SELECT seq, seq FROM seq_1_to_1000",
    "engine InnoDB": "ALTER TABLE zz ENGINE=InnoDB",
    "engine Aria": "ALTER TABLE zz ENGINE=Aria",
    "row format": "ALTER TABLE zz ROW_FORMAT=DYNAMIC",
    "comment of the table": "ALTER TABLE zz COMMENT='reviewed'",
    "comment of a column": "ALTER TABLE zz MODIFY Name varchar(100) NOT NULL DEFAULT '' COMMENT 'reviewed'",
    "comment of an index": "ALTER TABLE zz DROP KEY byday, ADD KEY byday (Day) COMMENT 'reviewed'",
    "auto_increment": "ALTER TABLE zz AUTO_INCREMENT=1000000",
    "charset of new columns": "ALTER TABLE zz DEFAULT CHARSET=utf8mb4",
    "charset of all columns": "ALTER TABLE zz CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; "
    "ALTER TABLE zz MODIFY Code varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
    "display width": "ALTER TABLE zz MODIFY Flag tinyint(4) NOT NULL DEFAULT 0, "
    "MODIFY Num bigint(11) NOT NULL AUTO_INCREMENT",
    "table renamed and back": "ALTER TABLE zz RENAME zz_other; ALTER TABLE zz_other RENAME zz",
    "index made again": "ALTER TABLE zz DROP KEY byname; ALTER TABLE zz ADD KEY byname (Name(10), Code)",
}
DIFFERENT = {
    "column added": "ALTER TABLE zz ADD Added int",
    "column dropped": "ALTER TABLE zz DROP Price",
    "column renamed": "ALTER TABLE zz CHANGE Price Cost decimal(10,2) DEFAULT NULL",
    "column's case": "ALTER TABLE zz CHANGE Price PRICE decimal(10,2) DEFAULT NULL",
    "column moved": "ALTER TABLE zz MODIFY Price decimal(10,2) DEFAULT NULL AFTER Num",
    "type": "ALTER TABLE zz MODIFY Flag smallint NOT NULL DEFAULT 0",
    "sign": "ALTER TABLE zz MODIFY Flag tinyint unsigned NOT NULL DEFAULT 0",
    "length": "ALTER TABLE zz MODIFY Name varchar(101) NOT NULL DEFAULT ''",
    "scale": "ALTER TABLE zz MODIFY Price decimal(10,3) DEFAULT NULL",
    "fraction of a second": "ALTER TABLE zz MODIFY Entered datetime(3) NOT NULL DEFAULT current_timestamp(3)",
    "nullability": "ALTER TABLE zz MODIFY Day date NULL DEFAULT '0001-01-01'",
    "default": "ALTER TABLE zz ALTER Day SET DEFAULT '0000-00-00'",
    "default of a number": "ALTER TABLE zz ALTER Flag SET DEFAULT 1",
    "default dropped": "ALTER TABLE zz ALTER Day DROP DEFAULT",
    "default of a moment": "ALTER TABLE zz MODIFY Entered datetime NOT NULL DEFAULT '0001-01-01 00:00:00'",
    "on update dropped": "ALTER TABLE zz MODIFY Changed timestamp NOT NULL DEFAULT current_timestamp()",
    "on update added": "ALTER TABLE zz MODIFY Entered datetime NOT NULL DEFAULT current_timestamp() "
    "ON UPDATE current_timestamp()",
    "auto_increment dropped": "ALTER TABLE zz MODIFY Num bigint NOT NULL",
    "comparison": "ALTER TABLE zz MODIFY Code varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL",
    "expression": "ALTER TABLE zz MODIFY Doubled double GENERATED ALWAYS AS (Amount * 3) STORED",
    "no expression": "ALTER TABLE zz MODIFY Doubled double",
    "index added": "ALTER TABLE zz ADD KEY bycode (Code)",
    "index dropped": "ALTER TABLE zz DROP KEY byday",
    "index renamed": "ALTER TABLE zz DROP KEY byday, ADD KEY dayby (Day)",
    "index's columns": "ALTER TABLE zz DROP KEY byday, ADD KEY byday (Day, Flag)",
    "index's order": "ALTER TABLE zz DROP KEY byname, ADD KEY byname (Code, Name(10))",
    "prefix": "ALTER TABLE zz DROP KEY byname, ADD KEY byname (Name(11), Code)",
    "unique": "ALTER TABLE zz DROP KEY byday, ADD UNIQUE KEY byday (Day)",
    "descending": "ALTER TABLE zz DROP KEY byday, ADD KEY byday (Day DESC)",
    "kind": "ALTER TABLE zz DROP KEY named, ADD FULLTEXT KEY named (Name)",
    "primary key dropped": "ALTER TABLE zz MODIFY Num bigint NOT NULL, DROP PRIMARY KEY",
    "primary key's columns": "ALTER TABLE zz DROP PRIMARY KEY, ADD PRIMARY KEY (Num, Code)",
    "primary key's order": "ALTER TABLE zz DROP PRIMARY KEY, ADD PRIMARY KEY (Code, Num), ADD KEY (Num)",
}


def discover(database, name=None):
    return SchemaDiscovery(database.engine, name or database.name)


def read_hash(database):
    return discover(database).get_table_schema("zz").schema_hash


def alter(database, statements):
    """Statements that MySQL would refuse for values such as 0000-00-00 are let through, as Open Dental does."""
    run(database.engine, ["SET SESSION sql_mode = ''", *statements.split(";")])


@pytest.mark.parametrize("change", SAME)
def test_the_hash_stays(change, mariadb_database):
    """Nothing that leaves columns, types, defaults, keys and indexes as they are moves the hash."""
    alter(mariadb_database, CREATE)
    before = read_hash(mariadb_database)
    alter(mariadb_database, SAME[change])
    assert read_hash(mariadb_database) == before
    assert not discover(mariadb_database).has_schema_changed("zz", before)


@pytest.mark.parametrize("change", DIFFERENT)
def test_the_hash_moves(change, mariadb_database):
    """Each change of a column, type, default, key or index moves the hash, and back it is the old one."""
    alter(mariadb_database, CREATE)
    before = read_hash(mariadb_database)
    alter(mariadb_database, DIFFERENT[change])
    assert read_hash(mariadb_database) != before
    assert discover(mariadb_database).has_schema_changed("zz", before)
    alter(mariadb_database, f"DROP TABLE zz;{CREATE}")
    assert read_hash(mariadb_database) == before


def test_the_hash_is_sha256_and_another_for_each_structure(practice):
    """64 hexadecimal digits; equal hashes among the official tables mean equal structures."""
    discovery = SchemaDiscovery(practice.reader, practice.database)
    hashes = {table: discovery.get_table_schema(table).schema_hash for table in discovery.discover_all_tables()}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes.values())
    assert len(set(hashes.values())) > 420


# --- replicate_schema -------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(sandbox):
    """A second, empty database on the same server."""
    with throw_away(sandbox.state, "replica") as database:
        yield database


@pytest.fixture
def both(sandbox, mariadb_database, elsewhere):
    """An engine that may create in both databases, with a pool: hundreds of tables are copied through it."""
    engine = sa.create_engine(mariadb_root(sandbox.state).url)
    yield engine
    engine.dispose()


def show_create(engine, database, tables):
    """What the server says of each table, the next key aside."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"USE {quote(database)}")
        return {
            table: re.sub(r" AUTO_INCREMENT=\d+(?= DEFAULT)", "", read_ddl(connection, quote(table)))
            for table in tables
        }


def read_ddl(connection, quoted):
    verbatim = connection.execution_options(no_parameters=True)
    return verbatim.exec_driver_sql(f"SHOW CREATE TABLE {quoted}").one()[1]


@pytest.mark.parametrize("storage", ["MyISAM", "InnoDB"])
def test_official_tables_their_replicas_and_the_rendered_tables_are_one(storage, mariadb_database, elsewhere, both):
    """For all official tables on both engines: the published structure's hash, and one text for all three.

    The source is created from what the target renders, so that rendering its discovered facts again must give that
    text, and the replica's SHOW CREATE must be the source's.
    """
    create_tables(mariadb_database.engine, OFFICIAL, mariadb_database.name, storage, lambda *_: None)
    run(mariadb_database.engine, ["ALTER TABLE patient AUTO_INCREMENT = 7"])
    discovery = SchemaDiscovery(both, mariadb_database.name)
    tables = [table.name for table in OFFICIAL]
    for table in OFFICIAL:
        found = discovery.get_table_schema(table.name)
        assert found.schema_hash == table.schema_hash
        assert render_create_table(found.to_dict()) == render_create_table(table.to_dict(), engine=storage)
        discovery.replicate_schema(table.name, both, elsewhere.name)
    assert show_create(both, elsewhere.name, tables) == show_create(both, mariadb_database.name, tables)


def test_a_replica_has_no_rows_and_may_have_another_name(mariadb_database, elsewhere, both):
    """Structure only: the name is the one that was asked for, whatever stands in it."""
    alter(mariadb_database, f"{CREATE};INSERT INTO zz (Name, Code) VALUES ('a', 'b')")
    discover(mariadb_database).replicate_schema("zz", both, elsewhere.name, target_table="a`b %s '\"")
    replica = SchemaDiscovery(elsewhere.engine, elsewhere.name)
    assert replica.discover_all_tables() == ("a`b %s '\"",)
    assert replica.get_table_size_info("a`b %s '\"").rows == 0
    assert replica.get_table_schema("a`b %s '\"").schema_hash == read_hash(mariadb_database)


def test_hostile_tables_are_replicated(mariadb_database, elsewhere, both):
    """A name is data on the way over, in the table's own statement too: `CREATE TABLE` in a comment misleads nobody."""
    names = ("a`b", "100%s %(x)s", "CREATE TABLE `x` (", "naïve 表", "a'b\"c", "a.b")
    for name in names:
        body = "(Num int PRIMARY KEY COMMENT 'CREATE TABLE `x` (%s', `c``d` varchar(20) DEFAULT ':a %s \\\\ '' ;')"
        comment = "`x` %s )\\n) ENGINE=InnoDB"
        run(mariadb_database.engine, [f"CREATE TABLE {quote(name)} {body} ENGINE=MyISAM COMMENT='{comment}'"])
        discover(mariadb_database).replicate_schema(name, both, elsewhere.name)
    assert show_create(both, elsewhere.name, names) == show_create(both, mariadb_database.name, names)


def test_a_comment_that_reads_like_the_counter_stays(mariadb_database, elsewhere, both):
    """Only the server's own AUTO_INCREMENT=n is left behind."""
    create = "CREATE TABLE zz (Num int) ENGINE=MyISAM COMMENT='was AUTO_INCREMENT=5 DEFAULT once'"
    run(mariadb_database.engine, [create])
    discover(mariadb_database).replicate_schema("zz", both, elsewhere.name)
    with both.connect() as connection:
        ddl = [read_ddl(connection, f"{name}.zz") for name in (mariadb_database.name, elsewhere.name)]
    assert ddl[0] == ddl[1]


def test_a_table_that_is_there_is_dropped_only_on_demand(mariadb_database, elsewhere, both):
    """Without drop_if_exists a replica that is there stays as it is and the error names it; with it, it is replaced."""
    alter(mariadb_database, CREATE)
    run(elsewhere.engine, ["CREATE TABLE zz (Other int)"])
    with pytest.raises(SchemaDiscoveryError, match="zz") as raised:
        discover(mariadb_database).replicate_schema("zz", both, elsewhere.name)
    assert "drop_if_exists" in str(raised.value)
    assert discover(elsewhere).get_table_schema("zz").column_names == ("Other",)
    discover(mariadb_database).replicate_schema("zz", both, elsewhere.name, drop_if_exists=True)
    assert read_hash(elsewhere) == read_hash(mariadb_database)


def test_a_source_table_that_does_not_exist_leaves_the_target_alone(mariadb_database, elsewhere, both):
    """Nothing is dropped for a table that cannot be created."""
    alter(mariadb_database, CREATE)
    run(elsewhere.engine, ["CREATE TABLE no_such_table (Other int)"])
    with pytest.raises(SchemaNotFoundError, match="no_such_table"):
        discover(mariadb_database).replicate_schema("no_such_table", both, elsewhere.name, drop_if_exists=True)
    assert discover(elsewhere).discover_all_tables() == ("no_such_table",)


def test_a_missing_target_database_is_named(mariadb_database, both):
    """The error is ours and names the database."""
    alter(mariadb_database, CREATE)
    with pytest.raises(SchemaDiscoveryError, match="tmp_no_such_replica"):
        discover(mariadb_database).replicate_schema("zz", both, "tmp_no_such_replica")
