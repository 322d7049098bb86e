"""The target as it must not be, for the tests' control: `hasty-target` sends STATE before the rows are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_opendental_replica import target

if TYPE_CHECKING:
    from collections.abc import Mapping

_commit_first = target.TargetOpenDentalReplica._process_state_message


def main() -> None:
    """Run the target, spoilt."""
    target.TargetOpenDentalReplica._process_state_message = _send_first
    target.main()


def _send_first(self: target.TargetOpenDentalReplica, message_dict: Mapping[str, Any]) -> None:
    self._write_state(message_dict["value"])
    _commit_first(self, dict(message_dict))
