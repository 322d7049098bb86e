"""Which version of a table is which: the one that it holds, the one that is gathered, those that were replaced (pure).

A version is a number that a tap gives to all rows of one reading of a whole table. Taps make it of their clock: in
seconds, in milliseconds, or by one that was set back since. So of two versions neither is the newer one by its number:
what counts is what was here before. Whatever was not is new, and is gathered apart until it is activated.

What must not be gathered, since not all rows of it will come:

- The active version: its rows are merged, and activating it again changes nothing.
- One that was replaced here: an old state goes on with it. Its rows are as the source has them now, and are merged; it
  replaces nothing, which is told in one line.
- One that a tap goes on with behind rows that are not here. If it is older than the active version, that one was read
  later and holds them: the same as one that was replaced. Otherwise the stream is refused. Here numbers are compared,
  those of one clock: where a version begins below the active one, that one's number is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from target_opendental_replica.errors import MissingRowsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_opendental_replica.stream_facts import StreamFacts

# A month of nights; a state that is older than that many whole readings is refused, or taken for a new one's.
_REMEMBERED = 30


@dataclass(frozen=True)
class Versions:
    """Of a stream: the version that its table holds, the one that is being gathered, those of before, oldest first.

    `active` is None where no version was activated, or nothing is to be compared with it any more.
    """

    active: int | None = None
    gathered: int | None = None
    replaced: tuple[int, ...] = ()

    def is_new(self, version: int | None) -> bool:
        """True for a version whose rows are to be gathered apart."""
        return version is not None and version != self.active and version not in self.replaced

    def gather(self, version: int) -> Versions:
        """Begin to gather a version, in the place of any other."""
        if self.active is None or version > self.active:
            return replace(self, gathered=version)
        return Versions(None, version, self._remember(self.active))

    def activate(self, version: int) -> Versions:
        """Make a version the table's."""
        return Versions(version, None, self.replaced if self.active is None else self._remember(self.active))

    def go_on_with(self, version: int | None) -> Versions | None:
        """Let a run go on with a version of which rows went out before; None where they are not here."""
        if not self.is_new(version) or version is None or version == self.gathered:
            return self
        if self.active is None or version > self.active:
            return None
        return replace(self, replaced=self._remember(version))

    def _remember(self, version: int) -> tuple[int, ...]:
        return (*self.replaced, version)[-_REMEMBERED:]


@dataclass(frozen=True)
class RunVersions:
    """What the sessions of one run know of versions, by stream.

    `gathering` are those of which this run has committed rows and which it has not activated. `told` are those of
    which was told that they replace nothing.
    """

    gathering: dict[str, int] = field(default_factory=dict)
    told: set[tuple[str, int]] = field(default_factory=set)

    def note(self, stream: str, version: int | None) -> None:
        """Remember what is being gathered of a stream by this run, now that it is committed; None for nothing."""
        if version is None:
            self.gathering.pop(stream, None)
        else:
            self.gathering[stream] = version

    def go_on(self, facts: StreamFacts, versions: Versions) -> Versions:
        """Let a stream go on with its version: that of the tap's start, or the one that this run itself has begun.

        Raises MissingRowsError where its first rows are not gathered here, or those of another one are: whoever writes
        the stream while its lock is free, or a connection is lost, may have begun another one.
        """
        version = self.gathering.get(facts.stream, facts.start.version if facts.start else None)
        gone_on = versions.go_on_with(version)
        if gone_on is None:
            raise MissingRowsError(
                f"stream {facts.stream}: the tap goes on with version {version}, whose first rows are not here: they "
                "were loaded elsewhere, lost with a restored database, or dropped for those of another job's version"
            )
        return gone_on

    def is_new(self, stream: str, version: int, versions: Versions, notify: Callable[[str], None]) -> bool:
        """True for a version that is to be gathered; of one that was replaced here that is told once."""
        if version in versions.replaced and (told := self.tell_replaced(stream, version)):
            notify(told)
        return versions.is_new(version)

    def tell_replaced(self, stream: str, version: int) -> str | None:
        """Return what to tell of rows of a version that was replaced here; None where it was told."""
        if (stream, version) in self.told:
            return None
        self.told.add((stream, version))
        return f"version {version} was replaced here by a later one: its rows are merged, and no row is deleted for it"
