"""People, places and sentences that nobody could mistake for real ones.

Names are made of syllables, telephone numbers end in 555-01xx, mail goes to example domains, the numbers in the place
of social security numbers begin with 000, an area that is never issued.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_HEADS: Final = ("Zor", "Vex", "Quil", "Bram", "Plix", "Snor", "Drel", "Fump", "Glib", "Wazz", "Yont", "Krum")
_MIDDLES: Final = ("a", "o", "i", "u", "ador", "ima", "oke", "ubi")
_TAILS: Final = ("vex", "tle", "mble", "zzik", "dorf", "plume", "quist", "nax", "wump", "bles", "rrow", "xton")

FAMILY_NAMES: Final = tuple(head + middle + tail for head in _HEADS for middle in _MIDDLES for tail in _TAILS)
GIVEN_NAMES: Final = tuple(head + tail for head in _HEADS for tail in _TAILS)
MAIL_DOMAINS: Final = ("example.com", "example.org", "example.invalid")

_SUBJECTS: Final = (
    "Patient",
    "Guarantor",
    "Front desk",
    "Hygienist",
    "Doctor",
    "Lab",
    "Carrier",
    "Parent",
    "Insurance",
)
_VERBS: Final = (
    "called about",
    "asked for",
    "moved",
    "confirmed",
    "postponed",
    "paid for",
    "reviewed",
    "sent",
    "signed",
)
_OBJECTS: Final = (
    "the crown on #14",
    "an estimate",
    "the recall visit",
    "two fillings",
    "the statement of last month",
    "a consent form",
    "bitewing images",
    "the night guard",
    "the treatment plan",
    "a new claim",
)
_ENDINGS: Final = (".", ", will call back.", "; no answer.", ", all fine.", " - left a message.", ", see chart.")
_WORDS: Final = (
    "Zorvex",
    "Quilplan",
    "Bramcheck",
    "Plixform",
    "Snortable",
    "Drelview",
    "Fumpnote",
    "Glibcode",
    "Wazzlist",
    "Yontfield",
    "Krumtype",
    "Vexgroup",
)


def number(random: Random, limit: int) -> int:
    """A number from 0 to `limit` - 1."""
    return int(random.random() * limit)


def one_of(random: Random, pool: Sequence[str]) -> str:
    """One of a pool, each as likely as the others."""
    return pool[number(random, len(pool))]


def family_name(random: Random) -> str:
    """A last name."""
    return one_of(random, FAMILY_NAMES)


def given_name(random: Random) -> str:
    """A first name."""
    return one_of(random, GIVEN_NAMES)


def full_name(random: Random) -> str:
    """Both names, the last one first."""
    return f"{family_name(random)}, {given_name(random)}"


def street(random: Random) -> str:
    """A line of an address."""
    return f"{number(random, 900) + 100} {family_name(random)} Test St"


def city(random: Random) -> str:
    """A town that does not exist."""
    return f"{one_of(random, _HEADS)}ville Test"


def postal_code(random: Random) -> str:
    """Five digits that no post office uses."""
    return f"000{number(random, 100):02}"


def phone(random: Random) -> str:
    """A number of the range that is kept for fiction."""
    return f"(555)555-01{number(random, 99):02}"


def mail_address(random: Random) -> str:
    """An address in a domain that receives no mail."""
    domain = one_of(random, MAIL_DOMAINS)
    return f"{given_name(random).lower()}{number(random, 1000)}@{domain}"


def social_number(random: Random) -> str:
    """Nine digits, the first three 000."""
    return f"000{number(random, 1_000_000):06}"


def word(random: Random) -> str:
    """A label: one invented word and a number."""
    return f"{one_of(random, _WORDS)} {number(random, 1000)}"


def sentence(random: Random) -> str:
    """One sentence as a receptionist writes them."""
    subject, verb = one_of(random, _SUBJECTS), one_of(random, _VERBS)
    return f"{subject} {verb} {one_of(random, _OBJECTS)}{one_of(random, _ENDINGS)}"


def note(random: Random) -> str:
    """One to six sentences, sometimes on lines of their own."""
    glue = ("\n", " ", "\r\n", " ")[number(random, 4)]
    return glue.join(sentence(random) for _ in range(1 + number(random, 6)))


def log_entry(random: Random) -> str:
    """A line as the application writes it into its audit trail."""
    amount = number(random, 90_000) / 100
    verb, thing = one_of(random, _VERBS), one_of(random, _OBJECTS)
    return f"{full_name(random)} {verb} {thing}, ${amount}"


def code(random: Random) -> str:
    """A short code of a letter and digits, sometimes in lower case: codes are case-sensitive."""
    return f"{'DTZd'[number(random, 4)]}{number(random, 10_000):04}"


def guid(random: Random) -> str:
    """A random identifier in the usual spelling."""
    digits = hexadecimal(random, 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def hexadecimal(random: Random, digits: int) -> str:
    """So many hexadecimal digits."""
    return scramble(random, digits // 2 + 1).hex()[:digits]


def link(random: Random) -> str:
    """An address of a web page that cannot exist."""
    return f"https://practice.invalid/{hexadecimal(random, 8)}"


def file_name(random: Random) -> str:
    """A file in the practice's image folder."""
    return f"{one_of(random, _WORDS)}{number(random, 100_000)}.jpg"


def tooth_list(random: Random) -> str:
    """Teeth as the application lists them: numbers between commas."""
    return ",".join(str(1 + number(random, 32)) for _ in range(number(random, 5)))


def scramble(random: Random, size: int) -> bytes:
    """So many bytes that look like noise."""
    return noise(str(random.random()), size)


def noise(origin: str, size: int) -> bytes:
    """The noise that belongs to an origin."""
    return hashlib.shake_128(origin.encode()).digest(size)


def image(random: Random, size: int) -> str:
    """Base64 text of about that many characters."""
    return base64.b64encode(scramble(random, size * 3 // 4)).decode()


def message(random: Random, size: int) -> str:
    """A long message of many lines, about that many characters."""
    lines = [f"ZYX*{number(random, 1000)}*{sentence(random)}~" for _ in range(64)]
    return "\r\n".join(lines * (1 + size // sum(map(len, lines))))[:size]
