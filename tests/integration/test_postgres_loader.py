"""Loading into PostgreSQL: by COPY and by merge, by version, with the position, and nothing of what was not settled."""

import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.postgres_loading import BOOLEAN, DATE, EXTRACTED_AT, INTEGER, MOMENT, NUMBER, SCHEMA, TEXT, at_desk, batch

from target_opendental_replica.errors import ConfigError, LockedError, MissingRowsError
from target_opendental_replica.positions import Position
from target_opendental_replica.stream_facts import DELETED_AT, Start
from target_opendental_replica.warehouse import Counts

PATIENT = {"id": INTEGER, "name": TEXT, "fee": NUMBER, "born": DATE, "at": MOMENT, "active": BOOLEAN}
NAMES = {"id": INTEGER, "name": TEXT}
MARKED = NAMES | {DELETED_AT: MOMENT}
LINEAGE = "0123456789abcdef"
GONE = "2026-01-01T00:00:00Z"


@pytest.fixture
def desk(postgres_database):
    with at_desk(postgres_database) as desk:
        yield desk


@pytest.fixture
def soft_desk(postgres_database):
    with at_desk(postgres_database, hard_delete=False) as desk:
        yield desk


def load(loader, *rows, version=None, properties=NAMES):
    loader.load(batch(properties, rows, version))


def names(desk, table="patient"):
    return dict(desk.rows("id, name", table))


def stamp(desk, table="patient"):
    """Where each row lies: an update moves it."""
    return {number: (xmin, ctid) for number, xmin, ctid in desk.rows("id, xmin::text, ctid::text", table)}


class TestDirect:
    """The table of a version, while nobody reads it."""

    def test_a_version_is_loaded_by_copy_into_its_table(self, desk):
        """No stage is made, rows and metadata are there, and no default stays behind."""
        loader = desk.open(PATIENT)
        row = (1, "a", Decimal("1.10"), "2026-01-02", "2026-01-02T03:04:05Z", True)
        load(loader, row, version=5, properties=PATIENT)
        load(loader, (2, None, None, None, None, None), version=5, properties=PATIENT)
        loader.activate(5)
        assert desk.told == []
        assert loader.settle(None) == Counts(inserted=2)
        found = desk.rows("id, name, fee::text, born::text, at::text, active")
        assert found == [(1, "a", "1.10", "2026-01-02", "2026-01-02 03:04:05", True), (2, None, None, None, None, None)]
        metadata = "_sdc_extracted_at, _sdc_deleted_at, _sdc_table_version, _sdc_received_at = _sdc_batched_at"
        assert set(desk.rows(metadata)) == {(EXTRACTED_AT.replace(tzinfo=None), None, 5, True)}
        defaults = "SELECT column_default FROM information_schema.columns WHERE table_name = 'patient'"
        assert {default for (default,) in desk.run(defaults)} == {None}
        stages = "SELECT count(*) FROM pg_catalog.pg_class WHERE starts_with(relname, '_od_stage_')"
        assert desk.session._connection.execute(stages).fetchone() == (0,)

    def test_long_text_is_compressed_as_fast_as_the_server_can(self, desk):
        """That is lz4, whatever the database's default is, and also where the rows come through the stage."""
        loader = desk.open(NAMES)
        load(loader, (1, "long " * 1_000), version=5)
        loader.activate(5)
        load(loader, (2, "text " * 1_000))
        loader.settle(None)
        assert desk.rows("id, pg_column_compression(name)") == [(1, "lz4"), (2, "lz4")]

    def test_a_key_that_comes_twice_is_merged_from_then_on(self, desk):
        """In one batch or in the next one: the last row counts, and no row is lost."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"), version=5)
        load(loader, (3, "c"), (2, "B"), (3, "C"), version=5)
        load(loader, (4, "d"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=4)
        assert names(desk) == {1: "a", 2: "B", 3: "C", 4: "d"}

    def test_without_metadata_there_is_none(self, postgres_database):
        """add_record_metadata: false leaves the source's columns alone."""
        with at_desk(postgres_database, adds_metadata=False) as desk:
            loader = desk.open(NAMES)
            load(loader, (1, "a"))
            load(loader, (1, "b"))
            loader.settle(None)
            assert desk.rows() == [(1, "b")]

    def test_marks_need_their_column(self, postgres_database):
        """hard_delete: false without metadata would have nowhere to mark a row."""
        with (
            pytest.raises(ConfigError, match="_sdc_deleted_at"),
            at_desk(postgres_database, adds_metadata=False, hard_delete=False),
        ):
            pass


class TestMerge:
    """Rows that meet others, by key."""

    @pytest.fixture
    def loader(self, desk):
        """A table with three rows, opened by another run."""
        first = desk.open(NAMES)
        load(first, (1, "a"), (2, "b"), (3, "c"))
        first.settle(None)
        desk.again()
        return desk.open(NAMES)

    def test_only_rows_that_differ_are_written(self, desk, loader):
        """Counts say what became of each key, and an unchanged row lies where it lay."""
        before = stamp(desk)
        load(loader, (1, "a"), (2, "B"), (4, "d"))
        assert loader.settle(None) == Counts(inserted=1, updated=1, unchanged=1)
        assert names(desk) == {1: "a", 2: "B", 3: "c", 4: "d"}
        after = stamp(desk)
        assert {key for key in before if before[key] == after[key]} == {1, 3}

    def test_the_last_row_of_a_key_counts(self, desk, loader):
        """Even where it is the one that is there already, and whatever came between, in as many batches as may be."""
        load(loader, (1, "x"), (1, "y"), (2, "b"), (2, "z"))
        load(loader, (1, "a"), (5, "e"), (5, None))
        assert loader.settle(None) == Counts(inserted=1, updated=1, unchanged=1)
        assert names(desk) == {1: "a", 2: "z", 3: "c", 5: None}

    def test_rows_are_compared_exactly(self, desk):
        """Digits of a number, composed letters, trailing blanks, NULL against empty: each is a difference."""
        properties = {"id": INTEGER, "name": TEXT, "fee": NUMBER, "tree": {"type": ["object", "null"]}}
        pairs = [
            (("a", None, None), ("a ", None, None)),
            (("\u00e9", None, None), ("e\u0301", None, None)),
            (("", None, None), (None, None, None)),
            ((None, Decimal("1.0"), None), (None, Decimal("1.00"), None)),
            ((None, None, {"a": Decimal("1.0")}), (None, None, {"a": Decimal("1.00")})),
            (("A", None, None), ("a", None, None)),
        ]
        loader = desk.open(properties)
        load(loader, *((number, *old) for number, (old, _) in enumerate(pairs)), (9, "s", 1, {}), properties=properties)
        loader.settle(None)
        load(loader, *((number, *new) for number, (_, new) in enumerate(pairs)), (9, "s", 1, {}), properties=properties)
        assert loader.settle(None) == Counts(updated=len(pairs), unchanged=1)
        shown = desk.run("SELECT id, name, fee::text, tree::text FROM raw.patient ORDER BY id")
        assert shown[3][2] == "1.00"
        assert shown[4][3] == '{"a": 1.00}'

    def test_rows_that_were_deleted_at_the_source_go(self, desk, loader):
        """A row with _sdc_deleted_at is deleted; the last word on a key counts, and unknown keys are no matter."""
        load(loader, (1, None, GONE), (2, None, GONE), (2, "again", None), (8, None, GONE), properties=MARKED)
        assert loader.settle(None) == Counts(updated=1, deleted=1)
        assert names(desk) == {2: "again", 3: "c"}

    def test_or_they_are_marked_and_unmarked_when_they_are_back(self, soft_desk):
        """hard_delete: false keeps the row with its values; an equal row that comes back is unmarked."""
        loader = soft_desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"))
        assert loader.settle(None) == Counts(inserted=2)
        load(loader, (1, None, GONE), properties=MARKED)
        assert loader.settle(None) == Counts(deleted=1)
        assert soft_desk.rows("id, name, _sdc_deleted_at IS NOT NULL") == [(1, "a", True), (2, "b", False)]
        load(loader, (1, "a"))
        assert loader.settle(None) == Counts(updated=1)
        assert soft_desk.rows("id, name, _sdc_deleted_at IS NOT NULL") == [(1, "a", False), (2, "b", False)]

    def test_a_stream_without_key_is_appended_to(self, desk):
        """Each row is one more row."""
        for _ in range(2):
            loader = desk.open(NAMES, ())
            load(loader, (1, "a"), (1, "a"))
            assert loader.settle(None) == Counts(inserted=2)
            desk.again()
        assert desk.rows("id, name") == [(1, "a")] * 4

    def test_what_no_schema_has_is_read_and_left(self, desk, loader):
        """A file may hold a property that was withheld, or metadata of the tap's own: neither breaks the load."""
        sent = {"id": INTEGER, "later": TEXT, "name": TEXT, "_sdc_sequence": TEXT, "_od_row": TEXT}
        load(loader, (1, "x", "A", "no number", "y"), properties=sent)
        load(loader, (2, "x", "B", "no number", "y"), properties=sent)
        assert loader.settle(None) == Counts(updated=2)
        assert names(desk) == {1: "A", 2: "B", 3: "c"}


class TestVersions:
    """Whole tables, gathered and activated."""

    def test_a_version_replaces_the_table_when_it_is_activated(self, desk):
        """Until then readers see the old rows; then rows that are gone go, and equal ones stay where they lie."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"), (3, "c"))
        loader.settle(None)
        before = stamp(desk)
        load(loader, (2, "b"), (3, "C"), version=5)
        load(loader, (4, "d"), (4, "D"), version=5)
        assert loader.settle(None) == Counts()
        assert names(desk) == {1: "a", 2: "b", 3: "c"}
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=1, updated=1, unchanged=1, deleted=1)
        assert names(desk) == {2: "b", 3: "C", 4: "D"}
        assert stamp(desk)[2] == before[2]
        assert desk.run("SELECT count(*) FROM pg_tables WHERE starts_with(tablename, '_od_new_')") == [(0,)]

    def test_over_several_sessions(self, desk):
        """What was settled before a crash is gathered still, and what was not is not."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"), version=5)
        loader.settle(None)
        load(loader, (9, "lost"), version=5)
        desk.again()
        loader = desk.open(NAMES, start=Start(LINEAGE, 3, 5))
        load(loader, (2, "B"), (3, "c"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=3)
        assert names(desk) == {1: "a", 2: "B", 3: "c"}

    def test_an_older_version_that_was_never_activated_is_dropped(self, desk):
        """A pass that was begun anew leaves nothing of the first one."""
        loader = desk.open(NAMES)
        load(loader, (1, "old"), version=5)
        loader.settle(None)
        load(loader, (2, "new"), version=6)
        loader.activate(6)
        loader.settle(None)
        assert names(desk) == {2: "new"}

    def test_rows_of_the_active_version_are_merged(self, desk):
        """What changed behind a pass comes with its version, and activating it once more changes nothing."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"), version=5)
        loader.activate(5)
        loader.settle(None)
        desk.again()
        loader = desk.open(NAMES)
        load(loader, (2, "B"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(updated=1)
        assert names(desk) == {1: "a", 2: "B"}

    def test_a_version_without_rows_empties_the_table(self, desk):
        """A table that became empty at the source is empty here."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"))
        loader.settle(None)
        loader.activate(5)
        assert loader.settle(None) == Counts(deleted=1)
        assert names(desk) == {}

    def test_rows_that_are_gone_are_marked(self, soft_desk):
        """hard_delete: false; a row that is back in a later version is unmarked, though it is equal."""
        loader = soft_desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"))
        load(loader, (2, "b"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=2, unchanged=1, deleted=1)
        assert soft_desk.rows("id, _sdc_deleted_at IS NULL") == [(1, False), (2, True)]
        load(loader, (1, "a"), (2, "b"), version=6)
        loader.activate(6)
        assert loader.settle(None) == Counts(updated=1, unchanged=1)
        assert soft_desk.rows("id, _sdc_deleted_at IS NULL") == [(1, True), (2, True)]

    def test_rows_deleted_during_a_pass_are_gone_with_it(self, desk):
        """A row that was gathered and deleted before the pass ended does not come back."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"))
        load(loader, (1, "a"), (2, "b"), version=5)
        load(loader, (1, None, GONE), version=5, properties=MARKED)
        loader.activate(5)
        loader.settle(None)
        assert names(desk) == {2: "b"}

    def test_a_keyless_stream_is_replaced_whole(self, desk):
        """Rows that are twice at the source are twice here."""
        loader = desk.open(NAMES, ())
        load(loader, (1, "a"), (1, "a"))
        loader.settle(None)
        load(loader, (2, "b"), (2, "b"), (1, "a"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=3, deleted=2)
        assert desk.rows("id, name") == [(1, "a"), (2, "b"), (2, "b")]

    @pytest.mark.parametrize("hangs", [False, True])
    def test_an_empty_table_is_replaced_by_renaming_where_nothing_hangs_on_it(self, desk, hangs):
        """A grant, a view, an index or a comment stays in force: then the rows are written into the table itself."""
        loader = desk.open(NAMES)
        if hangs:
            desk.run("CREATE VIEW raw.seen AS SELECT name FROM raw.patient")
        before = desk.run("SELECT 'raw.patient'::regclass::oid")
        load(loader, (1, "a"), version=5)
        loader.activate(5)
        assert loader.settle(None) == Counts(inserted=1)
        assert (desk.run("SELECT 'raw.patient'::regclass::oid") == before) == hangs
        assert names(desk) == {1: "a"}
        constraint = "SELECT conname FROM pg_constraint WHERE conrelid = 'raw.patient'::regclass AND contype = 'p'"
        assert desk.run(constraint) == [("patient_pkey",)]
        if hangs:
            assert desk.rows("name", "seen") == [("a",)]

    @pytest.mark.parametrize(
        "trait",
        [
            "GRANT SELECT ON raw.patient TO PUBLIC",
            "GRANT SELECT (id) ON raw.patient TO PUBLIC",
            "CREATE INDEX ON raw.patient (name)",
            "COMMENT ON TABLE raw.patient IS 'ours'",
            "ALTER TABLE raw.patient SET (fillfactor = 70)",
            "ALTER TABLE raw.patient ALTER name SET DEFAULT 'x'",
            "CREATE STATISTICS raw.both ON id, name FROM raw.patient",
        ],
    )
    def test_whatever_hangs_on_it(self, desk, trait):
        """Each keeps the table where it is."""
        loader = desk.open(NAMES)
        desk.run(trait)
        before = desk.run("SELECT 'raw.patient'::regclass::oid")
        load(loader, (1, "a"), version=5)
        loader.activate(5)
        loader.settle(None)
        assert desk.run("SELECT 'raw.patient'::regclass::oid") == before
        assert names(desk) == {1: "a"}

    def test_readers_see_the_old_rows_until_the_new_ones_are_settled(self, desk):
        """Also a reader who has begun before: neither waits, and neither sees none or half."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"), (2, "b"))
        loader.settle(None)
        reader = desk.warehouse.connect()._connection
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT count(*) FROM raw.patient").fetchone() == (2,)
        load(loader, (3, "c"), version=5)
        loader.activate(5)
        assert names(desk) == {1: "a", 2: "b"}
        loader.settle(None)
        assert names(desk) == {3: "c"}
        assert reader.execute("SELECT array_agg(id ORDER BY id) FROM raw.patient").fetchone() == ([1, 2],)
        reader.close()

    def test_a_pass_that_began_elsewhere_is_refused(self, desk):
        """Its first rows are not here: activating it would delete them."""
        desk.open(NAMES).settle(None)
        with pytest.raises(MissingRowsError, match="version 7"):
            desk.open(NAMES, start=Start(LINEAGE, 3, 7))
        assert desk.open(NAMES, start=Start(LINEAGE, 3, None)).held is None

    @pytest.mark.parametrize("ends", [False, True])
    def test_rows_that_another_jobs_version_took_the_place_of_are_missed(self, desk, ends):
        """Two jobs read a table whole, each is cut, the first goes on: half a table would be activated, with exit 0.

        Also where the other one's version, an older one, was activated meanwhile. Begun anew, all rows are there.
        """
        load(loader := desk.open(NAMES, start=Start(LINEAGE, 0)), (1, "a"), (2, "b"), version=7)
        loader.settle(Position(LINEAGE, 3))
        desk.restart()
        load(loader := desk.open(NAMES, start=Start("f" * 16, 0)), (1, "a"), version=6)
        if ends:
            loader.activate(6)
        loader.settle(Position("f" * 16, 9, {}))
        desk.restart()
        with pytest.raises(MissingRowsError, match="version 7"):
            desk.open(NAMES, start=Start(LINEAGE, 3, 7))
        load(loader := desk.open(NAMES, start=Start(LINEAGE, 0)), (1, "a"), (2, "b"), (3, "c"), version=8)
        loader.activate(8)
        loader.settle(Position(LINEAGE, 10, {}))
        assert names(desk) == {1: "a", 2: "b", 3: "c"}

    @pytest.mark.parametrize("goes_on", [False, True])
    def test_gathered_rows_that_someone_dropped_are_missed(self, desk, goes_on):
        """A pass that goes on behind them would activate the rest; one that stands before its first row has them all.

        What the registry remembers of them is forgotten: a new version is gathered from nothing.
        """
        load(loader := desk.open(NAMES, start=Start(LINEAGE, 0)), (1, "a"), (2, "b"), version=7)
        loader.settle(Position(LINEAGE, 3))
        desk.restart()
        desk.run("DROP TABLE raw._od_new_patient")
        start, version = Start(LINEAGE, 3), 7
        if goes_on:
            with pytest.raises(MissingRowsError, match="version 7"):
                desk.open(NAMES, start=Start(LINEAGE, 3, 7))
            start, version = Start(LINEAGE, 0), 8
        load(loader := desk.open(NAMES, start=start), (1, "a"), (2, "b"), (3, "c"), version=version)
        loader.activate(version)
        loader.settle(None)
        assert names(desk) == {1: "a", 2: "b", 3: "c"}

    def test_a_run_that_lost_its_connection_does_not_go_on_in_anothers_rows(self, desk):
        """Its own start says nothing of the version that it began: what it has committed of it does."""
        start = Start(LINEAGE, 0)
        load(loader := desk.open(NAMES, start=start), (1, "a"), (2, "b"), version=7)
        loader.settle(None)
        desk.again()
        assert desk.open(NAMES, start=start).held is None
        desk.run("UPDATE raw._od_tables SET gathered_version = 9")
        desk.again()
        with pytest.raises(MissingRowsError, match="version 7"):
            desk.open(NAMES, start=start)
        desk.restart()
        assert desk.open(NAMES, start=start).held is None

    def test_a_name_of_63_bytes_gathers_too(self, desk):
        """The table of the new version has a shorter name of its own, whole characters of it."""
        table = "\u00e9" * 31 + "x"
        loader = desk.open(NAMES, stream=table)
        load(loader, (1, "a"), version=5)
        load(loader, (1, "b"), version=5)
        loader.activate(5)
        loader.settle(None)
        assert names(desk, table) == {1: "b"}


class TestPosition:
    """What the rows belong to."""

    def test_position_and_rows_are_committed_together(self, desk):
        """A crash before settle leaves neither; after it both are there, digits and all."""
        start = Start(LINEAGE, 0)
        loader = desk.open(NAMES, start=start)
        load(loader, (1, "a"))
        loader.settle(Position(LINEAGE, 7, {"cursor": "2026-01-02", "serial": 7}))
        load(loader, (2, "b"))
        load(loader, (3, "c"), version=5)
        loader.activate(5)
        desk.again()
        assert names(desk) == {1: "a"}
        held = desk.open(NAMES, start=start).held
        assert held == Position(LINEAGE, 7, {"cursor": "2026-01-02", "serial": 7})
        assert desk.open(NAMES, start=Start("another lineage", 0)).held is None

    def test_the_control_of_the_crash(self, desk):
        """The same with a commit in between leaves a row behind: the test above would see it."""
        loader = desk.open(NAMES)
        load(loader, (2, "b"))
        loader._flush()
        desk.session._connection.commit()
        desk.again()
        assert names(desk) == {2: "b"}

    def test_a_table_that_someone_dropped_holds_no_position(self, desk):
        """Else the tap would go on behind rows that are nowhere."""
        start = Start(LINEAGE, 0)
        loader = desk.open(NAMES, start=start)
        load(loader, (1, "a"), version=5)
        loader.settle(Position(LINEAGE, 7, {}))
        desk.restart()
        desk.run("DROP TABLE raw.patient")
        assert desk.open(NAMES, start=start).held is None
        with pytest.raises(MissingRowsError):
            desk.open(NAMES, start=Start(LINEAGE, 7, 5))

    def test_positions_of_all_streams(self, desk):
        """They can be read at once, and one of a stream that is not open can be saved."""
        desk.session.save_position("patient", Position(LINEAGE, 1, {"a": 1}))
        desk.session.save_position("patient", Position(LINEAGE, 2, {"a": 2}))
        desk.session.save_position("other", Position("", 0, {"b": "\u0000"}))
        assert desk.session.read_positions() == {
            ("patient", LINEAGE): Position(LINEAGE, 2, {"a": 2}),
            ("other", ""): Position("", 0, {"b": "\u0000"}),
        }


class TestSessions:
    """Several at once, and what they do not depend on."""

    def test_a_second_writer_is_refused_with_the_first_ones_process(self, desk, postgres_database):
        """The lock is free as soon as the first session is closed, and other streams are not concerned."""
        desk.open(NAMES)
        [(pid,)] = desk.session._connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchall()
        with at_desk(postgres_database, lock_wait_seconds=0) as other:
            with pytest.raises(LockedError, match=f"process {pid} "):
                other.open(NAMES)
            other.open(NAMES, stream="another")
            desk.session.close()
            replace_wait = replace(other.session._settings, lock_wait_seconds=5)
            other.session._settings = replace_wait
            other.open(NAMES)

    def test_two_sessions_take_turns(self, postgres_database):
        """A stream that was left is free for another run, table by table, and can be taken up again.

        Nothing stays behind: no stage, and no lock, however often the stream was opened.
        """
        at_once = {"lock_wait_seconds": 0}
        with at_desk(postgres_database, **at_once) as desk:
            with at_desk(postgres_database, **at_once) as other:
                for number, (ours, theirs) in enumerate([(desk, other), (other, desk)] * 2):
                    ours.open(NAMES)
                    loader = ours.open(NAMES)
                    load(loader, (number, "a"), (number, "b"))
                    loader.settle(None)
                    with pytest.raises(LockedError):
                        theirs.open(NAMES)
                    loader.release()
                assert names(desk) == {0: "b", 1: "b", 2: "b", 3: "b"}
            assert desk.run("SELECT count(*) FROM pg_class WHERE starts_with(relname, '_od_stage_')") == [(0,)]
            assert desk.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]

    def test_what_was_not_settled_does_not_last_by_a_release(self, desk):
        """Rows without their position would."""
        loader = desk.open(NAMES)
        load(loader, (1, "a"))
        loader.release()
        assert names(desk) == {}

    def test_a_version_goes_on_after_a_release_but_not_in_anothers_rows(self, desk, postgres_database):
        """Another run that took its turn in between has dropped the first half: the second one alone is no table."""
        start = Start(LINEAGE, 0)
        for number in (1, 2):
            load(loader := desk.open(NAMES, start=start), (number, "a"), version=7)
            loader.settle(None)
            loader.release()
        with at_desk(postgres_database, lock_wait_seconds=0) as other:
            load(loader := other.open(NAMES), (9, "z"), version=8)
            loader.settle(None)
        with pytest.raises(MissingRowsError, match="version 7"):
            desk.open(NAMES, start=start)

    def test_sessions_that_begin_at_once_make_one_schema(self, postgres_database):
        """Schema and tables of the target's own are created once, and no session fails over it."""
        failures = []

        def begin():
            try:
                with at_desk(postgres_database, schema="fresh") as desk:
                    desk.open(NAMES, stream=threading.current_thread().name)
            except Exception as error:  # noqa: BLE001  # whatever it is, the test shows it
                failures.append(error)

        threads = [threading.Thread(target=begin, name=f"stream_{number}") for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_the_session_depends_on_no_default_of_the_role(self, desk, postgres_database):
        """Zone, date style and search path of the role do not reach a value or a name."""
        role = desk.warehouse._settings.address.user
        desk.run("ALTER ROLE {} IN DATABASE {} SET timezone TO 'America/New_York'", role, postgres_database.name)
        desk.run("ALTER ROLE {} IN DATABASE {} SET datestyle TO 'SQL, DMY'", role, postgres_database.name)
        desk.run("ALTER ROLE {} IN DATABASE {} SET search_path TO 'public'", role, postgres_database.name)
        desk.again()
        properties = {"id": INTEGER, "at": MOMENT, "born": DATE}
        loader = desk.open(properties)
        load(loader, (1, "2026-03-08T02:15:00+00:00", "2026-02-01"), properties=properties)
        load(loader, (1, "2026-03-08T02:15:00+01:00", "2026-02-01"), properties=properties)
        loader.settle(None)
        assert desk.run("SELECT extract(hour FROM at)::int, extract(month FROM born)::int FROM raw.patient") == [(1, 2)]
        assert desk.run("SELECT _sdc_extracted_at = '2026-01-02 03:04:05' FROM raw.patient") == [(True,)]

    def test_tables_are_made_in_the_schema_of_the_settings(self, postgres_database):
        """A schema that is not there is created; one with odd letters too."""
        with at_desk(postgres_database, schema='odd "schema"; --') as desk:
            load(loader := desk.open(NAMES), (1, "a"))
            loader.settle(None)
            assert desk.run("SELECT id FROM {}.patient", 'odd "schema"; --') == [(1,)]
            assert SCHEMA != 'odd "schema"; --'
