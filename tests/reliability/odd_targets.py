"""The target as it must not be, for tests' controls: `hasty-target` sends STATE first, and dies before it commits."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from target_opendental_replica import target

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Run the target, spoilt."""
    target.TargetOpenDentalReplica._process_state_message = _send_first
    target.TargetOpenDentalReplica.process_endofpipe = _die
    target.main()


def _send_first(self: target.TargetOpenDentalReplica, message_dict: Mapping[str, Any]) -> None:
    self._write_state(message_dict["value"])


def _die(_self: target.TargetOpenDentalReplica) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
