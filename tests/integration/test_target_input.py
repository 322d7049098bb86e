"""What comes in: `.singer` files and what they make, damaged lines, and files that are not the run's own."""

from __future__ import annotations

import base64
import io
import json
import random
from contextlib import ExitStack, redirect_stdout
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

from target_opendental_replica.errors import ReplicaError
from target_opendental_replica.target import TargetOpenDentalReplica

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


def listen(target: Target, lines: list[str]) -> tuple[list[dict[str, Any]], ReplicaError | None]:
    """Run in this process, which spares a start; the states, and the error that it ends with."""
    url = target.destination.url
    login = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    settings = {"dialect": target.destination.dialect, "database": url.database, "workers": 1, "retries": 0}
    ours = TargetOpenDentalReplica(config={**login, **settings})
    states, error = io.StringIO(), None
    with redirect_stdout(states):
        try:
            ours.listen(io.StringIO("".join(lines)))
        except ReplicaError as found:
            error = found
    if "crew" in ours.__dict__:
        ours.crew.close()
    return [json.loads(line) for line in states.getvalue().splitlines()], error


def saved(target: Target, stream: str) -> int:
    """The position that is committed."""
    place = "" if target.destination.dialect == "mysql" else "raw."
    with target.destination.engine.connect() as connection:
        found = sa.text(f"SELECT COALESCE(MAX(serial), 0) FROM {place}_od_load_state WHERE stream = :stream")
        return int(connection.execute(found, {"stream": stream}).scalar_one())


def has_table(target: Target, table: str) -> bool:
    """True when it is there."""
    schema = None if target.destination.dialect == "mysql" else "raw"
    return sa.inspect(target.destination.engine).has_table(table, schema=schema)


def test_damaged_streams_leave_whole_states(target, caplog):
    """200 damaged lines: loaded as they stand, or refused; what is committed is what the states before the damage say.

    No line of a damaged run is half there, no state is ahead, and no value is in an error or a log.
    """
    dice, refused = random.Random(6), 0  # noqa: S311 - the same damage every time
    for number in range(DAMAGED):
        script = Script("merged", stream=f"damaged{number}")
        lines = [f"{line}\n".replace("2: ", f"2: {CANARY}") for line in script.lines(0, 2)]
        ends = [place for place, line in enumerate(lines) if '"STATE"' in line]
        place = dice.randrange(len(lines))
        lines[place] = mutate(lines[place], dice)
        states, error = listen(target, lines)
        if error is None:
            continue
        refused += 1
        assert CANARY not in str(error)
        assert "\n" not in str(error)
        whole = sum(end < place for end in ends)
        assert len(states) <= whole
        held = saved(target, script.stream)
        assert held <= whole
        rows = (
            {row["Num"]: row["Name"] for row in read(target, script.stream)} if has_table(target, script.stream) else {}
        )
        assert rows == {num: text.replace("2: ", f"2: {CANARY}") for num, text in script.rows(held).items()}
    assert refused > DAMAGED / 2
    assert CANARY not in caplog.text
