"""Tables as they are and as they shall be: facts, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field

METADATA = {
    "_sdc_extracted_at": "timestamp without time zone",
    "_sdc_received_at": "timestamp without time zone",
    "_sdc_batched_at": "timestamp without time zone",
    "_sdc_deleted_at": "timestamp without time zone",
    "_sdc_sequence": "bigint",
    "_sdc_table_version": "bigint",
    "_sdc_sync_started_at": "bigint",
}
"""What stock adds to each row, in its order."""
DELETED_AT, TABLE_VERSION = "_sdc_deleted_at", "_sdc_table_version"


@dataclass(frozen=True)
class Column:
    """A column; `kind` is its type in PostgreSQL's own spelling."""

    name: str
    kind: str
    not_null: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class Table:
    """A table that is there. `key` are the columns of its primary key in their order, `constraint` is its name."""

    oid: int
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    constraint: str | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """Type of each column."""
        return {column.name: column.kind for column in self.columns}


@dataclass(frozen=True)
class Wanted:
    """A table as its stream needs it: types of the properties, which are the source's, and the key.

    `metadata` are the `_sdc_` columns behind them. `key` is in the order of the columns, as stock has it.
    """

    source: dict[str, str]
    key: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, str]:
        """Type of each column, in the order of a new table."""
        return self.source | self.metadata
