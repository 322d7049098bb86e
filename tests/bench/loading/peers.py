"""Other people's tools from MySQL to PostgreSQL, each as its own documentation starts it, at its fastest settings.

Each lives in an environment of its own under .tools/bench, made by its verb of the Makefile.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import tap_config, write_private

from loading.jobs import Job, Tool, passwords, plain_url
from loading.running import ROOT, Command, clean_environment
from loading.sources import SINCE

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = ROOT / ".tools/bench"
HERE = Path(__file__).parent
SLING_BINARY = "sling_linux_amd64/bin/sling-linux-amd64"


def _read_package(environment: str, *packages: str) -> Callable[[], str]:
    """What an environment says of its packages."""

    def read() -> str:
        names = ", ".join(f"'{package}'" for package in packages)
        code = f"from importlib.metadata import version\nfor name in ({names},): print(name, version(name))"
        python = TOOLS / environment / "bin/python"
        return ", ".join(subprocess.check_output([python, "-c", code], text=True).splitlines())

    return read


# --- pgloader ----------------------------------------------------------------------------------------------------


def run_pgloader(job: Job) -> Command:
    """One load file: schema and rows, names kept as they are.

    Messages of 2 KB exhaust its heap, with `prefetch rows = 10000` as well.
    """
    text = f"""
LOAD DATABASE FROM {plain_url(job.source, "mysql")} INTO {plain_url(job.destination, "postgresql")}
WITH include drop, create tables, create indexes, reset no sequences, quote identifiers, workers = 2, concurrency = 1
INCLUDING ONLY TABLE NAMES MATCHING '{job.item.table}'
ALTER SCHEMA '{job.source.database}' RENAME TO '{job.space}';
"""
    script = write_private(job.folder / "job.load", text)
    return Command(("pgloader", "--root-dir", str(job.folder), str(script)), {}, passwords(job))


def _read_pgloader() -> str:
    told = subprocess.check_output(["pgloader", "--version"], text=True)
    return told.splitlines()[0].replace('"', "").replace(" version", "")


# --- dlt ---------------------------------------------------------------------------------------------------------


def _run_dlt(backend: str) -> Callable[[Job], Command]:
    def run(job: Job) -> Command:
        home = job.folder.parent / f"{job.space}-dlt"
        settings = {
            "backend": backend,
            "format": "csv" if backend == "connectorx" else "parquet",
            "source": plain_url(job.source, "mysql+pymysql"),
            "destination": plain_url(job.destination, "postgresql"),
            "dataset": job.space,
            "table": job.item.table,
            "key": job.item.key,
            "by": job.item.by,
            "name": f"od_{job.space}",
            "home": str(home),
        }
        path = write_private(job.folder / "settings.json", json.dumps(settings))
        arguments = (str(TOOLS / "dlt/bin/python"), str(HERE / "dlt_load.py"), str(path))
        return Command(arguments, {"RUNTIME__DLTHUB_TELEMETRY": "false", "TZ": "UTC"}, passwords(job))

    return run


# --- ingestr -----------------------------------------------------------------------------------------------------


def run_ingestr(job: Job) -> Command:
    """Replace first, then merge what is newer than the destination's newest."""
    item = job.item
    arguments = [
        str(TOOLS / "ingestr/bin/ingestr"), "ingest", "--yes", "--progress", "log",
        "--source-uri", plain_url(job.source, "mysql"), "--source-table", f"{job.source.database}.{item.table}",
        "--dest-uri", plain_url(job.destination, "postgresql"), "--dest-table", f"{job.space}.{item.table}",
        "--primary-key", item.key, "--schema-naming", "direct", "--pipelines-dir", str(job.folder),
    ]  # fmt: skip
    if not job.is_first:
        arguments += ["--incremental-strategy", "merge", "--incremental-key", item.by]
        arguments += ["--interval-start", f"{SINCE}T00:00:00"] if item.cursor else []
    return Command(tuple(arguments), {"INGESTR_DISABLE_TELEMETRY": "true", "TELEMETRY_OPTOUT": "1"}, passwords(job))


# --- Sling -------------------------------------------------------------------------------------------------------


def _find_sling() -> Path:
    (found,) = (TOOLS / "sling").glob(f"lib/python*/site-packages/{SLING_BINARY}")
    return found


def run_sling(job: Job) -> Command:
    """Incremental mode from the first run on, which makes the table and its key."""
    item = job.item
    arguments = [
        str(_find_sling()), "run", "--src-conn", "SOURCE", "--src-stream", f"{job.source.database}.{item.table}",
        "--tgt-conn", "TARGET", "--tgt-object", f"{job.space}.{item.table}", "--mode", "incremental",
        "--primary-key", item.key, "--update-key", item.by, "--tgt-options", "{column_casing: source}",
    ]  # fmt: skip
    variables = {
        "SOURCE": plain_url(job.source, "mysql", parseTime="true"),
        "TARGET": plain_url(job.destination, "postgresql", sslmode="disable"),
        "SLING_DISABLE_TELEMETRY": "true",
        "SLING_HOME_DIR": str(job.folder),
        "DEBUG": "",
    }
    return Command(tuple(arguments), variables, passwords(job))


def _read_sling() -> str:
    told = subprocess.check_output([_find_sling(), "--version"], text=True, stderr=subprocess.STDOUT)
    found = re.search(r"\d+\.\d+\.\d+", told)
    return f"sling {found[0] if found else told.strip()}"


# --- PipelineWise ------------------------------------------------------------------------------------------------


def prepare_pipelinewise(job: Job) -> None:
    """Its discovery's catalog with the one table selected."""
    config = tap_config(job.source) | {"port": str(job.source.port), "filter_dbs": str(job.source.database)}
    path = write_private(job.folder / "tap.json", json.dumps(config))
    program = str(TOOLS / "pipelinewise-tap-mysql/bin/tap-mysql")
    told = subprocess.run(
        [program, "--config", str(path), "--discover"], check=True, capture_output=True, env=clean_environment()
    )
    streams = [stream for stream in json.loads(told.stdout)["streams"] if stream["table_name"] == job.item.table]
    for stream in streams:
        _select(job, stream)
    (job.folder / "catalog.json").write_text(json.dumps({"streams": streams}))
    target = {
        "host": job.destination.host,
        "port": job.destination.port,
        "user": job.destination.username,
        "password": job.destination.password,
        "dbname": job.destination.database,
        "default_target_schema": job.space,
        "batch_size_rows": 100_000,
        "parallelism": 0,
        "hard_delete": False,
        "add_metadata_columns": False,
    }
    write_private(job.folder / "target.json", json.dumps(target))


def _select(job: Job, stream: dict[str, Any]) -> None:
    for node in stream["metadata"]:
        if not node["breadcrumb"]:
            method = {"replication-method": "INCREMENTAL", "replication-key": job.item.by}
            node["metadata"] |= {"selected": True, **method}
        else:
            node["metadata"]["selected"] = True


def run_pipelinewise(job: Job) -> Command:
    """Tap and target in a pipe; the state is kept between the runs of a job."""
    state = job.folder.parent / f"{job.space}-pipelinewise.json"
    tap = [str(TOOLS / "pipelinewise-tap-mysql/bin/tap-mysql"), "--config", "tap.json", "--catalog", "catalog.json"]
    tap += [] if job.is_first else ["--state", str(state)]
    target = [str(TOOLS / "pipelinewise-target-postgres/bin/target-postgres"), "--config", "target.json"]
    piped = f"{shlex.join(tap)} | {shlex.join(target)} > states"
    script = f"set -o pipefail; {piped} && tail -n 1 states > {shlex.quote(str(state))}"
    return Command(("bash", "-c", script), {"TZ": "UTC"}, passwords(job), job.folder)


PGLOADER = Tool("pgloader", "pgloader", run_pgloader, _read_pgloader, loads_changes=False, note="Whole tables only.")
DLT = Tool(
    "dlt-connectorx",
    "dlt, connectorx",
    _run_dlt("connectorx"),
    _read_package("dlt", "dlt", "connectorx"),
    note="Files of CSV (its Parquet does not load); append first, then merge.",
)
DLT_ARROW = Tool(
    "dlt-pyarrow",
    "dlt, pyarrow",
    _run_dlt("pyarrow"),
    _read_package("dlt", "dlt", "pyarrow", "adbc-driver-postgresql"),
    note="Files of Parquet, loaded by ADBC; append first, then merge.",
)
INGESTR = Tool(
    "ingestr", "ingestr", run_ingestr, _read_package("ingestr", "ingestr"), note="Replace first, then merge."
)
SLING = Tool("sling", "Sling", run_sling, _read_sling, note="Incremental mode.")
PIPELINEWISE = Tool(
    "pipelinewise",
    "PipelineWise tap-mysql, target-postgres",
    run_pipelinewise,
    lambda: ", ".join(
        _read_package(name, name)() for name in ("pipelinewise-tap-mysql", "pipelinewise-target-postgres")
    ),
    prepare_pipelinewise,
    note="Batches of 100,000 rows.",
)
PEERS = (PGLOADER, DLT, DLT_ARROW, INGESTR, SLING, PIPELINEWISE)
