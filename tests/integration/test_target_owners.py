"""A table has one stream: a stream that a map made has a table of its own, and two that meet in one are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.scripted import Script, Target

from target_opendental_replica.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ODD = {"visit": {}, "odd_ones": {"__source__": "visit", "__filter__": "Num % 2 == 1"}}
SETTINGS = {"stream_map_config": {}}


@pytest.fixture(params=DIALECTS)
def target(request, sandbox, tmp_path) -> Iterator[Target]:
    """Our target, in this process, before an empty destination of each dialect."""
    with open_destination(sandbox, request.param) as destination:
        yield Target(destination, tmp_path, None)


@pytest.fixture
def replica(sandbox, tmp_path) -> Iterator[Target]:
    """The same before a MySQL replica alone."""
    with open_destination(sandbox, "mysql") as destination:
        yield Target(destination, tmp_path, None)


def tell_name(lines: Sequence[str]) -> list[str]:
    """The tap tells the stream's name with its start."""
    messages = [json.loads(line) for line in lines]
    for message in messages:
        if message["type"] == "SCHEMA":
            message["schema"]["x-opendental"]["start"]["stream"] = message["stream"]
    return [json.dumps(message) for message in messages]


def meet(target: Target, stream: str, begin: int, end: int) -> list[str]:
    """Lines of one of two streams that have one table: `x-meet` and `y-meet` by stock's rule, or by the facts' name."""
    messages = [json.loads(line) for line in Script("merged", "InnoDB", stream).lines(begin, end)]
    facts = messages[0]["schema"]["x-opendental"]
    if target.destination.dialect == "mysql":
        facts["table"]["name"] = "meet"
    else:
        facts["values"] = "portable"
    return [json.dumps(message) for message in messages]


def ask(target: Target, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement at the destination, whose tables stand as `{meet}`."""
    prefix = "" if target.destination.dialect == "mysql" else "raw."
    with target.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        result = connection.exec_driver_sql(sql.replace("{", prefix).replace("}", ""))
        return [tuple(row) for row in result] if result.returns_rows else []


def column(target: Target, name: str) -> str:
    """A column's name as the dialect writes it."""
    return name if target.destination.dialect == "mysql" else f'"{name}"'


@pytest.mark.parametrize("way", ["merged", "swapped"])
def test_a_stream_that_a_map_made_has_a_table_of_its_own(replica, way):
    """All rows are in the one table and the filtered ones in the other, by merge and by version."""
    script = Script(way, "InnoDB")
    _, error = replica.listen(tell_name(script.lines(0, 3)), stream_maps=ODD, **SETTINGS)
    assert error is None
    rows = script.rows(3)
    assert dict(ask(replica, "SELECT Num, Name FROM visit")) == rows
    assert dict(ask(replica, "SELECT Num, Name FROM odd_ones")) == {num: rows[num] for num in rows if num % 2}
    assert dict(ask(replica, "SELECT stream, table_name FROM _od_tables")) == {"visit": "visit", "odd_ones": "odd_ones"}


def test_a_stream_with_an_alias_has_a_table_of_that_name(replica):
    """Whatever the facts call it; in a later run it is the same table."""
    script, maps = Script("merged", "InnoDB"), {"visit": {"__alias__": "renamed"}}
    for begin in (0, 1):
        _, error = replica.listen(tell_name(script.lines(begin, begin + 1)), stream_maps=maps, **SETTINGS)
        assert error is None
    assert dict(ask(replica, "SELECT Num, Name FROM renamed")) == script.rows(2)
    assert ask(replica, "SHOW TABLES LIKE 'visit'") == []


@pytest.mark.parametrize("workers", [1, 2])
def test_two_streams_of_a_run_that_meet_in_a_table(target, workers):
    """The second is refused before its first row, in one line with both names, with the exit code of settings."""
    lines = [*meet(target, "x-meet", 0, 1), *meet(target, "y-meet", 0, 1)]
    _, error = target.listen(lines, workers=workers, lock_wait_seconds=1)
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2
    assert "x-meet" in str(error)
    assert "y-meet" in str(error)
    assert "meet is that of stream" in str(error)
    [(owner,)] = ask(target, "SELECT stream FROM {_od_tables}")
    assert f"that of stream {owner}" in str(error)
    num, name = column(target, "Num"), column(target, "Name")
    assert dict(ask(target, f"SELECT {num}, {name} FROM {{meet}}")) == Script("merged").rows(1)


def test_a_stream_that_meets_one_of_an_earlier_run(target):
    """It is refused until the target is told that it is the other one's new name; then it goes on where that was."""
    assert target.listen(meet(target, "x-meet", 0, 1))[1] is None
    assert target.listen(meet(target, "x-meet", 1, 2))[1] is None
    states, error = target.listen(meet(target, "y-meet", 2, 3))
    assert isinstance(error, ConfigError)
    assert states in (
        [],
        [{"bookmarks": {"y-meet": Script("merged", stream="y-meet").state(2)["bookmarks"]["y-meet"]}}],
    )
    assert "stream y-meet: table meet is that of stream x-meet, which was loaded before" in str(error)
    assert "is called y-meet from now on, write that into column stream of _od_tables and _od_load_state" in str(error)
    for table in ("_od_tables", "_od_load_state"):
        ask(target, f"UPDATE {{{table}}} SET stream = 'y-meet' WHERE stream = 'x-meet'")
    assert target.listen(meet(target, "y-meet", 2, 3))[1] is None
    num, name = column(target, "Num"), column(target, "Name")
    assert dict(ask(target, f"SELECT {num}, {name} FROM {{meet}}")) == Script("merged").rows(3)
