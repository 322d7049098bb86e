"""The synthetic practice: a plan (how many rows), content (every byte of them), and the load.

`fill_practice` is the only function that needs a server. What it loads depends on the seed and the number of patients
and on nothing else: no clock, no machine, no hash seed, no Python version.
"""

from opendental_analyze.sandbox.practice.canaries import (
    CANARIES,
    CANARY_CELLS,
    CANARY_KEY,
    CANARY_NAME,
    CANARY_SSN,
    NUL_CELL,
    NUL_KEYS,
    SECRET_CANARIES,
)
from opendental_analyze.sandbox.practice.content import plan_practice, render_block
from opendental_analyze.sandbox.practice.history import HISTORY_END
from opendental_analyze.sandbox.practice.load import PracticeError, fill_practice

__all__ = [
    "CANARIES",
    "CANARY_CELLS",
    "CANARY_KEY",
    "CANARY_NAME",
    "CANARY_SSN",
    "HISTORY_END",
    "NUL_CELL",
    "NUL_KEYS",
    "SECRET_CANARIES",
    "PracticeError",
    "fill_practice",
    "plan_practice",
    "render_block",
]
