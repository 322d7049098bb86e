"""Indexes after the rows: one that is made over a full table is sorted and written once, instead of row by row.

InnoDB takes 19 us a row that way, and 41 the other (200,000 rows, 14 indexes). Only indexes that are not UNIQUE wait:
those of a table that is first filled until its rows settle, those of a version's table until it is activated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_opendental_replica.statements import quote, render_add_keys

if TYPE_CHECKING:
    from target_opendental_replica.mysql.connection import Link
    from target_opendental_replica.mysql.layout import Layout

WORTH_IT = 1_048_576
"""Bytes of a first batch from which on it pays."""


def defer_keys(link: Link, layout: Layout, table: str) -> None:
    """Take the indexes from an empty table until `make_keys`; MyISAM keeps them, and leaves them as they are."""
    if not layout.is_transactional:
        link.alter(f"ALTER TABLE {quote(table)} DISABLE KEYS", table=table)
    elif layout.deferrable:
        drops = ", ".join(f"DROP KEY {quote(str(index['name']))}" for index in layout.deferrable)
        link.alter(f"ALTER TABLE {quote(table)} {drops}", table=table)


def make_keys(link: Link, layout: Layout, table: str) -> None:
    """Make the indexes that are missing, in the order of the facts."""
    if not layout.is_transactional:
        link.alter(f"ALTER TABLE {quote(table)} ENABLE KEYS", table=table)
        return
    there = read_keys(link, table)
    missing = [index for index in layout.deferrable if str(index["name"]).lower() not in there]
    if missing:
        link.alter(render_add_keys(layout.facts, missing, name=table), table=table)


def read_keys(link: Link, table: str) -> set[str]:
    """Return the names of a table's indexes, in lower case."""
    rows = link.run(
        "SELECT DISTINCT index_name FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = %s",
        (table,),
    ).rows
    return {str(row[0]).lower() for row in rows}
