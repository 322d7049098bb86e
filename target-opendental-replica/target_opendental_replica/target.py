"""The Singer target: settings so far. Loading comes with the sink; until then a run refuses to pretend."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, NoReturn

from singer_sdk import Target
from singer_sdk import typing as th

from target_opendental_replica.errors import ReplicaError

PROPERTIES = th.PropertiesList(
    th.Property("host", th.StringType, required=True, description="Host name or address of the replica's server."),
    th.Property("port", th.IntegerType(minimum=1, maximum=65535), default=3306, description="TCP port of the server."),
    th.Property("user", th.StringType, required=True, description="Owner of the replica's database."),
    th.Property("password", th.StringType, required=True, secret=True, description="That user's password."),
    th.Property("database", th.StringType, default="opendental_replica", description="Name of the replica's database."),
)


class TargetOpenDentalReplica(Target):
    """Writes an exact MySQL replica of an Open Dental database. This version describes itself; it does not load yet."""

    name = "target-opendental-replica"
    config_jsonschema: ClassVar[dict[str, Any]] = PROPERTIES.to_dict()

    def listen(self, *_args: object) -> NoReturn:  # type: ignore[misc]  # marked final, yet where a stream begins
        """Refuse to consume a stream: rows that are read and not written would be lost behind the bookmark."""
        raise ReplicaError("this version does not load yet: use target-postgres")


def main() -> None:
    """Run the command line; our own errors end in one line on stderr and the exit code of their kind."""
    try:
        TargetOpenDentalReplica.cli()
    except ReplicaError as error:
        sys.stderr.write(f"{TargetOpenDentalReplica.name}: error: {error}\n")
        sys.exit(error.exit_code)
