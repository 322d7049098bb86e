"""Facts about a MySQL or MariaDB schema: frozen values, no judgement, no I/O.

The dictionaries of `to_dict()` are the one structured form of a table: knowledge, sandbox, the Singer SCHEMA message
and the replica's DDL all speak it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_opendental.discovery.structure import hash_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"})


@dataclass(frozen=True)
class Column:
    """One column, in the spelling of MariaDB's information_schema.

    `type` is COLUMN_TYPE (``tinyint(3) unsigned``). `default` is an SQL expression as text (``'0001-01-01'`` with its
    quotes, ``0``, ``current_timestamp()``, ``NULL``), or None when there is no default at all. `collation` is set only
    where it differs from the table's.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    on_update: str | None = None
    auto_increment: bool = False
    collation: str | None = None
    generated: str | None = None

    @property
    def base_type(self) -> str:
        """The bare type word: ``tinyint`` of ``tinyint(3) unsigned``."""
        return re.split(r"[\s(]", self.type, maxsplit=1)[0].lower()

    @property
    def unsigned(self) -> bool:
        """True for ``... unsigned``."""
        return "unsigned" in self.type.lower().rpartition(")")[2]

    @property
    def is_text(self) -> bool:
        """True for the types that have a character set."""
        return self.base_type in _TEXT

    @property
    def updates_itself(self) -> bool:
        """True when the server moves the column on every write (``on update current_timestamp``)."""
        return self.on_update is not None


@dataclass(frozen=True)
class IndexColumn:
    """A column of an index; `length` is the prefix in characters, None for the whole column."""

    name: str
    length: int | None = None
    descending: bool = False


@dataclass(frozen=True)
class Index:
    """A secondary index. `kind` is BTREE, HASH, FULLTEXT or SPATIAL."""

    name: str
    columns: tuple[IndexColumn, ...]
    unique: bool = False
    kind: str = "BTREE"


@dataclass(frozen=True)
class Table:
    """The structure of one base table."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    engine: str = "MyISAM"
    collation: str = "utf8mb3_general_ci"

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names in the table's order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def schema_hash(self) -> str:
        """Sha256 of the structure: the same on every server, machine and run (`structure` says what counts)."""
        return hash_structure(self)

    @property
    def charset(self) -> str:
        """The character set of new text columns: what stands before the first underscore of the collation."""
        return self.collation.partition("_")[0]

    def column(self, name: str) -> Column:
        """Return the column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Table:
        """Build a table from `to_dict()`'s shape; missing keys take the defaults of the classes above."""
        return cls(
            name=facts["name"],
            columns=tuple(Column(**column) for column in facts["columns"]),
            primary_key=tuple(facts.get("primary_key", ())),
            indexes=tuple(_index(index) for index in facts.get("indexes", ())),
            engine=facts.get("engine", "MyISAM"),
            collation=facts.get("collation", "utf8mb3_general_ci"),
        )


def _index(facts: Mapping[str, Any]) -> Index:
    columns = tuple(IndexColumn(**column) for column in facts["columns"])
    return Index(**{**facts, "columns": columns})


@dataclass(frozen=True)
class TableSize:
    """What information_schema says of a table's size; `rows` is exact on MyISAM and an estimate elsewhere."""

    rows: int
    data_bytes: int
    index_bytes: int
    exact: bool

    @property
    def megabytes(self) -> float:
        """Data and indexes, in MB of 1,048,576 bytes."""
        return (self.data_bytes + self.index_bytes) / 1_048_576


@dataclass(frozen=True)
class Server:
    """Which server answered: `flavour` is ``mariadb`` or ``mysql``."""

    version: str
    flavour: str
