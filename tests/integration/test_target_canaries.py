"""No row's value in anything that our target writes, but for its states; and what the servers' own logs hold.

Standard error and a structured log, both at DEBUG, are searched for canaries after every way to load and to fail.
"""

from __future__ import annotations

import json
import re
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.aviary import write_logging
from tests.canaries import KEY, SSN, STAMP, WORD, find_canaries, shapes_of
from tests.reliability.chains import wait_until
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.fork_server import ForkServer
from tests.reliability.harness import send
from tests.reliability.scripted import Ended, Target
from tests.reliability.wires import wire_to
from tests.wire import Rule

from opendental_analyze.sandbox.databases import postgres_root
from opendental_analyze.sandbox.servers import LOG
from target_opendental_replica.errors import ValueRefusedError
from target_opendental_replica.records import RecordBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import sqlalchemy as sa

    from opendental_analyze.sandbox.sandbox import Sandbox

TEXT, NUMBER = {"type": ["string", "null"]}, {"type": ["number", "null"]}
PROPERTIES = {
    "PatNum": {"type": ["integer"]},
    "LName": TEXT,
    "SSN": {**TEXT, "maxLength": 20},
    "Birthdate": {**TEXT, "format": "date"},
    "Fee": NUMBER,
    "DateTStamp": {**TEXT, "format": "date-time"},
}
ENTRY = {
    "lineage": "0" * 16,
    "serial": 5,
    "position": {"after": [f"{WORD}key", KEY]},
    "replication_key_value": f"{STAMP}1",
}
# What an administrator can have PostgreSQL leave out of its log; the session itself has no right to.
QUIET = {"log_min_messages": "fatal"}
LOUD = {"log_error_verbosity": "default", "log_min_error_statement": "error"}


def schema(serial: int = 0, **changes: Any) -> str:
    """The SCHEMA message of patients."""
    start = {"lineage": "0" * 16, "serial": serial, "version": None, "bookmark": ENTRY if serial else {}}
    body = {"properties": PROPERTIES, "x-opendental": {"start": start}}
    return json.dumps({"type": "SCHEMA", "stream": "patient", "schema": body, "key_properties": ["PatNum"], **changes})


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A patient, all canaries."""
    plain = {"LName": f'{WORD}name "q" \\ 漢', "SSN": SSN, "Birthdate": "1931-02-23", "Fee": 48151.62}
    return {"PatNum": KEY + number, **plain, "DateTStamp": f"{STAMP}1".replace(" ", "T"), **changes}


def record(number: int = 0, *, version: int | None = None, **changes: Any) -> str:
    """Its RECORD message."""
    message = {"type": "RECORD", "stream": "patient", "record": row(number, **changes)}
    return json.dumps({**message, **({"version": version} if version else {})})


STATE = json.dumps({"type": "STATE", "value": {"bookmarks": {"patient": ENTRY}}})
GONE = json.dumps({"type": "RECORD", "stream": "patient", "record": row(1, _sdc_deleted_at=f"{STAMP}1")})
ACTIVATE = json.dumps({"type": "ACTIVATE_VERSION", "stream": "patient", "version": 3})


@dataclass(frozen=True)
class Cage:
    """The target, loud, before a destination of its own, and where its structured log goes."""

    target: Target
    folder: Path

    def run(self, *lines: str, **settings: Any) -> tuple[Ended, str]:
        """One run, and all that it wrote but its standard output."""
        return self.collect(self.target.run(lines, **settings))

    def collect(self, ended: Ended) -> tuple[Ended, str]:
        """Add what the log file holds; it is then gone."""
        path = self.folder / "structured.log"
        written = ended.log + path.read_text()
        path.unlink()
        return ended, written

    def ask(self, sql: str) -> None:
        """Run a statement at the destination."""
        with self.target.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execution_options(no_parameters=True).exec_driver_sql(sql)

    @property
    def dialect(self) -> str:
        """Of the destination."""
        return self.target.destination.dialect

    @property
    def table(self) -> str:
        """The stream's table in SQL."""
        return "patient" if self.dialect == "mysql" else "raw.patient"


@pytest.fixture(scope="module")
def cages(sandbox, tmp_path_factory) -> Iterator[dict[str, Cage]]:
    """One for each dialect; the server of PostgreSQL logs as the documents advise."""
    forks = ForkServer()
    with ExitStack() as stack:
        yield {
            dialect: open_cage(stack, sandbox, dialect, forks, tmp_path_factory.mktemp(dialect)) for dialect in DIALECTS
        }
    forks.stop()


def open_cage(stack: ExitStack, sandbox: Sandbox, dialect: str, forks: ForkServer, folder: Path) -> Cage:
    """A destination, and a target that logs at DEBUG, as do the libraries under it."""
    destination = stack.enter_context(open_destination(sandbox, dialect))
    logging = write_logging(folder, "psycopg", "pymysql", "tenacity", "singer_sdk")
    environment = {"TARGET_OPENDENTAL_REPLICA_LOGLEVEL": "DEBUG", "SINGER_SDK_LOG_CONFIG": logging}
    if dialect == "postgresql":
        set_logging(sandbox, destination.url, QUIET)
    settings = {"retries": 0, "lock_wait_seconds": 1}
    return Cage(Target(destination, folder, forks, settings, environment), folder)


def set_logging(sandbox: Sandbox, url: sa.URL, settings: Mapping[str, str]) -> None:
    """What a superuser can set for one role in one database."""
    root = postgres_root(sandbox.state)
    with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"ALTER ROLE {url.username} IN DATABASE {url.database} RESET ALL")
        for name, value in settings.items():
            connection.exec_driver_sql(f"ALTER ROLE {url.username} IN DATABASE {url.database} SET {name} = '{value}'")
    root.dispose()


@pytest.fixture(params=DIALECTS)
def cage(request, cages) -> Cage:
    """A cage whose destination is empty."""
    cage = cages[request.param]
    for table in ("patient", "_od_load_state", "_od_tables", "_od_new_patient"):
        cage.ask(f"DROP TABLE IF EXISTS {cage.table.replace('patient', table)}")
    return cage


# --- runs that are well ----------------------------------------------------------------------------------------------

MAPS = {"patient": {"Digest": "md5(SSN)", "Upper": "LName.upper()", "__filter__": "SSN > ''"}}
WELL = {
    "records": ((schema(), record(), record(1), record(), STATE), {}),
    "versions and deletes": ((schema(), record(version=3), record(1, version=3), STATE, GONE, ACTIVATE, STATE), {}),
    "marks": ((schema(), record(), record(1), GONE, STATE), {"hard_delete": False}),
    "stream maps": ((schema(), record(), record(1), STATE), {"stream_maps": MAPS}),
    "flattening": ((schema(), record(), STATE), {"flattening_enabled": True, "flattening_max_depth": 2}),
    "inserts": ((schema(), record(), STATE), {"local_infile": False}),
}


@pytest.mark.parametrize("case", WELL)
def test_a_load_writes_no_canary(cage, case):
    """Whatever way rows take, none is in the log at DEBUG; the state alone holds what it is made of."""
    lines, settings = WELL[case]
    ended, written = cage.run(*lines, **settings)
    assert ended.code == 0, ended.log
    assert find_canaries(written) == []
    assert "| DEBUG " in written
    assert '"logger_name":"target-opendental-replica"' in written
    assert shapes_of(json.dumps(ended.states)) >= {"text", "key", "stamp"}


# --- runs that fail --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """Lines that end a run, with its code and words, in the dialects named.

    `prepare` are statements after a first load of one row; `file` is what a BATCH file holds.
    """

    code: int
    says: str
    lines: tuple[str, ...] = (schema(), record(), STATE)
    settings: Mapping[str, Any] | None = None
    prepare: Mapping[str, tuple[str, ...]] | None = None
    file: tuple[str, str] | None = None
    dialects: tuple[str, ...] = DIALECTS


def with_first(*lines: str) -> tuple[str, ...]:
    """Lines behind a SCHEMA and a row."""
    return (schema(), record(1), *lines, STATE)


HEADER = ",".join(PROPERTIES)
MESSAGE = {"type": "RECORD", "stream": "patient"}
NO_SCHEMA = {"type": "SCHEMA", "schema": {"x": WORD}}
TELLTALE = {
    "mysql": (
        "CREATE TRIGGER tell BEFORE INSERT ON {0} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.LName",
    ),
    "postgresql": (
        "CREATE FUNCTION raw.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', NEW; END $$",
        "CREATE TRIGGER telltale BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION raw.tell()",
    ),
}
UNIQUE = {"postgresql": ('CREATE UNIQUE INDEX ON {0} ("LName")',)}
FAULTS = {
    "a word for a number": Fault(15, "property Fee", with_first(record(Fee=WORD))),
    "a word for a key": Fault(15, "property PatNum", with_first(record(PatNum=WORD))),
    "a word for a date": Fault(15, "column Birthdate|property Birthdate", with_first(record(Birthdate=WORD))),
    "a text that is too long": Fault(15, "column SSN", with_first(record(SSN=WORD * 9)), dialects=("mysql",)),
    "a number that is too large": Fault(15, "column PatNum", with_first(record(PatNum=KEY * 10**10))),
    "no key": Fault(17, "line 3: .* has no value of its key PatNum", with_first(record(PatNum=None))),
    "another stream": Fault(17, "line 3", with_first(record().replace("patient", "appointment"))),
    "half a line": Fault(17, "line 3 of stream patient is no JSON", with_first(record()[:90])),
    "noise": Fault(17, "line 3 is no JSON", with_first(f"{WORD} {SSN}")),
    "no message": Fault(17, "line 3 is no Singer message", with_first(json.dumps(row()))),
    "a record that is text": Fault(17, "line 3", with_first(json.dumps({**MESSAGE, "record": WORD}))),
    "no text at all": Fault(17, "line 3", with_first(f'{{"type": "{WORD}\\ud800"}}')),
    "a schema of values": Fault(17, "line 3", with_first(json.dumps({**MESSAGE, **NO_SCHEMA}))),
    "a map that fails": Fault(2, "stream map of patient", settings={"stream_maps": {"patient": {"N": "int(LName)"}}}),
    "a filter that fails": Fault(2, "map", settings={"stream_maps": {"patient": {"__filter__": "LName.nothing"}}}),
    "a map of nonsense": Fault(2, "stream map", settings={"stream_maps": {"patient": {"N": "nothing(LName)"}}}),
    "too few fields": Fault(17, "line 2", file=("csv", f'{HEADER}\n{KEY},"{WORD}"\n')),
    "a field too many": Fault(17, "line 2", file=("csv", f'{HEADER}\n{KEY},"a",NULL,NULL,1,NULL,"{WORD}"\n')),
    "a file's word for a number": Fault(15, "column Fee", file=("csv", f'{HEADER}\n{KEY},"a",NULL,NULL,{WORD},NULL\n')),
    "an open quote": Fault(17, "line 2", file=("csv", f'{HEADER}\n{KEY},"{WORD}\n')),
    "half a JSON line": Fault(17, "line 2", file=("jsonl", json.dumps(row())[:80])),
    "a JSON line's word": Fault(15, "property Fee", file=("jsonl", json.dumps(row(Fee=WORD)))),
    "a trigger that tells": Fault(1, "1644|SQLSTATE P0001", prepare=TELLTALE),
    "two rows of one name": Fault(15, "patient", with_first(record(2)), prepare=UNIQUE, dialects=("postgresql",)),
    "rows that are not here": Fault(16, "meltano state merge", (schema(serial=9), record(), STATE)),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_failure_writes_no_canary(cage, case):
    """Each way to fail ends with its code and one line, which says where and never what."""
    fault = FAULTS[case]
    if cage.dialect not in fault.dialects:
        return
    if fault.prepare:
        assert cage.run(schema(), record(7, LName="plain"))[0].code == 0
        for statement in fault.prepare[cage.dialect]:
            cage.ask(statement.replace("{0}", cage.table))
    lines = fault.lines if fault.file is None else (schema(), write_batch(cage.folder, *fault.file))
    ended, written = cage.run(*lines, **(fault.settings or {}))
    assert ended.code == fault.code, ended.log
    assert re.search(fault.says, ended.error), ended.error
    assert find_canaries(written) == []


def write_batch(folder: Path, form: str, content: str) -> str:
    """Write a file, and name it in a BATCH message."""
    path = folder / f"rows.{form}"
    path.write_text(content)
    message = {"type": "BATCH", "stream": "patient", "encoding": {"format": form}, "manifest": [path.as_uri()]}
    return json.dumps(message)


LOADS = {"mysql": "^LOAD", "postgresql": "^COPY"}


def test_a_connection_that_breaks_writes_no_canary(cage):
    """Cut off while rows are on their way."""
    with wire_to(cage.target.destination, Rule(LOADS[cage.dialect], lambda session: session.cut())) as wire:
        ended, written = cage.run(schema(), record(), STATE, port=wire.port)
    assert ended.code == 4, ended.log
    assert find_canaries(written) == []


def test_a_signal_writes_no_canary(cage):
    """Ended in mid-stream, with rows in its memory."""
    with cage.target.fed() as feed:
        feed.write([schema(), record(), STATE, record(1)])
        place = cage.table.replace("patient", "_od_load_state")
        cage_engine = cage.target.destination.engine
        wait_until(cage_engine, question(cage), lambda found: found[0][0] > 0)
        wait_until(cage_engine, f"SELECT COUNT(*) FROM {place}", lambda found: found[0][0] == 1)
        send(signal.SIGTERM)(feed.flight.process)
        ended, written = cage.collect(feed.flight.end())
    assert ended.code == 143, ended.log
    assert find_canaries(written) == []


def question(cage: Cage) -> str:
    """Whether the target's own table is there yet."""
    schema = "raw" if cage.dialect == "postgresql" else cage.target.destination.url.database
    place = f"table_schema = '{schema}' AND table_name = '_od_load_state'"
    return f"SELECT COUNT(*) FROM information_schema.tables WHERE {place}"


def test_a_careless_error_would_be_seen(cage, monkeypatch):
    """The control: a target that quotes what it refuses is caught by the same eye."""
    monkeypatch.setattr(RecordBuffer, "_explain", lambda _self, record, _line: ValueRefusedError(f"no: {record}"))
    _, error = cage.target.listen([schema(), record(Fee=WORD)])
    assert shapes_of(str(error)) >= {"text", "ssn", "key", "stamp", "date"}


# --- the servers' own logs -------------------------------------------------------------------------------------------


def logged(sandbox: Sandbox, dialect: str, start: int = 0) -> str:
    """What a server's log has from a place on."""
    server = sandbox.state.mariadb if dialect == "mysql" else sandbox.state.postgres
    return (Path(server.directory) / LOG).read_bytes()[start:].decode(errors="backslashreplace")


FILE = "a file's word for a number"  # RECORD lines are checked here; what a file holds is seen by the server alone


def test_a_quiet_server_logs_no_canary(cage, sandbox):
    """MariaDB logs no failure of a load, nor does PostgreSQL where its administrator has said so for the role."""
    start = len(logged(sandbox, cage.dialect).encode())
    ended, _ = cage.run(schema(), write_batch(cage.folder, *FAULTS[FILE].file))
    assert ended.code == FAULTS[FILE].code
    assert find_canaries(logged(sandbox, cage.dialect, start)) == []


def test_postgresql_logs_values_by_default(cages, sandbox):
    """The control, and why docs/security.md asks for that: by default its log quotes the value."""
    cage = cages["postgresql"]
    start = len(logged(sandbox, cage.dialect).encode())
    set_logging(sandbox, cage.target.destination.url, LOUD)
    cage.run(schema(), write_batch(cage.folder, *FAULTS[FILE].file))
    set_logging(sandbox, cage.target.destination.url, QUIET)
    found = logged(sandbox, cage.dialect, start)
    assert f'CONTEXT:  COPY patient, line 2, column Fee: "{WORD}"' in found.replace("_od_stage_", "")
    assert f'ERROR:  invalid input syntax for type numeric: "{WORD}"' in found
