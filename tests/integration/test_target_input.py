"""What comes in: `.singer` files and what they make, damaged lines, and files that are not the run's own."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import threading
from contextlib import ExitStack, suppress
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.fork_server import ForkServer
from tests.reliability.scripted import Script, Target
from tests.unit.test_target import CANARY, mutate

from target_opendental_replica.errors import BrokenStreamError, NotFoundError

SINGER = Path(__file__).parents[1] / "singer"


@pytest.fixture(scope="module")
def targets(sandbox, tmp_path_factory):
    """Our target before one destination of each dialect; every test has tables of its own."""
    forks = ForkServer()
    with ExitStack() as stack:
        yield {
            dialect: Target(
                stack.enter_context(open_destination(sandbox, dialect)), tmp_path_factory.mktemp(dialect), forks
            )
            for dialect in DIALECTS
        }
    forks.stop()


@pytest.fixture(params=DIALECTS)
def target(request, targets) -> Target:
    """Our target before a destination."""
    return targets[request.param]


def quote(target: Target, name: str) -> str:
    """A name in SQL."""
    return (
        f"`{name.replace('`', '``')}`" if target.destination.dialect == "mysql" else '"' + name.replace('"', '""') + '"'
    )


def read(target: Target, table: str) -> list[dict[str, Any]]:
    """A table's rows as plain JSON."""
    place = "" if target.destination.dialect == "mysql" else "raw."
    with target.destination.engine.connect() as connection:
        result = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"SELECT * FROM {place}{quote(target, table)}"
        )
        return [{name: plain(value) for name, value in zip(result.keys(), row, strict=True)} for row in result]


def plain(value: Any) -> Any:
    """A value as the expected files have it."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float | Decimal):
        return float(value)
    if isinstance(value, datetime | date | time):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def compared(expected: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What of a row is compared: the columns that are expected, JSON as what it says, a mark that is any moment."""
    found = {name: row.get(name, "no such column") for name in expected}
    for name, value in expected.items():
        if isinstance(value, dict | list) and isinstance(found[name], str):
            found[name] = json.loads(found[name])
        if value == "set" and found[name] is not None:
            found[name] = "set"
    return found


@pytest.mark.parametrize("case", sorted(path.stem for path in SINGER.glob("*.singer")))
def test_a_file_makes_its_tables(target, case):
    """Each tests/singer/<case>.singer makes the tables and sends the state that <case>.json has."""
    expected = json.loads((SINGER / f"{case}.json").read_text())
    lines = (SINGER / f"{case}.singer").read_bytes().splitlines(keepends=True)
    ended = target.run(lines, **expected.get("settings", {}))
    assert ended.code == 0, ended.log
    assert list(ended.states[-1:]) == ([expected["state"]] if expected["state"] else [])
    for table, rows in expected["tables"].items():
        found = read(target, table)
        assert len(found) == len(rows)
        assert [compared(*pair) for pair in zip(in_order(rows), in_order(found), strict=True)] == in_order(rows)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by what they have of these columns, which every file has some of."""
    return sorted(rows, key=lambda row: [str(row.get(name)) for name in ("id", "ward", "name")])


# --- damaged lines ---------------------------------------------------------------------------------------------------

DAMAGED = 200


def look(connection: sa.Connection, target: Target, stream: str) -> tuple[int, dict[int, str]]:
    """The position that is committed of a stream, and the rows of its table, if there is one."""
    place = "" if target.destination.dialect == "mysql" else "raw."
    ask = connection.exec_driver_sql
    held = ask(f"SELECT COALESCE(MAX(serial), 0) FROM {place}_od_load_state WHERE stream = '{stream}'").scalar_one()
    there = ask(f"SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '{stream}'").scalar_one()
    names = f"{quote(target, 'Num')}, {quote(target, 'Name')}"
    rows = ask(f"SELECT {names} FROM {place}{stream}").all() if there else []
    assert len(rows) == len({num for num, _ in rows})
    return int(held), dict(map(tuple, rows))


def has_table(target: Target, table: str) -> bool:
    """True when it is there."""
    schema = None if target.destination.dialect == "mysql" else "raw"
    return sa.inspect(target.destination.engine).has_table(table, schema=schema)


def damage(number: int, dice: random.Random) -> tuple[Script, list[str], int]:
    """A script, its lines with one of them damaged, and how many states stand before that one."""
    script = Script("merged", stream=f"damaged{number}")
    lines = [line.replace("2: ", f"2: {CANARY}") for line in script.lines(0, 2)]
    place = dice.randrange(len(lines))
    whole = sum('"STATE"' in line for line in lines[:place])
    lines[place] = mutate(lines[place], dice)[:-1]
    return script, lines, whole


def test_damaged_streams_leave_whole_states(target, caplog):
    """200 damaged lines: loaded as they stand, or refused; what is committed is what the states before the damage say.

    No line of a damaged run is half there, no state is ahead, and no value is in an error or a log.
    """
    dice, refused = random.Random(6), 0  # noqa: S311 - the same damage every time
    engine = target.destination.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number in range(DAMAGED):
            script, lines, whole = damage(number, dice)
            states, error = target.listen(lines)
            if error is None:
                continue
            refused += 1
            assert CANARY not in str(error)
            held, rows = look(connection, target, script.stream)
            assert max(len(states), held) <= whole
            assert rows == {num: text.replace("2: ", f"2: {CANARY}") for num, text in script.rows(held).items()}
    assert refused > DAMAGED / 2
    assert CANARY not in caplog.text


# --- files -----------------------------------------------------------------------------------------------------------

SCHEMA = json.dumps(
    {
        "type": "SCHEMA",
        "stream": "rogue",
        "schema": {"properties": {"id": {"type": ["integer"]}, "name": {"type": ["string"]}}},
        "key_properties": ["id"],
    }
)


def batch(url: str, form: str) -> str:
    """A BATCH message that names a file."""
    message = {"type": "BATCH", "stream": "rogue", "encoding": {"format": form}, "manifest": [url]}
    return json.dumps(message)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Addresses that a stream has no business with; `secret` is the file that some of them lead to."""
    folder = tmp_path / "opendental-run-1"  # in a folder of the tap's, files are removed when they are loaded
    folder.mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text(f"id,name\n1,{CANARY}\n")
    (folder / "link.csv").symlink_to(secret)
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    paths = {name: (folder / f"{name}.csv").as_uri() for name in ("link", "folder", "pipe", "missing")}
    words = {"device": "file:///dev/zero", "passwords": "file:///etc/passwd", "process": "file:///proc/self/environ"}
    others = {"host": f"file://elsewhere{secret}", "web": "https://localhost/x.csv", "bare": str(secret), "none": ""}
    return {**paths, **words, **others, "nul": f"{secret.as_uri()}%00", "up": f"{folder.as_uri()}/../nowhere.csv"}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_stream_gets_no_file_that_is_not_the_taps(target, files, form, tmp_path):
    """A link, a folder, a pipe, a device, the system's own, another machine's: one line, nothing loaded or gone."""
    before = sorted(tmp_path.rglob("*"))
    for name, url in files.items():
        _, error = target.listen([SCHEMA, batch(url, form)])
        assert isinstance(error, NotFoundError if name in {"missing", "nul", "up"} else BrokenStreamError), name
        assert "line 2" in str(error)
        assert CANARY not in str(error)
        assert "root" not in str(error)
    assert sorted(tmp_path.rglob("*")) == before
    assert not has_table(target, "rogue") or read(target, "rogue") == []


def test_a_file_of_another_user_is_refused(target, tmp_path, monkeypatch):
    """A file that this user could read, as root can all, and does not own."""
    path = tmp_path / "other.csv"
    path.write_text(f"id,name\n1,{CANARY}\n")
    monkeypatch.setattr("target_opendental_replica.sinks.os.geteuid", lambda: os.getuid() + 1)
    _, error = target.listen([SCHEMA, batch(path.as_uri(), "csv")])
    assert "none of this user's own" in str(error)
    monkeypatch.undo()
    states, error = target.listen([SCHEMA, batch(path.as_uri(), "csv")])
    assert (states, error) == ([], None)
    assert [row["name"] for row in read(target, "rogue")] == [CANARY]


@pytest.mark.parametrize("moment", ["instead of a greeting", "instead of a login's answer"])
def test_no_file_leaves_before_a_statement(targets, tmp_path, moment):
    """A server that asks for a file in the handshake gets none; what it may ask later is in the tests of the loader."""
    treasure = tmp_path / "treasure"
    treasure.write_text(CANARY)
    got: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.settimeout(10)
            for payload in [GREETING] * (moment != "instead of a greeting"):
                client.sendall(packet(0, payload))
                got.append(client.recv(65536))
            client.sendall(packet(2, b"\xfb" + bytes(treasure)))
            while piece := client.recv(65536):
                got.append(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        ended = targets["mysql"].run([SCHEMA], port=listener.getsockname()[1], retries=0, read_timeout=5)
        thread.join()
    assert ended.code not in (0, 1), ended.log
    assert ended.error
    assert CANARY.encode() not in b"".join(got)


def packet(number: int, payload: bytes) -> bytes:
    """A packet of MySQL's protocol."""
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


GREETING = (
    b"\x0a5.5.5-10.11\0\x07\0\0\012345678\0\xff\xf7\x2d\x02\0\x0f\0\x15"
    + bytes(10)
    + b"123456789012\0mysql_native_password\0"
)
