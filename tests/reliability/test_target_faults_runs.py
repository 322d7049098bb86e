"""Several targets at once, and destinations that were set back: nothing lost, and no state believed that is ahead."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from tests.reliability.chains import Chain, wait_until
from tests.reliability.scripted import PARTS, WAYS

LOCKED, BEHIND = 13, 16


def twin(chain, **settings):
    """The same table, written by another run."""
    target = replace(chain.target, settings={**chain.target.settings, **settings})
    return Chain(target, chain.script, chain.is_transactional, chain.done)


@pytest.mark.parametrize("others", [1, 4])
def test_one_run_writes_a_stream(make_chain, others):
    """While a run is in mid-stream the others end with 13 after their wait, and nothing is lost."""
    chain = make_chain()
    rest = [twin(chain, lock_wait_seconds=0) for _ in range(others)]
    lines = chain.lines()
    half = len(lines) // 2
    with chain.target.fed() as feed:
        feed.write(lines[:half])
        wait_until_held(chain, 4)
        flights = [start(each) for each in rest]
        for ended in [flight.end() for flight in flights]:
            assert (ended.code, held_back(ended)) == (LOCKED, {3}), ended.log
            assert re.search("is writing table visit|another run .* writes it", ended.error)
        feed.write(lines[half:])
        chain.remember(feed.end())
    assert chain.rows() == chain.script.rows(6)
    rest[0].settle()


def test_five_runs_take_turns(make_chain):
    """Five runs that start together and may wait do the same work one after the other: each ends well, all is exact."""
    chain = make_chain(lock_wait_seconds=60)
    flights = [start(twin(chain)) for _ in range(5)]
    for ended in [flight.end() for flight in flights]:
        assert ended.code == 0, ended.log
        assert ended.states[-1] == chain.script.state(6)
    assert chain.rows() == chain.script.rows(6)


def start(chain):
    """Start a run that has all of its lines."""
    with chain.target.fed() as feed:
        feed.write(chain.lines())
    return feed.flight


def wait_until_held(chain, done):
    """Wait until the destination has a batch."""
    question = f"SELECT MAX(serial) FROM {chain.name('_od_load_state')}"
    wait_until(chain.destination.engine, question, lambda found: found[0][0] == done)


def held_back(ended):
    """The batches whose states were sent."""
    return {state["bookmarks"]["visit"]["done"] for state in ended.states}


# --- destinations that were set back ---------------------------------------------------------------------------------


def tables(chain):
    """All tables of the destination but the copies."""
    schema = "raw" if chain.destination.dialect == "postgresql" else str(chain.destination.url.database)
    found = chain.ask(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'")
    return [name for (name,) in found if not name.startswith("kept_")]


def back_up(chain):
    """Copy every table, as a dump does."""
    for table in tables(chain):
        copy(chain, table, f"kept_{table}")


def restore(chain, backed_up):
    """Put the copies back; a table that is younger than the backup goes."""
    for table in tables(chain):
        chain.ask(f"DROP TABLE {chain.name(table)}")
    for table in backed_up:
        copy(chain, f"kept_{table}", table)


def copy(chain, old, new):
    like = "LIKE {}" if chain.destination.dialect == "mysql" else "(LIKE {} INCLUDING ALL)"
    chain.ask(f"CREATE TABLE {chain.name(new)} {like.format(chain.name(old))}")
    chain.ask(f"INSERT INTO {chain.name(new)} SELECT * FROM {chain.name(old)}")


def merge(source, state):
    """What `meltano state merge` does."""
    for key, value in source.items():
        if isinstance(value, dict):
            merge(value, state.setdefault(key, {}))
        else:
            state[key] = value
    return state


def rewind(chain, ended):
    """Do as the error says, on the state of before."""
    [command] = re.findall(r"`(meltano state merge .*?)`", ended.error)
    path = Path(shlex.split(command)[4])
    assert path.stat().st_mode & 0o777 == 0o600
    merged = merge(json.loads(path.read_text())["singer_state"], chain.script.state(chain.done))
    chain.done = merged["bookmarks"]["visit"]["done"] or 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("last", [6, 8])
def test_a_restored_backup_is_refused(make_chain, way, last):
    """Set back to batch 4 after later runs: 16, the command, no row and no state; taken back, all is exact."""
    chain = make_chain(way, retries=0)
    assert chain.run(chain.lines(4)).code == 0
    backed_up = tables(chain)
    back_up(chain)
    for until in range(5, last + 1):
        assert chain.run(chain.lines(until)).code == 0
    restore(chain, backed_up)
    ended = chain.run()
    assert (ended.code, held_back(ended), chain.done) == (BEHIND, {last}, last)
    assert chain.rows() == chain.script.rows(4)
    rewind(chain, ended)
    assert chain.done == 4
    chain.settle()


def test_a_new_destination_is_refused(make_chain):
    """An empty database under an old state: 16, and taken back to nothing all is read again."""
    chain = make_chain()
    restore(chain, [])
    ended = chain.run()
    assert (ended.code, chain.done) == (BEHIND, PARTS)
    rewind(chain, ended)
    assert chain.done == 0
    chain.settle()


def test_a_restored_table_alone_is_not_seen(make_chain):
    """The control, and the limit: a table set back without `_od_load_state` is believed, and rows are missing."""
    chain = make_chain()
    copy(chain, "visit", "kept_visit")
    chain.settle()
    chain.ask(f"DROP TABLE {chain.name('visit')}")
    copy(chain, "kept_visit", "visit")
    ended = chain.run()
    assert ended.code == 0
    assert chain.rows() != chain.script.rows(9)
