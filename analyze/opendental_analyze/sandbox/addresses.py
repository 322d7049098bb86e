"""Who connects where: the databases and users of a sandbox, as SQLAlchemy URLs and as settings of the plugins."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sqlalchemy import URL

from opendental_analyze.sandbox.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opendental_analyze.sandbox.state import State

SOURCE, REPLICA, ANALYTICS, MELTANO = "opendental", "opendental_replica", "opendental_analytics", "meltano"
ROOT, READER, ADMIN, REPLICA_OWNER, ANALYTICS_OWNER, MELTANO_OWNER = (
    "sandbox_root", "opendental_reader", "opendental_admin", "replica_owner", "analytics_owner", "meltano",
)  # fmt: skip
SCHEMAS = ("raw", "staging", "intermediate", "marts")


def mariadb_url(state: State, user: str, database: str | None) -> URL:
    """A user's way into a MariaDB database of this sandbox."""
    return _url(
        "mysql+pymysql", user, state.passwords[f"mariadb:{user}"], state.mariadb.port, database
    ).update_query_dict({"charset": "utf8mb4"})


def postgres_url(state: State, user: str, database: str) -> URL:
    """A user's way into a PostgreSQL database of this sandbox."""
    return _url("postgresql+psycopg", user, state.passwords[f"postgres:{user}"], state.postgres.port, database)


def render_environment(state: State) -> dict[str, str]:
    """Every setting that the plugins, dbt or a person needs to reach this sandbox."""
    tap = mariadb_url(state, READER, SOURCE)
    replica = mariadb_url(state, REPLICA_OWNER, REPLICA)
    analytics = postgres_url(state, ANALYTICS_OWNER, ANALYTICS)
    return {
        **_settings("TAP_OPENDENTAL", tap),
        **_settings("TARGET_OPENDENTAL_REPLICA", replica),
        **_settings("TARGET_POSTGRES", analytics),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": SCHEMAS[0],
        "OPENDENTAL_SOURCE_URL": render_url(tap),
        "OPENDENTAL_SOURCE_ADMIN_URL": render_url(mariadb_url(state, ADMIN, SOURCE)),
        "OPENDENTAL_REPLICA_URL": render_url(replica),
        "OPENDENTAL_ANALYTICS_URL": render_url(analytics),
        "MELTANO_DATABASE_URI": render_url(postgres_url(state, MELTANO_OWNER, MELTANO)),
    }


def render_exports(environment: Mapping[str, str]) -> str:
    """`export` lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def render_dotenv(environment: Mapping[str, str]) -> str:
    """Lines of a `.env` file."""
    return "\n".join(f"{name}='{_dotenv(value)}'" for name, value in environment.items())


def _url(driver: str, user: str, password: str, port: int, database: str | None) -> URL:
    return URL.create(driver, username=user, password=password, host=LOOPBACK, port=port, database=database)


def _settings(prefix: str, url: URL) -> dict[str, str]:
    values = {
        "HOST": url.host,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": url.password,
        "DATABASE": url.database,
    }
    return {f"{prefix}_{name}": str(value) for name, value in values.items()}


def render_url(url: URL) -> str:
    """A URL as text, its password included."""
    return url.render_as_string(hide_password=False)


def _dotenv(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
