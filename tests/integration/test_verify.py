"""The comparison of source and replica: equal means to the last byte, and each kind of difference is named by key."""

from dataclasses import dataclass

import pytest

from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away
from opendental_analyze.verify import comparison
from opendental_analyze.verify.comparison import Side, compare_all
from tap_opendental.discovery import SchemaDiscovery

TABLE = """CREATE TABLE t (a INT, b VARCHAR(20) COLLATE utf8mb3_general_ci, txt TEXT, nr DOUBLE, fl FLOAT, d DATE,
    tm TIME, bl BLOB, bits BIT(8), kind ENUM('x', '') DEFAULT 'x', lat TEXT CHARACTER SET latin1, PRIMARY KEY (a, b))"""
ROW = "({}, '{}', 'text', 1.5, 16777216, '0000-00-00', '-25:00:00', 'ab', 5, 'x', 'e')"


@dataclass
class Pair:
    """Two databases, the same to begin with."""

    source: object
    replica: object

    def both(self, *statements):
        """Run statements on both sides."""
        run(self.source, *statements)
        run(self.replica, *statements)

    def compare(self, *tables):
        """Compare tables."""
        sides = [Side(db.engine, SchemaDiscovery(db.engine, db.name), db.name) for db in (self.source, self.replica)]
        return compare_all(*sides, tables=tables)


def run(database, *statements):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def pair(sandbox, mariadb_database, monkeypatch):
    monkeypatch.setattr(comparison, "_RANGE_ROWS", 7)
    with throw_away(sandbox.state) as other:
        pair = Pair(mariadb_database, other)
        rows = ", ".join(ROW.format(number // 3, number % 3) for number in range(30))
        pair.both(TABLE, f"INSERT INTO t VALUES {rows}")
        yield pair


def test_a_table_that_is_done_is_free(pair):
    """It can be altered while the next one is compared, and what comes to that one meanwhile is seen."""
    pair.both("ALTER TABLE t ENGINE=InnoDB", "CREATE TABLE u (a INT PRIMARY KEY) ENGINE=InnoDB")

    def tables():
        yield "t"
        for side in (pair.source, pair.replica):
            run(side, "SET lock_wait_timeout = 1", "ALTER TABLE t ADD more INT")
        run(pair.source, "INSERT INTO u VALUES (1)")
        yield "u"

    sides = [Side(db.engine, SchemaDiscovery(db.engine, db.name), db.name) for db in (pair.source, pair.replica)]
    done, last = compare_all(*sides, tables=tables())
    assert done.is_equal
    assert last.lost == ((1,),)


def test_equal_is_equal(pair):
    """The same rows are equal, whatever the order that they were written in, and over several ranges."""
    run(
        pair.replica,
        "DELETE FROM t WHERE a < 3",
        "INSERT INTO t SELECT 1, b, txt, nr, fl, d, tm, bl, bits, kind, lat FROM t WHERE a = 5",
    )
    assert not pair.compare("t")[0].is_equal
    rows = ", ".join(ROW.format(number // 3, number % 3) for number in range(9))
    run(pair.replica, "DELETE FROM t WHERE a < 3", f"INSERT INTO t VALUES {rows}")
    [result] = pair.compare("t")
    assert (result.is_equal, result.counts) == (True, (30, 30))


@pytest.mark.parametrize(
    "change",
    [
        "txt = 'Text'",
        "txt = 'text '",
        "txt = NULL",
        "txt = '', lat = 'texte'",
        "nr = -1.5",
        "nr = 1.5000000000000002",
        "fl = 16777217 + 1",
        "d = '0001-01-01'",
        "tm = '25:00:00'",
        "bl = 'aB'",
        "bits = 4",
        "kind = ''",
        "kind = 0",
        "lat = 'E'",
    ],
)
def test_every_byte_counts(pair, change):
    """A row that differs in one value, be it by case, a space at its end or the last bit, is named by its key."""
    run(pair.replica, f"UPDATE t SET {change} WHERE a = 4 AND b = '2'")
    [result] = pair.compare("t")
    assert (result.different, result.lost, result.extra) == (((4, "2"),), (), ())


def test_lost_and_extra_rows_are_named(pair):
    """Rows that are missing, or too many, also before the first and behind the last key of the source."""
    run(
        pair.replica,
        "DELETE FROM t WHERE a = 9 AND b = '2'",
        f"INSERT INTO t VALUES {ROW.format(-5, 'k')}, {ROW.format(99, 'k')}",
    )
    [result] = pair.compare("t")
    assert (result.lost, result.extra, result.different) == (((9, "2"),), ((-5, "k"), (99, "k")), ())


def test_tables_without_a_key_are_summed(pair):
    """Of a table without a key the rows as a whole are compared, doubles counted."""
    pair.both("CREATE TABLE k (v INT)", "INSERT INTO k VALUES (1), (1), (2)")
    assert pair.compare("k")[0].is_equal
    run(pair.replica, "DELETE FROM k", "INSERT INTO k VALUES (1), (2), (2)")
    assert not pair.compare("k")[0].is_equal


def test_structure_and_absence_are_seen(pair):
    """Another index is another structure; a table that is not there is missing, not empty."""
    pair.both("CREATE TABLE gone (a INT PRIMARY KEY)")
    run(pair.replica, "ALTER TABLE t ADD INDEX (txt(5))", "DROP TABLE gone")
    changed, gone = pair.compare("t", "gone")
    assert (changed.same_structure, changed.is_equal, bool(changed.different)) == (False, False, False)
    assert (gone.is_missing, gone.is_equal) == (True, False)


def test_secrets_are_left_out_and_named(pair):
    """Columns that the tap never reads are empty in the replica: they are named, not compared."""
    pair.both("CREATE TABLE userod (UserNum INT PRIMARY KEY, UserName TEXT, Password TEXT)")
    run(pair.source, "INSERT INTO userod VALUES (1, 'a', 'secret')")
    run(pair.replica, "INSERT INTO userod VALUES (1, 'a', '')")
    [result] = pair.compare("userod")
    assert (result.is_equal, "Password" in result.left_out) == (True, True)
