"""The target's settings: described once, validated at the border, frozen inside."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from target_opendental_replica.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_PORTS = {"mysql": 3306, "postgresql": 5432}

PROPERTIES = th.PropertiesList(
    th.Property(
        "dialect",
        th.StringType,
        default="mysql",
        allowed_values=["mysql", "postgresql"],
        description="mysql writes an exact replica, postgresql the tables that stock target-postgres would make.",
    ),
    th.Property("host", th.StringType, required=True, description="Host name or address of the server."),
    th.Property(
        "port",
        th.IntegerType(minimum=1, maximum=65535),
        description="TCP port of the server. Default: 3306, or 5432 of postgresql.",
    ),
    th.Property("user", th.StringType, required=True, description="Owner of the tables."),
    th.Property("password", th.StringType, required=True, secret=True, description="That user's password."),
    th.Property("database", th.StringType, default="opendental_replica", description="Name of the database."),
    th.Property(
        "default_target_schema",
        th.StringType,
        default="raw",
        description="postgresql: the schema that the tables are in; made if it is not there.",
    ),
    th.Property(
        "ssl_ca",
        th.StringType,
        description="Path of the CA certificate (PEM). When set, the server's certificate and host name are verified.",
    ),
    th.Property("ssl_cert", th.StringType, description="Path of the client certificate (PEM), if the server asks."),
    th.Property("ssl_key", th.StringType, description="Path of the client certificate's private key (PEM)."),
    th.Property(
        "ssl_required",
        th.BooleanType,
        default=False,
        description="Refuse to go on when the connection is not encrypted. Implied by ssl_ca.",
    ),
    th.Property(
        "engine",
        th.StringType,
        default="source",
        allowed_values=["source", "InnoDB"],
        description="mysql: the storage engine of the replica's tables. MyISAM has no transactions: see the documents.",
    ),
    th.Property(
        "local_infile",
        th.BooleanType,
        default=True,
        description="mysql: load with LOAD DATA LOCAL, on this connection and of our own rows only. INSERT is used "
        "where the server does not allow it, or this is false.",
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=True,
        description="Delete rows that are gone at the source; false marks them with _sdc_deleted_at and keeps them.",
    ),
    th.Property(
        "dropped_columns",
        th.StringType,
        allowed_values=["keep", "drop"],
        description="What becomes of a column that the source no longer has. keep marks it in its comment. "
        "Default: drop of mysql, whose tables are to be the source's; keep of postgresql, whose models may use it.",
    ),
    th.Property(
        "on_missing_rows",
        th.StringType,
        default="refuse",
        allowed_values=["refuse", "adopt"],
        description="What a state does that is ahead of the rows here (a restored backup, a new database, a table that "
        "another target loaded): refuse tells how to rewind it; adopt goes on, when you know that the rows are here.",
    ),
    th.Property(
        "workers",
        th.IntegerType(minimum=1, maximum=16),
        default=2,
        description="Connections that load tables side by side.",
    ),
    th.Property(
        "settle_mb",
        th.IntegerType(minimum=1),
        default=64,
        description="How many MB of a stream's rows are merged and committed at once.",
    ),
    th.Property(
        "lock_wait_seconds",
        th.IntegerType(minimum=0),
        default=60,
        description="How long a stream waits for another run that writes it.",
    ),
    th.Property(
        "retries",
        th.IntegerType(minimum=0),
        default=5,
        description="How often what was not committed is loaded again, after a lost connection or a deadlock.",
    ),
    th.Property(
        "connect_timeout",
        th.IntegerType(minimum=1),
        default=10,
        description="Seconds to wait for a connection.",
    ),
    th.Property(
        "read_timeout",
        th.IntegerType(minimum=1),
        default=3600,
        description="Seconds to wait for the server's answer to one statement.",
    ),
)


@dataclass(frozen=True)
class Tls:
    """How the connection is encrypted; `ca` verifies certificate and host name."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    required: bool = False


@dataclass(frozen=True)
class Address:
    """Where the destination is, and who writes; timeouts in seconds."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    connect_timeout: int = 10
    read_timeout: int = 3600
    tls: Tls = field(default_factory=Tls)


@dataclass(frozen=True)
class Settings:
    """The settings with their defaults applied."""

    dialect: str
    address: Address
    schema: str = "raw"
    engine: str | None = None
    local_infile: bool = True
    hard_delete: bool = True
    drops_columns: bool = False
    adopts_missing_rows: bool = False
    adds_metadata: bool = True
    workers: int = 2
    settle_bytes: int = 64 * 1_048_576
    lock_wait_seconds: int = 60
    retries: int = 5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Build from a validated config; ConfigError when settings contradict each other."""
        dialect = config["dialect"]
        tls = Tls(config.get("ssl_ca"), config.get("ssl_cert"), config.get("ssl_key"), config["ssl_required"])
        if (tls.cert is None) != (tls.key is None):
            raise ConfigError("ssl_cert and ssl_key belong together: set both or neither")
        return cls(
            dialect=dialect,
            address=Address(
                host=config["host"],
                port=config.get("port") or _PORTS[dialect],
                user=config["user"],
                password=config["password"],
                database=config["database"],
                connect_timeout=config["connect_timeout"],
                read_timeout=config["read_timeout"],
                tls=tls,
            ),
            schema=config["default_target_schema"],
            engine=None if config["engine"] == "source" else config["engine"],
            local_infile=config["local_infile"],
            hard_delete=config["hard_delete"],
            drops_columns=(config.get("dropped_columns") or ("drop" if dialect == "mysql" else "keep")) == "drop",
            adopts_missing_rows=config["on_missing_rows"] == "adopt",
            adds_metadata=config.get("add_record_metadata", True),
            workers=config["workers"],
            settle_bytes=config["settle_mb"] * 1_048_576,
            lock_wait_seconds=config["lock_wait_seconds"],
            retries=config["retries"],
        )


def drop_unset(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or empty text, as an .env may give it: then the default applies, or it is missing."""
    return {name: value for name, value in config.items() if value is not None and (value != "" or name == "password")}


def describe_problem(problem: str) -> str:
    """Turn jsonschema's words on a setting into ours: which setting, what to do; never the value itself."""
    if missing := re.match(r"'(\w+)' is a required property", problem):
        variable = f"TARGET_OPENDENTAL_REPLICA_{missing[1].upper()}"
        return (
            f"setting {missing[1]} is missing: set it in the config file, or as {variable} with Meltano or --config=ENV"
        )
    setting = re.search(r"config\['(\w+)'\]", problem)
    return f"setting {setting[1] if setting else ''} is not valid: see --about"


def check_config_files(paths: Iterable[str]) -> None:
    """Refuse what is no JSON object before the SDK stumbles over it; ConfigError names the file, never its content."""
    for path in paths:
        try:
            content = None if path == "ENV" else json.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"config file {path}: cannot be read ({error.strerror})") from None
        except ValueError:
            raise ConfigError(f"config file {path}: not valid JSON") from None
        if path != "ENV" and not isinstance(content, dict):
            raise ConfigError(f"config file {path}: a JSON object is expected")


def check_environment(environment: Mapping[str, str], properties: Mapping[str, Any]) -> None:
    """Refuse a variable whose text is not what its setting takes; ConfigError names the variable."""
    for name, schema in properties.items():
        text = environment.get(variable := f"TARGET_OPENDENTAL_REPLICA_{name.upper()}")
        if text and "integer" in schema["type"] and not text.isdecimal():
            raise ConfigError(f"{variable} must be a whole number: set one, or unset the variable")


def tell_unknown(config: Iterable[str], known: Collection[str]) -> list[str]:
    """Say which settings nobody reads; a misspelt `port` must not pass for the default."""
    guesses = {name: get_close_matches(name, known, n=1) for name in config if name not in known}
    return [
        f"setting {name} is unknown" + (f": did you mean {near[0]}?" if near else "") for name, near in guesses.items()
    ]
