"""Every table of the practice as bytes for LOAD DATA. Pure: a plan in, blocks of rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice import inventions
from opendental_analyze.sandbox.practice.blocks import Plan
from opendental_analyze.sandbox.practice.canaries import CANARY_CELLS, CANARY_KEY, NUL_CELL, NUL_KEYS
from opendental_analyze.sandbox.practice.choice import choose_maker
from opendental_analyze.sandbox.practice.encoding import encode_field, encode_rows
from opendental_analyze.sandbox.practice.makers import planted
from opendental_analyze.sandbox.practice.ratios import rows_per_table
from opendental_analyze.sandbox.practice.relations import RELATIONS
from opendental_analyze.sandbox.practice.setup import NATURAL_KEYS, SETUP, naming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opendental_analyze.sandbox.practice.blocks import Block
    from opendental_analyze.sandbox.practice.makers import Maker
    from tap_opendental.discovery.knowledge import Knowledge, KnownTable

LARGE_TEXTS: Final[Mapping[tuple[str, str], int]] = {
    ("documentmisc", "RawBase64"): 1_000_000,
    ("document", "RawBase64"): 200_000,
    ("document", "Thumbnail"): 40_000,
    ("emailmessage", "RawEmailIn"): 300_000,
    ("etransmessagetext", "MessageText"): 150_000,
    ("hl7msg", "MsgText"): 100_000,
    ("wikipage", "PageContent"): 120_000,
}
"""Characters of the largest values; one such value in every twenty thousand rows."""

_LARGE_EVERY: Final = 20_000
_LARGE_FIRST: Final = 1


def plan_practice(knowledge: Knowledge, *, patients: int, seed: int) -> Plan:
    """Decide how many rows each table gets."""
    return Plan(seed=seed, rows=rows_per_table(knowledge, patients))


def render_block(table: KnownTable, block: Block) -> bytes:
    """The block's rows, in the order of the table's columns."""
    names = table.table.column_names
    return encode_rows([_maker(table, name, block)(block, block.stream(name)) for name in names])


def _maker(table: KnownTable, name: str, block: Block) -> Maker:
    place = (table.table.name, name)
    maker = RELATIONS.get(place) or SETUP.get(place) or _named(table, name) or choose_maker(table, name)
    if place in LARGE_TEXTS:
        maker = planted(maker, _large(block.plan, place), _LARGE_EVERY, _LARGE_FIRST)
    if place == NUL_CELL:
        maker = planted(
            maker, lambda key: encode_field(f"nul \0 at {key}") if key in NUL_KEYS else None, 1, NUL_KEYS[0]
        )
    if place in CANARY_CELLS:
        canary, only = encode_field(CANARY_CELLS[place]), min(CANARY_KEY, block.rows)
        maker = planted(maker, lambda _: canary, block.rows, only)
    return maker


def _named(table: KnownTable, name: str) -> Maker | None:
    references = table.columns[name].references
    target = tuple(references[0].split(".")) if len(references) == 1 else ()
    for place, natural_key in NATURAL_KEYS.items():
        if place == target:
            return naming(place[0], natural_key)
    return None


def _large(plan: Plan, place: tuple[str, str]) -> Callable[[int], str]:
    size = LARGE_TEXTS[place]
    invent = inventions.message if place[1] in {"RawEmailIn", "MessageText", "MsgText"} else inventions.image

    def text(key: int) -> str:
        stream = plan.stream(*place, "large", key)
        return encode_field(invent(stream, size // (1 + key // _LARGE_EVERY % 4)))

    return text
