"""A comparison as text for a person: grouped by table, added green, removed red, changed yellow (pure)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opendental_analyze.explain.diff import AnalysisDiff, ColumnFact, Side, TableDiff, TableFact, ValueChange

MANY = 5
_STYLES = {"+": "green", "-": "red", "~": "yellow", "?": "magenta"}
_Change = tuple[str, str, str]


def render_diff(diff: AnalysisDiff) -> Text:
    """Render the comparison; the text is styled, and `.plain` is what a pipe gets.

    A change that more than five tables share (another engine, for instance) takes one line for all of them.
    """
    common = _find_common(diff.tables_changed)
    return Text("\n").join([*_render_head(diff), *_render_common(common), *_render_tables(diff, common)])


def _render_head(diff: AnalysisDiff) -> Iterator[Text]:
    yield _render_side("before", diff.before)
    yield _render_side("after ", diff.after)
    if diff.before.knowledge_version != diff.after.knowledge_version:
        versions = f"{_shown(diff.before.knowledge_version)} -> {_shown(diff.after.knowledge_version)}"
        yield _line("~", f"judged with other knowledge: {versions}", depth=0)
    yield from _render_partial(diff)
    if diff.is_empty:
        yield Text("no difference" + (" in the tables that both hold" if diff.not_compared else ""))
        return
    counts = [
        (len(diff.tables_added), "added"),
        (len(diff.tables_removed), "removed"),
        (len(diff.tables_changed), "changed"),
        (len(diff.unknown), "unknown"),
    ]
    yield Text(f"tables: {', '.join(f'{count} {word}' for count, word in counts if count)}", style="bold")


def _render_partial(diff: AnalysisDiff) -> Iterator[Text]:
    """Say which side is of some tables only: what it does not hold was perhaps not asked for."""
    partial = [word for word, side in (("before", diff.before), ("after", diff.after)) if not side.complete]
    if partial:
        sides = " and ".join(partial)
        missed = f"{len(diff.not_compared)} table{'' if len(diff.not_compared) == 1 else 's'}"
        are = "are" if len(partial) > 1 else "is"
        yield _line("?", f"{sides} {are} of some tables only: {missed} on one side alone, not compared", depth=0)


def _render_side(word: str, side: Side) -> Text:
    about = f"{side.tables} tables of {_shown(side.database)} on {_shown(side.server)}, analysed {side.analyzed_on}"
    return Text(f"{word}  {_shown(side.label)}: {about}")


def _render_tables(diff: AnalysisDiff, common: dict[_Change, int]) -> Iterator[Text]:
    yield from (_line("+", _table(table), depth=0) for table in diff.tables_added)
    yield from (_line("-", _table(table), depth=0) for table in diff.tables_removed)
    yield from (_line("?", f"{_shown(name)}  {_shown(why)}", depth=0) for name, why in diff.unknown.items())
    for table in diff.tables_changed:
        lines = list(_render_table(table, common))
        if lines:
            yield _line("~", _shown(table.name), depth=0)
            yield from lines


def _table(table: TableFact) -> str:
    columns = f"{table.columns} column{'' if table.columns == 1 else 's'}"
    return f"{_shown(table.name)}  {columns}, {_shown(table.importance)}, {_shown(table.strategy)}"


def _render_table(table: TableDiff, common: dict[_Change, int]) -> Iterator[Text]:
    yield from (_line("+", _column(column)) for column in table.columns_added)
    yield from (_line("-", _column(column)) for column in table.columns_removed)
    for column in table.columns_changed:
        yield from (_line("~", f"column {_shown(column.name)}  {_change(change)}") for change in column.changes)
    yield from (_line("+", f"index {_shown(index)}") for index in table.indexes_added)
    yield from (_line("-", f"index {_shown(index)}") for index in table.indexes_removed)
    yield from (_line("~", _change(change)) for change in _own(table, common))
    if table.unexplained:
        yield _line("~", "schema_hash  differs by what analysis.json does not spell out, such as how text compares")


def _own(table: TableDiff, common: dict[_Change, int]) -> Iterator[ValueChange]:
    """The table's changes of values that are not told for many tables at once."""
    return (change for change in _values(table) if _key(change) not in common)


def _values(table: TableDiff) -> Iterable[ValueChange]:
    return (*table.structure, *table.configuration)


def _find_common(tables: Iterable[TableDiff]) -> dict[_Change, int]:
    counts = Counter(_key(change) for table in tables for change in _values(table))
    return {change: count for change, count in counts.items() if count > MANY}


def _key(change: ValueChange) -> _Change:
    return change.key, _value(change.before), _value(change.after)


def _render_common(common: dict[_Change, int]) -> Iterator[Text]:
    for (key, before, after), count in sorted(common.items()):
        yield _line("~", f"{count} tables  {_words(key)}: {before} -> {after}", depth=0)


def _column(column: ColumnFact) -> str:
    marks = [f"patient data: {', '.join(map(_shown, column.patient_data))}"] if column.patient_data else []
    marks += ["secret, never read"] if column.secret else []
    return "  ".join([f"column {_shown(column.name)}", _shown(column.type), *marks])


def _change(change: ValueChange) -> str:
    if change.key == "column_order":
        return "columns in another order"
    return f"{_words(change.key)}: {_value(change.before)} -> {_value(change.after)}"


def _words(key: str) -> str:
    return "replication key" if key == "incremental_column" else key.replace("_", " ")


def _value(value: Any) -> str:  # noqa: ANN401  # JSON
    if isinstance(value, list):
        return f"({', '.join(_shown(str(item)) for item in value)})"
    words = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else _shown(str(value))


def _line(mark: str, text: str, depth: int = 1) -> Text:
    return Text(f"{'    ' * depth}{mark} {text}", style=_STYLES[mark])


def _shown(text: str) -> str:
    """A name as it is, unless it would steer the terminal: then escaped."""
    return text if text.isprintable() else ascii(text)
