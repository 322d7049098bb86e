"""What a sandbox remembers between commands: one JSON file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox.addresses import ADMIN, ANALYTICS_OWNER, MELTANO_OWNER, READER, REPLICA_OWNER, ROOT
from opendental_analyze.sandbox.processes import Process

STATE_FILE = "sandbox.json"
SERVERS = ("mariadb", "postgres")
USERS = (
    *(f"mariadb:{user}" for user in (ROOT, READER, ADMIN, REPLICA_OWNER)),
    *(f"postgres:{user}" for user in (ROOT, ANALYTICS_OWNER, MELTANO_OWNER)),
)


@dataclass(frozen=True)
class Source:
    """What the source database was filled with; `patients` is 0 for tables without a practice."""

    engine: str
    patients: int
    seed: int
    rows: int


@dataclass(frozen=True)
class ServerState:
    """One server: where its files are, the port that it has or had, and its process while it is up."""

    directory: str
    port: int = 0
    process: Process | None = None

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return Path(self.directory) / "data"

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        """The way back from JSON."""
        process = Process(**facts["process"]) if facts["process"] else None
        return cls(directory=facts["directory"], port=facts["port"], process=process)


@dataclass(frozen=True)
class State:
    """A whole sandbox: where its files are, its servers, the passwords that it made, and what the source holds."""

    home: str
    servers: dict[str, ServerState]
    passwords: dict[str, str]
    source: Source | None = None

    @property
    def mariadb(self) -> ServerState:
        """The source's and the replica's server."""
        return self.servers["mariadb"]

    @property
    def postgres(self) -> ServerState:
        """The server of the analytics database."""
        return self.servers["postgres"]

    def with_server(self, name: str, server: ServerState) -> State:
        """The same sandbox with one server in another state."""
        return replace(self, servers={**self.servers, name: server})

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        """The way back from JSON."""
        return cls(
            home=facts["home"],
            servers={name: ServerState.from_dict(server) for name, server in facts["servers"].items()},
            passwords=dict(facts["passwords"]),
            source=Source(**facts["source"]) if facts["source"] else None,
        )


def create_state(home: Path) -> State:
    """A sandbox that has not been started yet, with new passwords."""
    return State(
        home=str(home),
        servers={name: ServerState(str(home / name)) for name in SERVERS},
        passwords={user: secrets.token_hex(20) for user in USERS},
    )


def read_state(root: Path) -> State | None:
    """What the sandbox under `root` remembers; None if there is none."""
    path = root / STATE_FILE
    try:
        return State.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise SandboxError(f"{path} belongs to another user: act as that user, or choose another --root") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{path} is not a sandbox's state ({type(error).__name__}): move it away") from error


def write_state(root: Path, state: State) -> None:
    """Replace the state file in one step; nobody else can read it, not even for a moment."""
    path = root / STATE_FILE
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=2)
    draft.replace(path)
