"""The synthetic practice on a real server."""

from dataclasses import dataclass

import pytest

from opendental_analyze.sandbox.practice import (
    CANARY_CELLS,
    CANARY_KEY,
    NUL_CELL,
    NUL_KEYS,
    PracticeError,
    fill_practice,
)
from opendental_analyze.sandbox.source import create_tables
from opendental_analyze.sandbox.throw_away import ThrowAwaySource, mariadb_database
from tap_opendental.discovery.knowledge import load_knowledge
from target_opendental_replica.statements import quote

KNOWLEDGE = load_knowledge()
PATIENTS = 30


def fill(database, progress):
    return fill_practice(
        database.engine, knowledge=KNOWLEDGE, database=database.name, patients=PATIENTS, seed=3, progress=progress
    )


def create(database, storage):
    tables = [known.table for known in KNOWLEDGE.tables.values()]
    create_tables(database.engine, tables, database.name, storage, lambda *_: None)


def query(database, statement):
    with database.engine.connect() as connection:
        return connection.exec_driver_sql(statement).all()


def checksums(database):
    names = ", ".join(quote(name) for name in KNOWLEDGE.tables)
    return {name.partition(".")[2]: found for name, found in query(database, f"CHECKSUM TABLE {names}")}


@dataclass(frozen=True)
class Practice:
    """A filled database, what filling it returned, and what it told meanwhile."""

    database: ThrowAwaySource
    rows: dict[str, int]
    told: list[tuple[str, int]]


@pytest.fixture(scope="module")
def practice(sandbox):
    """A small practice on MyISAM, filled once; these tests only read it."""
    told = []
    with mariadb_database(sandbox.state) as database:
        create(database, "MyISAM")
        rows = fill(database, lambda name, count: told.append((name, count)))
        yield Practice(database, dict(rows), told)


@pytest.fixture
def another(sandbox):
    """An empty database beside it."""
    with mariadb_database(sandbox.state) as database:
        yield database


@pytest.mark.parametrize("storage", ["MyISAM", "mixed"])
def test_two_loads_are_equal(practice, another, storage):
    """The same seed fills two databases with the same rows, whatever their storage engine."""
    create(another, storage)
    fill(another, lambda *_: None)
    assert checksums(another) == checksums(practice.database)


def test_every_row_is_told_and_there(practice):
    """The rows that are returned, and told while they are loaded, are the rows that the server counts."""
    counts = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {quote(name)}" for name in practice.rows)
    assert dict(query(practice.database, counts)) == practice.rows
    assert practice.told == [(name, count) for name, count in practice.rows.items() if count]


def test_values_arrive_as_they_were_made(practice):
    """The server returns what was planted: canaries, blobs, zero dates, intervals, the NUL character, latin1."""
    database, rows = practice.database, practice.rows
    for (table, column), canary in CANARY_CELLS.items():
        key = KNOWLEDGE.tables[table].table.primary_key[0]
        where = f"{quote(key)} = {min(CANARY_KEY, rows[table])}"
        assert query(database, f"SELECT {quote(column)} FROM {quote(table)} WHERE {where}") == [(canary,)]
    (blob,) = query(database, "SELECT `Data` FROM `files` ORDER BY 1 LIMIT 1")
    assert set(blob[0]) == set(range(256))
    table, column = NUL_CELL
    assert query(
        database, f"SELECT COUNT(*) FROM {quote(table)} WHERE {quote(column)} LIKE CONCAT('%%', CHAR(0), '%%')"
    ) == [(len(NUL_KEYS),)]
    assert query(database, "SELECT COUNT(*) > 0 FROM `procedurelog` WHERE `ProcDate` = '0000-00-00'") == [(1,)]
    assert query(database, "SELECT MIN(`Adjust`) < 0, MAX(`OTimeHours`) > '100:00:00' FROM `clockevent`") == [(1, 1)]
    (text,) = query(database, "SELECT GROUP_CONCAT(`Description`, `SerialNumber`, `Status`) FROM `equipment`")
    assert not text[0].isascii()


def test_a_filled_database_is_refused(practice):
    """Filling what is filled already stops with an error that names the table, and adds no row."""
    before = checksums(practice.database)
    with pytest.raises(PracticeError, match=f"account: 0 of {practice.rows['account']} rows"):
        fill(practice.database, lambda *_: None)
    assert checksums(practice.database) == before
