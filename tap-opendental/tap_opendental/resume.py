"""Where a stream goes on: what it remembers against what its table looks like now (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_opendental.bookmarks import Bookmark
from tap_opendental.extraction.overlap import Reach
from tap_opendental.extraction.witnesses import find_contradiction, vouch
from tap_opendental.moments import parse_moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_opendental.bookmarks import Buckets, Cursor, Pass
    from tap_opendental.drift import Structure
    from tap_opendental.extraction.pages import Row
    from tap_opendental.extraction.table_state import TableState
    from tap_opendental.extraction.witnesses import Witness, Witnesses
    from tap_opendental.identity import Identity


@dataclass(frozen=True)
class Wish:
    """How the stream is to be read now, whatever it remembers.

    `key` is the replication key of an incremental stream, None for a full table; `sent` identifies the columns,
    `source` the server; `has_grown` says that old rows may hold values that were never sent; `rebase` that the state is
    of another server, and the user wants it read anew; `reach` how far before its bookmark it goes on, and `start_date`
    where a first read begins. `primary_key` are its properties, in any order.
    """

    key: str | None
    sent: str
    source: Identity | None = None
    has_grown: bool = False
    append_only: bool = False
    rebase: bool = False
    reach: Reach = field(default_factory=Reach)
    start_date: str | None = None
    primary_key: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Findings:
    """What the server was asked of a table before its first row.

    `largest_key` is that of an append-only table, None where there is none or it was not asked; `rows` are those that
    bookmark and unfinished pass remember, as they are now, by key.
    """

    table: TableState
    largest_key: int | None = None
    rows: Mapping[Row, Witness] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """Where a pass begins.

    `since` is the cursor from which rows are read, None for all; `replaces` says that rows of the target that do not
    come are gone (ACTIVATE_VERSION at the end); `unfinished` is the pass to go on with; `notice` what to tell. Of the
    last run, `remembered` and `witnesses` hold where the table is still the same.
    """

    since: Cursor | None = None
    replaces: bool = False
    remembered: Buckets = ()
    witnesses: Witnesses = ()
    unfinished: Pass | None = None
    notice: str | None = None


def choose_start(wish: Wish, bookmark: Bookmark, findings: Findings) -> Start:
    """Choose where to begin. A bookmark is passed over never in silence: `notice` says why a table is read whole."""
    unfinished = bookmark.unfinished
    if unfinished is None:
        return _begin(wish, bookmark, findings)
    if _goes_on(wish, bookmark, unfinished, findings):
        return Start(unfinished.since, unfinished.version is not None, unfinished=unfinished)
    start = _begin(wish, bookmark, findings)
    return replace(start, notice=start.notice or "was cut short in another form, and begins again")


def _begin(wish: Wish, bookmark: Bookmark, findings: Findings) -> Start:
    """Choose where a new pass begins."""
    if wish.key is None:
        return Start(replaces=True)
    if wish.rebase:
        return _replace("has a bookmark of another server")
    if _is_keyed_anew(wish, bookmark):
        return _replace("has another primary key")
    if set_back := _find_set_back(wish, bookmark, findings):
        return _replace(f"{set_back} (was a backup restored?)")
    if bookmark.unfinished and bookmark.unfinished.version is not None:
        return _replace("was cut short while it was replaced")
    return _go_on(wish, bookmark, findings)


def _go_on(wish: Wish, bookmark: Bookmark, findings: Findings) -> Start:
    if bookmark.value is None:
        return replace(_read_whole(wish), replaces=wish.append_only or not wish.start_date)
    if bookmark.key != wish.key:
        return _read_whole(wish, f"goes by {wish.key} now and by {bookmark.key} before: it is read whole once")
    if wish.has_grown or (bookmark.unfinished and bookmark.unfinished.sent != wish.sent):
        return _read_whole(wish, "has new columns, or columns in a new form, and is read whole once")
    seconds = 0 if wish.append_only else findings.table.count_set_back(bookmark.looks)
    notice = f"is read again from {seconds} seconds earlier, since the server's clock was set back" if seconds else None
    since = wish.reach.begin(bookmark.value, seconds)
    witnesses = tuple(witness for witness in bookmark.witnesses if witness.key in findings.rows)
    return Start(since, remembered=bookmark.overlap, witnesses=witnesses, notice=notice)


def _read_whole(wish: Wish, notice: str | None = None) -> Start:
    return Start(None if wish.append_only else read_start_date(wish.start_date), notice=notice)


def _replace(why: str) -> Start:
    """Read the table whole, whatever start_date says: what does not come is removed at the target."""
    return Start(replaces=True, notice=f"{why}: it is read whole, and rows that are gone are removed at the target")


def _is_keyed_anew(wish: Wish, bookmark: Bookmark) -> bool:
    """True when rows went out under another key: no row that comes now would take their place at the target."""
    begun = bookmark.unfinished
    known = [each.key for each in (bookmark.structure, begun) if each is not None]
    return any(wish.primary_key != frozenset(key) for key in known)


def is_unchanged(wish: Wish, bookmark: Bookmark, fingerprint: str | None) -> bool:
    """True when no row changed since the last run read them, and the same columns would be sent as then."""
    return (
        fingerprint is not None
        and bookmark.fingerprint == fingerprint
        and bookmark.unfinished is None
        and not (wish.rebase or wish.has_grown or bookmark.is_new or _is_keyed_anew(wish, bookmark))
        and bookmark.key == wish.key
    )


def read_start_date(start_date: str | None) -> str | None:
    """A start_date in the form in which pages compare."""
    return parse_moment(start_date).isoformat(" ") if start_date else None


def _goes_on(wish: Wish, bookmark: Bookmark, unfinished: Pass, findings: Findings) -> bool:
    """True when a pass that was cut short is still one of this server, this table, these columns and this kind.

    A table that was created again or altered may have other rows behind the position, or another order. One that lost
    rows since its bookmark is read whole, and a pass that does so may go on.
    """
    replaces = unfinished.version is not None
    return (
        unfinished.source == wish.source
        and unfinished.sent == wish.sent
        and _is_same_table(unfinished, findings)
        and not find_contradiction(unfinished.witnesses, findings.rows, wish.reach)
        and (replaces or not _find_loss(wish, bookmark, findings))
        and (wish.key is not None or (replaces and unfinished.since is None))
        and (replaces or bookmark.value is not None or unfinished.since == _read_whole(wish).since)
    )


def _is_same_table(known: Pass | Bookmark, findings: Findings) -> bool:
    """True when the table is the one that it was, and its newest rows say nothing else.

    InnoDB's CREATE_TIME is that of a file: OPTIMIZE moves it, and so does a chmod. Rows that are as they were prove
    that it is the same table all the same.
    """
    if known.looks is None or findings.table.went_back(known.looks):
        return False
    return known.looks.created == findings.table.created or vouch(known.witnesses, findings.rows)


def _find_set_back(wish: Wish, bookmark: Bookmark, findings: Findings) -> str | None:
    """Say in what the table is older than it was when a pass was finished or begun, or that it is another; or None."""
    known = [each for each in (bookmark, bookmark.unfinished) if each is not None and each.looks is not None]
    went_back = [why for each in known if (why := findings.table.went_back(each.looks))]
    if why := next(iter(went_back), None) or _find_loss(wish, bookmark, findings):
        return why
    return None if all(_is_same_table(each, findings) for each in known) else "was created again"


def _find_loss(wish: Wish, bookmark: Bookmark, findings: Findings) -> str | None:
    """Say how the rows show that the table is older than its bookmark, or than where a pass was cut short; or None."""
    begun = bookmark.unfinished
    if wish.append_only and _ends_before(bookmark, findings.largest_key):
        return "ends before its bookmark"
    if begun and begun.sent == wish.sent and (why := find_contradiction(begun.witnesses, findings.rows, wish.reach)):
        return why
    known = bookmark.witnesses if bookmark.key == wish.key else ()
    return find_contradiction(known, findings.rows, wish.reach)


def _ends_before(bookmark: Bookmark, largest_key: int | None) -> bool:
    """True when a table that is only added to ends before its bookmark."""
    return isinstance(bookmark.value, int) and (largest_key is None or largest_key < bookmark.value)


def conclude(before: Bookmark, done: Pass, overlap: Buckets, key: str | None, structure: Structure) -> Bookmark:
    """Return the bookmark after a pass that came to its end; where no row had a cursor, at the old one's place."""
    value = done.reached
    if value is None and done.version is None and key is not None and before.key == key:
        value = before.value  # of a table that was emptied and replaced, it would pass over rows that are put back
    return Bookmark(
        key=key,
        value=min(value, done.watermark) if isinstance(value, str) and done.watermark else value,
        source=done.source,
        structure=structure,
        fingerprint=done.fingerprint,
        looks=done.looks,
        overlap=overlap if key else (),
        witnesses=done.witnesses,
        version=before.version if done.version is None else done.version,
    )


def choose_version(bookmark: Bookmark, now: datetime) -> int:
    """Choose the version of a table that is read whole: milliseconds since 1970, above all before.

    The SDK has seconds: two runs that lost their state begin within one (a kill, and a run at once after it), and what
    the first one left would count as the second one's rows. `now` is by the server's clock, under the lock: two runs
    that take turns at a table must not activate an older version after a newer one.
    """
    unfinished = bookmark.unfinished
    known = (bookmark.version or 0, (unfinished.version or 0) if unfinished else 0)
    return max(round(now.timestamp() * 1000), max(known) + 1)


def find_settled(before: Bookmark, begun: Pass) -> int | None:
    """Return the key from which on rows are new since the last run; in a first load, the newest tenth.

    None where that is not known. (A log's rows are known by what they hold, whatever their keys.)
    """
    if before.looks is not None:
        return before.looks.auto_increment
    counter = begun.looks.auto_increment if begun.looks else None
    return None if counter is None else counter * 9 // 10
