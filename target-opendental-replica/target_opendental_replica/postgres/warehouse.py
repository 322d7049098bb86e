"""The postgresql dialect's public face."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from target_opendental_replica.errors import ConfigError
from target_opendental_replica.postgres.connection import check_tls, connect
from target_opendental_replica.postgres.loader import Run
from target_opendental_replica.postgres.names import check
from target_opendental_replica.postgres.rendering import choose_render
from target_opendental_replica.postgres.session import PostgresSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_opendental_replica.settings import Settings
    from target_opendental_replica.stream_facts import Field


class PostgresWarehouse:
    """A `Warehouse`: the tables that stock target-postgres would make, in one schema of a PostgreSQL database.

    Raises ConfigError for settings that contradict each other, and for files of TLS that do not load.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.hard_delete and not settings.adds_metadata:
            raise ConfigError(
                "hard_delete: false marks rows in _sdc_deleted_at, which add_record_metadata: false forbids"
            )
        check(settings.schema, "setting default_target_schema")
        check_tls(settings.address.tls)
        self._settings, self._run = settings, Run(round(time.time() * 1000))

    def connect(self) -> PostgresSession:
        """Open a session."""
        session = PostgresSession(connect(self._settings), self._settings, self._run)
        try:
            session.prepare()
        except BaseException:
            session.close()
            raise
        return session

    def render(self, field: Field) -> Callable[[object], str]:
        """Return what writes a property's values as CSV fields."""
        return choose_render(field.schema)
