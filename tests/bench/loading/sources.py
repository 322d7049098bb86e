"""What is loaded: Open Dental's tables for the stopwatch, and tables of hard values for the truth.

The tables that are timed are the practice's without what stops a tool (zero dates, times beyond a day, carriage
returns, the word NULL) and without truth values that are neither 0 nor 1, which the sandbox has in a tenth of its rows
and a clinic has not: all are timed on the same rows. What a tool makes of hard values is seen on the edge tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tables import AUDIT, MESSAGES, PATIENTS, PROCEDURES, SEGMENT, Shape, fill_table

from opendental_analyze.sandbox.addresses import SOURCE
from opendental_analyze.sandbox.databases import run
from tap_opendental.discovery.knowledge import load_knowledge
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

# 28 to 111 segments of about 36 characters: documents of 1 to 4 KB.
DOCUMENT = f"REPLACE(REPEAT({SEGMENT}, 28 + s.seq % 84), '\\r', '')"
EMPTY_SUFFIX = "_none"
# A row a minute has changed since the first day (2 million rows: 3.8 years), and the changes of a round come after the
# second. More in an hour than a practice works would put the whole table into the tap's overlap.
FILLED, SINCE = "2015-01-01", "2025-01-01"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A table that is timed: its rows, and the column by which its changes are found (None: it only grows, by key).

    `changed` is the text column that an update changes.
    """

    shape: Shape
    cursor: str | None
    changed: str

    @property
    def name(self) -> str:
        """The table's name."""
        return self.shape.name

    @property
    def key(self) -> str:
        """Its primary key."""
        return self.shape.key

    @property
    def by(self) -> str:
        """The column that an incremental run goes by."""
        return self.cursor or self.key


PROCEDURE = Loaded(PROCEDURES, "DateTStamp", "BillingNote")
PATIENT = Loaded(PATIENTS, "DateTStamp", "AddrNote")
SECURITY = Loaded(AUDIT, None, "LogText")
DOCUMENTS = Loaded(
    replace(MESSAGES, name="hl7msg", of="hl7msg", key="HL7MsgNum", values={"MsgText": DOCUMENT}), "DateTStamp", "Note"
)
LOADED = (PROCEDURE, PATIENT, SECURITY, DOCUMENTS)

# Hard values by theme: column, type, literals. Each value stands in a row of its own, the theme's other columns NULL.
EDGES: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "edge_integers": (
        ("flag", "tinyint(1)", ("0", "1", "127", "-128")),
        ("u8", "tinyint unsigned", ("255",)),
        ("u16", "smallint unsigned", ("32768", "65535")),
        ("u24", "mediumint unsigned", ("16777215",)),
        ("u32", "int unsigned", ("4294967295",)),
        ("i64", "bigint", ("-9223372036854775808", "9223372036854775807")),
    ),
    "edge_unsigned": (("u64", "bigint unsigned", ("9223372036854775808", "18446744073709551615")),),
    "edge_fractions": (
        ("single", "float", ("16777216", "0.1", "3.4028234663852886e38")),
        ("twofold", "double", ("0.30000000000000004", "1e300", "5e-324", "-0.5")),
        ("exact", "decimal(30,10)", ("12345678901234567890.0123456789", "-0.5")),
    ),
    "edge_dates": (
        ("day", "date", ("'0001-01-01'", "'9999-12-31'", "'1582-10-10'")),
        ("moment", "datetime", ("'0001-01-01 00:00:00'", "'2024-03-10 02:30:00'", "'9999-12-31 23:59:59'")),
        ("stamp", "timestamp NULL", ("'2024-03-10 02:30:00'", "'1970-01-01 00:00:01'")),
    ),
    "edge_zero_dates": (
        ("day", "date", ("'0000-00-00'", "'2020-00-00'", "'2022-11-00'")),
        ("moment", "datetime", ("'0000-00-00 00:00:00'",)),
    ),
    "edge_times": (("lasting", "time", ("'08:30:00'", "'-01:00:00'", "'25:10:01'", "'-838:59:59'")),),
    "edge_texts": (
        (
            "words",
            "varchar(60)",
            (
                "''", "' spaces '", r"'tab\there'", r"'line\nfeed'", r"'carriage\r\nreturn'",
                r"'back\\slash'", r"'\\N'", r"'say \"no\", it''s'", "'NULL'", "'null'", "'Müller'",
                "CONVERT(X'F09F98B7' USING utf8mb4)",
            ),
        ),
        ("note", "mediumtext", ("''", r"'a\tb\nc\r\nd\\e'")),
    ),
    "edge_bytes": (
        ("fixed", "binary(4)", ("X'00FF0A5C'",)),
        ("image", "blob", ("X'00FF0A5C'", "X''")),
    ),
    "edge_kinds": (
        ("chosen", "enum('a','b')", ("'b'",)),
        ("several", "set('a','b')", ("'a,b'", "''")),
        ("born", "year", ("2155", "0")),
        ("bits", "bit(8)", ("b'10100101'",)),
    ),
}  # fmt: skip


def carry_preferences(admin: Engine) -> None:
    """Copy the practice's preferences: one of them tells the tap that a log's keys grow, and that it can go by them."""
    table = f"{quote(SOURCE)}.preference"
    run(admin, (f"CREATE TABLE preference LIKE {table}", f"INSERT INTO preference SELECT * FROM {table}"))


def fill(admin: Engine, loaded: Loaded, rows: int, storage: str) -> None:
    """Create the table with that many rows in the engine's own database, and an empty one of the same columns."""
    shape = replace(loaded.shape, columns=_visible(admin, loaded.shape.of))
    fill_table(admin, shape, rows)
    run(
        admin,
        (
            "SET SESSION sql_mode = ''",
            *_cleanings(admin, loaded),
            f"ALTER TABLE {quote(loaded.name)} ENGINE = {storage}",
            f"CREATE TABLE {quote(loaded.name + EMPTY_SUFFIX)} LIKE {quote(loaded.name)}",
        ),
    )


def _visible(admin: Engine, table: str) -> tuple[str, ...]:
    """The columns that are no secrets: the tap sends no others, and all tools shall carry the same."""
    with admin.connect() as connection:
        columns = connection.exec_driver_sql(f"SHOW COLUMNS FROM {quote(SOURCE)}.{quote(table)}").scalars().all()
    return tuple(column for column in columns if not load_knowledge().is_secret(table, column))


def _cleanings(admin: Engine, loaded: Loaded) -> Iterable[str]:
    """Updates that leave only values which every tool can take; the column that shows changes stays as it was."""
    with admin.connect() as connection:
        described = connection.exec_driver_sql(f"SHOW COLUMNS FROM {quote(loaded.name)}").all()
    values = [f"{quote(row[0])} = {_clean(quote(row[0]), row[1])}" for row in described if _clean("", row[1])]
    booleans = (row[0] for row in described if load_knowledge().is_boolean(loaded.shape.of, row[0]))
    values += [f"{quote(column)} = {quote(column)} <> 0" for column in booleans]
    if loaded.cursor:
        values.append(f"{quote(loaded.cursor)} = '{FILLED}' + INTERVAL {quote(loaded.key)} MINUTE")
    if values:
        yield f"UPDATE {quote(loaded.name)} SET {', '.join(values)}"


def _clean(column: str, kind: str) -> str:
    if kind.startswith(("date", "datetime")):
        return f"IF(MONTH({column}) = 0 OR DAYOFMONTH({column}) = 0, '0001-01-01', {column})"
    if kind == "time":
        return f"IF({column} BETWEEN '00:00:00' AND '23:59:59', {column}, '08:30:00')"
    if "text" in kind or "char" in kind:
        return f"REPLACE(REPLACE(IF({column} = 'NULL', '', {column}), '\\r', ''), '\\0', '')"
    return ""


def change(admin: Engine, loaded: Loaded, rows: int, share: float) -> int:
    """Change that share of the rows, half of them updated and half new (all new where a table only grows); how many."""
    wanted = max(2, round(rows * share))
    updated = wanted // 2 if loaded.cursor else 0
    if updated:
        which = f"WHERE {quote(loaded.key)} % {rows // updated} = 1 AND {quote(loaded.key)} <= {rows} LIMIT {updated}"
        run(admin, ("SET SESSION sql_mode = ''", _update(loaded, which)))
    add(admin, loaded, rows, wanted - updated)
    return wanted


def add(admin: Engine, loaded: Loaded, rows: int, wanted: int) -> None:
    """Add so many new rows, copies of the first, behind the `rows` that there are."""
    key, table = quote(loaded.key), quote(loaded.name)
    run(
        admin,
        (
            "SET SESSION sql_mode = ''",
            f"CREATE TEMPORARY TABLE more SELECT * FROM {table} WHERE {key} <= {wanted}",
            f"UPDATE more SET {key} = {key} + {rows} {_stamp(loaded)}",
            f"INSERT INTO {table} SELECT * FROM more",
            "DROP TEMPORARY TABLE more",
        ),
    )


def change_all(admin: Engine, loaded: Loaded) -> None:
    """Update every row."""
    run(admin, ("SET SESSION sql_mode = ''", _update(loaded, "")))


def _update(loaded: Loaded, which: str) -> str:
    column = quote(loaded.changed)
    return (
        f"UPDATE {quote(loaded.name)} SET {column} = CONCAT('changed ', {quote(loaded.key)}) {_stamp(loaded)} {which}"
    )


def _stamp(loaded: Loaded) -> str:
    return f", {quote(loaded.cursor)} = UTC_TIMESTAMP() - INTERVAL 1 SECOND" if loaded.cursor else ""


def shrink(admin: Engine, loaded: Loaded, rows: int) -> None:
    """Take the new rows out again, and let the updated ones be as old as they were."""
    key, table = quote(loaded.key), quote(loaded.name)
    run(admin, ("SET SESSION sql_mode = ''", f"DELETE FROM {table} WHERE {key} > {rows}", *_ages(loaded)))


def _ages(loaded: Loaded) -> Iterable[str]:
    if loaded.cursor:
        yield (
            f"UPDATE {quote(loaded.name)} SET {quote(loaded.cursor)} = "
            f"'{FILLED}' + INTERVAL {quote(loaded.key)} MINUTE WHERE {quote(loaded.cursor)} > '{SINCE}'"
        )


def fill_edges(admin: Engine, storage: str) -> None:
    """Create the edge tables; every value is as Open Dental's sql_mode, the empty one, allows."""
    options = f"ENGINE = {storage} DEFAULT CHARSET = utf8mb4"
    for table, columns in EDGES.items():
        described = ", ".join(f"{quote(name)} {kind}" for name, kind, _ in columns)
        named = [(name, value) for name, _, values in columns for value in (*values, "NULL")]
        run(
            admin,
            (
                "SET SESSION sql_mode = '', time_zone = '+00:00'",
                f"CREATE TABLE {quote(table)} (id int NOT NULL PRIMARY KEY, {described}) {options}",
                *(
                    f"INSERT INTO {quote(table)} (id, {quote(name)}) VALUES ({number}, {value})"
                    for number, (name, value) in enumerate(named, 1)
                ),
            ),
        )
