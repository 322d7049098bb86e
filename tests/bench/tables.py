"""The tables that are measured: Open Dental's own, multiplied from the sandbox's practice to any number of rows.

Every row of a table gets a new key, 1 to the number of rows, and the values of a row of the practice. What the practice
fills to the brim to try hard values is cut back to what a clinic writes: nine of ten free codes and notes are empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opendental_analyze.sandbox.addresses import SOURCE
from opendental_analyze.sandbox.databases import run
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

# 45 of the 67 columns of procedurelog: every kind of type that it has (bigint, varchar, char, date, double, tinyint,
# int, time, timestamp, float, datetime), the key and the column that shows changes among them.
PROCEDURELOG_45 = (
    "ProcNum", "PatNum", "AptNum", "OldCode", "ProcDate", "ProcFee", "Surf", "ToothNum", "ToothRange", "Priority",
    "ProcStatus", "ProvNum", "Dx", "PlannedAptNum", "PlaceService", "Prosthesis", "DateOriginalProsth", "ClaimNote",
    "DateEntryC", "ClinicNum", "MedicalCode", "DiagnosticCode", "IsPrincDiag", "ProcNumLab", "BillingTypeOne",
    "BillingTypeTwo", "CodeNum", "CodeMod1", "CodeMod2", "CodeMod3", "CodeMod4", "RevCode", "UnitQty", "BaseUnits",
    "StartTime", "StopTime", "DateTP", "SiteNum", "HideGraphics", "ProcTime", "ProcTimeEnd", "DateTStamp", "DrugQty",
    "Discount", "SecDateEntry",
)  # fmt: skip

SELDOM = "IF(s.seq % 10 = 0, {}, '')"
# An X12 message: segments of 27 to 40 characters, one a line, as clearinghouses send them. 1 to 4 KB of them; one
# message in 20,000 has some MB, as a batch of remittances has.
SEGMENT = r"CONCAT('CLP*', s.seq, '*1*', s.seq % 997, '.50*120.00*35.5~\r\nNM1*QC*1*DOE \"J\\R\"~\n')"
LONG_ONE = 20_000
MESSAGE = f"REPEAT({SEGMENT}, IF(s.seq % {LONG_ONE} = 0, 20000 + 20000 * (s.seq DIV {LONG_ONE} % 4), 15 + s.seq % 40))"


@dataclass(frozen=True, eq=False)
class Shape:
    """A table to measure: whose rows it multiplies, which columns it keeps (none named: all), how values are cut."""

    name: str
    of: str
    key: str
    columns: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


_PROCEDURE = {
    name: SELDOM.format(f"p.{name}")
    for name in (
        "ToothRange", "ClaimNote", "MedicalCode", "CodeMod1", "CodeMod2", "CodeMod3", "CodeMod4", "RevCode",
        "CanadianTypeCodes", "BillingNote", "SnomedBodySite", "DiagnosticCode2", "DiagnosticCode3", "DiagnosticCode4",
    )
}  # fmt: skip
_PATIENT = {
    name: SELDOM.format(f"p.{name}")
    for name in ("AddrNote", "FamFinUrgNote", "MedUrgNote", "ApptModNote", "EmploymentNote", "TrophyFolder", "Ward")
}

PROCEDURES_CUT = Shape("procedurelog_45", "procedurelog", "ProcNum", PROCEDURELOG_45, _PROCEDURE)
PROCEDURES = Shape("procedurelog", "procedurelog", "ProcNum", values=_PROCEDURE)
PATIENTS = Shape("patient", "patient", "PatNum", values=_PATIENT)
AUDIT = Shape("securitylog", "securitylog", "SecurityLogNum")
MESSAGES = Shape("etransmessagetext", "etransmessagetext", "EtransMessageTextNum", values={"MessageText": MESSAGE})

SHAPES = (PROCEDURES_CUT, PROCEDURES, PATIENTS, AUDIT, MESSAGES)


def fill_table(admin: Engine, shape: Shape, rows: int, *, name: str | None = None) -> None:
    """Create a MyISAM table in the engine's own database and fill it, its indexes last."""
    table = quote(name or shape.name)
    with admin.connect() as connection:
        columns = shape.columns or _read_columns(connection, shape.of)
        values = ", ".join(_value(shape, column) for column in columns)
        dropped = ", ".join(
            f"DROP {quote(gone)}" for gone in _read_columns(connection, shape.of) if gone not in columns
        )
        parents = connection.exec_driver_sql(f"SELECT COUNT(*) FROM {quote(SOURCE)}.{quote(shape.of)}").scalar_one()
    numbers = (
        f"seq_1_to_{max(rows, 1)} s STRAIGHT_JOIN {quote(SOURCE)}.{quote(shape.of)} p "
        f"ON p.{quote(shape.key)} = 1 + s.seq % {parents}"
    )
    run(
        admin,
        (
            "SET SESSION sql_mode = '', time_zone = '+00:00', myisam_sort_buffer_size = 268435456",
            f"CREATE TABLE {table} LIKE {quote(SOURCE)}.{quote(shape.of)}",
            *([f"ALTER TABLE {table} {dropped}"] if dropped else []),
            f"ALTER TABLE {table} DISABLE KEYS",
            f"INSERT INTO {table} ({', '.join(map(quote, columns))}) SELECT {values} FROM {numbers} LIMIT {rows}",
            f"ALTER TABLE {table} ENABLE KEYS",
        ),
    )


def _value(shape: Shape, column: str) -> str:
    return "s.seq" if column == shape.key else shape.values.get(column, f"p.{quote(column)}")


def _read_columns(connection: Connection, table: str) -> tuple[str, ...]:
    described = connection.execution_options(no_parameters=True).exec_driver_sql(
        f"SHOW COLUMNS FROM {quote(SOURCE)}.{quote(table)}"
    )
    return tuple(row[0] for row in described)
