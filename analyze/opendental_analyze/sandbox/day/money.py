"""The day's work with money: estimates, payments and how they are split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.day.visitors import log
from opendental_analyze.sandbox.day.writer import NOW, TODAY, Sql

if TYPE_CHECKING:
    from opendental_analyze.sandbox.day.writer import Writer

PAYMENTS: Final = 3
ESTIMATES: Final = 8

_ESTIMATE = 6
_PAYMENT_CREATED = 15


def change_estimates(writer: Writer) -> None:
    """The insurance estimates of claims to come are recalculated in place."""
    keys = writer.choose("claimproc", ESTIMATES, f"`Status` = {_ESTIMATE}")
    writer.update("claimproc", keys, {"InsPayEst": Sql("`InsPayEst` + 10.25"), "WriteOff": Sql("`WriteOff` + 0.1")})


def take_payments(writer: Writer) -> None:
    """Payments of today, each split between two procedures; the last payment's second split is taken back."""
    splits: list[int] = []
    for patient in writer.choose("patient", PAYMENTS):
        amount = (1 + writer.draw(30_000)) / 100
        (payment,) = writer.insert(
            "payment",
            [{"PatNum": patient, "PayDate": TODAY, "PayAmt": amount, "DateEntry": TODAY, "PayNote": "zyx card"}],
        )
        half = {"PayNum": payment, "PatNum": patient, "DatePay": TODAY, "DateEntry": TODAY, "SecUserNumEntry": 1}
        splits = writer.insert(
            "paysplit",
            [{**half, "SplitAmt": amount / 3, "ProcNum": 1}, {**half, "SplitAmt": amount * 2 / 3, "ProcNum": 2}],
        )
        log(writer, _PAYMENT_CREATED, [patient])
    writer.delete("paysplit", splits[1:])
    writer.insert("adjustment", [{"PatNum": 1, "AdjDate": TODAY, "AdjAmt": -0.1, "DateEntry": TODAY, "AdjNote": "zyx"}])
    writer.insert("claimtracking", [{"ClaimNum": 1, "TrackingType": "ClaimUser", "Note": "zyx", "UserNum": 1}])
    writer.insert("insverifyhist", [{"VerifyUserNum": 1, "DateTimeEntry": NOW, "Note": "zyx verified"}])
