"""No row's value in anything that our processes write, but for the rows that they are asked for.

The tap's standard output is the Singer stream, and `opendental` prints results: structure, counts. Everything else
(standard error, log files at DEBUG as text and as JSON, files, the servers' logs) is searched for canaries after every
way to fail. The negative controls run stock parts through the same harness, which finds their leaks.
"""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import shutil
import signal
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from tests.aviary import Aviary, Drain, Ended, open_aviary, write_logging
from tests.canaries import KEY, LABELS, SSN, STAMP, TABLES, WORD, find_canaries, shapes_of
from tests.reliability.fork_server import ForkServer
from tests.wire import Rule, Session, Wire

from opendental_analyze.cli import main as opendental
from opendental_analyze.sandbox.databases import postgres_root
from tap_opendental.bookmarks import Bookmark
from tap_opendental.errors import StateError
from tap_opendental.locks import name_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# What of a bookmark is no row's value, and may be told: the server, the database, names of columns and their types.
NAMES = ("source", "replication_key", "schema")
SHAPES = {"text", "ssn", "key", "stamp", "date", "time", "decimal", "float", "base64"}


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    """Starts the taps without the second that their imports take."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def aviary(sandbox, forks, tmp_path_factory) -> Iterator[Aviary]:
    """Canaries that every test of this module reads."""
    with open_aviary(sandbox, tmp_path_factory.mktemp("aviary"), forks) as place:
        yield place


@pytest.fixture
def restored(aviary) -> Iterator[Aviary]:
    """The same, for tests that do harm: table patient and the server are as they were afterwards."""
    yield aviary
    aviary.do("SET GLOBAL max_allowed_packet = 67108864", "SET GLOBAL log_warnings = 1")
    aviary.restore("patient")


# --- runs that are well ----------------------------------------------------------------------------------------------

MAPS = {"patient": {"Digest": "md5(SSN)", "Name": "LName.upper()", "__filter__": "SSN > ''", "__alias__": "person"}}
# Settings, arguments, and the shapes of canaries that its standard output holds.
WELL = {
    "record lines": ({}, (), SHAPES),
    "stream maps": ({"stream_maps": MAPS}, (), SHAPES),
    "flattening": ({"flattening_enabled": True, "flattening_max_depth": 2}, (), SHAPES),
    "a snapshot": ({"snapshot": True, "binary_encoding": "hex"}, (), SHAPES - {"base64"} | {"hex"}),
    "a filter that is a value": ({"stream_maps": {"patient": {"__filter__": "SSN"}}}, (), SHAPES),
    "files of JSON": ({"batch_format": "jsonl"}, (), {"text", "key", "stamp"}),
    "files of CSV": ({"batch_format": "csv"}, (), {"text", "key", "stamp"}),
    "a test of the connection": ({}, ("--test",), SHAPES),
    "discovery": ({}, ("--discover",), set()),
}


def with_batches(aviary: Aviary, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The config, with a folder for files where the settings name their format."""
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{aviary.folder}/batches"},
    }
    return {**aviary.config, **settings, **({"batch_config": batches} if "batch_format" in settings else {})}


@pytest.mark.parametrize("case", WELL)
def test_a_run_writes_no_canary(aviary, case):
    """Whatever way the rows take, none is in standard error or in a log at DEBUG; they are where they belong.

    With files, the stream itself holds no row but the state, with keys, times and labels of ENUMs.
    """
    settings, arguments, shapes = WELL[case]
    run = aviary.run(*arguments, config=with_batches(aviary, settings))
    assert shapes_of(run.stdout) == shapes
    assert find_canaries(run.written) == []
    assert run.code == 0, run.said
    assert "| DEBUG " in run.written
    assert '"logger_name":"tap-opendental"' in run.written


def test_libraries_tell_structure_and_no_row(aviary):
    """SQLAlchemy at DEBUG prints what it reads: in the tap that is the schema, never a page of rows."""
    loud = {**aviary.environment, "SINGER_SDK_LOG_CONFIG": write_logging(aviary.folder, "sqlalchemy", "pymysql")}
    run = replace(aviary, environment=loud).run(config=aviary.config)
    assert f"enum('{LABELS[0]}'" in run.written
    assert find_canaries(re.sub("|".join(LABELS), "a label", run.written)) == []
    assert run.code == 0, run.said


@pytest.fixture(scope="module")
def states(aviary) -> list[dict[str, Any]]:
    """Two states of one run: a whole one, and one whose table with a key of texts is in the middle."""
    run = aviary.run(config=aviary.config)
    assert run.code == 0, run.said
    return [run.states[-1], next(s for s in run.states if (s["bookmarks"].get("keyed") or {}).get("position"))]


@pytest.mark.parametrize("place", [0, 1], ids=["whole", "unfinished"])
def test_a_run_that_goes_on_does_not_tell_from_where(aviary, states, place):
    """Bookmarks are times and keys of rows, and a position is a key: a run that goes on from them keeps them quiet."""
    assert shapes_of(json.dumps(states)) >= {"text", "key", "stamp"}
    edit = "UPDATE {} SET Extra = CONCAT(Extra, ' '), DateTStamp = DateTStamp"
    aviary.do(*(edit.format(table) for table in TABLES))
    run = aviary.run(config=aviary.config, state=states[place])
    assert find_canaries(run.written) == []
    assert run.code == 0, run.said
    assert {table for table in TABLES if f'{{"type":"RECORD","stream":"{table}"' in run.stdout} == {*TABLES}


# --- runs that fail --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and how the run must end: if it does not, it was not this fault.

    `prepare` are statements for the database, `files` what the run gets beside its config; `act` happens at the second
    page of table patient, each time that it is asked for.
    """

    code: int
    says: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    act: Callable[[Aviary, Session], bool | None] | None = None


def alter(statement: str) -> Callable[[Aviary, Session], None]:
    """Somebody changes the table between two pages."""
    return lambda aviary, _session: aviary.do(statement)


def break_off(_aviary: Aviary, session: Session) -> None:
    """The connection breaks within the answer, after some rows."""
    session.cut_after(1500)


def damage(aviary: Aviary, _session: Session) -> None:
    """The table's file is cut short under the server."""
    aviary.do("FLUSH TABLES")
    os.truncate(aviary.files / "patient.MYD", 40)


def kill_query(aviary: Aviary, session: Session) -> bool:
    """The statement waits for a writer, and somebody ends it there."""
    waits = f"SELECT 1 FROM information_schema.processlist WHERE id = {session.identity} AND LEFT(state, 7) = 'Waiting'"
    with aviary.admin.connect() as writer, aviary.admin.connect() as killer:
        writer.exec_driver_sql("LOCK TABLES patient WRITE")
        session.server.sendall(session.packet)
        while not killer.exec_driver_sql(waits).all():
            pass
        killer.exec_driver_sql(f"KILL QUERY {session.identity}")
        writer.exec_driver_sql("UNLOCK TABLES")
    return True


PATIENT = {"tables": ["patient"]}
ONCE = {**PATIENT, "page_retries": 0}


def mapped(**expressions: str) -> dict[str, Any]:
    return {**PATIENT, "stream_maps": {"patient": expressions}}


SIGNAL = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{WORD} {SSN}'"
GRANT = "GRANT EXECUTE ON FUNCTION singing TO {database}@'127.0.0.1'"  # the reader is named as its database is
FAULTS = {
    "a connection that breaks in mid page": Fault(4, "was lost while reading", ONCE, act=break_off),
    "a statement that is killed, twice": Fault(1, "MySQL error 1317", PATIENT, act=kill_query),
    "a dropped column": Fault(1, "MySQL error 1054", ONCE, act=alter("ALTER TABLE patient DROP COLUMN Note")),
    "a column of another type": Fault(0, "Read 8", ONCE, act=alter("ALTER TABLE patient MODIFY Fee varchar(20)")),
    "a dropped table": Fault(6, "is gone", ONCE, act=alter("DROP TABLE patient")),
    "a damaged table": Fault(6, "is damaged", ONCE, act=damage),
    "a value that the server cannot read": Fault(
        15,
        "the server warned of",
        ONCE,
        (f"ALTER TABLE patient ADD Bad int AS (CAST(LName AS signed)) VIRTUAL, ADD Note2 text DEFAULT '{WORD}'",),
    ),
    "a value above the packet limit": Fault(
        0,
        "Read 8 rows",
        ONCE,
        (f"UPDATE patient SET Note = REPEAT('{WORD}', 300000) LIMIT 1", "SET GLOBAL max_allowed_packet = 1048576"),
    ),
    "NUL in text": Fault(
        15,
        "patient.Note holds U+0000",
        {**PATIENT, "nul_in_text": "fail"},
        ("UPDATE patient SET Note = CONCAT(Note, CHAR(0))",),
    ),
    "NUL in text, by the SDK's path": Fault(
        15,
        "patient.Note holds U+0000",
        {**mapped(Name="LName"), "nul_in_text": "fail"},
        ("UPDATE patient SET Note = CONCAT(Note, CHAR(0))",),
    ),
    "a stream map that fails on a value": Fault(1, "unexpected ValueError", mapped(Number="int(LName)")),
    "a stream map that fails on a number": Fault(1, "unexpected", mapped(Number="Fee / (Fee - Fee)")),
    "a filter that fails on a value": Fault(1, "unexpected TypeError", mapped(__filter__="LName + 1 > SSN")),
    "a stream map that names what is not there": Fault(1, "unexpected", mapped(Number="Nothing.upper()")),
    "a watermark function that fails": Fault(
        1,
        "MySQL error 1644",
        {"watermark_function": "singing", "tables": ["commlog"]},
        (f"CREATE OR REPLACE FUNCTION singing() RETURNS datetime BEGIN {SIGNAL}; RETURN NULL; END", GRANT),
    ),
    "a catalog that is no JSON": Fault(2, "not valid JSON", files={"catalog": f"{{ {WORD}"}),
    "a catalog without streams": Fault(2, "`streams` must be a list", files={"catalog": {"streams": WORD}}),
    "a stream without a schema": Fault(2, "--discover", files={"catalog": {"streams": [{"schema": WORD}]}}),
    "a state that is no object": Fault(11, "a JSON object", files={"state": [WORD, KEY]}),
    "a state that is no JSON": Fault(11, "not valid JSON", files={"state": f'{{"bookmarks": {{"patient": {WORD}'}),
    "bookmarks that are a text": Fault(11, "must be an object", files={"state": {"bookmarks": WORD}}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_failed_run_writes_no_canary(restored, case):
    """Each way to fail ends as it should; its line, its log and its stack at DEBUG hold no row's value."""
    fault = FAULTS[case]
    restored.do(*(statement.replace("{database}", restored.config["database"]) for statement in fault.prepare))
    rules = [Rule("FROM `patient`", lambda s: fault.act(restored, s), skip=1, times=None)] if fault.act else []
    with Wire(restored.config["host"], restored.config["port"], *rules) as wire:
        run = restored.run(config={**with_batches(restored, fault.settings), "port": wire.port}, **fault.files)
    assert find_canaries(run.written) == []
    assert (run.code, fault.says in run.said) == (fault.code, True), run.said


SERVER_SAYS = {
    1062: f"Duplicate entry '{WORD}-{SSN}' for key 'PRIMARY'",
    1292: f"Incorrect datetime value: '{WORD}' for column `a`.`b`.`DateTStamp` at row 1",
    1366: f"Incorrect string value: '{WORD}' for column `a`.`b`.`LName` at row 1",
    1526: f"Table has no partition for value {KEY}",
    1205: f"Lock wait timeout exceeded; {WORD}",
    1213: f"Deadlock found when trying to get lock; {WORD}",
    1412: f"Table definition has changed, {WORD}",
    1969: f"Query execution was interrupted (max_statement_time exceeded): {WORD}",
    30000: f"An error that nobody knows: {WORD} {STAMP}",
}


def answer_error(code: int) -> Callable[[Session], bool]:
    """Answer with an error of the server that quotes a value."""
    return lambda session: session.answer_error(code, SERVER_SAYS[code]) or True


@pytest.mark.parametrize("codes", [[1062, 1292, 1366, 1526, 30000], [1205, 1213, 1412, 1969, 30000]], ids=str)
def test_what_the_server_says_is_not_repeated(aviary, codes):
    """MySQL's errors quote values; a failed stream is told by the error's number."""
    pages = zip(TABLES, codes, strict=True)
    rules = [Rule(f"FROM `{table}`", answer_error(code), skip=1, times=None) for table, code in pages]
    with Wire(aviary.config["host"], aviary.config["port"], *rules) as wire:
        run = aviary.run(config={**aviary.config, "port": wire.port, "page_retries": 0})
    assert find_canaries(run.written) == []
    assert run.code == 10
    assert [code for code in codes if f"(MySQL error {code} while reading table" not in run.said] == []


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [("information_schema", ["--discover"]), ("GET_LOCK", []), ("@@session.time_zone", []), ("preference", [])],
)
def test_nor_before_the_first_page(aviary, pattern, arguments):
    """The same in discovery, of the lock, of the session, and of the one preference that is read."""
    with Wire(aviary.config["host"], aviary.config["port"], Rule(pattern, answer_error(30000), times=None)) as wire:
        run = aviary.run(*arguments, config={**aviary.config, "port": wire.port})
    assert find_canaries(run.written) == []
    assert run.code == 1
    assert "MySQL error 30000" in run.said


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all that is neither object nor list in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inside = [leaf for key, each in pairs for leaf in leaves(each, (*path, key))]
    yield from inside or [path]


def spoil(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy of a JSON value with a canary in one place."""
    if not path:
        return f"{WORD} {SSN}"
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = spoil(copy[path[0]], path[1:])
    return copy


def refusal_of(stream: str, bookmark: object) -> str | None:
    """What is said of a bookmark that cannot be read."""
    try:
        Bookmark.from_state(stream, bookmark)
    except StateError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("place", "stream"), [(0, "securitylog"), (0, "commlog"), (1, "keyed")])
def test_a_spoiled_state_is_not_quoted(aviary, states, place, stream):
    """A canary in any place of a bookmark is not repeated, neither where it is refused nor where it is taken."""
    whole = states[place]["bookmarks"][stream]
    paths = [path for path in leaves(whole) if path[0] not in NAMES and "source" not in path]
    refusals = {path: refusal_of(stream, spoil(whole, path)) for path in paths}
    assert find_canaries("\n".join(filter(None, refusals.values()))) == []
    assert sum(refusal is not None for refusal in refusals.values()) >= 3
    taken = whole
    for path in (path for path, refusal in refusals.items() if refusal is None):
        taken = spoil(taken, path)
    for bookmark, codes in ((taken, {0, 11}), (spoil(whole, ("replication_key_value",)), {11})):
        run = aviary.run(config={**aviary.config, "tables": [stream]}, state={"bookmarks": {stream: bookmark}})
        assert find_canaries(run.written) == []
        assert run.code in codes, run.said


# --- runs that are ended ---------------------------------------------------------------------------------------------


def run_with(
    aviary: Aviary, act: Callable[[int, Session], object], *, stdout: int | None = None, **config: Any
) -> Ended:
    """Run the tap on patient, and do something to its process at the second page."""
    flights: list[int] = []
    rule = Rule("FROM `patient`", lambda session: act(flights[0], session) and None, skip=1)
    with Wire(aviary.config["host"], aviary.config["port"], rule) as wire:
        settings = {**with_batches(aviary, {**PATIENT, **config}), "port": wire.port}
        flight = aviary.start(config=settings, stdout=stdout)
        flights.append(flight.pid)
        return aviary.end(flight, Drain(flight.output).text())


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_a_signal_leaves_no_canary(aviary, name, code):
    """A run that is ended from outside says so, and nothing of where it was."""
    run = run_with(aviary, lambda pid, _session: os.kill(pid, getattr(signal, name)))
    assert find_canaries(run.written) == []
    assert run.code == code
    assert find_canaries(run.stdout)


def test_a_target_that_died_leaves_no_canary(aviary):
    """Nobody reads the stream any more: the tap fails, and what it could not write is not written elsewhere."""
    flight = aviary.start(config=aviary.config)
    os.close(flight.output)
    run = aviary.end(flight)
    assert find_canaries(run.written) == []
    assert run.code != 0
    assert "An unhandled error occurred while syncing" in run.said


def test_a_full_disk_leaves_no_canary(aviary):
    """The stream goes into a file on a disk that is full: the same."""
    with Path("/dev/full").open("wb") as full:
        run = run_with(aviary, lambda _pid, _session: None, stdout=full.fileno())
    assert find_canaries(run.written) == []
    assert run.code != 0
    assert "unexpected OSError" in run.said


def test_batch_files_on_a_full_disk_leave_no_canary(aviary):
    """A file of rows cannot grow: the line names the folder, and no part of the file stays."""
    shutil.rmtree(aviary.folder / "batches", ignore_errors=True)
    quiet = {name: value for name, value in aviary.environment.items() if name != "SINGER_SDK_LOG_CONFIG"}
    limit = (1000, 1000)  # bytes of any file that the process writes from here on
    run = run_with(
        replace(aviary, environment=quiet),
        lambda pid, _session: resource.prlimit(pid, resource.RLIMIT_FSIZE, limit),
        batch_format="csv",
        state_interval_seconds=600,
    )
    assert find_canaries(run.written) == []
    assert "batch files cannot be written" in run.said
    assert run.code == 2
    assert list((aviary.folder / "batches").rglob("*patient*")) == []


def test_a_lock_that_is_held_leaves_no_canary(aviary):
    """Another run has the stream: refused, with the lock's name and no row's value."""
    name = name_lock(f"{aviary.config['database']}.{aviary.config['user']}", "patient")
    with aviary.admin.connect() as holder:
        assert holder.exec_driver_sql("SELECT GET_LOCK(%(name)s, 0)", {"name": name}).scalar() == 1
        run = aviary.run(config={**aviary.config, **PATIENT})
        holder.invalidate()  # a connection that goes back into the pool would keep its lock
    assert find_canaries(run.written) == []
    assert run.code == 13
    assert "is locked by another run" in run.said


# --- opendental ------------------------------------------------------------------------------------------------------


def variables(aviary: Aviary, **changes: object) -> dict[str, str]:
    """The address as `opendental` reads it, and DEBUG, at which it prints stacks."""
    address = {name: aviary.config[name] for name in ("host", "port", "user", "password", "database")} | changes
    return {f"TAP_OPENDENTAL_{name.upper()}": str(value) for name, value in {**address, "loglevel": "DEBUG"}.items()}


def without_labels(text: str) -> str:
    """A text without the ENUM labels, which are structure, and which an analysis tells."""
    return re.sub("|".join(LABELS), "a label", text)


def test_an_analysis_holds_no_canary(aviary, tmp_path):
    """With --probe it looks at rows, and neither its output nor one of its files has a value of them."""
    place = replace(aviary, environment={**aviary.environment, **variables(aviary)})
    run = place.run("analyze", "--probe", "--json", "--output", str(tmp_path), program="opendental")
    told = place.run("analyze", "dbt-sources", "--analysis", str(tmp_path), program="opendental")
    files = [path.read_text() for path in tmp_path.iterdir()]
    assert (run.code, told.code, len(files)) == (0, 0, 4)
    for text in (run.stdout, run.written, told.stdout, told.written, *files):
        assert find_canaries(without_labels(text)) == []
    assert LABELS[0] in "".join(files)


@pytest.mark.parametrize(
    ("pattern", "code", "says"),
    [
        ("information_schema", 30000, "MySQL error 30000"),
        ("preference", 1366, "MySQL error 1366"),
        ("AS newest", 1292, ""),
    ],
)
def test_an_analysis_that_fails_tells_no_canary(aviary, tmp_path, pattern, code, says):
    """What the server says is not repeated, in discovery, of the preference, or of a look at rows."""
    with Wire(aviary.config["host"], aviary.config["port"], Rule(pattern, answer_error(code), times=None)) as wire:
        environment = variables(aviary, port=wire.port)
        run = CliRunner().invoke(opendental, ["analyze", "--probe", "--output", str(tmp_path)], env=environment)
    assert find_canaries(without_labels(run.output + run.stderr)) == []
    assert run.exit_code == bool(says), run.output
    assert says in run.stderr


STUMBLES = {
    "analyze --check": "opendental_analyze.explain.cli.explain_source",
    "analyze diff a b": "opendental_analyze.explain.diff_cli.read_side",
    "sandbox day": "opendental_analyze.sandbox.day.play_day",
}


@pytest.mark.parametrize("command", STUMBLES)
def test_an_unexpected_error_of_a_command_tells_its_place(aviary, sandbox, monkeypatch, command):
    """An error of a library, with the row's values in its text, ends as its type and place; DEBUG adds the stack."""

    def stumble(*_arguments: object, **_options: object) -> None:
        cause = Exception(f"Duplicate entry '{WORD}' for key 'PRIMARY'")
        raise sa.exc.IntegrityError("INSERT INTO patient VALUES (%(SSN)s)", {"SSN": SSN}, cause)

    monkeypatch.setattr(STUMBLES[command], stumble)
    environment = variables(aviary) | {"OPENDENTAL_SANDBOX": str(sandbox.root)}
    run = CliRunner().invoke(opendental, command.split(), env=environment)
    assert find_canaries(run.output + run.stderr) == []
    assert "unexpected IntegrityError at" in run.stderr
    assert "in stumble" in run.stderr
    assert run.exit_code == 1


# --- the servers' logs -----------------------------------------------------------------------------------------------


@pytest.fixture
def logged(sandbox) -> Callable[[str], str]:
    """What a server of the sandbox wrote into its log since the test began."""
    logs = {name: sandbox.root / name / "server.log" for name in ("mariadb", "postgres")}
    begun = {name: path.stat().st_size for name, path in logs.items()}
    return lambda name: logs[name].read_bytes()[begun[name] :].decode(errors="backslashreplace")


def test_mariadb_logs_no_canary(restored, logged):
    """A connection that breaks, a damaged table: the error log, here with all warnings, names users and no value."""
    restored.do("SET GLOBAL log_warnings = 9")
    for act, code in ((break_off, 4), (damage, 6)):
        rule = Rule("FROM `patient`", lambda session, act=act: act(restored, session), skip=1)
        with Wire(restored.config["host"], restored.config["port"], rule) as wire:
            assert restored.run(config={**restored.config, **ONCE, "port": wire.port}).code == code
    while "Aborted connection" not in logged("mariadb"):  # the server notices in its own time
        time.sleep(0.05)
    assert find_canaries(logged("mariadb")) == []


def test_the_general_log_would_hold_canaries(aviary):
    """The control, and why the sandbox keeps that log off: each page says from which key it reads."""
    path = aviary.files.parent / "general.canaries"
    aviary.do("SET GLOBAL log_output = 'FILE'", f"SET GLOBAL general_log_file = '{path}'", "SET GLOBAL general_log = 1")
    aviary.run(config={**aviary.config, "tables": ["keyed"]})
    aviary.do("SET GLOBAL general_log = 0", "SET GLOBAL log_output = DEFAULT")
    assert shapes_of(path.read_text(errors="backslashreplace")) >= {"text"}
    path.unlink()


REFUSED = {
    "null": ("INSERT INTO raw.person VALUES (NULL, %s, 1)", [WORD]),
    "duplicate": ("INSERT INTO raw.person VALUES (%s, %s, 1)", [KEY, SSN]),
    "check": ("INSERT INTO raw.person VALUES (%s, %s, -1)", [KEY + 1, WORD]),
}


@pytest.fixture
def person(sandbox, postgres_database) -> Callable[..., None]:
    """A table of the warehouse, and a way to have rows refused by it under given settings of the server."""
    url = sa.make_url(postgres_database.admin_url).set(drivername="postgresql")

    def refuse(case: str, **settings: str) -> None:
        root = postgres_root(sandbox.state, postgres_database.name)
        with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name, value in settings.items():
                connection.exec_driver_sql(f"ALTER DATABASE {postgres_database.name} SET {name} = '{value}'")
        root.dispose()
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS raw.person (num bigint PRIMARY KEY, ssn text, fee int CHECK (fee > 0))"
            )
            connection.execute("INSERT INTO raw.person VALUES (%s, '', 1) ON CONFLICT DO NOTHING", [KEY])
            with pytest.raises(psycopg.IntegrityError):
                connection.execute(*REFUSED[case])

    return refuse


@pytest.mark.parametrize("case", REFUSED)
def test_postgres_logs_no_row_that_it_refused(person, logged, case):
    """As the sandbox sets PostgreSQL up, its log names table and constraint; with PostgreSQL's defaults, the row."""
    person(case)
    assert "person" in logged("postgres")
    assert find_canaries(logged("postgres")) == []
    person(case, log_error_verbosity="default", log_min_error_statement="error")
    assert find_canaries(logged("postgres"))


# --- the controls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream_maps", "code"), [({}, 1062), ({}, 1366), ({"practice-patient": {"Number": "int(LName)"}}, None)]
)
def test_the_harness_hears_a_stock_tap_sing(aviary, stream_maps, code):
    """The control: the SDK's own tap prints the values that the server quotes, its parameters, and a map's value."""
    patient = {
        "tap_stream_id": "practice-patient",
        "table_name": "patient",
        "key_properties": ["PatNum"],
        "schema": {"properties": {"PatNum": {"type": "integer"}, "LName": {"type": "string"}}},
        "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
    }
    rules = [Rule("FROM patient", answer_error(code), times=None)] if code else []
    with Wire(aviary.config["host"], aviary.config["port"], *rules) as wire:
        url = sa.make_url(aviary.reader_url).set(port=wire.port).render_as_string(hide_password=False)
        config = {"url": url, "stream_maps": stream_maps}
        run = aviary.run(program="stock-tap", config=config, catalog={"streams": [patient]})
    assert run.code == 1
    assert "text" in shapes_of(run.written)


SONGS = {
    "text": f"a line, and {WORD}name in it",
    "upper case": WORD.upper(),
    "JSON": json.dumps({"a": f'"{WORD}"'}),
    "repr": repr(f"\x00{WORD}\n"),
    "hex": f"x{WORD}".encode().hex(),
    **{f"base64 at {at}": base64.b64encode(b"\xff" * at + f"{WORD}photo".encode()).decode() for at in range(3)},
    "a cut": f"{WORD}",
    "a number": str(KEY + 3),
    "digits": "ssn=987654326",
    "a moment": str(datetime(2019, 3, 17, 4, 5, 7, tzinfo=UTC)),
    "a moment's repr": repr(datetime(2019, 3, 17, 4, 5, 7, tzinfo=UTC)),
    "a moment's number": str(int(datetime(2019, 3, 17, 4, 5, 7, tzinfo=UTC).timestamp())),
    "colours": "\x1b[1m987\x1b[0m-\x1b[1m65\x1b[0m-\x1b[1m4326\x1b[0m",
}


@pytest.mark.parametrize("song", SONGS)
def test_a_canary_is_heard_in_every_shape(song):
    """What JSON, Python, an encoder or a terminal makes of a value is found; a line without one is not."""
    assert len(find_canaries(f"before\n{SONGS[song]}\nafter")) >= 1
    assert find_canaries("patient, 2026-11-22 06:41:38,047, PatNum, 8 rows, pid 7305182, 2019-03-17") == []
