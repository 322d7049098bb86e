"""How much depends on a table: a class and a score, each contribution in words.

The structure shows how tables hang together: what many refer to, and what ties many others together. What a table is
for only the knowledge says, by its reviewed role. Size adds little, so that an empty practice has the same critical
tables as a full one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tap_opendental.discovery.judgements import ImportanceChoice
from tap_opendental.discovery.rules.usage import is_definition, why_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_opendental.discovery.judgements import Importance, Reference, UpdateFrequency, UsagePattern
    from tap_opendental.discovery.knowledge import KnownTable, Role
    from tap_opendental.discovery.model import Table

# Classes by score. Without a role the most that structure and size can give is 82, and the borders are lower.
CRITICAL, IMPORTANT = 64, 49
CRITICAL_WITHOUT_ROLE, IMPORTANT_WITHOUT_ROLE = 55, 34

_POINTS_PER_TABLE = 3
_MOST_POINTS_FOR_TIES = 30  # in each direction
_CORE_POINTS = 35  # with those of its role, critical: also alone, or in a practice that has just begun
_ROLES: Mapping[Role, tuple[int, str]] = {
    "people": (30, "who the patients are"),
    "clinical": (30, "treatment and its record"),
    "scheduling": (30, "who comes when"),
    "financial": (30, "what is owed and paid"),
    "insurance": (30, "plans, claims and what they pay"),
    "communication": (25, "what was said and sent"),
    "office": (10, "the practice's own work"),
    "reference": (10, "a list that others point to"),
}
_FREQUENCIES: Mapping[UpdateFrequency, tuple[int, str]] = {
    "high": (10, "edited all day"),
    "moderate": (7, "edited often"),
    "low": (4, "edited now and then"),
}
_SIZES = ((12, 1_000_000, 1_000), (10, 100_000, 100), (8, 10_000, 10), (6, 1_000, 1))  # points, from rows, or from MB
_IN_USE = 4  # points of a smaller table that is not empty

# A list is pointed at by many and points at few itself; the borders keep patients and statements apart from it.
_LIST_REFERENCED = 4
_LIST_REFERS = 4
_LIST_RATIO = 4

_COPY_NAME = re.compile(
    r"(?:^|_)(?:bak|backup|old|copy|tmp|temp)(?:_|\d|$)|\d{6,}$|^(?:tmp|temp(?!l|or|er))|(?:bak|copy)$"
)


class _Ties(NamedTuple):
    """How many other tables refer to a table, and to how many it refers."""

    referenced_by: int
    refers_to: int


def choose_importance(
    table: Table,
    *,
    rows: int,
    megabytes: float,
    usage: UsagePattern,
    references: Sequence[Reference],
    referenced_by: Sequence[Reference],
    known: KnownTable | None,
) -> ImportanceChoice:
    """Choose a table's class from its references out and in, its reviewed role, its size and how often it changes.

    The class follows the score, unless what the table is decides: logs are audit, lists are reference, settings and
    leftovers are standard, whatever they score.
    """
    ties = _Ties(
        referenced_by=len({reference.table for reference in referenced_by} - {table.name}),
        refers_to=len({reference.to_table for reference in references} - {table.name}),
    )
    role = known.role if known else None
    counted = [*_from_knowledge(known), *_from_ties(ties), *_from_usage(table, usage), *_from_size(rows, megabytes)]
    score = min(100, sum(points for points, _ in counted))
    importance, decided = _by_nature(table, known, ties) or (_by_score(score, role), None)
    reasons = [f"+{points} {words}" for points, words in counted]
    return ImportanceChoice(importance, score, (*reasons, *filter(None, [decided])))


def _from_knowledge(known: KnownTable | None) -> Iterator[tuple[int, str]]:
    if known is not None and known.role is not None and known.role in _ROLES:
        points, words = _ROLES[known.role]
        yield points, f"{known.role} role: {words}"
    if known is not None and known.core:
        yield _CORE_POINTS, "core: what a practice lives on"


def _from_ties(ties: _Ties) -> Iterator[tuple[int, str]]:
    if ties.referenced_by:
        yield (
            min(_MOST_POINTS_FOR_TIES, _POINTS_PER_TABLE * ties.referenced_by),
            f"referenced by {_tables(ties.referenced_by)}",
        )
    if ties.refers_to:
        yield min(_MOST_POINTS_FOR_TIES, _POINTS_PER_TABLE * ties.refers_to), f"refers to {_tables(ties.refers_to)}"


def _from_usage(table: Table, usage: UsagePattern) -> Iterator[tuple[int, str]]:
    """Count edits only where they show: without a column that moves the frequency is a guess."""
    if usage.update_frequency in _FREQUENCIES and any(column.updates_itself for column in table.columns):
        yield _FREQUENCIES[usage.update_frequency]


def _from_size(rows: int, megabytes: float) -> Iterator[tuple[int, str]]:
    for points, many_rows, many_megabytes in _SIZES:
        if rows >= many_rows or megabytes >= many_megabytes:
            yield points, f"size: at least {many_rows:,} rows or {many_megabytes:,} MB"
            return
    if rows:
        yield _IN_USE, "size: not empty"


def _by_nature(table: Table, known: KnownTable | None, ties: _Ties) -> tuple[Importance, str] | None:
    """Choose the class that a table has whatever its score, with the reason; None when the score decides."""
    role = known.role if known else None
    if known is None and (why := _why_leftover(table)):
        return "standard", f"standard whatever it scores: {why}"
    if why := why_log(table, known):
        return "audit", f"audit whatever it scores: {why}"
    if role in ("setup", "technical"):
        return "standard", f"standard whatever it scores: {role}, no record of the practice"
    if role == "reference":
        return "reference", "reference whatever it scores: known as a list that others point to"
    if role is None and _is_list(table, known, ties):
        return "reference", "reference whatever it scores: others point to it, and it points to few"
    return None


def _why_leftover(table: Table) -> str | None:
    """Say why a table that nobody knows is what somebody forgot to drop."""
    if not table.primary_key:
        return "no primary key and not one of Open Dental's tables, a leftover"
    return "named like a copy" if _COPY_NAME.search(table.name.lower()) else None


def _is_list(table: Table, known: KnownTable | None, ties: _Ties) -> bool:
    if ties.referenced_by and is_definition(table, known):
        return True
    least = max(_LIST_REFERENCED, _LIST_RATIO * ties.refers_to)
    return ties.refers_to <= _LIST_REFERS and ties.referenced_by >= least


def _by_score(score: int, role: Role | None) -> Importance:
    critical, important = (CRITICAL, IMPORTANT) if role else (CRITICAL_WITHOUT_ROLE, IMPORTANT_WITHOUT_ROLE)
    if score >= critical:
        return "critical"
    return "important" if score >= important else "standard"


def _tables(count: int) -> str:
    return f"{count} tables" if count > 1 else "1 table"
