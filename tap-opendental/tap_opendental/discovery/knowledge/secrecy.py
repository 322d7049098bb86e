"""Names that give a secret away where nobody has reviewed the column: copies of tables, later versions, a clinic's own.

Better one column too few in the warehouse than one password: what is withheld is logged, what leaked is not.
"""

from __future__ import annotations

import re

# Names of reviewed secrets that are something else in most tables: a nickname, a key to a row, a setting. They are
# withheld only where the table's name says that it is a copy of the reviewed one.
GENERIC_NAMES = frozenset(
    {
        "alias",  # a card token in xwebresponse, a nickname elsewhere
        "clinickey",  # a surrogate key in warehouses, as are the next three
        "customerkey",
        "provkey",
        "regkey",
        "keyvalue",
        "lastresponsestr",
        "propertyvalue",
    }
)

_LIKE_A_SECRET = re.compile(
    r"passw(or)?d|(?<!by)passcode|passphrase|pwd|secret(?!ar[iy]|ion)|apikey|privatekey"
    r"|(access|refresh|auth|bearer|session)token|token(hash)?$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FIRST_WORDS_OF_FLAGS = frozenset({"is", "has", "require", "requires"})
_LAST_WORDS_OF_DATES = frozenset({"date", "datetime", "exp", "expires", "expiration", "stamp", "timestamp", "time"})


def resembles_secret(column: str) -> bool:
    """True for names such as ``VendorPassword`` and ``api_key``; not for flags, dates and row numbers about them."""
    return _LIKE_A_SECRET.search(compact(column)) is not None and not _is_about_a_secret(column)


def compact(name: str) -> str:
    """Bring a name into the form in which names are compared: ``Program_Property`` is ``programproperty``."""
    return re.sub(r"[\W_]+", "", name).lower()


def _is_about_a_secret(column: str) -> bool:
    words = [word.lower() for word in _WORD.findall(column)] or [""]
    is_flag = words[0] in _FIRST_WORDS_OF_FLAGS or "is" in words
    is_date = words[0] == "date" or words[-1] in _LAST_WORDS_OF_DATES
    return is_flag or is_date or words[-1] == "num"
