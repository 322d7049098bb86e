"""The source is only read: all that the tap sends, in every strategy, is taken from the server's own general log."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.aviary import Aviary, open_aviary
from tests.canaries import TABLES
from tests.reliability.fork_server import ForkServer
from tests.wire import Rule, Session, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Texts, names, the two ends of a comment that some server executes, other comments.
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|(?P<name>`(?:[^`]|``)+`)"""
    r"""|/\*M?!\d*|(?:--\s|\#)[^\n]*|/\*.*?\*/|\*/""",
    re.DOTALL,
)
_READINGS = re.compile(r"SELECT\b|SHOW\b|COMMIT$|ROLLBACK$|START TRANSACTION\b(?=.*\bREAD ONLY$)")
_SETTINGS = re.compile(r"SET (?!GLOBAL\b|PERSIST|PASSWORD\b|DEFAULT ROLE\b|STATEMENT\b)(?!.*@@\s*(?:GLOBAL|PERSIST))")
_LIMIT = re.compile(r"SET STATEMENT MAX_STATEMENT_TIME ?= ?[\d.]+ FOR (?=SELECT\b)")
# The digest of a whole table.
_DIGEST = re.compile(r"SELECT COUNT\(\*\), CAST\(SUM\(.*\bFROM (`.*`)$")
# What makes a SELECT take locks, write a file, keep a variable, wait, or call what may write.
_NO_READING = re.compile(
    r"\bFOR (?:UPDATE|SHARE)\b|\bLOCK IN SHARE MODE\b|\bINTO\b|:=|\bPROCEDURE\b|\b(?:SLEEP|BENCHMARK|NEXTVAL|SETVAL"
    r"|NEXT VALUE|LOAD_FILE|LAST_INSERT_ID|RELEASE_ALL_LOCKS|MASTER_POS_WAIT|MASTER_GTID_WAIT)\b"
)


def read_code(statement: str) -> str:
    """A statement without its texts and comments; what only some servers execute is part of it."""
    bare = _TOKEN.sub(lambda token: token["name"] or ("''" if token["text"] else " "), statement)
    return re.sub(r"\s+", " ", bare).strip()


def is_reading(statement: str, engines: Mapping[str, str]) -> bool:
    """True for SELECT, SHOW, SET, START TRANSACTION READ ONLY, COMMIT and ROLLBACK.

    The digest of a MyISAM table keeps its writers waiting until it is through; `engines` says which table is which.
    """
    code = read_code(statement)
    plain = re.sub(r"`(?:[^`]|``)+`", "``", code).upper()
    if ";" in plain:
        return False
    if digested := _DIGEST.match(code):
        return engines.get(digested[1].strip("`").replace("``", "`")) == "InnoDB"
    plain = _LIMIT.sub("", plain)
    return bool(_READINGS.match(plain) or _SETTINGS.match(plain)) and not _NO_READING.search(plain)


@pytest.fixture(scope="module")
def aviary(sandbox, tmp_path_factory) -> Iterator[Aviary]:
    """Tables of every strategy on both engines, small enough that each has pages."""
    forks = ForkServer()
    with open_aviary(sandbox, tmp_path_factory.mktemp("aviary"), forks) as place:
        yield place
    forks.stop()


@contextmanager
def recorded(aviary: Aviary) -> Iterator[list[str]]:
    """Everything that the reader asks of the server, filled at the end: other commands than queries by their name."""
    statements: list[str] = []
    aviary.do("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = 1")
    try:
        yield statements
    finally:
        aviary.do("SET GLOBAL general_log = 0")
    with aviary.admin.connect() as connection:
        logged = connection.exec_driver_sql(
            "SELECT IF(command_type = 'Query', CONVERT(argument USING utf8mb4), CONCAT('-> ', command_type)) "
            "FROM mysql.general_log WHERE user_host LIKE %(user)s ORDER BY event_time",
            {"user": f"{aviary.config['user']}%"},
        )
        statements += [row[0] for row in logged if row[0] not in {"-> Connect", "-> Quit"}]


def read_engines(aviary: Aviary) -> dict[str, str]:
    """The engine of each table."""
    with aviary.admin.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        )
        return {row[0]: row[1] for row in rows}


def edit_all(aviary: Aviary) -> None:
    """Change every table, so that the next run has something to read in each."""
    aviary.do(*(f"UPDATE {table} SET Extra = CONCAT(Extra, ' '), DateTStamp = DateTStamp" for table in TABLES))


def forbidden(statements: list[str], engines: Mapping[str, str]) -> list[str]:
    """The statements that do more than read."""
    return [statement for statement in statements if not is_reading(statement, engines)]


def pages_of(statements: list[str]) -> set[str]:
    """Tables of which pages were read."""
    return {
        table for table in TABLES for statement in statements if re.search(rf"FROM `{table}`.* ORDER BY", statement)
    }


SETTINGS = {
    "lines": {},
    "stream maps": {"stream_maps": {table: {"Copy": "LName"} for table in TABLES}},
    "a snapshot": {"snapshot": True},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_two_runs_only_read(aviary, case):
    """A first run and one after changes, of every strategy on both engines: pages of every table, and only reading."""
    config = {**aviary.config, **SETTINGS[case]}
    engines = read_engines(aviary)
    state: dict[str, Any] = {}
    for _ in range(2):
        with recorded(aviary) as statements:
            run = aviary.run(config=config, state=state)
        assert run.code == 0, run.said
        assert pages_of(statements) == {*TABLES}
        assert forbidden(statements, engines) == []
        state = run.states[-1]
        edit_all(aviary)
    assert any("MD5(" in statement and "FROM `keyed`" in statement for statement in statements)
    assert any("GET_LOCK" in statement for statement in statements)
    assert any(statement.startswith("START TRANSACTION") for statement in statements) == (case == "a snapshot")


@pytest.mark.parametrize("arguments", [["--discover"], ["--test"]], ids=str)
def test_what_is_no_run_only_reads(aviary, arguments):
    """Discovery and the test of a connection: the same, and no lock is taken."""
    with recorded(aviary) as statements:
        run = aviary.run(*arguments, config=aviary.config)
    assert run.code == 0, run.said
    assert len(statements) > 5
    assert forbidden(statements, read_engines(aviary)) == []
    assert [statement for statement in statements if "LOCK" in statement.upper()] == []


def test_a_page_that_is_tried_again_only_reads(aviary):
    """A connection that breaks at the second page of a table on either engine, and the one that is opened then."""

    def break_off(session: Session) -> None:
        session.cut_after(1500)

    tables = ["commlog", "appointment"]
    rules = [Rule(f"FROM `{table}`.* ORDER BY", break_off, skip=1) for table in tables]
    with recorded(aviary) as statements, Wire(aviary.config["host"], aviary.config["port"], *rules) as wire:
        run = aviary.run(config={**aviary.config, "port": wire.port})
    assert run.code == 0, run.said
    assert run.said.count("trying again") == len(tables)
    assert forbidden(statements, read_engines(aviary)) == []


def test_an_unfinished_pass_only_reads(aviary):
    """Going on from a position in the middle of each table."""
    first = aviary.run(config=aviary.config)
    bookmarks = {
        table: next(state["bookmarks"][table] for state in first.states if table in state["bookmarks"])
        for table in TABLES
    }
    assert all(bookmark["position"] for bookmark in bookmarks.values())
    with recorded(aviary) as statements:
        run = aviary.run(config=aviary.config, state={"bookmarks": bookmarks})
    assert run.code == 0, run.said
    assert pages_of(statements) == {*TABLES}
    assert forbidden(statements, read_engines(aviary)) == []


def test_an_analysis_only_reads(aviary, tmp_path):
    """`opendental analyze --probe` looks at rows under a limit of time, and changes nothing either."""
    names = ("host", "port", "user", "password", "database")
    address = {f"TAP_OPENDENTAL_{name.upper()}": str(aviary.config[name]) for name in names}
    place = replace(aviary, environment={**aviary.environment, **address})
    with recorded(aviary) as statements:
        run = place.run("analyze", "--probe", "--output", str(tmp_path), program="opendental")
    assert run.code == 0, run.said
    assert any("max_statement_time" in statement and "COUNT" in statement for statement in statements)
    assert forbidden(statements, read_engines(aviary)) == []


# --- the control: what the checker must see --------------------------------------------------------------------------

ENGINES = {"claim": "InnoDB", "patient": "MyISAM"}
READS = [
    "SELECT 'INSERT; FOR UPDATE' FROM `delete`",
    "  select `into` from t -- FOR UPDATE",
    "/* a note */ SELECT 1",
    "SHOW VARIABLES",
    "SET SESSION time_zone = '+00:00', sql_mode = '' /*!80000 , x = 0 */ /*M!100101 , max_statement_time = 5 */",
    "SET NAMES utf8mb4",
    "SET AUTOCOMMIT = 1",
    "SET SESSION TRANSACTION READ ONLY",
    "SET STATEMENT max_statement_time = 0.25 FOR SELECT 1",
    "START TRANSACTION READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "COMMIT",
    "ROLLBACK",
    "SELECT GET_LOCK('a', 0)",
    "SELECT RELEASE_LOCK('a'), IS_USED_LOCK('a')",
    "SELECT COUNT(*), CAST(SUM(a) AS CHAR) FROM `claim`",
]
WRITES = [
    "INSERT INTO t VALUES (1)",
    "insert into t select 1",
    "REPLACE t SET a = 1",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "LOCK TABLES t READ",
    "FLUSH TABLES t WITH READ LOCK",
    "CREATE TEMPORARY TABLE t (a int)",
    "ALTER TABLE t ADD a int",
    "TRUNCATE t",
    "ANALYZE TABLE t",
    "OPTIMIZE TABLE t",
    "CHECK TABLE t",
    "CALL something()",
    "DO GET_LOCK('a', 0)",
    "HANDLER t OPEN",
    "KILL 3",
    "XA START 'a'",
    "BEGIN",
    "START TRANSACTION",
    "START TRANSACTION READ WRITE",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t WHERE a = 'x' LIMIT 1 for\nupdate",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "SELECT a INTO OUTFILE '/tmp/a' FROM t",
    "SELECT a INTO @a FROM t",
    "SELECT @a := 1",
    "SELECT SLEEP(1)",
    "SELECT NEXTVAL(s)",
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT 1; DELETE FROM t",
    "SELECT 1 /*! INTO OUTFILE '/tmp/a' */",
    "SELECT 1 /*M!100000 FOR UPDATE */",
    "/*!50000 DELETE FROM t */",
    "SELECT 'a\\'' FROM t FOR UPDATE -- '",
    "SET GLOBAL general_log = 0",
    "SET @@global.general_log = 0",
    "SET SESSION a = 1, @@GLOBAL.general_log = 0",
    "SET PASSWORD = 'a'",
    "SET STATEMENT max_statement_time = 1 FOR DELETE FROM t",
    "SET STATEMENT sql_mode = '' FOR SELECT 1",
    "CHECKSUM TABLE `claim`",
    "SELECT COUNT(*), CAST(SUM(a) AS CHAR) FROM `patient`",
    "SELECT COUNT(*), CAST(SUM(a) AS CHAR) FROM `nobody_knows`",
    "-> Init DB",
    "-> Prepare",
    "-> Field List",
]


@pytest.mark.parametrize("statement", READS)
def test_a_statement_that_reads_passes(statement):
    """What issue 4 allows, and what merely looks like something else."""
    assert is_reading(statement, ENGINES)


@pytest.mark.parametrize("statement", WRITES)
def test_a_statement_that_does_more_is_seen(statement):
    """Writes, locks, files, waits, global settings, and a digest that would block a MyISAM table's writers."""
    assert not is_reading(statement, ENGINES)


def test_the_recording_hears_what_does_more(aviary):
    """The control of the recording: what the same user sends beside, allowed to or not, is in it and is seen."""
    sent = ["CHECKSUM TABLE patient", "SELECT LName FROM appointment FOR UPDATE", "DELETE FROM patient"]
    engine = sa.create_engine(aviary.reader_url)
    with recorded(aviary) as statements, engine.connect() as connection:
        for statement in sent:
            with suppress(sa.exc.OperationalError):  # the reader has no right to delete
                connection.exec_driver_sql(statement)
    engine.dispose()
    assert forbidden(statements, read_engines(aviary)) == sent
