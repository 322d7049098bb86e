"""Stock target-postgres with the settings of meltano.yml, fed by hand: Singer messages in, tables of raw out."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / ".meltano/loaders/target-postgres/venv/bin/target-postgres"
STATE = {"type": "STATE", "value": {"bookmarks": {"patient": {"position": 1}}}}


@dataclass(frozen=True)
class StockTarget:
    """The program, its config file and the warehouse that it writes to."""

    config: Path
    environment: Mapping[str, str]
    warehouse: sa.Engine

    def run(self, *messages: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Feed it the messages and a STATE; it ends when they do."""
        lines = "".join(json.dumps(message) + "\n" for message in (*messages, STATE))
        return subprocess.run(
            [TARGET, "--config", self.config],
            input=lines,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )

    def load(self, *messages: Mapping[str, Any]) -> None:
        """Feed it the messages; it must succeed and confirm the STATE."""
        run = self.run(*messages)
        assert run.returncode == 0, run.stderr[-2000:]
        assert json.loads(run.stdout) == STATE["value"]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in the order of `id`."""
        with self.warehouse.connect() as connection:
            return [
                dict(row) for row in connection.execute(sa.text(f'SELECT * FROM raw."{table}" ORDER BY id')).mappings()
            ]


def start_stock_target(folder: Path, warehouse: sa.Engine) -> StockTarget:
    """The target as meltano.yml sets it, for this warehouse."""
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["loaders"]
    loader = next(loader for loader in loaders if loader["name"] == "target-postgres")
    address = sa.make_url(warehouse.url)
    config = loader["config"] | {
        "host": address.host,
        "port": address.port,
        "user": address.username,
        "password": address.password,
        "database": address.database,
    }
    path = folder / "target.json"
    path.write_text(json.dumps(config))
    return StockTarget(path, {"PATH": os.environ["PATH"], **loader["env"]}, warehouse)


def schema(stream: str, columns: Sequence[str] = ("name",)) -> dict[str, Any]:
    """SCHEMA of a stream with the key `id`, text columns, and the moment `at`."""
    text = {"type": ["string", "null"]}
    properties = {"id": {"type": ["integer"]}, **dict.fromkeys(columns, text), "at": {**text, "format": "date-time"}}
    definition = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": stream, "schema": definition, "key_properties": ["id"]}


def record(stream: str, row: Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    """RECORD of a row; `keys` such as its version."""
    return {"type": "RECORD", "stream": stream, "record": row, "time_extracted": "2026-03-08T02:15:00+00:00", **keys}


def batch(stream: str, *urls: str) -> dict[str, Any]:
    """BATCH of gzipped JSON lines."""
    encoding = {"format": "jsonl", "compression": "gzip"}
    return {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": list(urls)}


def activate(stream: str, version: int) -> dict[str, Any]:
    """ACTIVATE_VERSION of a full pass."""
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}
