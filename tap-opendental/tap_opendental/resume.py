"""Where a stream goes on: what it remembers against what its table looks like now (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_opendental.moments import parse_moment

if TYPE_CHECKING:
    from tap_opendental.bookmarks import Bookmark, Buckets, Cursor, Pass
    from tap_opendental.extraction.overlap import Reach
    from tap_opendental.extraction.table_state import TableState
    from tap_opendental.identity import Identity


@dataclass(frozen=True)
class Wish:
    """How the stream is to be read now, whatever it remembers.

    `key` is the replication key of an incremental stream, None for a full table; `sent` identifies the columns,
    `source` the server; `has_grown` says that old rows may hold values that were never sent; `rebase` that the state is
    of another server, and the user wants it read anew; `start_date` where a first read begins.
    """

    key: str | None
    sent: str
    source: Identity | None = None
    has_grown: bool = False
    append_only: bool = False
    rebase: bool = False
    start_date: str | None = None


@dataclass(frozen=True)
class Start:
    """Where a pass begins.

    `since` is the cursor from which rows are read, None for all; `replaces` says that rows of the target that do not
    come are gone (ACTIVATE_VERSION at the end); `unfinished` is the pass to go on with; `notice` what to tell.
    """

    since: Cursor | None = None
    replaces: bool = False
    remembered: Buckets = ()
    unfinished: Pass | None = None
    notice: str | None = None


def choose_start(
    wish: Wish, bookmark: Bookmark, table: TableState, reach: Reach, *, largest_key: int | None = None
) -> Start:
    """Choose where to begin. `largest_key` is the table's largest key now, of an append-only table with a bookmark.

    A bookmark is passed over never in silence: `notice` says why a table is read whole.
    """
    unfinished = bookmark.unfinished
    lacks_rows = wish.append_only and _ends_before(bookmark, largest_key)
    if unfinished is not None and _goes_on(wish, unfinished, table, lacks_rows=lacks_rows):
        return Start(unfinished.since, unfinished.version is not None, unfinished=unfinished)
    if wish.key is None:
        return Start(replaces=True)
    if went_back := _went_back(wish, bookmark, table, lacks_rows=lacks_rows):
        return rebase(wish, f"{went_back}: it is read whole, and rows that are gone are removed at the target")
    return _go_on(wish, bookmark, reach)


def _go_on(wish: Wish, bookmark: Bookmark, reach: Reach) -> Start:
    if bookmark.value is None:
        return _read_whole(wish)
    if bookmark.key != wish.key:
        return _read_whole(wish, f"goes by {wish.key} now and by {bookmark.key} before: it is read whole once")
    if wish.has_grown:
        return _read_whole(wish, "has new columns and is read whole once")
    return Start(reach.begin(bookmark.value), remembered=bookmark.overlap)


def _read_whole(wish: Wish, notice: str | None = None) -> Start:
    return Start(None if wish.append_only else read_start_date(wish.start_date), notice=notice)


def rebase(wish: Wish, notice: str) -> Start:
    """Read the table whole and let the target remove what is gone; with a start_date, only read it: older rows stay."""
    if wish.start_date and not wish.append_only:
        return Start(read_start_date(wish.start_date), notice=notice)
    return Start(replaces=True, notice=notice)


def is_unchanged(wish: Wish, bookmark: Bookmark, fingerprint: str | None) -> bool:
    """True when no row changed since the last run read them, and the same columns would be sent as then."""
    return (
        fingerprint is not None
        and bookmark.fingerprint == fingerprint
        and bookmark.unfinished is None
        and not (wish.rebase or wish.has_grown or bookmark.is_new)
        and bookmark.key == wish.key
    )


def read_start_date(start_date: str | None) -> str | None:
    """A start_date in the form in which pages compare."""
    return parse_moment(start_date).isoformat(" ") if start_date else None


def _goes_on(wish: Wish, unfinished: Pass, table: TableState, *, lacks_rows: bool) -> bool:
    """True when a pass that was cut short is still one of this server, this table, these columns and this kind.

    A table that was created again or altered may have other rows behind the position, or another order. One that lacks
    rows is read whole, and a pass that does so may go on.
    """
    replaces = unfinished.version is not None
    return (
        unfinished.source == wish.source
        and unfinished.sent == wish.sent
        and unfinished.table.get("created") == table.created
        and not table.went_back(unfinished.table)
        and (replaces or not lacks_rows)
        and (wish.key is not None or (replaces and unfinished.since is None))
    )


def _went_back(wish: Wish, bookmark: Bookmark, table: TableState, *, lacks_rows: bool) -> str | None:
    """Say why the target may hold rows that the source has lost, of a pass that was finished or begun; or None."""
    if wish.rebase:
        return "has a bookmark of another server"
    begun = bookmark.unfinished.table if bookmark.unfinished else {}
    if why := table.went_back(begun) or table.went_back(bookmark.table):
        return f"{why} (was a backup restored?)"
    return "ends before its bookmark (was a backup restored?)" if lacks_rows else None


def _ends_before(bookmark: Bookmark, largest_key: int | None) -> bool:
    """True when a table that is only added to ends before its bookmark."""
    return isinstance(bookmark.value, int) and (largest_key is None or largest_key < bookmark.value)
