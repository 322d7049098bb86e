"""How a value is written for LOAD DATA: tab between fields, newline between rows, backslash before what would confuse.

Every generator of this package returns fields in this form, so that a value is encoded once and used in many rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NULL: Final = r"\N"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"})


def encode_field(text: str) -> str:
    """Text as LOAD DATA reads it back, character by character."""
    if text.isprintable() and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


def encode_rows(columns: Sequence[Sequence[str]]) -> bytes:
    """Rows of the file, from the fields of each column."""
    return ("\n".join(map("\t".join, zip(*columns, strict=True))) + "\n").encode()


def fit(text: str, characters: int | None) -> str:
    """The text, no longer than its column."""
    return text if characters is None else text[:characters]


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts in order of first appearance, each once."""
    return tuple(dict.fromkeys(texts))
