"""What leaves no trace in a timestamp: rows deleted, and rows rewritten while their timestamp is held still."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.day.writer import Sql
from opendental_analyze.sandbox.practice.history import HISTORY_END
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from opendental_analyze.sandbox.day.writer import Writer

REWRITTEN: Final = (("commlog", 5), ("document", 3), ("appointment", 2))
"""Tables whose notes are rewritten with the timestamp held still, and how many."""
DELETED: Final = (
    ("appointment", 3),
    ("claimproc", 4),
    ("paysplit", 4),
    ("schedule", 2),
    ("fee", 3),
    ("benefit", 3),
    ("sheetfield", 6),
    ("scheduleop", 3),
    ("treatplanattach", 2),
)
"""Tables from which rows are deleted, with and without a self-updating column, and how many."""


_LONG_AGO: Final = HISTORY_END - timedelta(days=30)


def rewrite_silently(writer: Writer) -> None:
    """Rewrite notes without moving the timestamp; one is edited again in plain sight, one is then deleted.

    Only rows of long ago: a bookmark's own second, and those shortly before it, may be read again by any pipeline.
    """
    for table, count in REWRITTEN:
        stamp = writer.tables[table].stamp
        if stamp is None:
            continue
        keys = writer.choose(table, count, f"{quote(stamp)} < %s", [_LONG_AGO])
        held = {stamp: Sql(quote(stamp))}
        writer.update(table, keys, {"Note": Sql("CONCAT('Late: ', COALESCE(`Note`, ''))"), **held})
        if table == "commlog":
            writer.update(table, keys[:1], {"Note": Sql("CONCAT(`Note`, ' (seen)')")})
            writer.delete(table, keys[-1:])


def delete_rows(writer: Writer) -> None:
    """Delete as the application does: for good, and without a note anywhere."""
    for table, count in DELETED:
        writer.delete(table, writer.choose(table, count))


def delete_after_merge(writer: Writer, patient: int) -> None:
    """Delete a split that the merge has only just given to a patient."""
    writer.delete("paysplit", writer.choose("paysplit", 1, "`PatNum` = %s", [patient]))
