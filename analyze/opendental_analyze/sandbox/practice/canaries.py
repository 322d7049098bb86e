"""Values planted in known rows, so that a test can search for them where they must never appear.

Patient values (`CANARIES`) may be in the raw data but in no log; secrets (`SECRET_CANARIES`) may be nowhere outside the
source. All of them are inventions: the name is no name, the number is of the range that is reserved for advertisements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CANARY_KEY: Final = 2
"""Primary key of the row that carries a table's canaries (the last row in a table with fewer rows)."""

CANARY_NAME: Final = "Zyxcanary"
CANARY_SSN: Final = "987654329"
CANARY_PHONE: Final = "(555)555-0199"
CANARY_EMAIL: Final = "zyxcanary@example.invalid"
CANARY_NOTE: Final = "Zyxcanarynote 漢 of a long talk"
CANARY_LOG: Final = "Zyxcanarylog opened the chart"
CANARY_FORM: Final = "Zyxcanaryform answer"
CANARY_MAIL: Final = "Zyxcanarymail body"

CANARIES: Final = (
    CANARY_NAME,
    CANARY_SSN,
    CANARY_PHONE,
    CANARY_EMAIL,
    CANARY_NOTE,
    CANARY_LOG,
    CANARY_FORM,
    CANARY_MAIL,
)

SECRET_CANARIES: Final = ("Zyxsecret",)
"""Every value of every secret column holds this word."""

CANARY_CELLS: Final[Mapping[tuple[str, str], str]] = {
    ("patient", "LName"): CANARY_NAME,
    ("patient", "FName"): CANARY_NAME,
    ("patient", "SSN"): CANARY_SSN,
    ("patient", "HmPhone"): CANARY_PHONE,
    ("patient", "Email"): CANARY_EMAIL,
    ("patient", "FamFinUrgNote"): CANARY_NOTE,
    ("commlog", "Note"): CANARY_NOTE,
    ("procnote", "Note"): CANARY_NOTE,
    ("appointment", "Note"): CANARY_NOTE,
    ("securitylog", "LogText"): CANARY_LOG,
    ("sheetfield", "FieldValue"): CANARY_FORM,
    ("emailmessage", "BodyText"): CANARY_MAIL,
    ("emailmessage", "ToAddress"): CANARY_EMAIL,
}

NUL_CELL: Final = ("etransmessagetext", "MessageText")
"""The only column in which U+0000 occurs: PostgreSQL refuses the character, so a test can tell where to expect it."""
NUL_KEYS: Final = (4, 5)
"""Primary keys of the rows that hold it."""
