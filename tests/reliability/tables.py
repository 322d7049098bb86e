"""A few small tables, one for each way of reading, and a writer that works on them by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from random import Random

STAMP = "Stamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
VALUES = (
    "Note varchar(200) NULL, Fee double NOT NULL, Paid decimal(20,4) NULL, Seen datetime(3) NULL, Picture blob NULL, "
    "Flag tinyint unsigned NOT NULL"
)
COLUMNS = ("Note", "Fee", "Paid", "Seen", "Picture", "Flag")
DEFINITIONS = {
    # read whole
    "room": f"Num bigint PRIMARY KEY, {VALUES}) ENGINE=MyISAM",
    "shelf": f"Ward varchar(20) NOT NULL, Num int NOT NULL, {VALUES}, PRIMARY KEY (Ward, Num)) ENGINE=InnoDB",
    # changed rows by (timestamp, key): an index leads with the timestamp
    "visit": f"Num bigint PRIMARY KEY, {VALUES}, {STAMP}, KEY (Stamp)) ENGINE=MyISAM",
    "member": (
        f"Ward varchar(20) NOT NULL, Num int NOT NULL, {VALUES}, {STAMP}, PRIMARY KEY (Ward, Num), "
        "KEY (Stamp, Flag)) ENGINE=InnoDB"
    ),
    # changed rows in ranges of the key: it does not
    "memo": f"Num bigint PRIMARY KEY, {VALUES}, {STAMP}) ENGINE=InnoDB",
    "label": f"Ward varchar(20) PRIMARY KEY, {VALUES}, {STAMP}) ENGINE=MyISAM",
    # new rows by the key
    "journal": f"Num bigint AUTO_INCREMENT PRIMARY KEY, {VALUES}) ENGINE=InnoDB",
}
KEYS = {"shelf": ("Ward", "Num"), "member": ("Ward", "Num"), "label": ("Ward",)}
WHOLE = ("room", "shelf")
STRATEGIES = {
    "room": "full_table",
    "shelf": "full_table",
    "visit": "incremental",
    "member": "streaming_incremental",
    "memo": "chunked_incremental",
    "label": "incremental",
    "journal": "incremental",
}
NOTES = (
    None,
    "",
    "plain",
    "nul\0nul",
    "tab\tand\nline\r\n",
    'a "quoted" \\ path',
    "漢字 café",
    " spaces ",
    "{]},:",
    "x" * 150,
)
FEES = (0.0, -1.5, 0.1, 1e-7, 123456789.123, 2.0**53)
PAIDS = (None, "0.0000", "-12.3400", "9007199254740.9931")
SEENS = (None, "2024-02-29 23:59:59.125", "0001-01-01", "0000-00-00", "2024-03-10 02:30:00")
PICTURES = (None, b"", b"\x00\xff\x1f", b"'\\\"\n")
WARDS = ("", "East", "west", "o'brien", "back\\slash", "üb", "z%s")


def tables_yml(page_rows: int) -> dict[str, Any]:
    """A reviewed tables.yml: pages of so many rows, and incremental what by its size would be read whole."""
    tables: dict[str, Any] = {
        name: {"batch_size": page_rows, "overrides": {"extraction_strategy": strategy}}
        for name, strategy in STRATEGIES.items()
    }
    tables["journal"]["overrides"]["incremental_column"] = "Num"
    return {"tables": tables}


def create_tables(connection: sa.Connection) -> None:
    """Create them all, and the preference that makes a growing key believable."""
    connection.exec_driver_sql("CREATE TABLE preference (PrefNum bigint PRIMARY KEY, PrefName text, ValueString text)")
    connection.exec_driver_sql("INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')")
    for table, definition in DEFINITIONS.items():
        connection.exec_driver_sql(f"CREATE TABLE {table} ({definition}")


class Writer:
    """Fills the tables, then inserts, updates and (where the tap can see it) deletes rows, by the seed's choices."""

    def __init__(self, engine: sa.Engine, random: Random) -> None:
        self._engine, self._random = engine, random
        self._next = dict.fromkeys(DEFINITIONS, 1)

    def fill(self, rows: int) -> None:
        """Give every table so many rows, whose timestamps lie within the last ten days, some in one second."""
        with self._engine.begin() as connection:
            for table in DEFINITIONS:
                many = [self._new(table) for _ in range(rows)]
                if table not in (*WHOLE, "journal"):
                    for row in many:
                        row["Stamp"] = 60 * self._random.randrange(10 * 24 * 60)
                _insert(connection, table, many)

    def work(self, changes: int) -> None:
        """Change so many rows of each table."""
        with self._engine.begin() as connection:
            for table in DEFINITIONS:
                for _ in range(changes):
                    self._change(connection, table)

    def _change(self, connection: sa.Connection, table: str) -> None:
        kind = self._random.random()
        if table == "journal" or kind < 0.4:
            _insert(connection, table, [self._new(table)])
        elif kind < 0.9 or table not in WHOLE:
            assignments = ", ".join(f"{name} = :{name}" for name in COLUMNS)
            statement = f"UPDATE {table} SET {assignments} {self._one(connection, table)}"
            connection.execute(sa.text(statement), self._values())
        else:
            connection.execute(sa.text(f"DELETE FROM {table} {self._one(connection, table)}"))

    def _one(self, connection: sa.Connection, table: str) -> str:
        """Where one row is, wherever in the order of the key."""
        key = KEYS.get(table, ("Num",))
        rows = connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one()
        order = ", ".join(key)
        place = f"SELECT {order} FROM {table} ORDER BY {order} LIMIT 1 OFFSET {self._random.randrange(max(1, rows))}"
        return f"WHERE ({order}) IN (SELECT * FROM ({place}) AS chosen)"

    def _new(self, table: str) -> dict[str, Any]:
        """A row with a key of its own: rising on most tables, in any order where a key is text."""
        number = self._next[table]
        self._next[table] += 1
        ward = self._random.choice(WARDS)
        keys = {"label": {"Ward": f"{ward}{number}"}, "journal": {}}
        composite = {"Ward": ward, "Num": number}
        return keys.get(table, composite if table in KEYS else {"Num": number}) | self._values()

    def _values(self) -> dict[str, Any]:
        choose = self._random.choice
        values = (choose(NOTES), choose(FEES), choose(PAIDS), choose(SEENS), choose(PICTURES))
        return dict(zip(COLUMNS, (*values, self._random.randrange(256)), strict=True))


def _insert(connection: sa.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    values = ", ".join("NOW() - INTERVAL :Stamp SECOND" if name == "Stamp" else f":{name}" for name in rows[0])
    connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({values})"), rows)
