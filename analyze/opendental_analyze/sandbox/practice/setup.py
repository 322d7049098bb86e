"""Lists that an office sets up: preferences, definitions, codes. Others look their values up, so they are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice.encoding import encode_field
from opendental_analyze.sandbox.practice.makers import by_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random
    from typing import TypeAlias

    from opendental_analyze.sandbox.practice.blocks import Block, Fields
    from opendental_analyze.sandbox.practice.makers import Maker

    NaturalKey: TypeAlias = Callable[[int], str]

DATABASE_VERSION: Final = "24.3.35.0"

PREFERENCES: Final[tuple[tuple[str, str], ...]] = (
    ("DataBaseVersion", DATABASE_VERSION),
    ("ProgramVersion", DATABASE_VERSION),
    ("RandomPrimaryKeys", "0"),
    ("PracticeTitle", "Zorvex Test Dental"),
    ("PracticePhone", "5555550100"),
    ("PracticeAddress", "100 Quillplume Test St"),
    ("PracticeCity", "Zorville Test"),
    ("PracticeST", "ZZ"),
    ("PracticeZip", "00001"),
    ("PracticeDefaultProv", "1"),
    ("PracticeBillProv", "1"),
    ("CorruptedDatabase", "0"),
    ("DocPath", "\\\\server.invalid\\OpenDentImages\\"),
    ("EasyNoClinics", "1"),
    ("LanguageAndRegion", "en-US"),
    ("TimeCardADPExportIncludesName", "0"),
    ("UpdateServerAddress", "https://practice.invalid/update"),
    ("BillingUseElectronic", "0"),
    ("ApptConfirmedStatusesNeverSend", "1,2,5,9"),
    ("RecallTypesShowingInList", "1,3"),
    ("SecurityLogOffAfterMinutes", "0"),
)
"""Name and value of the first rows of `preference`."""

_CATEGORIES: Final = 56


def procedure_code(key: int) -> str:
    """The code of a procedure; some differ from another only by the case of their letter."""
    return f"d{key - 1:04}" if key % 97 == 0 else f"D{key:04}"


def _patient_field(key: int) -> str:
    return f"Zyxfield {key}"


def _appointment_field(key: int) -> str:
    return f"Zyxapptfield {key}"


def _preference_name(key: int) -> str:
    return PREFERENCES[key - 1][0] if key <= len(PREFERENCES) else f"ZyxPreference{key}"


def _preference_value(key: int) -> str:
    if key <= len(PREFERENCES):
        return encode_field(PREFERENCES[key - 1][1])
    return ("0", "1", "", "12", "1,4,12", "Zorvex text", "2022-11-05", "true")[key % 8]


NATURAL_KEYS: Final[Mapping[tuple[str, str], NaturalKey]] = {
    ("procedurecode", "ProcCode"): procedure_code,
    ("patfielddef", "FieldName"): _patient_field,
    ("apptfielddef", "FieldName"): _appointment_field,
    ("preference", "PrefName"): _preference_name,
}
"""Text columns that others refer to, as a function of the primary key."""


def naming(table: str, natural_key: NaturalKey) -> Maker:
    """References to another table by its text key."""

    def make(block: Block, random: Random) -> Fields:
        rows = block.plan.rows[table]
        return [natural_key(1 + int(random.random() * rows)) if rows else "" for _ in block.keys]

    return make


SETUP: Final[Mapping[tuple[str, str], Maker]] = {
    **{place: by_key(natural_key) for place, natural_key in NATURAL_KEYS.items()},
    ("preference", "ValueString"): by_key(_preference_value),
    ("definition", "Category"): by_key(lambda key: (key - 1) % _CATEGORIES),
    ("zipcode", "ZipCodeDigits"): by_key(lambda key: f"{key % 1000:05}"),
    ("userod", "UserName"): by_key(lambda key: f"zyxuser{key}"),
    ("provider", "Abbr"): by_key(lambda key: f"ZX{key}"),
}
