"""Connection in, schema out: five statements for a whole database, whatever the number of its tables.

Knows nothing of what makes a good replication key: that is `rules`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pymysql.constants import ER
from sqlalchemy.exc import DBAPIError

from tap_opendental.connector import DAMAGED_CODES
from tap_opendental.discovery.model import Column, Index, IndexColumn, Server, Table, TableSize
from tap_opendental.errors import ConfigError
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

# No right on the table or the column, no such table or column, a damaged table: then nobody can tell. Any other error
# is an error.
_UNKNOWABLE = frozenset(
    {
        ER.TABLEACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR,
        ER.NO_SUCH_TABLE,
        ER.BAD_FIELD_ERROR,
        *DAMAGED_CODES,
    }
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PRECISION = re.compile(r"current_timestamp(?:\((\d*)\))?", re.IGNORECASE)
_EXACT_ROW_COUNTS = frozenset({"MYISAM", "ARIA", "MEMORY"})
# MariaDB's handshake puts 5.5.5- before the version, and some proxies let it through.
_VERSION = re.compile(r"(?:5\.5\.5-(?=\d+\.))?(\d+)\.(\d+)(?:\.(\d+))?")
# What came before lacks GENERATION_EXPRESSION, or reports defaults in a spelling that means two things.
_OLDEST = {"mariadb": (10, 2, 7), "mysql": (5, 7, 0)}
_QUOTED = re.compile(r"(?<!\w)'.*'(?!\w)|(?<!\w)\".*\"(?!\w)", re.DOTALL)


@dataclass(frozen=True)
class Snapshot:
    """What one reading of information_schema found: tables and sizes by name, in the server's order.

    `unreadable` are the tables that the server lists and cannot open, with its words for why. What `tables` and `sizes`
    say of these is not to be believed: a damaged index file takes the primary key out of information_schema.
    `restricted` are tables of which the user may read some columns only: the others, and all indexes, are hidden.
    `vanished` are names of tables that were dropped while the schema was read: they are not in `tables`.
    `random_primary_keys` is this practice's preference; None: there is no such row, or no right to read it.
    """

    server: Server
    tables: Mapping[str, Table]
    sizes: Mapping[str, TableSize]
    unreadable: Mapping[str, str]
    restricted: frozenset[str] = frozenset()
    vanished: tuple[str, ...] = ()
    random_primary_keys: bool | None = None

    def is_readable(self, table: str) -> bool:
        """True when what `tables` says of the table is to be believed."""
        return table not in self.unreadable and table not in self.restricted


def read_snapshot(connection: Connection, database: str) -> Snapshot:
    """Read the structure of every base table of `database` that the user may see.

    Raises ConfigError when the server is older than the statements can be asked of.
    """
    # information_schema compares names without regard to case: ORDER BY leaves `Recall` and `recall` in any order.
    listed = sorted(_read(connection, "tables", database), key=itemgetter("TABLE_NAME"))
    server = _server(listed[0]["SERVER_VERSION"] if listed else "")
    columns = _group_by_table(_read(connection, "columns", database))
    indexes = _group_by_table(_read(connection, "indexes", database))
    gone = [row["TABLE_NAME"] for row in listed if row["ENGINE"] and not columns[row["TABLE_NAME"]]]
    tables = [row for row in listed if row["TABLE_NAME"] not in gone]
    return Snapshot(
        server=server,
        tables={
            row["TABLE_NAME"]: _table(row, columns[row["TABLE_NAME"]], indexes[row["TABLE_NAME"]], server)
            for row in tables
        },
        sizes={row["TABLE_NAME"]: _size(row) for row in tables},
        unreadable=_find_unreadable(tables, columns, indexes),
        restricted=_read_restricted(connection, database, columns),
        vanished=tuple(gone),
        random_primary_keys=_read_random_primary_keys(connection, database, columns),
    )


def _read_restricted(
    connection: Connection, database: str, columns: Mapping[str, Sequence[RowMapping]]
) -> frozenset[str]:
    """Find tables of which no more is shown than columns with a right of their own, none being held on the whole.

    A right that comes through a role is not listed; it shows in that columns without a right of their own are there.
    """
    granted: dict[str, set[str]] = defaultdict(set)
    for row in _read(connection, "restricted", database):
        granted[row["TABLE_NAME"]].add(row["COLUMN_NAME"])
    return frozenset(
        table for table, names in granted.items() if names.issuperset(row["COLUMN_NAME"] for row in columns[table])
    )


def _read_random_primary_keys(connection: Connection, database: str, tables: Iterable[str]) -> bool | None:
    """Tell whether new rows get random primary keys, by the preference RandomPrimaryKeys; None when nobody can tell."""
    table = next((name for name in tables if name.lower() == "preference"), None)
    if table is None:
        return None
    statement = f"SELECT ValueString FROM {quote(database)}.{quote(table)} WHERE PrefName = 'RandomPrimaryKeys'"
    try:
        values = connection.exec_driver_sql(statement).scalars().all()
    except DBAPIError as error:
        if error.orig and error.orig.args[0] in _UNKNOWABLE:
            return None
        raise
    return any(str(value).strip() != "0" for value in values) if values else None


def _server(version: str) -> Server:
    server = Server(version=version, flavour="mariadb" if "mariadb" in version.lower() else "mysql")
    _require_supported(server)
    return server


def _require_supported(server: Server) -> None:
    """Refuse a server that is known to be too old; a version that cannot be read is given the benefit of the doubt."""
    found = _VERSION.match(server.version)
    if found and tuple(int(part or 0) for part in found.groups()) < _OLDEST[server.flavour]:
        raise ConfigError(
            f"the server's version is {server.version}: supported are MariaDB 10.2.7 or later and MySQL 5.7 or later"
        )


def _read(connection: Connection, name: str, database: str) -> Sequence[RowMapping]:
    statement = (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return connection.exec_driver_sql(statement, {"database": database}).mappings().all()


def _group_by_table(rows: Iterable[RowMapping]) -> Mapping[str, list[RowMapping]]:
    grouped: dict[str, list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[row["TABLE_NAME"]].append(row)
    return grouped


def _find_unreadable(
    tables: Iterable[RowMapping],
    columns: Mapping[str, Sequence[RowMapping]],
    indexes: Mapping[str, Sequence[RowMapping]],
) -> dict[str, str]:
    """Name the tables that the server could not open while it answered, and why.

    MariaDB then leaves ENGINE empty and puts the error into TABLE_COMMENT, but only because TABLE_ROWS is asked for
    too: without it the table is not opened. MySQL 8 answers from its dictionary; there the first page fails instead.
    """
    reasons = {}
    for row in tables:
        name = row["TABLE_NAME"]
        if row["ENGINE"] is None:
            reasons[name] = _shorten(row["TABLE_COMMENT"])
        elif _lost_its_key(columns[name], indexes[name]):
            reasons[name] = "its indexes cannot be read"
    return reasons


def _shorten(words: str | None) -> str:
    """Keep the server's phrase and drop what it quotes: names, paths, whatever else."""
    return _QUOTED.sub("...", words or "").strip() or "no reason given"


def _lost_its_key(columns: Sequence[RowMapping], indexes: Sequence[RowMapping]) -> bool:
    """True when a column is marked as primary key (or as its substitute) and no unique index is there to be it."""
    keyed = any(column["COLUMN_KEY"] == "PRI" for column in columns)
    return keyed and all(part["NON_UNIQUE"] for part in indexes)


def _table(row: RowMapping, columns: Sequence[RowMapping], indexes: Sequence[RowMapping], server: Server) -> Table:
    collation = row["TABLE_COLLATION"] or ""
    parts = {name: list(group) for name, group in groupby(indexes, key=lambda part: part["INDEX_NAME"])}
    primary = parts.pop("PRIMARY", [])
    plain = {name: group for name, group in parts.items() if all(part["COLUMN_NAME"] for part in group)}
    return Table(
        name=row["TABLE_NAME"],
        columns=tuple(_column(column, collation, server) for column in columns),
        primary_key=tuple(part["COLUMN_NAME"] for part in primary),
        indexes=tuple(_index(name, group) for name, group in plain.items()),  # not MySQL 8's on expressions
        engine=row["ENGINE"] or "",
        collation=collation,
    )


def _column(row: RowMapping, table_collation: str, server: Server) -> Column:
    extra = row["EXTRA"] or ""
    collation = row["COLLATION_NAME"]
    return Column(
        name=row["COLUMN_NAME"],
        type=row["COLUMN_TYPE"],
        nullable=row["IS_NULLABLE"] == "YES",
        default=_default(row, extra, server),
        on_update=_on_update(extra),
        auto_increment="auto_increment" in extra.lower(),
        collation=collation if collation and collation != table_collation else None,
        generated=row["GENERATION_EXPRESSION"] or None,
    )


def _on_update(extra: str) -> str | None:
    """Canonical `current_timestamp()` of MariaDB's and MySQL's spellings, None without one."""
    _, marker, rest = extra.lower().partition("on update ")
    return _canonical_now(rest) if marker else None


def _canonical_now(expression: str) -> str:
    found = _PRECISION.match(expression)
    return f"current_timestamp({found.group(1) or ''})" if found else expression


def _default(row: RowMapping, extra: str, server: Server) -> str | None:
    """Return the default as an SQL expression; MySQL reports literals bare, MariaDB (10.2.7 and later) quoted."""
    default: Any = row["COLUMN_DEFAULT"]
    if default is None:
        return "NULL" if server.flavour == "mysql" and row["IS_NULLABLE"] == "YES" else None
    text = default.decode() if isinstance(default, bytes) else str(default)
    if _PRECISION.fullmatch(text):
        return _canonical_now(text)
    if server.flavour == "mariadb" or "DEFAULT_GENERATED" in extra or _is_bare_number(row["COLUMN_TYPE"], text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _is_bare_number(column_type: str, text: str) -> bool:
    numeric = re.match(r"(tiny|small|medium|big)?int|decimal|float|double", column_type) is not None
    return numeric and _NUMBER.fullmatch(text) is not None


def _index(name: str, parts: Sequence[RowMapping]) -> Index:
    return Index(
        name=name,
        columns=tuple(IndexColumn(part["COLUMN_NAME"], part["SUB_PART"], part["COLLATION"] == "D") for part in parts),
        unique=not parts[0]["NON_UNIQUE"],
        kind=parts[0]["INDEX_TYPE"],
    )


def _size(row: RowMapping) -> TableSize:
    return TableSize(
        rows=int(row["TABLE_ROWS"] or 0),
        data_bytes=int(row["DATA_LENGTH"] or 0),
        index_bytes=int(row["INDEX_LENGTH"] or 0),
        exact=(row["ENGINE"] or "").upper() in _EXACT_ROW_COUNTS,
    )
