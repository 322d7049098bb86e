"""Which maker suits a column: its key, its references, its meaning, its type, in that order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice import inventions, makers, nasty
from opendental_analyze.sandbox.practice.canaries import SECRET_CANARIES
from opendental_analyze.sandbox.practice.encoding import encode_field, fit
from opendental_analyze.sandbox.practice.history import NO_DATETIME
from opendental_analyze.sandbox.practice.wording import choose_invention

if TYPE_CHECKING:
    from typing import TypeAlias

    from opendental_analyze.sandbox.practice.makers import Maker
    from tap_opendental.discovery.knowledge import KnownColumn, KnownTable
    from tap_opendental.discovery.model import Column

    Choice: TypeAlias = tuple[Maker, tuple[str, ...]]

LEDGER: Final = frozenset(
    {
        "adjustment",
        "benefit",
        "claim",
        "claimpayment",
        "claimproc",
        "claimsnapshot",
        "fee",
        "patient",
        "payment",
        "paysplit",
        "procedurelog",
        "proctp",
    }
)
"""Tables whose amounts are summed: their nasty doubles are small, so that a sum stays a number."""

_INTEGERS: Final = frozenset(("tinyint", "smallint", "int", "bigint"))
_FALSE_MOSTLY: Final = ("0", "0", "0", "0", "1")
_COLOURS: Final = ("-16777216", "-1", "0", "-65536", "-16711936", "-2147483648", "16777215", "-8355712")
_TICKS: Final = ("0", "600000000", "-36000000000", "864000000000", "6048000000000")
_INTERVALS: Final = ("00:00:00", "00:00:00", "08:00:00", "08:12:30", "-01:15:00", "42:30:00")
_TIMES: Final = ("00:00:00", "07:30:00", "08:00:00", "12:15:00", "17:00:00", "17:45:30")
_FLOATS: Final = ("0", "1", "8.25", "9", "12.5", "0.5", "90", "270")
_SMALL: Final = ("0", "0", "0", "1", "1", "2", "3", "5", "8", "12")
_BYTES: Final = ("0", "0", "0", "1", "2", "3", "80", "100")
_MONEY: Final = ("0", "0", "0", "25", "50.5", "79.95", "112.4", "19.99", "130", "0.01", "-12.5", "1015.25")
_NO_MONEY: Final = ("0", "0", "-1", "-1", "35.5")
_BIG_LIMIT: Final = 3_000
_NULLS: Final = 0.1
_FEW_NULLS: Final = 0.03
_NO_REFERENCE: Final = 0.15
_NO_PATIENT: Final = 0.01
_NO_EVENT: Final = 0.4
_NOT_DECEASED: Final = 0.97
_BIRTHDAYS: Final = tuple(f"{year}-{1 + year * 7 % 12:02}-{1 + year * 11 % 28:02}" for year in range(1931, 2023))


@dataclass(frozen=True)
class Place:
    """A column where it stands: in a table, with what is known of both."""

    table: KnownTable
    column: Column
    known: KnownColumn

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def length(self) -> int | None:
        """Most characters that fit, None where no limit matters."""
        found = re.fullmatch(r"(?:var)?char\((\d+)\)", self.column.type)
        return int(found[1]) if found else None


def choose_maker(table: KnownTable, name: str) -> Maker:
    """The maker of one column of a table."""
    place = Place(table, table.table.column(name), table.columns[name])
    if name in table.table.primary_key:
        return makers.own_key
    if place.known.secret:
        return makers.by_key(lambda key: fit(f"{SECRET_CANARIES[0]}{key}", place.length))
    maker, pool = _reference(place) or _timed(place) or _meaningful(place) or _typed(place)
    maker = makers.sprinkled(maker, name, pool)
    return makers.sometimes_null(maker, _share_of_nulls(place)) if place.column.nullable else maker


def _share_of_nulls(place: Place) -> float:
    return _FEW_NULLS if place.column.base_type in _INTEGERS else _NULLS


def _reference(place: Place) -> Choice | None:
    if len(place.known.references) != 1 or place.column.base_type in {"tinyint", "smallint"}:
        return None
    table, _, column = place.known.references[0].partition(".")
    if place.column.base_type in _INTEGERS:
        none_share = _NO_PATIENT if column == place.name == "PatNum" else _NO_REFERENCE
        return makers.referring(table, none_share), ("0", "-1")
    return (makers.referring_list(table), ("",)) if re.fullmatch(r"\w+Num", column) else None


def _timed(place: Place) -> Choice | None:
    role, base = place.known.time_role, place.column.base_type
    if role == "row_changed_auto":
        return makers.changed_moment, ()
    if base not in {"date", "datetime", "timestamp"}:
        return None
    is_day = base == "date"
    pool = nasty.DATES if is_day else nasty.DATETIMES
    if role in {"row_inserted_auto_never_updated", "app_set_on_insert_editable"}:
        return (makers.inserted_day if is_day else makers.inserted_moment), ()
    if "birth_death_date" in place.known.patient_data:
        return (makers.chosen(_BIRTHDAYS), pool) if is_day else (makers.event_moment(_NOT_DECEASED), (NO_DATETIME,))
    return (makers.event_day(_NO_EVENT) if is_day else makers.event_moment(_NO_EVENT)), pool


def _meaningful(place: Place) -> Choice | None:
    known = place.known
    if known.is_boolean:
        return makers.chosen(_FALSE_MOSTLY), nasty.BOOLEANS
    if known.is_ticks:
        return makers.chosen(_TICKS), nasty.TICKS
    if known.is_interval:
        return makers.chosen(_INTERVALS), nasty.INTERVALS
    if known.is_colour:
        return makers.chosen(_COLOURS), ()
    if known.is_enum:
        return _enum(place)
    return None


def _enum(place: Place) -> Choice:
    names = place.known.enum_values or ("0", "1", "2")
    if place.column.base_type in _INTEGERS:
        numbers = tuple(map(str, range(len(names))))
        return makers.chosen((*numbers, *numbers[:2], "0")), ()
    return makers.chosen(tuple(encode_field(fit(name, place.length)) for name in names)), ("",)


def _typed(place: Place) -> Choice:
    base = place.column.base_type
    if base in _INTEGERS:
        return _integer(place)
    if base == "double":
        pool = _NO_MONEY if place.column.default == "-1" else _MONEY
        return makers.chosen(pool), nasty.MONEY if place.table.table.name in LEDGER else nasty.DOUBLES
    if base == "float":
        return makers.chosen(_FLOATS), nasty.FLOATS
    if base == "time":
        return makers.chosen(_TIMES), nasty.TIMES
    if base.endswith("blob"):
        return makers.by_key(_blob), ()
    return _text(place)


def _integer(place: Place) -> Choice:
    base, column = place.column.base_type, place.column
    ends = nasty.integers(base, unsigned=column.unsigned)
    if re.search("ItemOrder|^Ordinal$", place.name):
        return makers.by_key(lambda key: key % 100), ()
    if base == "bigint":
        return makers.by_key(lambda key: key * 7919 % _BIG_LIMIT), ("0", *ends)
    return makers.chosen(_BYTES if base == "tinyint" else _SMALL), ends


def _text(place: Place) -> Choice:
    latin1 = place.table.table.collation.startswith("latin1")
    invention = choose_invention(place.known, place.length)
    pool = nasty.texts(place.length, latin1=latin1)
    return makers.invented(invention, place.name, place.length), pool if _is_free(place) else ()


def _is_free(place: Place) -> bool:
    """Codes compare by their letters' case and are joined on: they stay clean."""
    return place.column.collation is None and place.name not in {"PrefName", "ProcCode", "ZipCodeDigits"}


def _blob(key: int) -> str:
    """All 256 byte values and then some, in the hexadecimal spelling that the loader turns into bytes."""
    return (bytes(range(256)) + inventions.noise(str(key), key * 37 % 2_000)).hex()
