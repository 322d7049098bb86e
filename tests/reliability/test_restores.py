"""Another database under the same state, or the same one set back: refused or read anew, never half believed."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.reliability.oracle_target import read_tables
from tests.reliability.stock import StockReader
from tests.reliability.tables import Writer, create_tables, tables_yml

from opendental_analyze.sandbox.throw_away import mariadb_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reliability.conftest import Source
    from tests.reliability.harness import Pipe

REFUSED = 11
STREAMS = ("shelf", "visit", "memo", "journal")


@pytest.fixture
def clinics(sandbox, source, make_pipe, seeded, tmp_path_factory) -> Iterator[list[tuple[Source, Pipe]]]:
    """Two clinics on one server, each read once into a store of its own; their tables hold other rows."""
    with mariadb_database(sandbox.state) as other:
        folder = tmp_path_factory.mktemp("other")
        reader = sa.make_url(other.reader_url)
        both = [source, replace(source, name=other.name, engine=other.engine, reader=reader, folder=folder)]
        pipes = []
        for clinic, rows in zip(both, (40, 55), strict=True):
            with clinic.engine.begin() as connection:
                create_tables(connection)
            Writer(clinic.engine, seeded).fill(rows)
            clinic.review(tables_yml(page_rows=15)["tables"])
            pipe = replace(make_pipe(), config=clinic.config(tables=list(STREAMS)))
            pipe.settle()
            pipes.append((clinic, pipe))
        yield pipes


def swapped(clinics) -> list[tuple[Source, Pipe]]:
    """Each clinic with the other's store and state."""
    (first, its_pipe), (second, other_pipe) = clinics
    return [(first, replace(its_pipe, folder=other_pipe.folder)), (second, replace(other_pipe, folder=its_pipe.folder))]


def test_a_state_of_another_clinic_is_refused(clinics):
    """Two clinics' states swapped: exit 11, one line that names both databases, and neither a row nor a state."""
    names = [clinic.name for clinic, _ in clinics]
    for clinic, pipe in swapped(clinics):
        held = read_tables(pipe.folder)
        outcome = pipe.run()
        assert (outcome.code, outcome.lines) == (REFUSED, 0)
        assert all(name in outcome.last_line for name in names)
        assert "on_foreign_state" in outcome.last_line
        assert read_tables(pipe.folder) == held
        assert clinic.differing(pipe, *STREAMS) != {}


def test_rebase_replaces_what_another_clinic_left(clinics):
    """With on_foreign_state: rebase the target ends with this clinic's rows alone, and goes on from there."""
    for clinic, pipe in swapped(clinics):
        pipe.settle(on_foreign_state="rebase")
        assert clinic.differing(pipe, *STREAMS) == {}
        clinic.sql("UPDATE visit SET Note = 'edited' WHERE Num = 1")
        pipe.settle()
        assert clinic.differing(pipe, *STREAMS) == {}


def test_adopt_goes_on(clinics):
    """With on_foreign_state: adopt, for a server with a new name, the state is believed: hardly a row is sent."""
    for clinic, pipe in clinics:
        state = pipe.state
        for bookmark in state["bookmarks"].values():
            bookmark["source"]["host"] = "old-name"
        pipe.write_state(state)
        assert pipe.run().code == REFUSED
        clinic.sql("UPDATE visit SET Note = 'edited' WHERE Num = 1")
        pipe.settle(on_foreign_state="adopt")
        assert clinic.differing(pipe, *STREAMS) == {}
        assert pipe.run().code == 0


STAMP = "Stamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
ROWS, LATER = 60, 10
SHAPES = {
    "by index": f"(Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(20), {STAMP}, KEY (Stamp)) ENGINE=MyISAM",
    "by ranges": f"(Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(20), {STAMP}) ENGINE=InnoDB",
    "without AUTO_INCREMENT": f"(Num int PRIMARY KEY, Note varchar(20), {STAMP}) ENGINE=MyISAM",
    "InnoDB without AUTO_INCREMENT": f"(Num int PRIMARY KEY, Note varchar(20), {STAMP}) ENGINE=InnoDB",
    "log": "(Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(20), Stamp datetime) ENGINE=MyISAM",
}


def dump(definition):
    """What a dump of the backup does when it is read in."""
    return ["DROP TABLE {0}", f"CREATE TABLE {{0}} {definition}", "INSERT INTO {0} SELECT * FROM kept_{0}"]


def in_place(_definition):
    """The rows that were there then, in the table as it is: its counter of keys stays where it was."""
    return ["DELETE FROM {0}", "INSERT INTO {0} SELECT * FROM kept_{0}"]


def truncated(_definition):
    """The same by TRUNCATE, which sets the counter back."""
    return ["TRUNCATE {0}", "INSERT INTO {0} SELECT * FROM kept_{0}"]


WORK = {
    "nothing": [],
    "an edit": ["UPDATE {0} SET Note = 'after' WHERE Num = 20"],
    # fewer new rows than were lost: their keys are taken again
    "an hour of work": [
        "INSERT INTO {0} SELECT 60 + seq, 'after', NOW() FROM seq_1_to_3",
        "UPDATE {0} SET Note = 'after' WHERE Num = 20",
    ],
    # more: the counter of keys is past the bookmark's again
    "an afternoon of work": [
        "INSERT INTO {0} SELECT 60 + seq, 'after', NOW() FROM seq_1_to_30",
        "UPDATE {0} SET Note = 'after' WHERE Num = 20",
    ],
}


def back_up(source, table, shape):
    """A table that was backed up, went on until yesterday, and is read then."""
    definition, key = SHAPES[shape], "Num" if shape == "log" else "Stamp"
    # where the keys of inserted rows are taken again by others, all of the newest rows are inserted ones
    inserted = "1 HOUR" if "AUTO_INCREMENT" in definition else "3 DAY"
    edits = [
        "UPDATE {0} SET Note = 'lost edit', Stamp = NOW() - INTERVAL 3 DAY WHERE Num <= 5",
        "UPDATE {0} SET Note = 'newest', Stamp = NOW() - INTERVAL 1 DAY WHERE Num = 6",
    ]
    statements = [
        f"CREATE TABLE {{0}} {definition}",
        f"INSERT INTO {{0}} SELECT seq, 'old', NOW() - INTERVAL 10 DAY FROM seq_1_to_{ROWS}",
        "CREATE TABLE kept_{0} AS SELECT * FROM {0}",
        f"INSERT INTO {{0}} SELECT {ROWS} + seq, 'lost', NOW() - INTERVAL {inserted} FROM seq_1_to_{LATER}",
        *(edits if key == "Stamp" else []),
    ]
    source.sql(*(statement.format(table) for statement in statements))
    return {"overrides": {"extraction_strategy": "incremental", "incremental_column": key}}


@pytest.mark.parametrize("restore", [dump, in_place, truncated])
def test_a_backup_that_was_restored_is_noticed(source, make_pipe, restore):
    """A table set back by days, and the work that followed: it is read anew, with a line that says so, and exact.

    What the backup did not have is gone from the target too.
    """
    source.sql(
        "CREATE TABLE preference (PrefNum bigint PRIMARY KEY, PrefName varchar(255), ValueString text)",
        "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')",
    )
    cases = {f"visit{n}": case for n, case in enumerate(itertools.product(SHAPES, WORK))}
    source.review({table: back_up(source, table, shape) for table, (shape, _) in cases.items()})
    pipe = make_pipe(tables=["visit*"], max_page_bytes=1 << 20)
    pipe.settle()
    for table, (shape, work) in cases.items():
        statements = [*restore(SHAPES[shape]), *WORK[work]]
        source.sql(*(statement.format(table) for statement in statements))
    log = pipe.settle().log
    passed_over = [cases[table] for table in source.differing(pipe, *cases)]
    assert not passed_over, passed_over
    unsaid = [cases[table] for table in cases if not re.search(rf"WARNING.* {table}\b.*read whole", log)]
    assert not unsaid, unsaid


def test_the_stock_rule_keeps_what_a_backup_undid(source):
    """The control: after a restore the stock rule reads from a bookmark of the lost days, and keeps their edits."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(20), {STAMP})",
        "INSERT INTO visit VALUES (1, 'old', NOW() - INTERVAL 10 DAY)",
        "CREATE TABLE kept_visit AS SELECT * FROM visit",
        "UPDATE visit SET Note = 'lost edit', Stamp = NOW() - INTERVAL 3 DAY",
    )
    stock = StockReader(source.engine, "visit")
    stock.run()
    source.sql(*(statement.format("visit") for statement in in_place("")), "INSERT INTO visit (Num) VALUES (2)")
    stock.run()
    assert stock.lost() == {1}
