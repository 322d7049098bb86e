"""The tap's settings: described once, validated at the border, frozen inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from singer_sdk import typing as th

from tap_opendental.connector import SourceAddress, Tls
from tap_opendental.discovery.judgements import Importance
from tap_opendental.errors import ConfigError
from tap_opendental.extraction.overlap import Reach
from tap_opendental.extraction.pace import OfficeHours, PaceLimits
from tap_opendental.moments import parse_moment
from tap_opendental.types import ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_opendental.drift import OnSchemaChange

IMPORTANCES: tuple[str, ...] = get_args(Importance)
_PATTERNS = th.ArrayType(th.StringType)

PROPERTIES = th.PropertiesList(
    th.Property("host", th.StringType, required=True, description="Host name or address of the Open Dental server."),
    th.Property("port", th.IntegerType(minimum=1, maximum=65535), default=3306, description="TCP port of the server."),
    th.Property("user", th.StringType, required=True, description="A user with SELECT on the database and no more."),
    th.Property("password", th.StringType, required=True, secret=True, description="That user's password."),
    th.Property("database", th.StringType, default="opendental", description="Name of the Open Dental database."),
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
        "tables",
        _PATTERNS,
        default=["*"],
        description="Tables to read, as names or patterns (`proc*`). A pattern that matches nothing is an error.",
    ),
    th.Property(
        "exclude_tables",
        _PATTERNS,
        default=[],
        description="Tables to leave out, as names or patterns. A pattern that matches nothing is an error.",
    ),
    th.Property(
        "keyless_tables",
        _PATTERNS,
        default=[],
        description="Tables without a primary key to read all the same, whole, in one buffered statement. "
        "The others without a key are left out with a line in the log.",
    ),
    th.Property(
        "tables_config",
        th.StringType,
        description="Path of tables.yml: decisions about single tables that a person reviewed.",
    ),
    th.Property(
        "on_schema_change",
        th.StringType,
        default="evolve",
        allowed_values=["evolve", "warn", "fail"],
        description="What a table's changed structure does: evolve goes on with the new one and reads the table whole "
        "once if a column was added or changed type; warn goes on with the old columns and leaves out new tables; fail "
        "fails that stream. With tables_config, changed means: since the review.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        description="First run of an incremental stream: read rows changed since then only. Default: all rows.",
    ),
    th.Property(
        "values",
        th.StringType,
        default="portable",
        allowed_values=["portable", "exact"],
        description="portable sends what any target can take, and counts what it maps; exact sends every value as the "
        "source has it, for a MySQL replica: sentinel_dates, binary_encoding, nul_in_text and the conversions of "
        "tables.yml then do nothing.",
    ),
    th.Property(
        "sentinel_dates",
        th.StringType,
        default="keep",
        allowed_values=["keep", "null"],
        description="What becomes of 0001-01-01, Open Dental's 'no date': kept as it is, or NULL. "
        "Zero and partial dates (0000-00-00, 2022-11-00) are always NULL.",
    ),
    th.Property(
        "binary_encoding",
        th.StringType,
        default="base64",
        allowed_values=["base64", "hex"],
        description="How blobs are written as text.",
    ),
    th.Property(
        "nul_in_text",
        th.StringType,
        default="replace",
        allowed_values=["replace", "strip", "fail", "keep"],
        description="What becomes of U+0000 in text, which PostgreSQL refuses: replaced by U+FFFD, left out, an error "
        "of that stream, or sent as it is.",
    ),
    th.Property(
        "names",
        th.StringType,
        default="safe",
        allowed_values=["safe", "exact"],
        description="safe renames streams and columns whose name is not of [A-Za-z0-9_] or is longer than 63 bytes, as "
        "most targets need; exact keeps them.",
    ),
    th.Property(
        "importance",
        th.ArrayType(th.StringType(allowed_values=[*IMPORTANCES])),
        default=[*IMPORTANCES],
        description="Read only tables of these classes: a tier of its own for the hourly run.",
    ),
    th.Property(
        "overlap_seconds",
        th.IntegerType(minimum=0),
        default=3600,
        description="How long before its bookmark an incremental stream is read again, for rows that were committed "
        "late. Rows that did not change are not sent again.",
    ),
    th.Property(
        "overlap_keys",
        th.IntegerType(minimum=0),
        default=10_000,
        description="The same for a table that is only added to, in keys.",
    ),
    th.Property(
        "watermark_function",
        th.StringType,
        description="A function of the source, `name` or `database.name`, that returns the begin of the oldest running "
        "transaction or statement in UTC (docs/operations.md), for a user without the PROCESS privilege.",
    ),
    th.Property(
        "on_foreign_state",
        th.StringType,
        default="refuse",
        allowed_values=["refuse", "rebase", "adopt"],
        description="What a state of another server or database does: refuse ends the run; rebase reads every table "
        "whole and lets the target remove what is gone; adopt goes on, for a server that only has a new name.",
    ),
    th.Property(
        "lock_name",
        th.StringType,
        description="Runs of one database with the same lock_name never read one stream at the same time: name the "
        "destination. Default: the user.",
    ),
    th.Property(
        "lock_wait_seconds",
        th.IntegerType(minimum=0),
        default=600,
        description="How long a stream waits for another run before it is refused.",
    ),
    th.Property(
        "partial_exit",
        th.StringType,
        default="fail",
        allowed_values=["fail", "ok"],
        description="ok ends with 0 although some streams failed, so that the next block of a chain runs; the summary "
        "names them either way.",
    ),
    th.Property(
        "max_page_bytes",
        th.IntegerType(minimum=1024),
        default=8_388_608,
        description="How much one statement may read; the rows of a page follow from it.",
    ),
    th.Property(
        "max_page_seconds",
        th.NumberType(exclusive_minimum=0),
        default=0.25,
        description="How long one statement may take, and MyISAM keep writers waiting; the rows of a page follow.",
    ),
    th.Property(
        "max_pages_per_second",
        th.NumberType(exclusive_minimum=0),
        description="No more pages than this begin in a second, inside office_hours if those are set. "
        "Default: no limit.",
    ),
    th.Property(
        "office_hours",
        th.StringType,
        description="When max_pages_per_second holds, on the server's wall clock: "
        "`Mon-Fri 07:30-18:00; Sat 08:00-13:00`.",
    ),
    th.Property(
        "page_retries",
        th.IntegerType(minimum=0),
        default=5,
        description="How often a page is tried again when the connection is lost or a statement killed.",
    ),
    th.Property(
        "snapshot",
        th.BooleanType,
        default=False,
        description="Read each InnoDB table in one transaction, as of one moment. It keeps ALTER TABLE waiting.",
    ),
    th.Property(
        "checksum_max_mb",
        th.IntegerType(minimum=0),
        default=64,
        description="InnoDB tables that are read whole and not larger than this are compared by a digest first, "
        "and not sent again when nothing changed. 0 turns it off.",
    ),
    th.Property(
        "state_interval_seconds",
        th.IntegerType(minimum=0),
        default=10,
        description="How often a position goes into the state. 0 is after every page.",
    ),
    th.Property(
        "batch_format",
        th.StringType,
        default="jsonl",
        allowed_values=["jsonl", "csv"],
        description="With batch_config: gzipped JSON lines for any SDK target, or CSV for target-opendental-replica.",
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
        default=300,
        description="Seconds to wait for the server's answer to one statement; the server gives it up then, too.",
    ),
)


@dataclass(frozen=True)
class Settings:
    """The tap's settings with their defaults applied."""

    address: SourceAddress
    tables: tuple[str, ...]
    exclude_tables: tuple[str, ...]
    keyless_tables: tuple[str, ...]
    tables_config: str | None
    on_schema_change: OnSchemaChange
    reading: ReadingOptions
    importance: tuple[str, ...]
    exact_names: bool
    reach: Reach
    watermark_function: str | None
    on_foreign_state: str
    lock_name: str
    lock_wait_seconds: int
    partial_is_ok: bool
    pace: PaceLimits
    page_retries: int
    snapshot: bool
    checksum_max_mb: int
    state_interval_seconds: int
    batch_format: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Build from a validated Singer config; ConfigError when settings contradict each other."""
        _check_start_date(config.get("start_date"))
        tls = Tls(config.get("ssl_ca"), config.get("ssl_cert"), config.get("ssl_key"), config["ssl_required"])
        if (tls.cert is None) != (tls.key is None):
            raise ConfigError("ssl_cert and ssl_key belong together: set both or neither")
        return cls(
            address=SourceAddress(
                host=config["host"],
                port=config["port"],
                user=config["user"],
                password=config["password"],
                database=config["database"],
                connect_timeout=config["connect_timeout"],
                read_timeout=config["read_timeout"],
                tls=tls,
            ),
            tables=tuple(config["tables"]),
            exclude_tables=tuple(config["exclude_tables"]),
            keyless_tables=tuple(config["keyless_tables"]),
            tables_config=config.get("tables_config"),
            on_schema_change=config["on_schema_change"],
            reading=_read_options(config),
            importance=tuple(config["importance"]),
            exact_names=config["names"] == "exact",
            reach=Reach(config["overlap_seconds"], config["overlap_keys"]),
            watermark_function=config.get("watermark_function"),
            on_foreign_state=config["on_foreign_state"],
            lock_name=f"{config['database']}.{config.get('lock_name') or config['user']}",
            lock_wait_seconds=config["lock_wait_seconds"],
            partial_is_ok=config["partial_exit"] == "ok",
            pace=_read_limits(config),
            page_retries=config["page_retries"],
            snapshot=config["snapshot"],
            checksum_max_mb=config["checksum_max_mb"],
            state_interval_seconds=config["state_interval_seconds"],
            batch_format=config["batch_format"],
        )


def _read_options(config: Mapping[str, Any]) -> ReadingOptions:
    """How values are written. Exact ones know no choice: what the other settings would alter is left as it is."""
    if config["values"] == "exact":
        return ReadingOptions(nul_in_text="keep", exact=True)
    return ReadingOptions(config["sentinel_dates"] == "keep", config["binary_encoding"], config["nul_in_text"])


def _read_limits(config: Mapping[str, Any]) -> PaceLimits:
    hours = config.get("office_hours")
    if hours and not config.get("max_pages_per_second"):
        raise ConfigError("office_hours says when max_pages_per_second holds: set that too")
    return PaceLimits(
        max_page_bytes=config["max_page_bytes"],
        max_page_seconds=float(config["max_page_seconds"]),
        max_pages_per_second=config.get("max_pages_per_second"),
        office_hours=OfficeHours.parse(hours) if hours else None,
    )


def _check_start_date(value: str | None) -> None:
    try:
        parse_moment(value or "2000-01-01")
    except (ValueError, OverflowError):
        raise ConfigError(f"start_date: {value!r} is not a date; write it as 2024-01-31T00:00:00Z") from None


def drop_unset(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or empty text, as an .env may give it: then the default applies, or it is missing."""
    return {name: value for name, value in config.items() if value is not None and (value != "" or name == "password")}


def check_environment(environment: Mapping[str, str], properties: Mapping[str, Any]) -> None:
    """Refuse a whole number that is none, before the SDK stumbles over it; ConfigError names the variable."""
    for name, schema in properties.items():
        value = environment.get(variable := f"TAP_OPENDENTAL_{name.upper()}")
        if value is not None and "integer" in schema["type"] and not value.isdecimal():
            raise ConfigError(f"{variable} must be a whole number: set one, or unset the variable")


def find_unknown(config: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Say which settings nobody reads, with the likely one meant; a misspelt `port` must not pass for the default."""
    return [f"setting {name} is unknown{_did_you_mean(name, known)}" for name in config if name not in set(known)]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def describe_problem(problem: str) -> str:
    """Turn jsonschema's words on a setting into ours: which setting, what to do; never the value itself."""
    missing = re.match(r"'(\w+)' is a required property", problem)
    if missing:
        name = missing.group(1)
        variable = f"TAP_OPENDENTAL_{name.upper()}"
        return f"setting {name} is missing: set it in the config file, or as {variable} with Meltano or --config=ENV"
    setting = re.search(r"config\['(\w+)'\]", problem)
    rule = re.search(r"is (not of type .*?|not one of \[.*?\]|less than .*?|greater than .*?)(?= in config|$)", problem)
    if setting and rule:
        return f"setting {setting.group(1)} is {rule.group(1)}"
    return (
        f"setting {setting.group(1)} is not valid: see --about" if setting else "the config is not valid: see --about"
    )
