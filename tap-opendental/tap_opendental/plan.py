"""Everything a stream must know of its table; how it was judged is not among it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

# Settings of every SDK tap: https://sdk.meltano.com/en/latest/stream_maps.html
_MAPPING = ("stream_map", "flattening_", "faker_config")

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tap_opendental.drift import Adoption
    from tap_opendental.extraction.lines import Column


@dataclass(frozen=True)
class TablePlan:
    """One table as it is to be read.

    `name` is the stream's, `table` the table's own: they differ where a name is not safe for every target. `columns`
    are in the table's order, secrets left out. `primary_key` are property names, `key` the columns that order pages,
    empty of a table without a key. `cursor` is the column that shows changes, if there is one, and `incremental`
    whether to go by it; an `append_only` table has its growing key there. `saves_often` asks for positions in the
    state at short intervals. `contents` says what each column's values depend on, `adoption` what to do about a moved
    structure. `facts` are those of the whole table (`Table.to_dict()`), columns that are not read included. `misfit`
    says what of tables.yml does not fit, for which the stream is not read.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    key: tuple[str, ...]
    contents: Mapping[str, str]
    adoption: Adoption
    cursor: Column | None = None
    incremental: bool = False
    append_only: bool = False
    cursor_indexed: bool = False
    cursor_in_local_time: bool = False
    saves_often: bool = False
    keyed_by_number: frozenset[str] = field(default_factory=frozenset)
    page_rows: int = 5000
    mean_row_bytes: int = 0
    misfit: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cursor_name(self) -> str | None:
        """The replication key that a catalog may name."""
        return self.cursor.name if self.cursor else None

    def order(self, replication_key: str | None) -> tuple[str, ...]:
        """What a pass by that key goes by, and in which order: it cannot go on by another, or by none."""
        indexed = "by its index" if self.cursor_indexed else "in ranges"
        return (*self.key, *([replication_key, indexed] if replication_key else []))


def identify_maps(config: Mapping[str, Any]) -> str:
    """Sixteen digits that differ when the SDK's stream maps or flattening would make other records of the same rows."""
    settings = {name: value for name, value in config.items() if name.startswith(_MAPPING)}
    return sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def identify_columns(key: Collection[str], contents: Mapping[str, str], form: str) -> str:
    """Sixteen digits that differ when other columns are sent, other values in them, or in another order of pages.

    `form` identifies stream maps and flattening.
    """
    text = json.dumps([[*key], [[*pair] for pair in contents.items()], form])
    return sha256(text.encode()).hexdigest()[:16]
