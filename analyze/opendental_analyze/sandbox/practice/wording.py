"""Which invention a text column takes, by its name and its patient-data class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice import inventions as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from typing import TypeAlias

    from tap_opendental.discovery.knowledge import KnownColumn

    Invention: TypeAlias = Callable[[Random], str]


def _letters(random: Random) -> str:
    return ("", "", "A", "B", "N", "Y")[made.number(random, 6)]


def _surfaces(random: Random) -> str:
    return ("", "", "M", "MO", "MOD", "B", "DL")[made.number(random, 7)]


def _tooth(random: Random) -> str:
    return ("", str(1 + made.number(random, 32)), "ABCDEFGHIJ"[made.number(random, 10)])[made.number(random, 3)]


def _rarely(invent: Invention) -> Invention:
    return lambda random: invent(random) if made.number(random, 4) == 0 else ""


def _thumbnail(random: Random) -> str:
    return made.image(random, made.number(random, 500))


def _hash(random: Random) -> str:
    return made.hexadecimal(random, 32)


def _message(random: Random) -> str:
    return made.message(random, made.number(random, 900))


def _mail_user(random: Random) -> str:
    return f"{made.given_name(random)}{made.number(random, 100)}"


_BY_NAME: Final[tuple[tuple[str, Invention], ...]] = (
    (r"Base64|Thumbnail|^Sound$|ButtonImage", _thumbnail),
    (r"^MessageText$|^MsgText$|RawEmailIn|LogData", _message),
    (r"Signature|^SigText", _rarely(_thumbnail)),
    (r"Hash$", _hash),
    (r"Guid|GUID|UniqueID", made.guid),
    (r"URL|Url$|server|Pop3", made.link),
    (r"Phone(?!.*(Type|Desc))|^Fax$|Telephone|^ICEPhone", made.phone),
    (r"Email.*(Subj|Body|Template)|Template", made.note),
    (r"E-?[Mm]ail|ToAddress|FromAddress|RecipientAddress|CcAddress|SenderAddress", made.mail_address),
    (r"^SSN$", made.social_number),
    (r"^TIN$|TIN$", made.social_number),
    (r"^(LName|FamilyName|MotherMaidenLname)$|LName$", made.family_name),
    (r"^(FName|MName|Preferred|PreferredName|MotherMaidenFname|Salutation)$", made.given_name),
    (r"^(MiddleI|MI|Suffix|Title)$", _letters),
    (r"PatientName|^ICEName|FromUser|ToUser|^EmpName", made.full_name),
    (r"^UserName$|UserId|LoginID|DomainUser", _mail_user),
    (r"^Address2$|^Ward$|^County$|^Country$", _rarely(made.word)),
    (r"^Address$", made.street),
    (r"^City$", made.city),
    (r"^(State|ST|AccidentST|StateWhereLicensed|MedicaidState)$", lambda _: "ZZ"),
    (r"^Zip", made.postal_code),
    (r"Path|Folder|FileName|FilePath", made.file_name),
    (r"ToothRange|ToothNumbers|DiagnosticCodes|ProcCodes|^CodeStr|BlockoutTypes|SheetDefNums|^Flags", made.tooth_list),
    (r"^ToothNum", _tooth),
    (r"^Surf$", _surfaces),
    (r"^(LogText|QueryString|QueryText|Details)$", made.log_entry),
    (r"Note|Remark|Comment|Text|Narrative|Message|Content|Response|Instruction|^Memo|^Receipt|HTML", made.note),
    (r"Descript|Reason|Subject|^Label|Heading", made.sentence),
    (r"Code|^ID|ID$|Num$|License|Version|ISA|GS0", made.code),
)

_BY_CLASS: Final[dict[str, Invention]] = {
    "phone_fax": made.phone,
    "email": made.mail_address,
    "ssn": made.social_number,
    "name": made.full_name,
    "address": made.street,
    "freetext": made.note,
}

_CODE_LENGTH: Final = 6


def choose_invention(known: KnownColumn, length: int | None) -> Invention:
    """How to make up the texts of this column."""
    if length is not None and length < _CODE_LENGTH and not re.search("State|^Zip|ToothNum|Surf", known.name):
        return _letters
    for pattern, invention in _BY_NAME:
        if re.search(pattern, known.name):
            return invention
    classes = (_BY_CLASS[name] for name in known.patient_data if name in _BY_CLASS)
    return next(classes, made.word)
