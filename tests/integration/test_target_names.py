"""2,000 hostile names of streams and properties: each is loaded under exactly that name, or refused in one line."""

import json
import random

import pytest
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.fork_server import ForkServer
from tests.reliability.scripted import Target

from target_opendental_replica.errors import printable

SEED, NAMES, GROUP = 11, 2_000, 20
PARTIAL, BROKEN_STREAM = 10, 17
# What ends a quoted name or a statement, begins a comment, a parameter or a format, or is no character of a name.
PIECES = [
    "`", "``", '"', '""', "'", "''", "\\", "\\`", ";", "--", "-- ", "/*", "*/", "#", "%", "%s", "%(a)s", "%%", "{}",
    "{0}", "{a}", "$1", "?", ":a", "@a", "@@version", "\n", "\r\n", "\t", "\x01", "\x1b[31m", "\x7f", "\u00a0",
    "\u2028", "\u202e", "\ufeff", "é", "漢", "ß", "\u0131", " ", "  ", ".", ",", "(", ")", "=", "<", ">", "|", "&",
    "*", "!", "~", "^", "[", "]", "DROP TABLE canary", "canary", "raw", "public", "select", "null", "NULL", "id",
    "primary", "visit", "x",
]  # fmt: skip
INJECTIONS = [
    "x`; DROP TABLE canary; -- x", 'x"; DROP TABLE raw.canary; -- x', "x'; DROP TABLE canary; -- x", "x`.`canary",
    'raw"."canary', "canary` (id int); -- x", "x` int, DROP COLUMN `word", 'x" int; DELETE FROM raw.canary; --',
    "x` TEXT); DROP TABLE canary; /*", "$$; DROP TABLE raw.canary; $$", "x\\`; DROP TABLE canary",
    "x%'; DROP TABLE canary", "/etc/passwd", "../canary", "..\\canary", "file:///etc/passwd", "@@global.read_only",
    "LOAD_FILE('/etc/passwd')", "x INTO OUTFILE '/tmp/x'", "pg_read_file('/etc/passwd')",
    "COPY canary TO PROGRAM 'id'", "${HOME}", "$(id)", "`id`",
]  # fmt: skip
# What one of the servers, or both, cannot give a name to.
BEYOND = [
    "", "\0", "x\0y", "x\0`; DROP TABLE canary", "x" * 63, "x" * 64, "x" * 65, "漢" * 21, "漢" * 22, "漢" * 64,
    "漢" * 65,
    "x" * 255, "x" * 256, "x" * 5_000, "🦷", "a🦷b", "trailing ", "trailing\t", " ", "\n", ".", "..", "_od_load_state",
    "_od_tables", "_od_new_visit", "_OD_TABLES", "_sdc_batched_at", "_sdc_table_version",
    "_od_row", "_od_stage", "ctid", "xmin", "tableoid", "oid", "canary-", "-kanary", "a-b", "-", "--",
]  # fmt: skip


@pytest.fixture(scope="module")
def forks():
    """Starts the target without the second that its imports take."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture(params=DIALECTS)
def target(request, sandbox, forks, tmp_path):
    """Our target before a destination that holds a canary, of which it lacks no right."""
    with open_destination(sandbox, request.param) as destination:
        target = Target(destination, tmp_path, forks)
        ask(target, f"CREATE TABLE {PLACE[request.param]}canary (word varchar(20))")
        ask(target, f"INSERT INTO {PLACE[request.param]}canary VALUES ('sings')")
        yield target


PLACE = {"mysql": "", "postgresql": "raw."}


def ask(target, sql):
    """Run a statement at the destination."""
    with target.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        result = connection.execution_options(no_parameters=True).exec_driver_sql(sql)
        return [tuple(row) for row in result] if result.returns_rows else []


def columns(target):
    """The names of all columns by table."""
    schema = "raw" if target.destination.dialect == "postgresql" else target.destination.url.database
    found = {}
    for table, column in ask(
        target, f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{schema}'"
    ):
        found.setdefault(table, set()).add(column)
    return found


def stream(name, *properties):
    """A stream with one row, whose every value is the name of its property."""
    schema = {"properties": {"id": {"type": ["integer"]}, **dict.fromkeys(properties, TEXT)}, **START}
    record = {"id": 1, **{each: each for each in properties}}
    return [
        json.dumps({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": ["id"]}),
        json.dumps({"type": "RECORD", "stream": name, "record": record}),
    ]


TEXT = {"type": ["string", "null"]}
# With a state of its own, a stream that is refused does not end the others.
START = {"x-opendental": {"start": {"lineage": "0" * 16, "serial": 0, "version": None, "bookmark": {}}}}


def make_names(dice, count):
    """Names of one to six pieces, each with a number of its own, since servers take many a name for another one."""
    names = [*INJECTIONS]
    while len(names) < count:
        name = "".join(dice.choices(PIECES, k=dice.randint(1, 6)))
        number = 10 + len(names) % GROUP
        name = f"{number}{name}" if dice.random() < 0.5 else f"{name}{number}"
        names += [name] if name.strip() == name and len(name.encode()) <= 60 else []
    return names


def test_hostile_names_are_names(target):
    """Quotes, comments, statements, formats, control characters: tables and columns of exactly these names, with rows.

    A table and the list of tables are as they were otherwise.
    """
    dice = random.Random(SEED)  # noqa: S311 - the same names every time
    names = make_names(dice, NAMES)
    groups = [names[at : at + GROUP] for at in range(0, NAMES, GROUP)]
    wanted = {f"{number} {group[0]}".replace("-", "_"): group[1:] for number, group in enumerate(groups)}
    ended = target.run([line for name, properties in wanted.items() for line in stream(name, *properties)])
    assert ended.code == 0, ended.log[-3000:]
    found = columns(target)
    assert found.pop("canary") == {"word"}
    for name, properties in wanted.items():
        assert {each for each in found.pop(name) if not each.startswith("_sdc_")} == {"id", *properties}
    assert found.keys() == {"_od_load_state", "_od_tables"}
    for name, properties in wanted.items():
        require_row(target, name, properties)
    assert ask(target, f"SELECT * FROM {place(target, 'canary')}") == [("sings",)]


def place(target, table):
    """A table's name in SQL."""
    mark = "`" if target.destination.dialect == "mysql" else '"'
    return f"{PLACE[target.destination.dialect]}{mark}{table.replace(mark, mark * 2)}{mark}"


def require_row(target, table, properties):
    """Every value is the name of its column."""
    with target.destination.engine.connect() as connection:
        result = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"SELECT * FROM {place(target, table)}"
        )
        [found] = [dict(zip(result.keys(), each, strict=True)) for each in result]
    assert {name: value for name, value in found.items() if name in properties} == {name: name for name in properties}


@pytest.mark.parametrize("kind", ["stream", "property"])
def test_names_beyond_the_server_are_refused(target, kind):
    """Too long, empty, with NUL, of our own: loaded under exactly that name, or its stream is refused, in one line."""
    streams = {name: [name, "word"] if kind == "stream" else [f"t{number}", name] for number, name in enumerate(BEYOND)}
    ended = target.run([line for each in streams.values() for line in stream(*each)])
    assert ended.code == PARTIAL
    found = columns(target)
    for name, (stream_name, column) in streams.items():
        table = table_of(target, stream_name)
        rows = ask(target, f"SELECT COUNT(*) FROM {place(target, table)}") if column in found.get(table, ()) else []
        assert rows == [(1,)] or f"{printable(stream_name)}" in ended.error, name
    own = {"canary", "_od_load_state", "_od_tables"}
    assert not {*found} - own - {table_of(target, name) for name, _ in streams.values()}
    assert ask(target, f"SELECT * FROM {place(target, 'canary')}") == [("sings",)]


def table_of(target, stream_name):
    """A stream's table: in raw what follows the last hyphen, as stock target-postgres has it."""
    return stream_name.rpartition("-")[2] if target.destination.dialect == "postgresql" else stream_name


@pytest.mark.parametrize("name", ["\\ud800", "x\\udfffy"])
def test_half_a_character_is_no_name(target, name):
    """A surrogate alone is no text: the line is refused by its number, and nothing is made."""
    ended = target.run([line.replace("NAME", name) for line in stream("NAME", "NAME")])
    assert ended.code == BROKEN_STREAM
    assert "line 1" in ended.error
    assert columns(target).keys() <= {"canary", "_od_load_state", "_od_tables"}
