"""How many rows each table gets: the proportions of one real practice of 35,135 patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tap_opendental.discovery.knowledge import Knowledge, KnownTable

TYPICAL_PATIENTS: Final = 35_135

ALSO_FILLED: Final = {"accountingautopay": 3, "equipment": 40, "files": 12, "hl7msg": 25}
"""Empty in that practice, filled here: a comma list of keys, the latin1 table, the two blobs, large HL7 messages."""

_FEW: Final = 5
_SETUP_TYPICAL: Final = 2_500
_SETUP_KEPT: Final = 300


def rows_per_table(knowledge: Knowledge, patients: int) -> dict[str, int]:
    """Rows of every table, 0 for those that stay empty."""
    rows = {name: _rows(table, patients) for name, table in sorted(knowledge.tables.items())}
    rows |= ALSO_FILLED | {"patient": patients}
    for one_per_patient in ("patientnote", "ehrpatient"):
        rows[one_per_patient] = min(rows[one_per_patient], patients)
    rows["securityloghash"] = min(rows["securityloghash"], rows["securitylog"])
    return rows


def _rows(table: KnownTable, patients: int) -> int:
    typical = table.typical_rows or 0
    scaled = round(typical * patients / TYPICAL_PATIENTS)
    if _is_setup(table):
        return min(typical, max(scaled, _SETUP_KEPT))
    return max(scaled, min(typical, _FEW))


def _is_setup(table: KnownTable) -> bool:
    """A list that an office keeps, whatever its size: definitions, codes, preferences, users."""
    of_patients = any("patient.PatNum" in column.references for column in table.columns.values())
    return not of_patients and (table.typical_rows or 0) <= _SETUP_TYPICAL
