"""Versions of tables before both destinations: a clock set back, another unit, a state lost or old, a kill, a rival."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.mysql_loading import NUM, facts_of, make_batch, settings_of
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.scripted import Target

from tap_opendental.discovery.model import Table
from target_opendental_replica.errors import MissingRowsError
from target_opendental_replica.mysql import MySQLWarehouse
from target_opendental_replica.stream_facts import Start

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS, MILLISECONDS = 1_700_000_000, 1_700_000_000_000
OURS, THEIRS = "a" * 16, "b" * 16
BEGIN = Start(OURS, 0)


@pytest.fixture(params=DIALECTS)
def target(request, sandbox, tmp_path, monkeypatch):
    """Our target, in this process, before an empty destination of each dialect; a way back is written where it runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MELTANO_PROJECT_ROOT", raising=False)
    with open_destination(sandbox, request.param) as destination:
        yield Target(destination, tmp_path, None)


def start(serial: int = 0, version: int | None = None, lineage: str = OURS) -> dict[str, Any]:
    """Where our tap starts."""
    return {"lineage": lineage, "serial": serial, "version": version, "bookmark": {"serial": serial} if serial else {}}


def schema(begin: Mapping[str, Any] | None) -> dict[str, Any]:
    """A SCHEMA message; of another tap without a start."""
    properties = {"id": {"type": ["integer"]}, "name": {"type": ["string", "null"]}}
    facts = {"x-opendental": {"start": begin}} if begin else {}
    return {
        "type": "SCHEMA",
        "stream": "visit",
        "schema": {"properties": properties, **facts},
        "key_properties": ["id"],
    }


def rows(version: int | None, *ids: int, name: str = "x") -> list[dict[str, Any]]:
    """RECORD messages."""
    more = {"version": version} if version is not None else {}
    return [{"type": "RECORD", "stream": "visit", "record": {"id": each, "name": name}, **more} for each in ids]


def whole(version: int) -> dict[str, Any]:
    """An ACTIVATE_VERSION message."""
    return {"type": "ACTIVATE_VERSION", "stream": "visit", "version": version}


def state(serial: int, lineage: str = OURS) -> dict[str, Any]:
    """A STATE message."""
    return {"type": "STATE", "value": {"bookmarks": {"visit": {"lineage": lineage, "serial": serial}}}}


def run(target: Target, begin: Mapping[str, Any] | None, *messages: dict[str, Any]) -> None:
    """One run that ends well."""
    _, error = target.listen([json.dumps(each) for each in (schema(begin), *messages)])
    assert error is None


def names(target: Target) -> dict[int, str]:
    """What readers see."""
    place = "visit" if target.destination.dialect == "mysql" else "raw.visit"
    with target.destination.engine.connect() as connection:
        return dict(tuple(row) for row in connection.exec_driver_sql(f"SELECT id, name FROM {place}"))


@pytest.mark.parametrize("begin", [None, start()], ids=["another tap", "our tap"])
@pytest.mark.parametrize(
    ("before", "after"), [(SECONDS, SECONDS - 3600), (MILLISECONDS, SECONDS), (SECONDS, MILLISECONDS)]
)
def test_a_version_below_the_active_one_becomes_the_table(target, begin, before, after):
    """A state that was cleared with a clock set back, or a tap of another unit: its rows are the table."""
    run(target, begin, *rows(before, 1, 2), whole(before), state(1))
    run(target, begin, *rows(after, 2, 3, name="y"), whole(after), state(2, THEIRS))
    assert names(target) == {2: "y", 3: "y"}
    run(target, begin, *rows(after + 60, 3, 4, name="z"), whole(after + 60), state(3, THEIRS))
    assert names(target) == {3: "z", 4: "z"}


def test_it_goes_on_over_a_kill(target):
    """Cut behind a STATE, such a version is gone on with; until it is whole, readers see what they saw."""
    run(target, start(), *rows(SECONDS, 1, 2), whole(SECONDS), state(9))
    run(target, start(0, lineage=THEIRS), *rows(5, 2, name="y"), state(3, THEIRS))
    assert names(target) == {1: "x", 2: "x"}
    run(target, start(3, 5, THEIRS), *rows(5, 3, name="y"), whole(5), state(4, THEIRS))
    assert names(target) == {2: "y", 3: "y"}


def test_it_is_not_gone_on_with_behind_rows_that_are_lost(target):
    """Its number is below that of the active version, which holds none of its rows: half a table would be the end."""
    run(target, start(), *rows(SECONDS, 1, 2), whole(SECONDS), state(9))
    run(target, start(0, lineage=THEIRS), *rows(5, 2, name="y"), state(3, THEIRS))
    own = "_od_new_visit" if target.destination.dialect == "mysql" else "raw._od_new_visit"
    with target.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"DROP TABLE {own}")
    messages = [schema(start(3, 5, THEIRS)), *rows(5, 3, name="y"), whole(5), state(4, THEIRS)]
    for _ in range(2):
        _, error = target.listen([json.dumps(each) for each in messages])
        assert isinstance(error, MissingRowsError)
        assert names(target) == {1: "x", 2: "x"}


@pytest.mark.parametrize("begin", [None, start(2, SECONDS), start(2)], ids=["another tap", "goes on", "again"])
def test_an_old_state_replaces_nothing(target, begin, caplog):
    """The rest of a version that was replaced here: rows are merged, none is deleted, and one line says so."""
    run(target, start(), *rows(SECONDS, 1, 2), whole(SECONDS), state(3))
    run(target, start(3), *rows(SECONDS + 9, 1, 2, 3), whole(SECONDS + 9), state(4))
    with caplog.at_level("WARNING"):
        run(target, begin, *rows(SECONDS, 2, name="y"), whole(SECONDS), state(5))
    assert names(target) == {1: "x", 2: "y", 3: "x"}
    assert caplog.text.count(f"version {SECONDS} was replaced here by a later one") == 1
    run(target, start(5), *rows(SECONDS + 60, 2, 3, name="z"), whole(SECONDS + 60), state(6))
    assert names(target) == {2: "z", 3: "z"}


def test_a_state_two_versions_old_costs_nothing(target):
    """Our tap goes on with the old pass, and then reads the table again by a version of its own."""
    run(target, start(), *rows(SECONDS, 1, 2), state(3))
    run(target, start(3, SECONDS), *rows(SECONDS, 3), whole(SECONDS), state(4))
    run(target, start(4), *rows(SECONDS + 9, 1, 2, 3, 4), whole(SECONDS + 9), state(5))
    again = [*rows(SECONDS, 3), whole(SECONDS), state(6), *rows(SECONDS + 20, 1, 3, 5), whole(SECONDS + 20), state(7)]
    run(target, start(3, SECONDS), *again)
    assert names(target) == {1: "x", 3: "x", 5: "x"}


def test_a_run_that_lost_its_connection_does_not_go_on_in_anothers_rows(mariadb_database):
    """The replica's, as raw's: another job's version took the place of what this run has committed of its own."""
    warehouse, facts = (
        MySQLWarehouse(settings_of(mariadb_database)),
        facts_of(Table("t", (NUM,), ("Num",)), start=BEGIN),
    )
    rival = MySQLWarehouse(settings_of(mariadb_database))
    for place, version in ((warehouse, 7), (rival, 9)):
        session = place.connect()
        loader = session.open_stream(facts, lambda _: None)
        loader.load(make_batch(("Num",), (version,), version=version))
        loader.settle(None)
        session.close()
    session = warehouse.connect()
    with pytest.raises(MissingRowsError, match="version 7"):
        session.open_stream(facts, lambda _: None)
    session.close()
    session = rival.connect()
    session.open_stream(facts, lambda _: None).activate(9)
    session.close()
