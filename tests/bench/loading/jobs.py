"""What every tool gets: where the source and the destination are, which tables, and a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contenders import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import sqlalchemy as sa

    from loading.running import Command


@dataclass(frozen=True)
class Item:
    """One table of a job: its primary key, and the column that shows changes (None: it only grows, by its key)."""

    table: str
    key: str
    cursor: str | None

    @property
    def by(self) -> str:
        """The column that an incremental run goes by."""
        return self.cursor or self.key


@dataclass(frozen=True)
class Job:
    """Load tables from one address to another.

    `space` is the schema in PostgreSQL; for a MySQL destination the database is in `destination`. `name` is one word of
    its own for each load that begins with nothing: what a tool remembers between runs goes by it. `is_first` is true of
    the first run. `environment` are the sandbox's settings, Meltano's database among them.
    """

    name: str
    source: sa.URL
    destination: sa.URL
    space: str
    items: tuple[Item, ...]
    folder: Path
    is_first: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def item(self) -> Item:
        """The one table of a tool that takes one."""
        (item,) = self.items
        return item


@dataclass(frozen=True)
class Tool:
    """A way to load: what it is called, how it is started, and what it says of its version.

    `slug` names its results and its verb. `prepare` is done before the stopwatch starts (a catalog, a folder).
    `loads_changes` is false of tools that can only load whole tables. `note` is what a reader must know.
    """

    slug: str
    name: str
    command: Callable[[Job], Command]
    version: Callable[[], str]
    prepare: Callable[[Job], None] = lambda _job: None
    loads_changes: bool = True
    takes_many: bool = False
    note: str = ""


def write_client_file(job: Job, url: sa.URL, name: str) -> Path:
    """The address as the option file of MariaDB's programs."""
    settings = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "protocol": "tcp"}
    text = "\n".join(["[client]", *(f"{key}={value}" for key, value in settings.items())])
    return write_private(job.folder / name, f"{text}\n")


def passwords(job: Job) -> tuple[str, ...]:
    """The words that no report may show."""
    return str(job.source.password), str(job.destination.password)


def plain_url(url: sa.URL, driver: str, **query: str) -> str:
    """The URL for a tool that names drivers in its own way."""
    return url.set(drivername=driver, query=query).render_as_string(hide_password=False)
