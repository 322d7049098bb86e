"""The watermark on a real server: no row that is still on its way is later than it, whoever asks and in which zone."""

import os
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from pymysql.constants import ER
from tests.conftest import ROOTS
from tests.integration.conftest import config_of

from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.processes import read_start
from opendental_analyze.sandbox.sandbox import Sandbox
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away_mariadb
from tap_opendental.connector import SourceAddress, create_source_engine
from tap_opendental.errors import ConfigError
from tap_opendental.extraction import watermark
from tap_opendental.extraction.watermark import Watermark, render_function
from tap_opendental.quoting import quote_plain

SECOND = timedelta(seconds=1)
FORGETS = 0.15  # InnoDB shows one list of transactions until nobody asked for 0.1 s
TABLES = (
    "CREATE TABLE late (Num int AUTO_INCREMENT PRIMARY KEY, Stamp timestamp DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB",
    "CREATE TABLE log (Num int AUTO_INCREMENT PRIMARY KEY, Stamp timestamp DEFAULT CURRENT_TIMESTAMP) ENGINE=MyISAM",
)


class Practice:
    """A database with two tables, its administrator's connections, and its reader, who has SELECT and no more."""

    def __init__(self, state, database):
        self.name = database.name
        self.root = mariadb_root(state)
        self.reader_url = sa.make_url(database.reader_url)
        self.account = f"{quote_plain(database.name)}@'127.0.0.1'"
        self.run(*TABLES)

    @contextmanager
    def connect(self):
        """A connection that may do anything, with autocommit."""
        with self.root.connect() as connection:
            connection.exec_driver_sql(f"USE {quote_plain(self.name)}")
            connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")
            yield connection

    def run(self, *statements):
        """Run statements as they stand; the last one's value, if it has one."""
        with self.connect() as connection:
            verbatim = connection.execution_options(no_parameters=True)
            for statement in statements:
                result = verbatim.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None

    def clock(self):
        """The server's clock, UTC."""
        return self.run("SELECT UTC_TIMESTAMP()")

    def read(self, function=None, zone="+00:00"):
        """W as the tap's reader is told it, in UTC."""
        with self.reading() as connection:
            connection.exec_driver_sql(f"SET SESSION time_zone = '{zone}'")
            return moment(Watermark(function).read(connection).utc)

    @contextmanager
    def reading(self):
        """A connection of the tap, as its reader."""
        with create_source_engine(SourceAddress(**config_of(self.reader_url))).connect() as connection:
            yield connection

    @contextmanager
    def transaction(self):
        """A row that is not committed; yields the server's clock before and after its transaction began."""
        with self.connect() as writer:
            before = self.clock()
            writer.exec_driver_sql("BEGIN")
            writer.exec_driver_sql("INSERT INTO late () VALUES ()")
            yield before, self.clock()
            writer.exec_driver_sql("ROLLBACK")

    def wait_until_after(self, then, seconds):
        """Wait until the server's clock is that much later; and let InnoDB forget its last list of transactions."""
        self.wait_for(lambda: self.clock() >= then + timedelta(seconds=seconds))
        time.sleep(FORGETS)

    def wait_for(self, condition):
        """Wait until something is so, for half a minute at most."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def clinic(sandbox, mariadb_database):
    practice = Practice(sandbox.state, mariadb_database)
    yield practice
    practice.root.dispose()


@pytest.fixture
def sighted(clinic):
    """The same clinic, whose reader has the right PROCESS."""
    clinic.run(f"GRANT PROCESS ON *.* TO {clinic.account}")
    return clinic


def moment(cursor):
    """A cursor as a moment in UTC without its zone."""
    parsed = datetime.fromisoformat(cursor)
    assert parsed.utcoffset() == timedelta(0)
    assert len(cursor) == len("2024-01-01T00:00:00+00:00")
    return parsed.replace(tzinfo=None)


def test_an_open_transaction_holds_the_watermark_back_until_it_ends(sighted):
    """W is before the row that is not committed; the control, the clock alone, is after it and would lose it."""
    with sighted.transaction() as (before, after):
        sighted.wait_until_after(after, 2)
        assert before - SECOND <= sighted.read() <= after - SECOND
        sighted.run(f"REVOKE PROCESS ON *.* FROM {sighted.account}")
        assert sighted.read() > after
    sighted.run(f"GRANT PROCESS ON *.* TO {sighted.account}")
    time.sleep(FORGETS)
    assert sighted.read() > after


STATEMENT = "INSERT INTO log (Num) SELECT SLEEP(30)"
RUNNING = "FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT INTO log%'"


@contextmanager
def statement(clinic):
    """A connection that writes for half a minute; killed at the end."""

    def write():
        with clinic.connect() as writer, pytest.raises(sa.exc.OperationalError, match=str(ER.QUERY_INTERRUPTED)):
            writer.exec_driver_sql(STATEMENT)

    thread = Thread(target=write)
    thread.start()
    yield
    clinic.run(f"KILL QUERY {clinic.run(f'SELECT ID {RUNNING}')}")
    thread.join()


@contextmanager
def event(clinic):
    """The same by the server's scheduler, whose statements run as the command `Connect`."""
    clinic.run("SET GLOBAL event_scheduler = 1", f"CREATE EVENT nightly ON SCHEDULE AT NOW() DO {STATEMENT}")
    yield
    assert clinic.run(f"SELECT COMMAND {RUNNING}") == "Connect"
    clinic.run(f"KILL {clinic.run(f'SELECT ID {RUNNING}')}", "SET GLOBAL event_scheduler = 0")


def wait_for_writer(clinic):
    """Let the writer be at it for two seconds; returns a moment by which it had begun."""
    clinic.wait_for(lambda: clinic.run(f"SELECT COUNT(*) {RUNNING}"))
    began = clinic.clock()
    clinic.wait_until_after(began, 2)
    return began


@pytest.mark.parametrize("writing", [statement, event])
def test_a_long_statement_holds_the_watermark_back(sighted, writing):
    """W is before the begin of a statement that still writes, in a table without transactions too; the clock is not."""
    before = sighted.clock()
    with writing(sighted):
        began = wait_for_writer(sighted)
        assert before - SECOND <= sighted.read() <= began < sighted.clock() - SECOND


def test_who_has_nothing_on_the_way_holds_nobody_back(sighted):
    """Idle connections, a transaction that only read, and the tap's own snapshot leave W a second before now."""
    with sighted.connect() as window, sighted.reading() as connection:
        for transaction in (window, connection):
            transaction.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            transaction.exec_driver_sql("SELECT COUNT(*) FROM late")
        time.sleep(FORGETS)
        assert sighted.run("SELECT COUNT(*) FROM information_schema.INNODB_TRX") == 2
        sighted.wait_until_after(sighted.clock(), 2)
        before = sighted.clock()
        assert moment(Watermark(None).read(connection).utc) >= before - SECOND


def test_a_statement_that_ends_between_the_two_looks_is_seen(sighted):
    """It leaves an open transaction behind. The control looks for transactions first, and finds neither."""
    now, statements, transactions = watermark._NOW, watermark._STATEMENTS, watermark._TRANSACTIONS
    found = {}
    with sighted.connect() as gatekeeper, sighted.connect() as writer:
        for gate in ("writer", "ours", "control"):
            gatekeeper.exec_driver_sql(f"DO GET_LOCK('{gate}', 1)")
        writer.exec_driver_sql("BEGIN")
        threads = [Thread(target=writer.exec_driver_sql, args=[f"INSERT INTO late (Num) SELECT {passing('writer')}"])]
        threads[0].start()
        sighted.wait_for(lambda: count_waiting(sighted) == 1)
        began = sighted.clock()
        sighted.wait_until_after(began, 2)
        for gate, looks in (("ours", (statements, transactions)), ("control", (transactions, statements))):
            between = f"SELECT UTC_TIMESTAMP() + INTERVAL {passing(gate)} DAY"
            question = watermark._OLDEST.format(" UNION ALL ".join((now, looks[0], between, looks[1])))
            threads.append(Thread(target=lambda gate=gate, text=question: found.update({gate: sighted.run(text)})))
            threads[-1].start()
        sighted.wait_for(lambda: count_waiting(sighted) == 3)
        for gate, thread in zip(("writer", "ours", "control"), threads, strict=True):
            gatekeeper.exec_driver_sql(f"DO RELEASE_LOCK('{gate}')")
            thread.join()
        writer.exec_driver_sql("ROLLBACK")
    # W is a second less than what was found: ages are whole seconds
    assert found["ours"] - SECOND <= began < found["control"] - SECOND


def passing(gate):
    """An expression that is 1 once the gate is open."""
    return f"GET_LOCK('{gate}', 60)"


def count_waiting(clinic):
    """How many stand before a gate."""
    return clinic.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'")


# --- who may not look ---------------------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Seconds since some moment."""
        return self.now


@pytest.fixture
def statements(monkeypatch):
    """What is sent to the server by way of `Watermark`."""
    sent = []
    read = watermark._read_moment
    monkeypatch.setattr(watermark, "_read_moment", lambda connection, text: sent.append(text) or read(connection, text))
    return sent


def test_without_the_right_the_clock_alone_counts(clinic, statements):
    """A reader with SELECT alone gets now less a second; that he may not look is found out once in a run."""
    clock = Clock()
    mark = Watermark(None, clock=clock)
    with clinic.reading() as connection, clinic.transaction() as (_, after):
        clinic.wait_until_after(after, 1)
        for _ in range(3):
            before = clinic.clock()
            assert before - SECOND <= moment(mark.read(connection).utc) <= clinic.clock() - SECOND
            clock.now += 1
    assert not mark.sees_open_work
    assert statements == [watermark._ALL] + 3 * [watermark._CLOCK]


def test_streams_that_follow_one_another_share_a_watermark(sighted, statements):
    """424 small tables cost a question a second, not one each; a second later W is asked anew. An older W is true."""
    clock = Clock()
    mark = Watermark(None, clock=clock)
    with sighted.reading() as connection:
        first = mark.read(connection)
        for _ in range(100):
            clock.now += 0.0099
            assert mark.read(connection) is first
        assert len(statements) == 1
        clock.now += 0.0101
        assert mark.read(connection) is not first
    assert len(statements) == 2
    assert mark.sees_open_work


def test_a_server_without_innodb_shows_its_statements(sighted, statements, monkeypatch):
    """Where the list of transactions is unknown, the list of statements still counts."""
    without = watermark._ALL.replace("INNODB_TRX", "INNODB_NONE")
    monkeypatch.setattr(
        watermark, "_NEXT", watermark._NEXT | {(without, ER.UNKNOWN_TABLE): watermark._WITHOUT_TRANSACTIONS}
    )
    monkeypatch.setattr(watermark, "_ALL", without)
    with statement(sighted):
        began = wait_for_writer(sighted)
        assert sighted.read() <= began < sighted.clock() - SECOND
    assert statements == [without, watermark._WITHOUT_TRANSACTIONS]


def test_only_selects_are_sent(clinic, sighted):
    """Read only and with autocommit, W takes one statement, and it is a SELECT."""
    sent = []
    engine = create_source_engine(SourceAddress(**config_of(clinic.reader_url)))
    with engine.connect() as connection:
        sa.event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
        assert connection.exec_driver_sql("SELECT @@session.tx_read_only, @@session.autocommit").one() == (1, 1)
        Watermark(None).read(connection)
    assert [text[:7] for text in sent] == ["SELECT "] * 2


# --- the function -------------------------------------------------------------------------------------------------


@contextmanager
def definer(clinic, *rights):
    """An account that nobody can use, with these rights."""
    account = f"'watch_{clinic.name[-8:]}'@'127.0.0.1'"
    clinic.run(f"CREATE USER {account} ACCOUNT LOCK", *(f"GRANT {right} TO {account}" for right in rights))
    yield account
    clinic.run(f"DROP USER {account}")


@pytest.mark.parametrize(("name", "qualified"), [("opendental_watermark", False), ("we`ird %s {0}", True)])
def test_the_function_shows_the_reader_what_he_may_not_see(clinic, name, qualified):
    """With EXECUTE on it and no PROCESS, W is held back as PROCESS would; the control without the function is not."""
    function = f"{clinic.name}.{name}" if qualified else name
    execute = f"EXECUTE ON FUNCTION {quote_plain(clinic.name)}.{quote_plain(name)}"
    with definer(clinic, "PROCESS ON *.*") as account, clinic.transaction() as (before, after):
        clinic.run(render_function(function).replace("CURRENT_USER", account))
        clinic.run(f"GRANT {execute} TO {clinic.account}", f"GRANT {execute} TO {account}")
        clinic.wait_until_after(after, 2)
        assert before - SECOND <= clinic.read(function) <= after - SECOND
        assert clinic.read() > after
        with clinic.reading() as connection, pytest.raises(sa.exc.OperationalError, match="1227"):
            connection.exec_driver_sql("SELECT COUNT(*) FROM information_schema.INNODB_TRX")


def test_a_function_never_moves_the_watermark_beyond_the_clock(clinic):
    """Whatever somebody else's function returns, W is a second before now at most."""
    future = "CREATE FUNCTION future() RETURNS DATETIME RETURN '2099-01-01'"
    clinic.run(future, f"GRANT EXECUTE ON FUNCTION future TO {clinic.account}")
    assert clinic.read("future") <= clinic.clock() - SECOND


def refusal(clinic, function):
    """The one line that a wrong function ends in."""
    with pytest.raises(ConfigError, match=r"^watermark_function: ") as refused:
        clinic.read(function)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_function_that_cannot_be_called_is_an_error_of_the_configuration(clinic):
    """Missing, not granted, misnamed, of a definer without the right or gone, or without an answer."""
    for name in ("nowhere", f"{clinic.name}.nowhere", "mysql.nowhere", "no_database.nowhere"):
        assert "is not there for this user" in refusal(clinic, name)
    clinic.run(f"GRANT EXECUTE ON {quote_plain(clinic.name)}.* TO {clinic.account}")
    assert "is not there for this user" in refusal(clinic, "nowhere")
    clinic.run(f"REVOKE EXECUTE ON {quote_plain(clinic.name)}.* FROM {clinic.account}")
    for name in ("a.b.c", ".a", "a."):
        assert "is no name of a function" in refusal(clinic, name)
    clinic.run("CREATE FUNCTION f() RETURNS DATETIME RETURN NULL", "CREATE FUNCTION two(n int) RETURNS int RETURN n")
    assert "GRANT EXECUTE ON FUNCTION" in refusal(clinic, "f")
    clinic.run(f"GRANT EXECUTE ON FUNCTION f TO {clinic.account}")
    assert "returned NULL" in refusal(clinic, "f")
    clinic.run(f"GRANT EXECUTE ON FUNCTION two TO {clinic.account}")
    assert "MySQL error 1318" in refusal(clinic, "two")
    with definer(clinic) as account:
        clinic.run(render_function("g").replace("CURRENT_USER", account))
        for grantee in (clinic.account, account):
            clinic.run(f"GRANT EXECUTE ON FUNCTION g TO {grantee}")
        assert "its definer must exist, with the rights PROCESS and EXECUTE" in refusal(clinic, "g")
    assert "its definer must exist" in refusal(clinic, "g")


# --- zones --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repeated_hour():
    """A clinic on a server in whose zone summer ends in half an hour: its clock will read this half hour again."""
    now = datetime.now(UTC)
    begin, end = now - timedelta(days=9), now + timedelta(hours=1.5)  # the end by the summer's clock, UTC + 1
    zone = f"WIN0SUM-1,{begin.timetuple().tm_yday - 1}/0,{end.timetuple().tm_yday - 1}/{end:%H:%M:%S}"
    root = Path(tempfile.mkdtemp(prefix=f"{ROOTS}{os.getpid()}-{read_start(os.getpid())}-"))
    root.chmod(0o755)
    place = Sandbox(root)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            place.start()
        with throw_away_mariadb(place.state) as database:
            clinic = Practice(place.state, database)
            clinic.run(f"GRANT PROCESS ON *.* TO {clinic.account}")
            yield clinic
    finally:
        place.shut_down(delete=True)


ZONES = {"+05:30": timedelta(hours=5.5), "SYSTEM": timedelta(hours=1)}


def test_the_watermark_is_right_in_every_zone(repeated_hour):
    """The server's, the operating system's and the session's: W is held back alike, `local` is the server's clock.

    The control reads trx_started in the zone that it has, as CONVERT_TZ does: in the hour that comes again, the
    transaction seems to begin after now, and would hold nobody back.
    """
    naive = "SELECT CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') FROM information_schema.INNODB_TRX"
    with repeated_hour.transaction() as (before, after), repeated_hour.reading() as connection:
        repeated_hour.wait_until_after(after, 2)
        assert repeated_hour.run(naive) > repeated_hour.clock() + 3000 * SECOND
        for (zone, offset), session in product(ZONES.items(), ("+00:00", "-08:00", "SYSTEM")):
            repeated_hour.run(f"SET GLOBAL time_zone = '{zone}'")
            connection.exec_driver_sql(f"SET SESSION time_zone = '{session}'")
            taken = Watermark(None).read(connection)
            assert before - SECOND <= moment(taken.utc) <= after - SECOND, (zone, session)
            assert datetime.fromisoformat(taken.local) - moment(taken.utc) == offset
