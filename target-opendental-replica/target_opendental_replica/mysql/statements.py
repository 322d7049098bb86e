"""SQL texts of the loader: pure functions. Every name is quoted; fields of the CSV are user variables or literals.

`moving` are columns that the server sets to the present moment in each UPDATE that does not set them (ON UPDATE): every
UPDATE here sets them to what they are, or to what was sent.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from target_opendental_replica.mysql.columns import empty_value, render_equal, render_value
from target_opendental_replica.statements import LONGEST_IDENTIFIER, quote, render_create_table
from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.warehouse import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_opendental_replica.mysql.columns import Slot

STAGE = f"{PREFIX}stage"
DISPLACED = f"{PREFIX}displaced"
STATE = f"{PREFIX}load_state"
TABLES = f"{PREFIX}tables"
_STATES = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}"
CREATE_STATE = (
    f"CREATE TABLE IF NOT EXISTS {STATE} (stream varchar(255) NOT NULL, lineage varchar(64) NOT NULL, "
    "serial bigint NOT NULL, bookmark longtext NOT NULL, saved_at datetime(6) NOT NULL, "
    f"PRIMARY KEY (stream, lineage)) {_STATES}"
)
CREATE_TABLES = (
    f"CREATE TABLE IF NOT EXISTS {TABLES} (stream varchar(255) NOT NULL, table_name varchar(64) NOT NULL, "
    "active_version bigint NULL, gathered_version bigint NULL, replaced_versions text NOT NULL, "
    "swapped_version bigint NULL, "
    "wanted char(64) NOT NULL, made char(64) NOT NULL, kept longtext NOT NULL, changed_at datetime(6) NOT NULL, "
    f"PRIMARY KEY (stream)) {_STATES}"
)
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+(?= DEFAULT CHARSET=)")
# The marker's text is ISO 8601, maybe with a zone; what cannot be read is now.
_MARKED = f"COALESCE(CAST(REPLACE(LEFT({{}}.`{DELETED_AT}`, 19), 'T', ' ') AS DATETIME), UTC_TIMESTAMP(6))"


def own_name(kind: str, table: str, number: int | None = None) -> str:
    """Return the name of a table of ours beside `table`; a hash takes the place of a name that would be too long."""
    ending = "" if number is None else f"_{number}"
    name = f"{PREFIX}{kind}_{table}{ending}"
    if len(name) <= LONGEST_IDENTIFIER:
        return name
    return f"{PREFIX}{kind}_{hashlib.sha256(table.encode()).hexdigest()[:32]}{ending}"


def lock_name(database: str, table: str) -> str:
    """Return the name of the lock on a table: the server's names of locks are its own, and short."""
    place = f"{database}\0{table.lower()}"
    return f"{PREFIX}{hashlib.sha256(place.encode()).hexdigest()[:40]}"


def strip_name(ddl: str, name: str) -> str:
    """Return what SHOW CREATE TABLE says without the table's name and the next number of its AUTO_INCREMENT."""
    begin = f"CREATE TABLE {quote(name)} "
    head, _, options = ddl.removeprefix(begin).rpartition("\n)")
    return f"{head}\n){_COUNTER.sub('', options)}"


def list_columns(slots: Iterable[Slot], alias: str = "") -> str:
    """Return quoted names, divided by commas."""
    return ", ".join(alias + quote(slot.column) for slot in slots)


def render_stage(facts: Mapping[str, Any], slots: Sequence[Slot], engine: str) -> str:
    """Return the CREATE of the stage: the sent columns, the primary key and UNIQUE ones, no default and no counter."""
    bare = {"default": None, "on_update": None, "auto_increment": False, "comment": None}
    sent = {slot.column for slot in slots}
    unique = [
        index
        for index in facts.get("indexes", ())
        if index.get("unique") and all(column["name"] in sent for column in index["columns"])
    ]
    staged = {**facts, "columns": [{**slot.facts, **bare} for slot in slots], "indexes": unique}
    return render_create_table(staged, name=STAGE, engine=engine, temporary=True)


def render_load(
    file: str, table: str, slots: Sequence[Slot], unsent: Sequence[Mapping[str, Any]] = (), *, replaces: bool = True
) -> str:
    """Return LOAD DATA LOCAL of the CSV dialect, behind its first line.

    Of rows with one key the last counts or, if it does not replace, all but the first are skipped.
    """
    fields = [quote(slot.column) if slot.load == "{}" else f"@f{place}" for place, slot in enumerate(slots)]
    sets = [
        f"{quote(slot.column)} = {slot.load.replace('{}', f'@f{place}')}"
        for place, slot in enumerate(slots)
        if slot.load != "{}"
    ]
    sets += [f"{quote(str(column['name']))} = {empty_value(column)}" for column in _without_default(unsent)]
    return (
        f"LOAD DATA LOCAL INFILE '{file}' {'REPLACE ' * replaces}INTO TABLE {quote(table)} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
        f"({', '.join(fields)})" + (f" SET {', '.join(sets)}" if sets else "")
    )


def render_insert(
    table: str, slots: Sequence[Slot], unsent: Sequence[Mapping[str, Any]] = (), *, replaces: bool = True
) -> str:
    """Return the begin of an INSERT or REPLACE of rows; each row is what `render_row` makes."""
    extra = "".join(f", {quote(str(column['name']))}" for column in _without_default(unsent))
    return f"{'REPLACE' if replaces else 'INSERT'} INTO {quote(table)} ({list_columns(slots)}{extra}) VALUES "


def render_row(literals: Sequence[str], slots: Sequence[Slot], unsent: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return one row of an INSERT, of a literal for each field."""
    values = [slot.load.replace("{}", literal) for slot, literal in zip(slots, literals, strict=True)]
    values += [str(empty_value(column)) for column in _without_default(unsent)]
    return f"({', '.join(values)})"


def _without_default(unsent: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [column for column in unsent if empty_value(column) is not None]


def render_upsert(
    table: str, slots: Sequence[Slot], unsent: Sequence[Mapping[str, Any]], *, keyed: bool, marks: bool, deletes: bool
) -> str:
    """Return what merges the stage. The server leaves a row alone whose bytes would be the same.

    `marks` says that the table has `_sdc_deleted_at`, which rows that are here do not have; `deletes` that the stage
    has it, and that its marked rows are for another statement.
    """
    empties = _without_default(unsent)
    into = [quote(slot.column) for slot in slots]
    values = [render_value(slot.facts, f"s.{name}") for slot, name in zip(slots, into, strict=True)]
    updates = [
        f"{name} = {render_value(slot.facts, f'VALUES({name})')}" for slot, name in zip(slots, into, strict=True)
    ]
    into += [quote(str(column["name"])) for column in empties]
    values += [str(empty_value(column)) for column in empties]
    if marks:
        into, values = [*into, quote(DELETED_AT)], [*values, "NULL"]
        updates.append(f"{quote(DELETED_AT)} = NULL")
    moving = [quote(str(column["name"])) for column in unsent if column.get("on_update")]
    updates += [f"{name} = {quote(table)}.{name}" for name in moving]
    where = f" WHERE s.{quote(DELETED_AT)} IS NULL" if deletes else ""
    again = f" ON DUPLICATE KEY UPDATE {', '.join(updates)}" if keyed else ""
    return (
        f"INSERT INTO {quote(table)} ({', '.join(into)}) SELECT {', '.join(values)} FROM {quote(STAGE)} s{where}{again}"
    )


def render_delete(table: str, key: Sequence[str]) -> str:
    """Return what deletes the rows that are marked in the stage."""
    return (
        f"DELETE t FROM {quote(table)} t JOIN {quote(STAGE)} s ON {match(key, 't', 's')} "
        f"WHERE s.{quote(DELETED_AT)} IS NOT NULL"
    )


def render_mark(table: str, key: Sequence[str], moving: Iterable[str]) -> str:
    """Return what marks the rows that are marked in the stage, and no other value of them."""
    return (
        f"UPDATE {quote(table)} t JOIN {quote(STAGE)} s ON {match(key, 't', 's')} "
        f"SET t.{quote(DELETED_AT)} = {_MARKED.format('s')}{_stay(moving, (), 't')} "
        f"WHERE s.{quote(DELETED_AT)} IS NOT NULL AND t.{quote(DELETED_AT)} IS NULL"
    )


def match(key: Iterable[str], left: str, right: str) -> str:
    """Return a comparison by key, in the key's own collation."""
    return " AND ".join(f"{left}.{quote(name)} = {right}.{quote(name)}" for name in key)


def equal(columns: Iterable[Mapping[str, Any]], left: str, right: str) -> str:
    """Return a comparison of columns to the last bit."""
    pairs = ((column, quote(str(column["name"]))) for column in columns)
    return " AND ".join(render_equal(column, f"{left}.{name}", f"{right}.{name}") for column, name in pairs) or "TRUE"


def render_conflicts(table: str, key: Sequence[str], unique: Sequence[Mapping[str, Any]], *, deletes: bool) -> str:
    """Return what finds rows of the table that hold a UNIQUE value which the stage gives to another row: t and s."""
    same = _meet(unique, "t", "s")
    alive = f" AND s.{quote(DELETED_AT)} IS NULL" if deletes else ""
    return f"{quote(table)} t JOIN {quote(STAGE)} s ON {same} AND NOT ({match(key, 't', 's')}){alive}"


def _meet(unique: Iterable[Mapping[str, Any]], left: str, right: str) -> str:
    return " AND ".join(f"{_prefix(each, left)} = {_prefix(each, right)}" for each in unique)


def _prefix(column: Mapping[str, Any], alias: str) -> str:
    name = f"{alias}.{quote(str(column['name']))}"
    return name if column.get("length") is None else f"LEFT({name}, {int(column['length'])})"


def render_displaced(conflicts: str, columns: Sequence[str], *, again: bool) -> str:
    """Return what remembers of rows which give way what the stage does not have, in a table made for it or `again`."""
    names = ", ".join(f"t.{quote(name)}" for name in columns)
    begin = "INSERT INTO" if again else "CREATE TEMPORARY TABLE"
    return f"{begin} {DISPLACED} SELECT DISTINCT {names} FROM {conflicts}"


def render_return(table: str, key: Sequence[str], columns: Sequence[Mapping[str, Any]], moving: Iterable[str]) -> str:
    """Return what gives rows that came back their values of columns that are not sent."""
    return (
        f"UPDATE {quote(table)} t JOIN {DISPLACED} d ON {match(key, 't', 'd')} "
        f"SET {_assign(columns, 't', 'd')}{_stay(moving, columns, 't')}"
    )


def render_compare(old: str, new: str, columns: Sequence[Mapping[str, Any]], key: Sequence[str], *, marks: bool) -> str:
    """Return what counts the rows of `new`: all, those whose key is in `old`, those of them that are the same."""
    alive = f" AND o.{quote(DELETED_AT)} IS NULL" if marks else ""
    met = f"o.{quote(key[0])} <=> n.{quote(key[0])}"
    return (
        f"SELECT COUNT(*), COALESCE(SUM({met}), 0), COALESCE(SUM({met} AND {equal(columns, 'n', 'o')}), 0) "
        f"FROM {quote(new)} n LEFT JOIN {quote(old)} o ON {match(key, 'n', 'o')}{alive}"
    )


def render_yielding(old: str, new: str, key: Sequence[str], uniques: Iterable[Sequence[Mapping[str, Any]]]) -> str:
    """Return what counts the rows that `new` does not have, and whose UNIQUE value another row has there."""
    met = " OR ".join(_is_met(new, unique) for unique in uniques)
    return f"SELECT COUNT(*) FROM {quote(old)} o WHERE {_is_not_in(new, key)} AND ({met})"


def render_carry_marked(
    old: str,
    new: str,
    columns: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    uniques: Iterable[Sequence[Mapping[str, Any]]],
) -> str:
    """Return what takes rows over that `new` does not have, marked as gone since now, but for `render_yielding`."""
    names = ", ".join(quote(str(column["name"])) for column in columns)
    values = ", ".join(render_value(column, f"o.{quote(str(column['name']))}") for column in columns)
    return (
        f"INSERT INTO {quote(new)} ({names}, {quote(DELETED_AT)}) "
        f"SELECT {values}, COALESCE(o.{quote(DELETED_AT)}, UTC_TIMESTAMP(6)) FROM {quote(old)} o "
        f"WHERE {' AND NOT '.join([_is_not_in(new, key), *(_is_met(new, unique) for unique in uniques)])}"
    )


def _is_not_in(new: str, key: Sequence[str]) -> str:
    return f"NOT EXISTS (SELECT 1 FROM {quote(new)} n WHERE {match(key, 'n', 'o')})"


def _is_met(new: str, unique: Iterable[Mapping[str, Any]]) -> str:
    return f"EXISTS (SELECT 1 FROM {quote(new)} n WHERE {_meet(unique, 'n', 'o')})"


def render_carry_values(
    old: str, new: str, columns: Sequence[Mapping[str, Any]], key: Sequence[str], moving: Iterable[str]
) -> str:
    """Return what takes the values of columns over that are not sent."""
    return (
        f"UPDATE {quote(new)} n JOIN {quote(old)} o ON {match(key, 'n', 'o')} "
        f"SET {_assign(columns, 'n', 'o')}{_stay(moving, columns, 'n')} WHERE NOT ({equal(columns, 'n', 'o')})"
    )


def _assign(columns: Iterable[Mapping[str, Any]], left: str, right: str) -> str:
    named = ((column, quote(str(column["name"]))) for column in columns)
    return ", ".join(f"{left}.{name} = {render_value(column, f'{right}.{name}')}" for column, name in named)


def _stay(moving: Iterable[str], assigned: Iterable[Mapping[str, Any]], alias: str) -> str:
    """Return what keeps columns as they are that would move by themselves; those that are assigned do not."""
    names = {str(column["name"]) for column in assigned}
    return "".join(f", {alias}.{quote(name)} = {alias}.{quote(name)}" for name in moving if name not in names)
