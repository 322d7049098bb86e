"""A table as a whole at a moment: whether its rows changed since, and whether they went back (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# UPDATE_TIME has seconds, and a second may see more edits after it was read.
_SETTLED = timedelta(seconds=2)
# Below this, two clocks that are kept right may differ from one night to the next; the overlap is far longer.
_STEADY_SECONDS = 60


@dataclass(frozen=True)
class Looks:
    """What a state remembers of a table: times as the server's text in UTC.

    `lead` is by how many seconds the server's clock was ahead of ours.
    """

    created: str | None = None
    updated: str | None = None
    auto_increment: int | None = None
    lead: int | None = None

    def to_state(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_state(cls, value: Mapping[str, Any]) -> Looks:
        """Read what `to_state` wrote; KeyError or TypeError of anything else."""
        return cls(
            _text(value["created"]), _text(value["updated"]), _number(value["auto_increment"]), _number(value["lead"])
        )


def _text(value: object) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError(type(value).__name__)
    return value


def _number(value: object) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError(type(value).__name__)
    return value


@dataclass(frozen=True)
class TableState:
    """A table at a moment: times as the server's text in UTC, `rows` exact on MyISAM and an estimate elsewhere.

    `lead` is by how many seconds the server's clock is ahead of ours.
    """

    engine: str
    created: str | None
    updated: str | None
    rows: int
    data_bytes: int
    auto_increment: int | None
    read_at: str
    lead: int = 0

    @property
    def fingerprint(self) -> str | None:
        """Text that differs whenever a row changed since; None where that cannot be told.

        Only MyISAM keeps UPDATE_TIME: InnoDB forgets it at a restart. It must lie two seconds back, since an edit in
        its own second would not move it.
        """
        if not self.is_myisam or self.updated is None:
            return None
        if datetime.fromisoformat(self.read_at) - datetime.fromisoformat(self.updated) < _SETTLED:
            return None
        return f"{self.updated} {self.created} {self.rows} {self.data_bytes} {self.auto_increment or 0}"

    def look_like(self, before: Looks | None) -> Looks:
        """What a later run compares with.

        A lead that is about what it was stays what it was, so that a clock that loses seconds every night is noticed
        once they are a minute.
        """
        lead = self.lead
        if before is not None and before.lead is not None and abs(before.lead - lead) <= _STEADY_SECONDS:
            lead = before.lead
        return Looks(self.created, self.updated, self.auto_increment, lead)

    def went_back(self, before: Looks | None) -> str | None:
        """Say in which way the table is older than it was, as after a restored backup; or None."""
        if before is None:
            return None
        if _is_less(self.auto_increment, before.auto_increment):
            return "went back in AUTO_INCREMENT"
        if _is_less(self.created, before.created):
            return "went back in CREATE_TIME"
        # InnoDB's UPDATE_TIME is lost at a restart, and then says nothing
        return "went back in UPDATE_TIME" if self.is_myisam and _is_less(self.updated, before.updated) else None

    def count_set_back(self, before: Looks | None) -> int:
        """Seconds by which the server's clock was set back since, as seen from ours; 0 where it was not.

        Rows that changed meanwhile carry times before the bookmark. Our own clock may be the one that moved: then
        some rows are read once more.
        """
        if before is None or before.lead is None or before.lead - self.lead <= _STEADY_SECONDS:
            return 0
        return before.lead - self.lead

    @property
    def is_myisam(self) -> bool:
        """True where UPDATE_TIME can be believed."""
        return self.engine == "MyISAM"


def _is_less(now: Any, then: Any) -> bool:  # noqa: ANN401 - two numbers, or two times as text
    return now is not None and then is not None and now < then
