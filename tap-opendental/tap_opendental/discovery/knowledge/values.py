"""Knowledge as frozen values: no files, no judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tap_opendental.discovery.knowledge.secrecy import GENERIC_NAMES, compact, resembles_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_opendental.discovery.model import Table

Logical = Literal[
    "bool",
    "enum",
    "dotnet_ticks_100ns",
    "time_interval_may_be_negative_or_over_24h",
    "argb_color_int",
]
Role = Literal[
    "people",
    "clinical",
    "scheduling",
    "financial",
    "insurance",
    "communication",
    "office",
    "reference",
    "audit",
    "setup",
    "technical",
]
REVIEWED = "reviewed"
ChangeTracking = Literal["safe_timestamp", "append_only", "none"]
TimeRole = Literal[
    "row_changed_auto",
    "row_inserted_auto_never_updated",
    "app_set_on_insert_editable",
    "event_or_app_set",
]


@dataclass(frozen=True)
class KnownColumn:
    """What the application makes of a column.

    `enum_values` are the names in the order of their declaration; they are published for most enums, not for all.
    `references` are written ``patient.PatNum``, more than one where the application decides by another column.
    `patient_data` holds machine-guessed classes (``name``, ``ssn``, ``freetext`` ...). A `secret` is never to be read.
    """

    name: str
    logical: Logical | None = None
    enum_name: str | None = None
    enum_values: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    patient_data: tuple[str, ...] = ()
    time_role: TimeRole | None = None
    secret: bool = False

    @property
    def is_boolean(self) -> bool:
        """True when the application reads the column as true or false, and as nothing else."""
        return self.logical == "bool"

    @property
    def is_enum(self) -> bool:
        """True when the column holds one of a list: its number, or its name in a text column."""
        return self.logical == "enum"

    @property
    def is_ticks(self) -> bool:
        """True for a duration in .NET ticks of 100 ns."""
        return self.logical == "dotnet_ticks_100ns"

    @property
    def is_interval(self) -> bool:
        """True for a TIME that is a duration: it may be negative or longer than a day."""
        return self.logical == "time_interval_may_be_negative_or_over_24h"

    @property
    def is_colour(self) -> bool:
        """True for a signed ARGB colour."""
        return self.logical == "argb_color_int"


@dataclass(frozen=True)
class KnownTable:
    """A table as it was published: its structure, its columns' meaning, and how its changes show.

    `change_column` is the column that updates itself (`safe_timestamp`) or the primary key (`append_only`).
    `hard_deletes` says that the application has a code path that deletes rows. The typical sizes are one practice's.
    `role` is what the table is for, where a person reviewed it; `core` tables are what a practice lives on.
    """

    table: Table
    columns: Mapping[str, KnownColumn]
    change_tracking: ChangeTracking = "none"
    change_column: str | None = None
    hard_deletes: bool = False
    typical_rows: int | None = None
    typical_megabytes: float | None = None
    role: Role | None = None
    core: bool = False

    def column(self, name: str) -> KnownColumn | None:
        """Find a column; its name may be spelled in any case, as in SQL."""
        return self.columns.get(name) or self._by_lower_name.get(name.lower())

    @cached_property
    def _by_lower_name(self) -> dict[str, KnownColumn]:
        return {name.lower(): column for name, column in self.columns.items()}


@dataclass(frozen=True)
class Knowledge:
    """All that is known of one version; what is not known is None or False, never an error.

    Secrets are the exception: a column that was not reviewed is judged by its name. `tables` is keyed by names in lower
    case, which is how the application creates them.
    """

    version: str
    tables: Mapping[str, KnownTable] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Knowledge:
        """Know nothing: rules are tested with knowledge switched off."""
        return cls(version="none")

    def table(self, name: str) -> KnownTable | None:
        """Find a table in any spelling: MySQL on Windows lower-cases names, other servers keep them."""
        return self.tables.get(name.lower())

    def column(self, table: str, column: str) -> KnownColumn | None:
        """Find a column of a table, both in any spelling."""
        known = self.table(table)
        return known.column(column) if known else None

    def is_secret(self, table: str, column: str) -> bool:
        """True when no pipeline may read the column."""
        return self.why_secret(table, column) is not None

    def why_secret(self, table: str, column: str) -> str | None:
        """Say why no pipeline may read the column: `REVIEWED`, or what its name resembles; None when it may be read."""
        known = self.column(table, column)
        if known is not None:
            return REVIEWED if known.secret else None
        name = column.lower()
        if owner := self._find_owner(table, name):
            return f"named as in {owner}"
        return "looks like a secret" if name not in self._column_names and resembles_secret(column) else None

    def is_boolean(self, table: str, column: str) -> bool:
        """True when the column holds true or false, whatever its width."""
        known = self.column(table, column)
        return known is not None and known.is_boolean

    def patient_data_by_name(self, column: str) -> tuple[str, ...]:
        """Patient-data classes of the known columns of that name, in any spelling; for copies and later versions."""
        return self._patient_data.get(column.lower(), ())

    def secrets(self) -> tuple[tuple[str, str], ...]:
        """List every (table, column) that is never to be read, sorted."""
        return self._secrets

    def _find_owner(self, table: str, name: str) -> str | None:
        """The reviewed table whose secret a column outside the knowledge is named after."""
        owners = self._owners.get(name, [])
        copied = [owner for owner in owners if compact(owner) in compact(table)]
        return next(iter(copied if name in GENERIC_NAMES else copied + owners), None)

    @cached_property
    def _patient_data(self) -> dict[str, tuple[str, ...]]:
        classes: dict[str, set[str]] = {}
        for table in self.tables.values():
            for name, column in table.columns.items():
                classes.setdefault(name.lower(), set()).update(column.patient_data)
        return {name: tuple(sorted(found)) for name, found in classes.items() if found}

    @cached_property
    def _owners(self) -> dict[str, list[str]]:
        owners: dict[str, list[str]] = {}
        for table, column in self._secrets:
            owners.setdefault(column.lower(), []).append(table)
        return owners

    @cached_property
    def _column_names(self) -> frozenset[str]:
        return frozenset(name.lower() for table in self.tables.values() for name in table.columns)

    @cached_property
    def _secrets(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            sorted(
                (name, column.name)
                for name, table in self.tables.items()
                for column in table.columns.values()
                if column.secret
            )
        )
