"""How often the rows of a table change: from its structure, its rows, its keys and the knowledge, nothing that moves.

Recent activity would give another answer every night, and tables.yml would never stand still.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import UsagePattern
from tap_opendental.discovery.rules.relationships import find_polymorphic

if TYPE_CHECKING:
    from tap_opendental.discovery.judgements import ReplicationChoice
    from tap_opendental.discovery.knowledge import KnownTable
    from tap_opendental.discovery.model import Table

MANY_ROWS = 100_000
SOME_ROWS = 1_000

# Named like logs, and the practice's daily work: treatment, and what was said to patients.
_NO_LOGS = frozenset({"procedurelog", "commlog"})
_LOG_NAME = re.compile(r"(?:log|loghash|audit|audittrail|trace)(?:_.*)?$")
_HISTORY_NAME = re.compile(r"^hist(?!o)|(?:hist|history)(?:_.*)?$")
_LIST_NAME = re.compile(r"(?:def|type|category|pref|preference|code|setup|config|settings?|lookup)s?$")
_MOMENTS = frozenset({"date", "datetime", "timestamp"})


def choose_usage(table: Table, rows: int, replication: ReplicationChoice, known: KnownTable | None) -> UsagePattern:
    """Choose the update frequency of a table of `rows` rows; the knowledge may be absent."""
    if replication.append_only or (known is not None and known.change_tracking == "append_only"):
        return UsagePattern("insert_only", "the application adds rows and does not edit them")
    if why := why_log(table, known):
        return UsagePattern("insert_only", f"a log, written once: {why}")
    if stamp := next((column.name for column in table.columns if column.updates_itself), None):
        return _by_rows(stamp, rows)
    return _without_stamp(table, rows, known)


def why_log(table: Table, known: KnownTable | None) -> str | None:
    """Say why a table is a log or a history, that is who did what and what was before; None when it is not.

    A name is not enough: procedurelog and commlog are edited all day. A log has a moment, and either nothing that moves
    when a row is edited, or a key into whatever it is about (`FKey`). A history keeps old rows, whatever its columns.
    """
    name = table.name.lower()
    if known is not None and known.role is not None:
        return "known as an audit trail" if known.role == "audit" else None
    if any(name.startswith(spared) for spared in _NO_LOGS):
        return None
    if _HISTORY_NAME.search(name):
        return "named as a history of another table"
    return "named as a log" if _LOG_NAME.search(name) and _is_written_once(table) else None


def is_definition(table: Table, known: KnownTable | None) -> bool:
    """True for lists and settings, by their role or, where nobody reviewed it, by their name (``sheetdef``)."""
    if known is not None and known.role is not None:
        return known.role in ("reference", "setup")
    return _LIST_NAME.search(table.name.lower()) is not None


def _is_written_once(table: Table) -> bool:
    if table.name.lower().endswith("hash"):
        return True
    moments = [column for column in table.columns if column.base_type in _MOMENTS]
    moves = any(column.updates_itself for column in moments)
    return bool(moments) and (not moves or bool(find_polymorphic(table)))


def _by_rows(stamp: str, rows: int) -> UsagePattern:
    what = f"{stamp} moves at every edit, and {rows:,} rows"
    if rows >= MANY_ROWS:
        return UsagePattern("high", f"{what} are daily work ({MANY_ROWS:,} or more)")
    if rows >= SOME_ROWS:
        return UsagePattern("moderate", f"{what} are in use ({SOME_ROWS:,} or more)")
    return UsagePattern("low", f"{what} are few (under {SOME_ROWS:,})")


def _without_stamp(table: Table, rows: int, known: KnownTable | None) -> UsagePattern:
    if is_definition(table, known):
        return UsagePattern("static", "a list or a setting: edited when the practice changes how it works")
    if rows == 0:
        return UsagePattern("static", "empty")
    if rows >= MANY_ROWS:
        return UsagePattern("moderate", f"no column shows an edit; {rows:,} rows come from daily work")
    return UsagePattern("low", f"no column shows an edit; {rows:,} rows")
