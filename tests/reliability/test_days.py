"""Five days at a practice, a run after each: replica and raw equal the source, but for what no bookmark can see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.strategies import write_incremental

from opendental_analyze.sandbox.day import play_day
from opendental_analyze.sandbox.filling import Wish, fill_source
from opendental_analyze.sandbox.throw_away import clone_source
from tap_opendental.extraction.overlap import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.reliability.conftest import Source

DAYS, UPGRADE = 5, 2
NO_REACH = {"overlap_seconds": 0, "overlap_keys": 0}  # else what was rewritten in the last hour is read again


@pytest.fixture
def practice(sandbox, source) -> Source:
    """A whole practice of 25 patients, in which every table with a safe key is incremental."""
    fill_source(sandbox, Wish(patients=25, seed=5), lambda _table, _rows: None)
    clone_source(sandbox.state, source.name)
    write_incremental(source.folder / "tables.yml", source.engine, source.name)
    return source


@dataclass
class Hidden:
    """What differs by now between a practice and what was read of it, by table and key, as told by the days."""

    source: Source
    found: dict[str, dict[tuple[str, ...], str]] = field(default_factory=dict)

    def add(self, day: Mapping[str, Any], bookmarks: Mapping[str, Any]) -> None:
        """Add a day, of which the run from these bookmarks read what they can see."""
        for table in self.found:
            self._forget_what_is_read(table, bookmarks[table])
        for table, hidden in (day["invisible"] | day["invisible_append_only"]).items():
            known = self.found.setdefault(table, {})
            known |= {tuple(map(str, key)): "extra" for key in hidden["deleted"]}
            rewritten = {tuple(map(str, key)) for key in hidden["rewritten"]}
            known |= dict.fromkeys(rewritten - self._read_again(table, bookmarks[table]), "different")
        for table in day["added_columns"].keys() & self.found.keys():  # read whole once
            self.found[table] = {key: what for key, what in self.found[table].items() if what == "extra"}
        self.found = {table: keys for table, keys in self.found.items() if keys}

    def _forget_what_is_read(self, table: str, bookmark: Mapping[str, Any]) -> None:
        read = self._read_again(table, bookmark)
        self.found[table] = {k: what for k, what in self.found[table].items() if what == "extra" or k not in read}

    def _read_again(self, table: str, bookmark: Mapping[str, Any]) -> set[tuple[str, ...]]:
        """Keys of the rows that a run from the bookmark reads."""
        begin = Reach(0, 0).begin(bookmark["replication_key_value"])
        moment = begin if isinstance(begin, int) else begin.replace("T", " ").replace("+00:00", "")
        key = ", ".join(f"`{name}`" for name in self._key(table))
        statement = f"SELECT {key} FROM `{table}` WHERE `{bookmark['replication_key']}` >= %(begin)s"
        with self.source.engine.connect() as connection:
            connection.exec_driver_sql("SET time_zone = '+00:00'")
            return {tuple(map(str, row)) for row in connection.exec_driver_sql(statement, {"begin": moment})}

    def _key(self, table: str) -> list[str]:
        return sa.inspect(self.source.engine).get_pk_constraint(table)["constrained_columns"]


def test_after_five_days_exactly_the_invisible_keys_differ(practice, destination, make_pipe, forks):
    """Full-row comparison of all tables: not one key more or fewer than the days say that no bookmark can see."""
    settings = {"max_page_bytes": 500_000, "state_interval_seconds": 10, **NO_REACH, **destination.tap_settings}
    files = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": str(practice.folder)}}
    pipe = make_pipe(**settings, batch_format="csv", batch_config=files)
    command = ("target-opendental-replica", "--config", destination.write_config(pipe.folder))
    pipe = replace(pipe, target=command, start_target=forks.start)
    pipe.settle()
    hidden = Hidden(practice)
    for number in range(DAYS):
        bookmarks = pipe.state["bookmarks"]
        day = play_day(practice.engine, database=practice.name, seed=20 + number, with_upgrade=number == UPGRADE)
        pipe.settle()
        hidden.add(day, bookmarks)
    assert sum(map(len, hidden.found.values())) > 20
    assert destination.differing_keys(practice) == hidden.found
