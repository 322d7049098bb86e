"""Every type of the server with values to try on it, and what docs/type-fidelity.md promises of what is stored.

The oracle is written against MySQL's types and the documentation: it takes the value as any client sees it, in the
server's text, and says what must be sent. None of the product's code for reading or converting is used.
"""

from __future__ import annotations

import json
import re
import string
from base64 import b64encode
from calendar import monthrange
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tap_opendental.discovery.knowledge import KnownColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Sent:
    """What must be sent, and whether it was altered on purpose, and counted."""

    value: Any
    altered: bool = False


@dataclass(frozen=True)
class Case:
    """A type: what is tried on it, what must be sent, and how an exact value goes into a copy of the table.

    `hard` is always tried. `view` is how a client reads the column ({} is its name), `load` the SQL that LOAD DATA
    stores the exact field with, and `same` text that is equal where the stored bytes are. `odd` are bytes that are no
    text in the column's character set, which exact values hold as well.
    """

    name: str
    ddl: str
    values: SearchStrategy[Any]
    hard: Sequence[Any]
    sent: Callable[[Any], Sent]
    known: KnownColumn | None = None
    insert: str = "%s"
    view: str = "{}"
    load: str = "{}"
    same: str = "CAST({} AS CHAR)"
    odd: Sequence[bytes] = ()


# Names that a table or column may have, each a trap of its own for whoever builds text from them.
HOSTILE_NAMES = (
    *("%s", "%(x)s", "100%", "{0}", "{}", "a`b", "it's", 'say "no"', "back\\slash", "tab\there", "two\nlines", "a,b"),
    *("naïve 表", "!", "NULL"),
)

# --- what must be sent ------------------------------------------------------------------------------------------------


def send_integer(stored: str) -> Sent:
    return Sent(int(stored))


def send_decimal(stored: str) -> Sent:
    return Sent(Decimal(stored))


def send_double(stored: str) -> Sent:
    return Sent(float(stored))


def send_bits(stored: bytes) -> Sent:
    return Sent(int.from_bytes(stored, "big"))


def send_text(stored: str) -> Sent:
    return Sent(stored.replace("\0", "\ufffd"), altered="\0" in stored)


def send_bytes(stored: bytes) -> Sent:
    return Sent(b64encode(stored).decode())


def send_geometry(stored: bytes) -> Sent:
    """A client sees four bytes of SRID before the WKB: https://dev.mysql.com/doc/refman/8.0/en/gis-data-formats.html."""
    return Sent(b64encode(stored[4:]).decode())


def send_boolean(stored: str) -> Sent:
    return Sent(stored != "0", altered=stored not in {"0", "1"})


def send_word(stored: str) -> Sent:
    return Sent(stored)


def send_moment(stored: str) -> Sent:
    year, month, day = (int(part) for part in stored[:10].split("-"))
    exists = year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    return Sent(stored.replace(" ", "T")) if exists else Sent(None, altered=True)


def send_instant(stored: str) -> Sent:
    moment = send_moment(stored)
    return moment if moment.value is None else Sent(moment.value + "+00:00")


def send_time_of_day(stored: str) -> Sent:
    hours = re.fullmatch(r"(\d+):\d\d:\d\d(\.\d+)?", stored)
    return Sent(stored) if hours and int(hours[1]) < 24 else Sent(None, altered=True)


# --- what is tried ----------------------------------------------------------------------------------------------------

WORDS = (
    *(
        "",
        " ",
        "plain",
        "it's",
        'say "no"',
        '"',
        '""',
        "'",
        "back\\slash",
        "\\",
        "\\\\",
        "\\n",
        "tab\there",
        "\t",
        "\n",
        "\r",
    ),
    *(
        "two\nlines",
        "\r\n",
        "cr\r\nlf",
        "\u20ac 5",
        "%s %(x)s",
        "%",
        "a,b,c",
        ",",
        "NULL",
        "null",
        "\\N",
        "\\.",
        "\\.\n",
    ),
    *(
        "\n\\.\n",
        " padded ",
        "\u4e2d\u6587",
        "\x1a",
        "\x7f",
        "\x1b[0m",
        '{"a": 1}',
        "<x/>&amp;",
        ":colon",
        "`tick`",
        "!",
    ),
    *(
        "null\0byte",
        "\0",
        "\\u0000",
        "\\u0000 and \0",
        "\\\\u0000",
        "\u2028",
        "\u2029",
        "\x85",
        "\xa0",
        "\ufeff",
        "\ufffd",
    ),
    *(
        "\ufffe",
        "\uffff",
        "\ue000",
        "e\u0301",
        "\u200d",
        "\U0001f600",
        "\U0001f468\u200d\u2695\ufe0f",
        "\U0010ffff",
        "!!",
    ),
    *("\u30bd\u8868", "\u0410\u042f\u0451\u2116", "\x01\x02\x08\x0b\x0c\x1f", "0", "-0", "true", "'); --", "x" * 200),
)
_CHARACTERS = st.one_of(
    st.sampled_from("\0\t\n\r\"'\\,%!`{}\x1a\x7f\u2028NULu0"),
    st.characters(codec="utf-8"),
    st.characters(codec="ascii"),
)
TEXTS = st.one_of(st.text(_CHARACTERS, max_size=12), st.sampled_from(WORDS))
# What nobody should write into a column that is not for it; the server makes something of it with sql_mode=''.
JUNK = st.one_of(
    st.text(string.printable, max_size=8),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["0000-00-00", "2023-02-30", "25:00:00", "1e400", "-1e400", "0x41", "99:99:99", "1e-400"]),
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
HARD_DOUBLES = (
    *(
        0.0,
        -0.0,
        0.1,
        -0.1,
        0.30000000000000004,
        1 / 3,
        SMALLEST,
        -SMALLEST,
        2.2250738585072014e-308,
        LARGEST,
        -LARGEST,
    ),
    *(1e15, 1e16, 1e17, 1e21, 1e22, 1e23, 123456789012345678.0, 2.0**53 + 2, 2.0**63, 1e300, 1e-7, 1e-4),
)
# 24 bits of mantissa; the last two are a FLOAT's smallest normal number and the FLOAT nearest to 0.1.
HARD_FLOATS = (
    *(0.0, -0.0, 16777216.0, 16777215.0, -1.5, 3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45),
    *(1.0e10, 8388609.0, 1.1754943508222875e-38, 0.10000000149011612),
)
YEARS = st.one_of(st.sampled_from([0, 1, 2, 99, 999, 1000, 1582, 1900, 2000, 2024, 9999]), st.integers(0, 9999))
SIXTY = st.integers(0, 59)
MICROS = st.one_of(st.just(""), st.integers(0, 999_999).map(".{:06}".format))
CLOCKS = st.builds("{:02}:{:02}:{:02}{}".format, st.integers(0, 23), SIXTY, SIXTY, MICROS)


def draw_days(years: SearchStrategy[int]) -> SearchStrategy[str]:
    """Any day that ALLOW_INVALID_DATES takes: zero, partial, 31 days in any month."""
    return st.builds("{:04}-{:02}-{:02}".format, years, st.integers(0, 12), st.integers(0, 31))


DAYS = draw_days(YEARS)
MOMENTS = st.builds("{} {}".format, DAYS, CLOCKS)
INSTANTS = MOMENTS | st.builds("{} {}".format, draw_days(st.integers(1970, 2038)), CLOCKS)
SPANS = st.builds("{}{:02}:{:02}:{:02}{}".format, st.sampled_from(["", "-"]), st.integers(0, 838), SIXTY, SIXTY, MICROS)
HARD_DAYS = (
    *("2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0001-01-01", "0000-00-00", "0000-00-01", "0000-01-00"),
    *("0000-01-01", "0000-02-29", "0000-12-01", "0000-12-31", "2022-11-00", "2022-00-10", "2022-00-00", "2023-02-31"),
    *("2023-04-31", "9999-12-31", "9999-02-30", "1000-01-01", "1582-10-10", "0001-01-02", "0001-00-00", "0100-02-29"),
)
HARD_MOMENTS = (
    *(f"{day} 00:00:00" for day in HARD_DAYS),
    *("0000-00-00 12:30:00", "2024-03-10 02:30:00.123456", "2024-11-03 01:30:00.000001", "9999-12-31 23:59:59.999999"),
    *("0001-01-01 00:00:00.000001", "1969-12-31 23:59:59", "2023-02-31 23:59:59.999999"),
)
HARD_INSTANTS = (
    *("1970-01-01 00:00:01", "1970-01-01 00:00:00.000001", "2038-01-19 03:14:07", "2038-01-19 03:14:07.999999"),
    *("0000-00-00 00:00:00", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "2024-02-29 23:59:59.123456"),
    "2023-02-31 00:00:00",
)
HARD_TIMES = (
    *("00:00:00", "-00:00:01", "-00:00:00.000001", "08:30:00", "12:00:00.5", "23:59:59", "23:59:59.999999", "24:00:00"),
    *("24:00:00.000001", "100:30:00", "-838:59:59", "838:59:59", "838:59:59.000000", "-838:59:59.999999"),
)
HARD_BYTES = (
    *(
        b"",
        b"\x00",
        b"\x00\x00",
        b"\xff\xfe",
        b"it's",
        b'"',
        b"\\",
        b",",
        b"\n\r\t\x1a",
        b"NULL",
        b"!",
        b"\xf0\x9f\x98",
    ),
    bytes(range(256)),
)
# Bytes that a character set takes and does not know: what a client sees as `?`, and exact values hold as they are.
ODD_BYTES = {
    "cp1251": (b"A\x98B",),
    "ascii": (b"\xff", b"A\x80"),
    "sjis": (b"\x81\xad",),
    "latin1": (bytes(range(1, 256)),),
}
MEMBERS = ("small", "it's", "back\\slash", "", "a b", "NULL", "null", "\u00e9", '"', "\\N", "!", "1")
FLAGS = ("a", "b' c", "\u00e9", "NULL", '"', "\\", "2")
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(_CHARACTERS.filter(lambda c: c <= "\uffff"), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.printable, max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=False))
HARD_DOCUMENTS = ("{}", "[]", '"\\u0000"', "1e400", ' { "a" :\n1}', '""', "18446744073709551616", "0.10")
_COORDINATE = st.floats(-180, 180, allow_nan=False).map("{:.6f}".format)
_POINT = st.builds("{} {}".format, _COORDINATE, _COORDINATE)
_LINE = st.lists(_POINT, min_size=2, max_size=5).map(", ".join)
_RING = st.lists(_POINT, min_size=3, max_size=5).map(lambda points: ", ".join([*points, points[0]]))
SHAPES = {
    "point": _POINT.map("POINT({})".format),
    "linestring": _LINE.map("LINESTRING({})".format),
    "polygon": _RING.map("POLYGON(({}))".format),
    "multipoint": _LINE.map("MULTIPOINT({})".format),
    "multilinestring": st.builds("MULTILINESTRING(({}), ({}))".format, _LINE, _LINE),
    "multipolygon": _RING.map("MULTIPOLYGON((({})))".format),
    "geometrycollection": st.builds("GEOMETRYCOLLECTION(POINT({}), LINESTRING({}))".format, _POINT, _LINE),
}
SHAPES["geometry"] = st.one_of(*SHAPES.values())
HARD_SHAPES = {
    "geometry": ("POINT(1 2)", "GEOMETRYCOLLECTION EMPTY"),
    "point": ("POINT(0 0)", "POINT(-179.999999 1e-300)", "POINT(1.7976931348623157e308 0.1)"),
    "linestring": ("LINESTRING(0 0, 0 0)",),
    "polygon": ("POLYGON((0 0, 9 0, 9 9, 0 0), (1 1, 2 1, 2 2, 1 1))",),
    "multipoint": ("MULTIPOINT(1 2)",),
    "multilinestring": ("MULTILINESTRING((0 0, 1 1))",),
    "multipolygon": ("MULTIPOLYGON(((0 0, 9 0, 9 9, 0 0)), ((0 0, 1 0, 1 1, 0 0)))",),
    "geometrycollection": ("GEOMETRYCOLLECTION EMPTY", "GEOMETRYCOLLECTION(POINT(0 0))"),
}


# --- the types --------------------------------------------------------------------------------------------------------


def _integers() -> Iterator[Case]:
    for name, bits in {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}.items():
        for sign, low, high in (("", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (" unsigned", 0, 2**bits - 1)):
            values = st.one_of(st.integers(low, high), st.sampled_from([low, high, 0, low - 1, high + 1]), JUNK)
            yield Case(name + sign, name + sign, values, (low, low + 1, 0, 1, high - 1, high), send_integer)
        padded = f"{name} unsigned zerofill"
        yield Case(padded, padded, st.integers(0, 2**bits - 1), (0, 7, 2**bits - 1), send_integer)
    yield Case("tinyint(1)", "tinyint(1)", st.integers(-128, 127), (0, 1, 2, 127, -128), send_integer)
    known = KnownColumn("Value", logical="bool")
    yield Case("known boolean", "tinyint", JUNK, (0, 1, 2, -1, 127, -128), send_boolean, known)
    hard = (0, 1901, 2024, 2155, "0", "00", 70, 69)
    yield Case("year", "year", st.integers(1901, 2155) | JUNK, hard, send_integer, load="CAST({} AS UNSIGNED)")


def _fractions() -> Iterator[Case]:
    floats = st.floats(width=32, allow_nan=False, allow_infinity=False) | JUNK
    for kind, hard in {
        "float": HARD_FLOATS,
        "float unsigned zerofill": HARD_FLOATS,
        "float(7,2)": (0.0, 1.1, -99999.99, 0.01, 12345.67),
    }.items():
        as_double = {"view": "CAST({} AS DOUBLE)", "same": "CAST({}*1e0 AS CHAR)"}
        yield Case(kind, kind, floats, hard, send_double, **as_double)
    for kind in ("double", "double unsigned zerofill", "double(20,5)"):
        yield Case(kind, kind, DOUBLES | JUNK, (*HARD_DOUBLES, 123456.789125), send_double)
    for kind, digits, scale in (("decimal(10,2)", 10, 2), ("decimal(65,30)", 65, 30), ("decimal(65,0)", 65, 0)):
        top = 10**digits - 1
        values = st.integers(-top, top).map(partial(_write_decimal, scale))
        hard = tuple(_write_decimal(scale, number) for number in (top, -top, 1, -1, 0))
        yield Case(kind, kind, values | JUNK, (*hard, "-0", "1e3"), send_decimal)
        padded = f"{kind} unsigned zerofill"
        yield Case(padded, padded, values, (*hard, "7"), send_decimal)
    for width in (1, 8, 17, 63, 64):
        name, hard = f"bit({width})", (0, 1, 2 ** (width - 1), 2**width - 1)
        ways = {"load": "CAST({} AS UNSIGNED)", "same": "HEX({})"}
        yield Case(name, name, st.integers(0, 2**width - 1), hard, send_bits, **ways)


def _write_decimal(scale: int, digits: int) -> str:
    text = f"{abs(digits):0{scale + 1}}"
    return f"{'-' * (digits < 0)}{text[: len(text) - scale]}.{text[len(text) - scale :]}"


def _texts() -> Iterator[Case]:
    kinds = ("char(200)", "varchar(255)", "tinytext", "text", "mediumtext", "longtext")
    sets = ("utf8mb4", "latin1", "cp1251", "sjis", "ucs2", "utf16", "ascii", "gbk", "big5", "euckr", "cp932")
    made = [(kind, "utf8mb3") for kind in kinds]
    made += [("varchar(255)", charset) for charset in (*sets, "utf8mb4 COLLATE utf8mb4_bin")]
    made += [("longtext", charset) for charset in ("utf8mb4", "latin1", "cp1251", "sjis")]
    for kind, charset in made:
        ways = {} if charset.startswith(("utf8", "latin1")) else {"load": "FROM_BASE64({})"}
        ways |= {"odd": ODD_BYTES.get(charset, ())}
        yield _case(f"{kind} {charset}", f"{kind} CHARACTER SET {charset}", TEXTS | JUNK, WORDS, send_text, **ways)
    yield _case("json", "json", DOCUMENTS, HARD_DOCUMENTS, send_text)
    as_number = {"load": "CAST({} AS UNSIGNED)", "same": "HEX({}|0)"}
    chosen = st.lists(st.sampled_from(FLAGS), max_size=6).map(",".join)
    for charset in ("utf8mb3", "latin1"):
        kind = f"enum({_quote_all(MEMBERS)}) CHARACTER SET {charset}"
        hard = (*MEMBERS, 0, 1, 99, "no member")
        yield _case(f"enum {charset}", kind, st.sampled_from(MEMBERS) | JUNK, hard, send_text, **as_number)
        kind = f"set({_quote_all(FLAGS)}) CHARACTER SET {charset}"
        hard = (*FLAGS, "", ",".join(FLAGS), 0, 127, "none")
        yield _case(f"set {charset}", kind, chosen | JUNK, hard, send_text, **as_number)
    kind = f"set({_quote_all([f'm{number}' for number in range(63)])}, '')"
    yield _case("set of 64", kind, st.integers(0, 2**64 - 1), (0, 1, 2**63, 2**64 - 1, ""), send_text, **as_number)


def _quote_all(members: Sequence[str]) -> str:
    return ",".join("'" + member.replace("\\", "\\\\").replace("'", "''") + "'" for member in members)


def _case(name: str, ddl: str, *about: Any, same: str = "HEX({})", **ways: Any) -> Case:
    """A type whose stored bytes HEX shows."""
    return Case(name, ddl, *about, same=same, **ways)


def _bytes() -> Iterator[Case]:
    for kind in ("binary(16)", "varbinary(255)", "tinyblob", "blob", "mediumblob", "longblob"):
        yield _case(kind, kind, st.binary(max_size=20), HARD_BYTES, send_bytes, load="FROM_BASE64({})")
    for kind, values in SHAPES.items():
        for srid in ("", ", 4326"):
            ways = {"insert": f"ST_GeomFromText(%s{srid})", "load": "FROM_BASE64({})"}
            yield _case(f"{kind}{srid}", kind, values, HARD_SHAPES[kind], send_geometry, **ways)


def _moments() -> Iterator[Case]:
    yield Case("date", "date", DAYS | JUNK, HARD_DAYS, send_moment)
    for digits in ("", "(3)", "(6)"):
        yield Case(f"datetime{digits}", f"datetime{digits}", MOMENTS | JUNK, HARD_MOMENTS, send_moment)
        yield Case(f"timestamp{digits}", f"timestamp{digits}", INSTANTS | JUNK, HARD_INSTANTS, send_instant)
        yield Case(f"time{digits}", f"time{digits}", SPANS | JUNK, HARD_TIMES, send_word)
    interval = KnownColumn("Value", logical="time_interval_may_be_negative_or_over_24h")
    yield Case("known interval", "time(6)", SPANS | JUNK, HARD_TIMES, send_word, interval)
    for digits in ("", "(6)"):
        known = KnownColumn("Value")
        yield Case(f"known time of day{digits}", f"time{digits}", SPANS | JUNK, HARD_TIMES, send_time_of_day, known)


def _addresses() -> Iterator[Case]:
    zero = "00000000-0000-0000-0000-000000000000"
    yield Case("uuid", "uuid", st.uuids().map(str), (zero, "F" * 32), send_word)
    inet4 = ("0.0.0.0", "255.255.255.255")  # noqa: S104 - a value, nothing listens
    yield Case("inet4", "inet4", st.ip_addresses(v=4).map(str), inet4, send_word)
    yield Case("inet6", "inet6", st.ip_addresses(v=6).map(str), ("::", "::ffff:1.2.3.4", "ffff::"), send_word)


CASES = (*_integers(), *_fractions(), *_texts(), *_bytes(), *_moments(), *_addresses())
