"""`meltano run` as a tool: the stock target and ours, each with the project's own plugins and settings."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from loading.jobs import Job, Tool, passwords
from loading.running import ROOT, Command

if TYPE_CHECKING:
    import sqlalchemy as sa

MELTANO = ROOT / ".tools/meltano/bin/meltano"


def run_plugins(job: Job, tap: str, target: str, **settings: str) -> Command:
    """`meltano run` of a pair of plugins, with a state of the job's own and no .env."""
    tables = json.dumps([item.table for item in job.items])
    variables = {
        **{name: value for name, value in job.environment.items() if name == "MELTANO_DATABASE_URI"},
        **_address(tap, job.source),
        f"{_prefix(tap)}_TABLES": tables,
        **_address(target, job.destination),
        **{f"{_prefix(target)}_{name.upper()}": value for name, value in settings.items()},
        "MELTANO_ENVIRONMENT": "test",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "XDG_STATE_HOME": str(job.folder),
    }
    arguments = [str(MELTANO), "--env-file", os.devnull, "run", f"--state-id-suffix={job.name}", tap, target]
    return Command(tuple(arguments), variables, passwords(job))


def _address(plugin: str, url: sa.URL) -> dict[str, str]:
    parts = {
        "HOST": url.host,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": url.password,
        "DATABASE": url.database,
    }
    return {f"{_prefix(plugin)}_{name}": str(value) for name, value in parts.items()}


def _prefix(plugin: str) -> str:
    return plugin.upper().replace("-", "_")


def read_version() -> str:
    """Meltano's version; the plugins are those of the commit."""
    told = subprocess.run([MELTANO, "--version"], check=True, capture_output=True, text=True).stdout
    return f"Meltano {told.split()[-1]}"


STOCK = Tool(
    "stock",
    "meltano run, stock target-postgres",
    lambda job: run_plugins(job, "tap-opendental", "target-postgres", default_target_schema=job.space),
    read_version,
    takes_many=True,
    note="RECORD lines, with the settings of meltano.yml.",
)
RAW = Tool(
    "raw",
    "meltano run, target-opendental-raw",
    lambda job: run_plugins(job, "tap-opendental-bulk", "target-opendental-raw", default_target_schema=job.space),
    read_version,
    takes_many=True,
    note="BATCH files of CSV: no row passes through Meltano.",
)
REPLICA = Tool(
    "replica",
    "meltano run, target-opendental-replica",
    lambda job: run_plugins(job, "tap-opendental-exact", "target-opendental-replica"),
    read_version,
    takes_many=True,
    note="BATCH files of CSV, LOAD DATA LOCAL.",
)
