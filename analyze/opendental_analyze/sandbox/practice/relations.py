"""Columns whose values must agree with other tables: who was treated when, what was billed, who paid.

The unit is the visit: four procedures of one patient on one day. All else is arithmetic on keys, so that two tables
agree without either being looked at: procedure 4v+1 to 4v+4 belong to visit v; appointments, claims and payments lie
evenly over the visits; the patient of a visit follows from its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice import history, nasty
from opendental_analyze.sandbox.practice.makers import by_key, constant, own_key, sprinkled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random
    from typing import TypeAlias

    from opendental_analyze.sandbox.practice.blocks import Block, Fields, Plan
    from opendental_analyze.sandbox.practice.makers import Maker

    VisitOf: TypeAlias = Callable[[Block, int], int]

PROCEDURES_PER_VISIT: Final = 4
_FAMILY: Final = 3
_STEP: Final = 7_919  # a prime: visits of one patient lie apart in time
_STATUS: Final = ("2",) * 11 + ("1",) * 5 + ("3", "4", "5", "6")
"""ProcStatus: complete, treatment planned, existing with us and elsewhere, referred, deleted."""
_AMOUNTS: Final = ("112.4", "79.95", "25", "1015.25", "50.5", "19.99", "130", "0.30000000000000004")


def visits(plan: Plan) -> int:
    """How many visits there were."""
    return max(plan.rows["procedurelog"] // PROCEDURES_PER_VISIT, 1)


def patient_of_visit(plan: Plan, visit: int) -> int:
    """Who came."""
    return 1 + visit * _STEP % plan.rows["patient"]


def status_of_procedure(key: int) -> str:
    """What became of a procedure."""
    return _STATUS[key * _STEP % 101 % len(_STATUS)]


def _procedure(block: Block, key: int) -> int:
    return min((key - 1) // PROCEDURES_PER_VISIT, visits(block.plan) - 1)


def _spread(block: Block, key: int) -> int:
    """Rows of the table lie evenly over the visits."""
    return (key - 1) * visits(block.plan) // block.rows


def _of_parent(parent: str) -> VisitOf:
    """Rows lie evenly over the rows of a parent table, which lie evenly over the visits."""

    def visit(block: Block, key: int) -> int:
        plan = block.plan
        return (_parent_key(block, parent, key) - 1) * visits(plan) // plan.rows[parent]

    return visit


def _parent_key(block: Block, parent: str, key: int) -> int:
    return 1 + (key - 1) * block.plan.rows[parent] // block.rows


def _child_of(parent: str) -> Maker:
    """Keys of the parent table, each several times and in order."""

    def make(block: Block, _: Random) -> Fields:
        parents, rows = block.plan.rows[parent], block.rows
        return [str(1 + (key - 1) * parents // rows) for key in block.keys]

    return make


def _patient(visit_of: VisitOf) -> Maker:
    def make(block: Block, _: Random) -> Fields:
        plan = block.plan
        return [str(patient_of_visit(plan, visit_of(block, key))) for key in block.keys]

    return make


def _day(visit_of: VisitOf) -> Maker:
    def make(block: Block, _: Random) -> Fields:
        count = visits(block.plan)
        return [history.day_at((visit_of(block, key) + 1) * history.INSTANTS // count - 1) for key in block.keys]

    return make


def _procedure_of_visit(visit_of: VisitOf) -> Maker:
    def make(block: Block, _: Random) -> Fields:
        last = block.plan.rows["procedurelog"]
        keys = (PROCEDURES_PER_VISIT * visit_of(block, key) + 1 + key % PROCEDURES_PER_VISIT for key in block.keys)
        return [str(min(key, last)) for key in keys]

    return make


def _appointment_of_procedure(block: Block, _: Random) -> Fields:
    """The appointment of the visit, 0 where the visit had none."""
    count, appointments = visits(block.plan), block.plan.rows["appointment"]
    found = []
    for key in block.keys:
        visit = _procedure(block, key)
        nearest = -(-visit * appointments // count)
        found.append(str(nearest + 1) if nearest < appointments and nearest * count // appointments == visit else "0")
    return found


def _day_if(statuses: str, otherwise: str) -> Maker:
    """The procedure's day, where its status is one of these."""
    days = _day(_procedure)

    def make(block: Block, random: Random) -> Fields:
        pairs = zip(block.keys, days(block, random), strict=True)
        return [day if status_of_procedure(key) in statuses else otherwise for key, day in pairs]

    return make


def _appointment_time(block: Block, _: Random) -> Fields:
    """In the past for most, in the future for the last ones made."""
    count, rows, future = visits(block.plan), block.rows, history.FUTURE_DAYS
    moments = []
    for key in block.keys:
        if 100 * key > 97 * rows:
            moments.append(future[key * 31 % len(future)] + history.CLOCK[key * 900 % 36_000])
        else:
            moments.append(history.moment_at((_spread(block, key) + 1) * history.INSTANTS // count - 1))
    return moments


def _appointment_status(block: Block, _: Random) -> Fields:
    """Complete in the past, scheduled in the future, a few broken or on the unscheduled list."""
    rows = block.rows
    past = ("2", "2", "2", "2", "2", "5", "3")
    return ["1" if 100 * key > 97 * rows else past[key % len(past)] for key in block.keys]


def _task_object(key: int) -> int:
    return key % 3


def _task_key(block: Block, _: Random) -> Fields:
    """Nothing, a patient or an appointment, as the type of the task's object says."""
    sizes = (0, block.plan.rows["patient"], block.plan.rows["appointment"])
    return [str(1 + key * 13 % size if (size := sizes[_task_object(key)]) else 0) for key in block.keys]


_SPLIT: Final = _of_parent("payment")
_BILLED: Final = _of_parent("claim")

RELATIONS: Final[Mapping[tuple[str, str], Maker]] = {
    ("patient", "Guarantor"): by_key(lambda key: key - (key - 1) % _FAMILY),
    ("patient", "ResponsParty"): constant("0"),
    ("patient", "SuperFamily"): by_key(lambda key: 1 if key % 17 == 0 else 0),
    ("patient", "PatStatus"): by_key(lambda key: (0, 0, 0, 0, 0, 0, 0, 2, 3, 5)[key % 10]),
    ("patient", "ChartNumber"): by_key(lambda key: f"ZX{key:06}" if key % 5 == 0 else ""),
    ("patient", "PatNumCloneFrom"): constant("0"),
    ("procedurelog", "PatNum"): _patient(_procedure),
    ("procedurelog", "AptNum"): _appointment_of_procedure,
    ("procedurelog", "PlannedAptNum"): constant("0"),
    ("procedurelog", "ProcStatus"): by_key(status_of_procedure),
    ("procedurelog", "ProcDate"): sprinkled(_day(_procedure), "ProcDate", nasty.DATES),
    ("procedurelog", "DateComplete"): _day_if("2", history.NO_DATE),
    ("procedurelog", "DateTP"): _day_if("12", history.NO_DATE),
    ("procedurelog", "ProcFee"): by_key(lambda key: _AMOUNTS[key * 31 % 97 % len(_AMOUNTS)]),
    ("procedurelog", "ProcNumLab"): constant("0"),
    ("procnote", "ProcNum"): _child_of("procedurelog"),
    ("procnote", "PatNum"): _patient(lambda block, key: _procedure(block, _parent_key(block, "procedurelog", key))),
    ("appointment", "PatNum"): _patient(_spread),
    ("appointment", "AptDateTime"): _appointment_time,
    ("appointment", "AptStatus"): _appointment_status,
    ("appointment", "NextAptNum"): constant("0"),
    ("claim", "PatNum"): _patient(_spread),
    ("claim", "DateService"): _day(_spread),
    ("claim", "ClaimStatus"): by_key(lambda key: "RRRRSSWUH"[key % 9]),
    ("claim", "ClaimType"): by_key(lambda key: ("P", "P", "P", "S", "PreAuth", "Other", "Cap")[key % 7]),
    ("claimproc", "ClaimNum"): _child_of("claim"),
    ("claimproc", "PatNum"): _patient(_BILLED),
    ("claimproc", "ProcNum"): _procedure_of_visit(_BILLED),
    ("claimproc", "ProcDate"): _day(_BILLED),
    ("claimproc", "Status"): by_key(lambda key: (1, 1, 1, 0, 0, 6, 4)[key % 7]),
    ("claimproc", "InsPayEst"): by_key(lambda key: _AMOUNTS[key * 17 % 89 % len(_AMOUNTS)]),
    ("adjustment", "PatNum"): _patient(_spread),
    ("adjustment", "ProcNum"): _procedure_of_visit(_spread),
    ("payment", "PatNum"): _patient(_spread),
    ("payment", "PayDate"): _day(_spread),
    ("paysplit", "PayNum"): _child_of("payment"),
    ("paysplit", "PatNum"): _patient(_SPLIT),
    ("paysplit", "ProcNum"): _procedure_of_visit(_SPLIT),
    ("paysplit", "DatePay"): sprinkled(_day(_SPLIT), "DatePay", nasty.DATES),
    ("securityloghash", "SecurityLogNum"): own_key,
    ("sheetfield", "SheetNum"): _child_of("sheet"),
    ("periomeasure", "PerioExamNum"): _child_of("perioexam"),
    ("periomeasure", "IntTooth"): by_key(lambda key: 1 + key % 32),
    ("scheduleop", "ScheduleNum"): _child_of("schedule"),
    ("task", "ObjectType"): by_key(_task_object),
    ("task", "KeyNum"): _task_key,
}
