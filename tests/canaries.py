r"""A source whose every value is unmistakable, and the eye that finds one of them again, in whatever shape.

Each cell holds a canary: a text with the word `Qzcanary` in it, or digits that nothing else has. Every value of a row
counts, in keys, cursors and ENUMs too. Structure (names, types, defaults, comments) is no row's value: a catalog, a
state and tables.yml hold it. An ENUM's label is both; a log has no business with either.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WORD: Final = "Qzcanary"
SSN: Final = "987-65-4326"  # of the range that is kept for advertisements
KEY: Final = 7305182649000  # and the numbers after it
STAMP: Final = "2019-03-17 04:05:0"  # and a digit
ROWS: Final = 8

_NUMBERS: Final = {
    "ssn": r"987[- ]?65[- ]?4326",
    "key": r"7305182649\d{3}",
    "stamp": r"2019-03-17[ T]04:05:0\d|1552795\d{3}|2019, 3, 17, 4, 5",
    "date": r"1931-02-23|1931, 2, 23",
    "time": r"437:37:59",
    "decimal": r"48151\.62",
    "float": r"2718\.28",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def _shapes(word: str) -> dict[str, str]:
    """A word as text in any case, in hexadecimal, and in base64 at each of the three places where it may begin."""
    raw = word.encode()
    encoded = [base64.b64encode(b"\0" * at + raw)[(4 * at + 2) // 3 : -4].decode() for at in range(3)]
    return {"text": rf"(?i:{word}\w*)", "hex": f"(?i:{raw.hex()})", "base64": "|".join(map(re.escape, encoded))}


PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    shape: re.compile(pattern) for shape, pattern in {**_shapes(WORD), **_NUMBERS}.items()
}


def find_canaries(text: str) -> list[str]:
    """Each canary: its shape, and the line in which it sings. A terminal's colours do not hide one."""
    return [
        f"{shape} {found.group()} in: {line[:300]}"
        for line in _COLOURS.sub("", text).splitlines()
        for shape, pattern in PATTERNS.items()
        if (found := pattern.search(line))
    ]


def shapes_of(text: str) -> set[str]:
    """Which shapes of canaries a text holds."""
    return {found.partition(" ")[0] for found in find_canaries(text)}


LABELS: Final = (f"{WORD}open", f"{WORD}vip", f"{WORD}kind")
_MOVES: Final = " ON UPDATE current_timestamp()"
_COLUMNS: Final = f"""
    LName varchar(100) NOT NULL DEFAULT '', SSN varchar(100), Note mediumtext, Birthdate date, Fee decimal(12,2),
    Weight float, Height double, Woken time, Photo blob, Status enum('{LABELS[0]}','closed') DEFAULT 'closed',
    Flags set('{LABELS[1]}','new'), Extra longtext, DateTStamp timestamp NOT NULL DEFAULT current_timestamp(){_MOVES}
"""
_VALUES: Final = rf"""
    CONCAT('{WORD}name "quoted" \\ 漢 ', n), '{SSN}', CONCAT('{WORD}note', n, '\n{WORD}line\t', CHAR(7)), '1931-02-23',
    48151.62, 2718.28125, 2718.28125, '437:37:59', CONCAT(x'00ff', '{WORD}photo'), '{LABELS[0]}', '{LABELS[1]}',
    '{{"a": "{WORD}json"}}', CONCAT('{STAMP}', n % 10)
"""
_NUMBERED: Final = f"(SELECT {' AS n UNION ALL SELECT '.join(map(str, range(ROWS)))}) AS numbers"

# Read whole, by its stamp with and without an index, by its growing key, and by a key of texts; on both engines.
TABLES: Final[Mapping[str, str]] = {
    "patient": f"(PatNum bigint PRIMARY KEY, {_COLUMNS}) ENGINE=MyISAM",
    "commlog": f"(CommlogNum bigint PRIMARY KEY, {_COLUMNS}, KEY (DateTStamp)) ENGINE=MyISAM",
    "appointment": f"(AptNum bigint PRIMARY KEY, {_COLUMNS}) ENGINE=InnoDB",
    "securitylog": f"(SecurityLogNum bigint AUTO_INCREMENT PRIMARY KEY, {_COLUMNS.replace(_MOVES, '')}) ENGINE=MyISAM",
    "keyed": f"(Word varchar(40), Kind enum('{LABELS[2]}'), {_COLUMNS}, PRIMARY KEY (Word, Kind)) ENGINE=InnoDB",
}
_KEYS: Final = {"keyed": f"CONCAT('{WORD}key', n), '{LABELS[2]}'"}


def render_canaries(tables: Iterable[str] = TABLES) -> list[str]:
    """Statements that make the tables anew, and fill them."""
    return [statement for table in tables for statement in _render_table(table)]


def _render_table(table: str) -> Iterator[str]:
    yield f"DROP TABLE IF EXISTS {table}"
    yield f"CREATE TABLE {table} {TABLES[table]}"
    yield f"INSERT INTO {table} SELECT {_KEYS.get(table, f'{KEY} + n')}, {_VALUES} FROM {_NUMBERED}"


KEYS_GROW: Final = (
    "CREATE TABLE preference (PrefName varchar(255), ValueString text, PrefNum bigint PRIMARY KEY) ENGINE=MyISAM",
    "INSERT INTO preference VALUES ('RandomPrimaryKeys', '0', 1)",
)
"""Statements of the preference without which no table counts as added to only."""


def render_tables_file() -> str:
    """A tables.yml that reads them by every strategy, in pages that begin at three rows."""
    ways = dict.fromkeys(TABLES, "incremental") | {"patient": "full_table", "keyed": "full_table"}
    lines = (f"  {table}: {{batch_size: 3, extraction_strategy: {way}}}" for table, way in ways.items())
    return "\n".join(["tables:", *lines])
