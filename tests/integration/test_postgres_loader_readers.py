"""Whoever reads PostgreSQL while it is loaded waits for nothing, but for the moment in which a table changes."""

import json
import threading
import time

import psycopg
import pytest
from tests.integration.conftest import messages
from tests.postgres_loading import INTEGER, TEXT, at_desk, batch, load_singer, settings_for

from target_opendental_replica.postgres.connection import connect
from target_opendental_replica.postgres.stage import Stage
from target_opendental_replica.warehouse import Counts

NAMES = {"id": INTEGER, "name": TEXT}
MORE = NAMES | {"note": TEXT}
READ = "SELECT count(*) FROM raw.patient"


@pytest.fixture
def desk(postgres_database):
    with at_desk(postgres_database, lock_wait_seconds=60) as desk:
        yield desk


@pytest.fixture
def reader(postgres_database):
    """A connection whose statements give up after half a second: the table is free or it is not."""
    connection = connect(settings_for(postgres_database))
    connection.execute("SET statement_timeout = 500")
    connection.commit()
    yield connection
    connection.close()


def count(reader):
    """The rows that a reader sees; an error where the table is locked."""
    try:
        [(rows,)] = reader.execute(READ).fetchall()
    finally:
        reader.rollback()
    return rows


def load(loader, *rows, version=None, properties=NAMES):
    loader.load(batch(properties, rows, version))


class TestRows:
    """Loading, merging and activating lock nothing that readers use until they settle."""

    def test_a_first_load_without_a_version(self, desk, reader):
        """Before the first settle, and behind it."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"))
        assert count(reader) == 0
        assert loader.settle(None) == Counts(inserted=1)
        load(loader, (2, "b"))
        load(loader, (1, "A"))
        assert count(reader) == 1
        assert loader.settle(None) == Counts(inserted=1, updated=1)
        assert count(reader) == 2

    @pytest.mark.parametrize("is_filled", [False, True])
    def test_a_version_that_was_activated(self, desk, reader, is_filled):
        """It takes the table's place when it settles; rows behind it come with it."""
        loader = desk.open(NAMES)
        if is_filled:
            load(loader, (1, "a"), (7, "z"))
            loader.settle(None)
        load(loader, (1, "A"), (2, "b"), version=5)
        loader.activate(5)
        assert count(reader) == 2 * is_filled
        load(loader, (3, "c"))
        load(loader, (2, "B"), version=5)
        assert count(reader) == 2 * is_filled
        assert loader.settle(None) == (Counts(inserted=2, updated=1, deleted=1) if is_filled else Counts(inserted=3))
        assert dict(desk.rows("id, name")) == {1: "A", 2: "B", 3: "c"}
        load(loader, (4, "d"), version=5)
        assert loader.settle(None) == Counts(inserted=1)

    def test_a_version_without_rows_and_another_behind_it(self, desk, reader):
        """Each takes its place in its turn; the readers see the last one."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), version=5)
        loader.activate(5)
        loader.settle(None)
        loader.activate(6)
        load(loader, (2, "b"), version=6)
        load(loader, (3, "c"), version=7)
        loader.activate(7)
        assert count(reader) == 1
        loader.settle(None)
        assert dict(desk.rows("id, name")) == {3: "c"}

    def test_the_control(self, desk, reader):
        """The reader would see a lock: what COPY into the table itself needs."""
        desk.open(NAMES)
        desk.session._connection.execute("ALTER TABLE raw.patient ALTER name SET DEFAULT 'a'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            count(reader)


class TestFirstLoad:
    """What our tap sends of a table that it reads whole."""

    @pytest.fixture
    def staged(self, monkeypatch):
        """Lines of the batches that went by the stage."""
        lines = []
        take = Stage.take
        monkeypatch.setattr(Stage, "take", lambda stage, batch, *more: (lines.append(batch), take(stage, batch, *more)))
        return lines

    def test_a_table_that_is_read_whole_is_written_once(self, desk, practice, run_tap, staged):
        """By COPY into a table of its own, and not by the stage. The control: its rows without their version."""
        sent = run_tap({**practice.config, "tables": ["definition"]})
        assert sent.returncode == 0, sent.stderr
        load_singer(desk.warehouse, sent.stdout)
        [(rows,)] = desk.run("SELECT count(*) FROM raw.definition")
        assert (rows > 0, staged) == (True, [])
        found = [{**message, "version": None} for message in messages(sent.stdout) if message["type"] != "STATE"]
        load_singer(desk.warehouse, "\n".join(json.dumps(each) for each in found if each["type"] != "ACTIVATE_VERSION"))
        assert len(staged) == 1


class TestStructure:
    """A change of a table waits for its readers, and no reader waits for that one's turn."""

    @pytest.fixture
    def another(self, postgres_database):
        """A reader that has three times as long as a change may wait at a stretch."""
        connection = connect(settings_for(postgres_database))
        connection.execute("SET statement_timeout = 3000")
        connection.commit()
        yield connection
        connection.close()

    def test_a_change_waits_apart_from_the_readers(self, desk, another, reader):
        """A reader that stays holds up the change alone: others read on, and then the column is there."""
        desk.open(NAMES)
        desk.again()
        reader.execute(READ)  # and its transaction stays
        thread = threading.Thread(target=desk.open, args=(MORE,))
        thread.start()
        try:
            waits = 0
            while waits < 2:
                is_waiting = _is_waiting(another)
                waits += is_waiting
                if is_waiting:
                    assert count(another) == 0
                time.sleep(0.01)
        finally:
            reader.rollback()
            thread.join()
        assert desk.told == ["raw.patient: column note added (text)"]
        assert [
            name
            for (name,) in desk.run("SELECT column_name FROM information_schema.columns WHERE table_name = 'patient'")
            if name == "note"
        ] == ["note"]

    def test_an_empty_table_is_replaced_in_turn(self, desk, another, reader):
        """The same of a table that a version takes the place of."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), version=5)
        loader.activate(5)
        reader.execute(READ)
        thread = threading.Thread(target=loader.settle, args=(None,))
        thread.start()
        try:
            while not _is_waiting(another):
                time.sleep(0.01)
            assert count(another) == 0
        finally:
            reader.rollback()
            thread.join()
        assert count(another) == 1

    def test_an_empty_table_whose_reader_stays_is_filled(self, postgres_database, reader):
        """Where the table is not to be had in time, the rows are written once more: no reader is in the way of that."""
        with at_desk(postgres_database, lock_wait_seconds=1) as desk:
            loader = desk.open(NAMES)
            load(loader, (1, "a"), (2, "b"), version=5)
            loader.activate(5)
            assert count(reader) == 0
            reader.execute(READ)
            assert loader.settle(None) == Counts(inserted=2)
            assert count(reader) == 2
            assert desk.run("SELECT count(*) FROM pg_catalog.pg_class WHERE relname LIKE '\\_od\\_new%'") == [(0,)]

    def test_the_control(self, desk, another, reader, postgres_database):
        """The same change without turns: the reader that comes behind it waits until it gives up."""
        desk.open(NAMES)
        reader.execute(READ)
        changing = connect(settings_for(postgres_database, lock_wait_seconds=60))
        thread = threading.Thread(target=_change, args=(changing, "ALTER TABLE raw.patient ADD note text"))
        thread.start()
        try:
            while not _is_waiting(another):
                time.sleep(0.01)
            with pytest.raises(psycopg.errors.QueryCanceled):
                count(another)
        finally:
            reader.rollback()
            thread.join()
            changing.close()


def _is_waiting(connection):
    """True while a session waits for a table."""
    [(waits,)] = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
    ).fetchall()
    connection.rollback()
    return bool(waits)


def _change(connection, statement):
    connection.execute(statement)
    connection.commit()
