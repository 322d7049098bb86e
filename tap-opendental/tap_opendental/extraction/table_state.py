"""A table as a whole at a moment: whether its rows changed since, and whether they went back (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# UPDATE_TIME has seconds, and a second may see more edits after it was read.
_SETTLED = timedelta(seconds=2)


@dataclass(frozen=True)
class TableState:
    """A table at a moment: times as the server's text in UTC, `rows` exact on MyISAM and an estimate elsewhere."""

    engine: str
    created: str | None
    updated: str | None
    rows: int
    data_bytes: int
    auto_increment: int | None
    read_at: str

    @property
    def fingerprint(self) -> str | None:
        """Text that differs whenever a row changed since; None where that cannot be told.

        Only MyISAM keeps UPDATE_TIME: InnoDB forgets it at a restart. It must lie two seconds back, since an edit in
        its own second would not move it.
        """
        if self.engine != "MyISAM" or self.updated is None:
            return None
        if datetime.fromisoformat(self.read_at) - datetime.fromisoformat(self.updated) < _SETTLED:
            return None
        return f"{self.updated} {self.created} {self.rows} {self.data_bytes} {self.auto_increment or 0}"

    def to_state(self) -> dict[str, Any]:
        """Plain JSON types, of what a later run compares with."""
        return {name: value for name, value in asdict(self).items() if name in _REMEMBERED}

    def went_back(self, before: Mapping[str, Any]) -> str | None:
        """Say in which way the table is older than it was (`before` is `to_state`'s), as after a restored backup."""
        counter = before.get("auto_increment")
        if isinstance(counter, int) and self.auto_increment is not None and self.auto_increment < counter:
            return "went back in AUTO_INCREMENT"
        for name, label in (("created", "CREATE_TIME"), ("updated", "UPDATE_TIME")):
            then, now = before.get(name), getattr(self, name)
            # InnoDB's UPDATE_TIME is lost at a restart, and then says nothing
            if isinstance(then, str) and now is not None and now < then and (name == "created" or self.is_myisam):
                return f"went back in {label}"
        return None

    @property
    def is_myisam(self) -> bool:
        """True where UPDATE_TIME can be believed."""
        return self.engine == "MyISAM"


_REMEMBERED = frozenset({"created", "updated", "auto_increment"})
