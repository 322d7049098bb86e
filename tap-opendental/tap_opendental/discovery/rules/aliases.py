"""Names of columns that say where they point without naming the key: data for the relationship rules.

Each line was reviewed against the documented references of Open Dental 24.3. A line stays only if it finds columns in
several tables or one that a practice cannot do without; single oddities are left to the knowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Alias:
    """Columns whose name, in lower case, matches `pattern` from end to end hold keys of `table`."""

    pattern: re.Pattern[str]
    table: str
    reason: str

    @classmethod
    def of(cls, pattern: str, table: str, reason: str) -> Alias:
        """Compile the pattern once."""
        return cls(re.compile(pattern), table, reason)


# A key of several tables that means one of them wherever it stands; in the others it is a one-to-one extension.
OWNERS = {"patnum": "patient"}

# The first line that matches decides. They come after the names of keys and tables (AppointmentTypeNum, FeeSched), and
# before keys inside a name (ProcCodeNum is a procedure code's, not another code's CodeNum).
ALIASES = (
    Alias.of("guarantor|subscriber|responsparty|superfamily", "patient", "a person's part in a family or a plan"),
    Alias.of("referringprov", "referral", "who refers is in the address book, not on the staff"),
    Alias.of("prov(?!i[dns]).*|.*prov", "provider", "Prov is short for provider"),
    Alias.of("instruct(or)?num|studentnum", "provider", "instructors and students are providers"),
    Alias.of("op|opnum", "operatory", "Op is short for operatory"),
    Alias.of("assistant|reportsto", "employee", "a role of the staff"),
    Alias.of("apptnum", "appointment", "Appt is short for appointment"),
    Alias.of("proccodenum", "procedurecode", "the number of a procedure's code"),
    Alias.of(".*filingcode", "insfilingcode", "an insurer's filing code"),
    Alias.of(".*filingcodesubtype", "insfilingcodesubtype", "an insurer's filing code, refined"),
    Alias.of("slip", "sheetdef", "the sheet that is printed as a slip"),
    Alias.of(
        ".*(type|category|cat)(one|two)?|priority|specialty|prognosis|dx|confirmed|(?!is).*status",
        "definition",
        "a list that the practice edits, and as wide as a key, so it is no enum",
    ),
    Alias.of("region|imagefolder|paygroup|.*(payment|custom)tracking|carriergroupname", "definition", "a list entry"),
)

# Codes that are keys in practice: (table, column) by the column's name in lower case.
TEXT_ALIASES = dict.fromkeys(("proccode", "medicalcode", "substitutioncode"), ("procedurecode", "ProcCode"))

# Names that say nothing of the table they come from; as keys of somebody's own tables they point nowhere.
GENERIC_KEYS = frozenset(
    {"id", "uid", "key", "num", "number", "no", "nr", "code", "name", "guid", "uuid", "rowid", "pk"}
)
