"""Where a stream goes on: a bookmark is followed, or passed over in so many words; nothing begins anew in silence."""

from dataclasses import replace

import pytest

from tap_opendental.bookmarks import Bookmark, Pass
from tap_opendental.drift import Structure
from tap_opendental.extraction.overlap import Reach
from tap_opendental.extraction.pages import Place
from tap_opendental.extraction.table_state import Looks, TableState
from tap_opendental.extraction.witnesses import Witness
from tap_opendental.identity import Identity
from tap_opendental.resume import Findings, Start, Wish, choose_start, conclude, find_settled, is_unchanged

HERE, THERE = Identity("a", "server", "opendental"), Identity("b", "server", "opendental")
CREATED, UPDATED = "2024-01-01 00:00:00", "2024-06-28 18:00:00"
TABLE = TableState("MyISAM", CREATED, UPDATED, 9, 99, 10, "2024-06-29 00:00:00")
LOOKS = TABLE.look_like(None)
OVERLAP = (("2024-06-28T17:5", "3:00ff"),)
NEWEST = (Witness((7,), "2024-06-28T18:01:02+00:00"), Witness((3,), "2024-06-27T00:00:00+00:00"))
LOGGED_ROWS = (Witness((12345,), 12345, "json c:aa"), Witness((12344,), 12344, "json c:bb"))

FULL = Wish(None, "columns", HERE)
STAMPED = Wish("Stamp", "columns", HERE)
LOGGED = Wish("LogNum", "columns", HERE, append_only=True)

DONE = Bookmark(
    key="Stamp",
    value="2024-06-28T18:01:02+00:00",
    source=HERE,
    structure=Structure("x", {"k": "int"}),
    looks=LOOKS,
    overlap=OVERLAP,
    witnesses=NEWEST,
)
LOG = replace(DONE, key="LogNum", value=12345, overlap=(("12", "5:0"),), witnesses=LOGGED_ROWS)
FULL_DONE = replace(DONE, key=None, value=None, overlap=(), witnesses=(), version=5)

WALK = Pass("columns", Place("all", (500,)), HERE, looks=LOOKS)
FULL_WALK = replace(WALK, version=7)
NIGHT_WALK = replace(WALK, since="2024-06-28T17:00:00+00:00", watermark="2024-06-29T00:00:00+00:00")
LOG_WALK = replace(WALK, since=2000, largest=2500)


def start(wish, bookmark, table=TABLE, largest_key=12345, rows=None):
    """Where the stream begins; the newest rows are as they were unless told."""
    begun = bookmark.unfinished.witnesses if bookmark.unfinished else ()
    known = {witness.key: witness for witness in (*bookmark.witnesses, *begun)} if rows is None else rows
    return choose_start(wish, bookmark, Findings(table, largest_key, known))


@pytest.mark.parametrize("bookmark", [Bookmark(), FULL_DONE, DONE])
def test_a_full_table_is_read_whole_and_replaced(bookmark):
    """Whatever it did before; its fingerprint is looked at elsewhere."""
    assert start(FULL, bookmark) == Start(replaces=True)


@pytest.mark.parametrize("wish", [STAMPED, LOGGED])
def test_a_first_run_reads_all_rows_and_replaces(wish):
    """Without a bookmark and without anything to tell: nothing is passed over, and what is gone does not stay."""
    assert start(wish, Bookmark()) == Start(replaces=True)


@pytest.mark.parametrize(
    ("start_date", "since"),
    [
        ("2024-01-31", "2024-01-31 00:00:00"),
        ("2024-01-31T10:00:00Z", "2024-01-31 10:00:00"),
        ("2024-01-31T10:00:00+02:00", "2024-01-31 08:00:00"),
    ],
)
def test_a_first_run_begins_at_start_date(start_date, since):
    """In UTC, as pages compare; a table that is read by its key, or whole, has no date to begin at.

    Earlier rows that the target has are not for this run to remove.
    """
    assert start(replace(STAMPED, start_date=start_date), Bookmark()) == Start(since)
    assert start(replace(LOGGED, start_date=start_date), Bookmark()) == Start(replaces=True)
    assert start(replace(FULL, start_date=start_date), Bookmark()) == Start(replaces=True)


def test_a_bookmark_is_gone_on_from():
    """From the begin of a bucket, overlap_seconds or overlap_keys before it, with the last run's digest."""
    assert start(STAMPED, DONE) == Start("2024-06-28T17:00:00+00:00", remembered=OVERLAP, witnesses=NEWEST)
    assert start(LOGGED, LOG) == Start(2000, remembered=LOG.overlap, witnesses=LOGGED_ROWS)
    far = start(replace(STAMPED, reach=Reach(seconds=86_400)), DONE)
    assert far.since == "2024-06-27T18:00:00+00:00"


def test_a_start_date_does_not_hold_back_a_bookmark():
    """start_date is for streams that have no bookmark."""
    assert start(replace(STAMPED, start_date="2025-01-01"), DONE).since == "2024-06-28T17:00:00+00:00"


def test_a_full_table_that_becomes_incremental_is_read_whole_once():
    """It has no bookmark yet, and is replaced as it was each night; nothing to tell."""
    assert start(STAMPED, FULL_DONE) == Start(replaces=True)
    assert start(LOGGED, FULL_DONE) == Start(replaces=True)


def test_another_replication_key_is_told_and_read_whole():
    """A bookmark says nothing about another column."""
    assert start(replace(STAMPED, key="Edited"), DONE) == Start(
        notice="goes by Edited now and by Stamp before: it is read whole once"
    )
    assert start(STAMPED, LOG).notice == "goes by Stamp now and by LogNum before: it is read whole once"


def test_new_columns_are_told_and_read_whole():
    """Rows whose timestamp stood still would lack them for ever."""
    assert start(replace(STAMPED, has_grown=True), DONE) == Start(
        notice="has new columns, or columns in a new form, and is read whole once"
    )


RESTORED = {
    "counter": (replace(TABLE, auto_increment=9), "went back in AUTO_INCREMENT"),
    "created": (replace(TABLE, created="2023-12-31 23:59:59"), "went back in CREATE_TIME"),
    "updated": (replace(TABLE, updated="2024-06-28 17:59:59"), "went back in UPDATE_TIME"),
}


@pytest.mark.parametrize("wish", [STAMPED, LOGGED])
@pytest.mark.parametrize("case", RESTORED)
def test_a_restored_table_is_read_whole_and_replaced(case, wish):
    """The target holds rows that the source has lost: ACTIVATE_VERSION removes them, and a line says so."""
    table, why = RESTORED[case]
    notice = f"{why} (was a backup restored?): it is read whole, and rows that are gone are removed at the target"
    assert start(wish, DONE if wish is STAMPED else LOG, table) == Start(replaces=True, notice=notice)


def test_a_log_that_ends_before_its_bookmark_is_read_whole_and_replaced():
    """Emptied, or cut; one that ends at its bookmark is as it was."""
    for largest_key in (12344, None):
        found = start(LOGGED, LOG, largest_key=largest_key)
        assert (found.since, found.replaces) == (None, True)
        assert found.notice.startswith("ends before its bookmark (was a backup restored?)")
    assert start(LOGGED, LOG, largest_key=12345).since == 2000


def test_an_allowed_rebase_reads_whole_and_replaces():
    """The rows of another server replace what the target holds."""
    found = start(replace(STAMPED, rebase=True), replace(DONE, source=THERE))
    assert (found.since, found.replaces, found.remembered) == (None, True, ())
    assert found.notice.startswith("has a bookmark of another server: it is read whole")
    assert start(replace(LOGGED, rebase=True, start_date="2024-01-01"), replace(LOG, source=THERE)).replaces


def test_a_rebase_does_not_begin_at_start_date():
    """Rows before start_date that the target holds, from when it was another or none, are not gone: all are read."""
    found = start(replace(STAMPED, rebase=True, start_date="2024-01-01"), DONE)
    assert (found.since, found.replaces) == (None, True)


def test_a_table_that_was_created_again_is_read_whole_and_replaced():
    """What a dump does that is read in. Where a row is as it was and no newer one is gone, nothing was lost by it."""
    again = replace(TABLE, created="2024-06-29 00:00:00", updated="2024-06-29 00:00:00")
    for wish, bookmark in ((STAMPED, DONE), (LOGGED, LOG)):
        newest, oldest = bookmark.witnesses
        edited = replace(newest, cursor="2024-06-29T00:00:00+00:00")
        for unlike in (
            start(wish, bookmark, again, rows={oldest.key: oldest}),
            start(wish, bookmark, again, rows={newest.key: edited}),
            start(wish, replace(bookmark, witnesses=()), again),
        ):
            assert unlike.replaces
            assert unlike.notice.startswith("was created again (was a backup restored?)")
        for rows in ({newest.key: newest}, {newest.key: edited, oldest.key: oldest}, None):
            assert start(wish, bookmark, again, rows=rows).since is not None


def test_a_pass_goes_on_where_its_rows_vouch_for_the_table():
    """InnoDB's CREATE_TIME is the file's, which a chmod moves: done daily, a long first load would never end."""
    again = replace(TABLE, created="2024-06-29 00:00:00", updated="2024-06-29 00:00:00")
    for walk in (replace(WALK, witnesses=NEWEST), replace(FULL_WALK, witnesses=NEWEST)):
        assert start(STAMPED, Bookmark(unfinished=walk), again).unfinished == walk
        assert start(STAMPED, Bookmark(unfinished=walk), again, rows={}).unfinished is None


def test_what_a_first_load_left_of_a_table_that_was_created_again_is_replaced():
    """It has no bookmark; rows went out that may be gone."""
    again = replace(TABLE, created="2024-06-29 00:00:00", updated="2024-06-29 00:00:00")
    found = start(STAMPED, Bookmark(unfinished=replace(WALK, witnesses=NEWEST)), again, rows={})
    assert found.replaces
    vouched = start(replace(STAMPED, sent="others"), Bookmark(unfinished=replace(WALK, witnesses=NEWEST)), again)
    assert (vouched.notice, vouched.since) == ("was cut short in another form, and begins again", None)


def test_a_pass_in_another_form_leaves_nothing_behind():
    """Rows went out in the form of before: the table is read whole, though the bookmark knows today's form."""
    found = start(STAMPED, replace(DONE, unfinished=replace(NIGHT_WALK, sent="other columns")))
    assert found == Start(notice="has new columns, or columns in a new form, and is read whole once")


def test_what_was_being_replaced_is_replaced_in_the_end():
    """A pass with a version that cannot go on: why the rows were to be replaced may be known from nothing else."""
    for bookmark in (Bookmark(), DONE):
        found = start(STAMPED, replace(bookmark, unfinished=replace(FULL_WALK, sent="other columns")))
        assert found.replaces
        assert found.notice.startswith("was cut short while it was replaced")


def test_an_earlier_start_date_begins_a_first_load_again():
    """Rows before the old date would never come."""
    walk = replace(WALK, since="2024-03-01 00:00:00")
    wish = replace(STAMPED, start_date="2024-03-01")
    assert start(wish, Bookmark(unfinished=walk)).unfinished == walk
    assert start(replace(wish, start_date="2024-01-01"), Bookmark(unfinished=walk)).since == "2024-01-01 00:00:00"
    assert start(replace(wish, start_date=None), Bookmark(unfinished=walk)).since is None


def test_a_pass_by_another_key_is_no_witness():
    """Its rows are known by another column: nothing of them is compared."""
    walk = replace(WALK, sent="by the key", witnesses=LOGGED_ROWS)
    rows = {(12345,): Witness((12345,), "2024-06-28T00:00:00+00:00")}
    assert "restored" not in str(start(STAMPED, Bookmark(unfinished=walk), rows=rows).notice)


def test_a_table_that_was_emptied_keeps_no_bookmark():
    """Rows that are put back with their own times would lie before it; where nothing is replaced, it stays."""
    done = replace(WALK, watermark="2024-06-29T00:00:00+00:00")
    for walk, value in ((replace(done, version=7), None), (done, DONE.value)):
        assert conclude(DONE, walk, (), "Stamp", DONE.structure).value == value
    assert conclude(LOG, replace(LOG_WALK, largest=None, version=7), (), "LogNum", DONE.structure).value is None


def test_keys_below_the_last_runs_counter_are_settled():
    """In a first load all but the newest tenth."""
    begun = replace(WALK, looks=replace(LOOKS, auto_increment=1000))
    assert find_settled(DONE, begun) == LOOKS.auto_increment
    assert find_settled(Bookmark(), begun) == 900
    assert find_settled(Bookmark(), replace(WALK, looks=None)) is None
    assert find_settled(replace(DONE, looks=Looks()), begun) is None


OLDER = Witness((7,), "2024-06-20T00:00:00+00:00")
A_LITTLE_OLDER = Witness((7,), "2024-06-28T17:30:00+00:00")
EDITED = Witness((7,), "2024-06-29T00:00:00+00:00")
OTHER, FOREIGN_FORM = Witness((12345,), 12345, "json c:cc"), Witness((12345,), 12345, "csv c:cc")


@pytest.mark.parametrize(
    ("wish", "bookmark", "rows", "why"),
    [
        (STAMPED, DONE, (OLDER, NEWEST[1]), "holds older versions of rows"),
        (STAMPED, DONE, (), "has none of its newest rows any more"),
        (STAMPED, DONE, (NEWEST[1],), None),
        (STAMPED, DONE, (A_LITTLE_OLDER,), None),
        (STAMPED, DONE, (EDITED,), None),
        (LOGGED, LOG, (), "has none of its newest rows any more"),
        (LOGGED, LOG, (OTHER,), "holds other rows under the keys of its newest"),
        (LOGGED, LOG, (OTHER, LOGGED_ROWS[1]), None),
        (LOGGED, LOG, (FOREIGN_FORM,), None),
    ],
)
def test_the_newest_rows_tell_that_a_backup_was_restored(wish, bookmark, rows, why):
    """Whatever was worked since: no work makes a row older by more than the overlap, or changes a log's rows.

    An edited, a deleted or a late row is no sign, nor a log's line that is made in another way.
    """
    found = start(wish, bookmark, rows={witness.key: witness for witness in rows})
    assert found.replaces == (why is not None)
    if why:
        assert found.notice.startswith(f"{why} (was a backup restored?)")
    else:
        assert found.witnesses == tuple(w for w in bookmark.witnesses if w.key in {row.key for row in rows})


def test_a_pass_of_what_was_restored_meanwhile_begins_anew():
    """A backup was restored between the kill and the next run: what went out before it may be gone.

    One that replaces the rows, begun after the restore, goes on whatever the bookmark's rows say.
    """
    rows = {(7,): OLDER}
    for walk in (replace(WALK, witnesses=NEWEST), replace(FULL_WALK, witnesses=NEWEST)):
        found = start(STAMPED, Bookmark(unfinished=walk), rows=rows)
        assert (found.unfinished, found.replaces) == (None, True)
    assert start(STAMPED, replace(DONE, unfinished=NIGHT_WALK), rows=rows).unfinished is None
    assert start(STAMPED, replace(DONE, unfinished=FULL_WALK), rows=rows).unfinished == FULL_WALK


@pytest.mark.parametrize(("lead", "since"), [(0, "17:00"), (-60, "17:00"), (-7200, "15:00"), (7200, "17:00")])
def test_a_server_clock_that_was_set_back_is_read_after(lead, since):
    """Rows that changed since carry times from before the bookmark: as many seconds more are read again, and told."""
    found = start(STAMPED, DONE, replace(TABLE, lead=lead))
    assert found.since == f"2024-06-28T{since}:00+00:00"
    told = "is read again from 7200 seconds earlier, since the server's clock was set back"
    assert found.notice == (told if since == "15:00" else None)


def test_what_a_first_load_left_of_another_server_is_replaced():
    """Cut short, it left rows at the target and no bookmark; the same after the table went back."""
    left = Bookmark(unfinished=replace(WALK, source=THERE), source=None)
    assert start(replace(STAMPED, rebase=True), left).replaces
    for table, _ in RESTORED.values():
        assert start(STAMPED, Bookmark(unfinished=WALK), table).replaces


CUT_SHORT = {
    "full table": (FULL, FULL_DONE, FULL_WALK),
    "first load of a full table": (FULL, Bookmark(), FULL_WALK),
    "first load of an incremental table": (STAMPED, Bookmark(), WALK),
    "incremental": (STAMPED, DONE, NIGHT_WALK),
    "first load of a log": (LOGGED, Bookmark(), WALK),
    "log": (LOGGED, LOG, LOG_WALK),
    "restored table": (STAMPED, replace(DONE, looks=Looks(auto_increment=99)), FULL_WALK),
    "restored log": (LOGGED, replace(LOG, value=99_999), FULL_WALK),
    "incremental to full": (FULL, DONE, FULL_WALK),
}


@pytest.mark.parametrize("case", CUT_SHORT)
def test_what_was_cut_short_goes_on(case):
    """With its own begin, version and position; a digest of rows that were read before does not apply any more."""
    wish, bookmark, walk = CUT_SHORT[case]
    found = start(wish, replace(bookmark, unfinished=walk))
    assert found == Start(walk.since, walk.version is not None, unfinished=walk)


@pytest.mark.parametrize("case", CUT_SHORT)
@pytest.mark.parametrize(
    "change",
    [
        {"sent": "other columns"},
        {"source": THERE},
        {"looks": replace(LOOKS, created="2023-01-01 00:00:00")},
        {"looks": replace(LOOKS, created=None)},
        {"looks": replace(LOOKS, auto_increment=11)},
        {"looks": replace(LOOKS, updated="2024-06-28 18:00:01")},
        {"looks": None},
    ],
)
def test_a_pass_of_something_else_begins_anew(case, change):
    """Other columns, another server, a table that was made again or restored: behind the position may be anything."""
    wish, bookmark, walk = CUT_SHORT[case]
    found = start(wish, replace(bookmark, unfinished=replace(walk, **change)))
    assert found.unfinished is None


def test_a_pass_of_another_kind_does_not_count_for_a_full_table():
    """Only a pass over all rows that ends with ACTIVATE_VERSION is one of a full table."""
    for walk in (WALK, NIGHT_WALK, replace(NIGHT_WALK, version=7)):
        assert start(FULL, Bookmark(unfinished=walk)) == Start(
            replaces=True, notice="was cut short in another form, and begins again"
        )


def test_a_log_that_was_cut_back_while_it_was_read_is_replaced():
    """Restored between the kill and the next run: to go on would keep what is gone."""
    assert start(LOGGED, replace(LOG, unfinished=LOG_WALK), largest_key=9).replaces
    assert start(LOGGED, replace(LOG, unfinished=FULL_WALK), largest_key=9).unfinished == FULL_WALK


PRINT = "2024-06-28 18:00:00 2024-01-01 00:00:00 9 99 10"


@pytest.mark.parametrize(
    ("wish", "bookmark", "fingerprint", "expected"),
    [
        (STAMPED, DONE, PRINT, True),
        (FULL, FULL_DONE, PRINT, True),
        (LOGGED, LOG, PRINT, True),
        (STAMPED, DONE, None, False),
        (STAMPED, DONE, "another", False),
        (STAMPED, Bookmark(), PRINT, False),
        (replace(STAMPED, rebase=True), DONE, PRINT, False),
        (replace(STAMPED, has_grown=True), DONE, PRINT, False),
        (STAMPED, replace(DONE, unfinished=NIGHT_WALK), PRINT, False),
        (STAMPED, replace(DONE, structure=None), PRINT, False),
        (replace(STAMPED, key="Edited"), DONE, PRINT, False),
        (STAMPED, FULL_DONE, PRINT, False),
        (FULL, DONE, PRINT, False),
    ],
)
def test_only_a_whole_and_equal_past_counts_as_unchanged(wish, bookmark, fingerprint, expected):
    """The same fingerprint, of a pass that was finished, by the same key, with the same columns, of this server."""
    assert is_unchanged(wish, replace(bookmark, fingerprint=PRINT), fingerprint) == expected


def test_no_fingerprint_is_no_sign():
    """A table of which nothing can be told is read, also when nothing could be told the last time."""
    assert not is_unchanged(FULL, replace(FULL_DONE, fingerprint=None), None)


KEYED = replace(STAMPED, primary_key=frozenset({"Num", "Item"}))


@pytest.mark.parametrize("wish", [KEYED, replace(KEYED, has_grown=True)])
@pytest.mark.parametrize("key", [("Num",), ("Num", "Other"), ()])
def test_rows_under_another_key_are_replaced(wish, key):
    """Whether a run was finished under the other key or only begun: rows went out that nothing else would remove."""
    done = replace(DONE, structure=Structure("x", {"k": "int"}, key=key))
    begun = Bookmark(unfinished=replace(WALK, sent="other columns", key=key))
    for bookmark in (done, begun):
        found = start(wish, bookmark)
        assert found.replaces
        assert found.since is None
        assert found.notice.startswith("has another primary key: it is read whole, and rows that are gone are removed")
        assert not is_unchanged(wish, replace(bookmark, fingerprint="same"), "same")


def test_the_same_key_in_another_order_is_the_same():
    """The control: what identifies a row does not depend on the order, and a table without news goes on."""
    done = replace(DONE, structure=Structure("x", {"k": "int"}, key=("Item", "Num")))
    assert not start(KEYED, done).replaces
    assert start(KEYED, done).since is not None
