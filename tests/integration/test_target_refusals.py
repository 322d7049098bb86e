"""What the target refuses alike in both dialects, in one true line: rows that lack a column, tables that are gone."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.scripted import Target

from target_opendental_replica.errors import BrokenStreamError, MissingRowsError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=DIALECTS)
def target(request, sandbox, tmp_path):
    """Our target, in this process, before an empty destination of each dialect."""
    with open_destination(sandbox, request.param) as destination:
        yield Target(destination, tmp_path, None)


def schema(stream: str = "visit", start: dict[str, Any] | None = None) -> str:
    """A SCHEMA message of three properties; `start` is where the tap starts, None of another tap."""
    properties = {"id": {"type": ["integer"]}, "name": {"type": ["string", "null"]}, "note": {"type": ["string"]}}
    facts = {"x-opendental": {"start": start}} if start else {}
    message = {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties, **facts}}
    return json.dumps({**message, "key_properties": ["id"]})


def batch(path: Path, stream: str = "visit") -> str:
    """A BATCH message of a CSV file."""
    message = {"type": "BATCH", "stream": stream, "encoding": {"format": "csv"}, "manifest": [path.as_uri()]}
    return json.dumps(message)


def ask(target: Target, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement at the destination, in which tables stand as `{visit}`."""
    is_mysql = target.destination.dialect == "mysql"
    text = sql.replace("{", "`" if is_mysql else 'raw."').replace("}", "`" if is_mysql else '"')
    with target.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        result = connection.exec_driver_sql(text)
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"id","name"\n1,"b"\n2,"c"\n', "line 2: rows lack 'note', which the SCHEMA has"),
        ('"name","note"\n"b","c"\n', "line 2: rows lack 'id', which the SCHEMA has"),
        ('"id","name","note","more"\n1,"b","c","d"\n', "line 2: a file of stream visit has columns"),
    ],
)
def test_a_file_with_other_columns_than_its_schema_is_refused(target, tmp_path, text, words):
    """One that lacks a column, where the old values would be kept or lost, or has another: nothing of it is stored."""
    whole, odd = tmp_path / "whole.csv", tmp_path / "odd.csv"
    whole.write_text('"id","name","note"\n1,"a","x"\n')
    odd.write_text(text)
    assert target.listen([schema(), batch(whole)])[1] is None
    _, error = target.listen([schema(), batch(odd)])
    assert isinstance(error, BrokenStreamError)
    assert error.exit_code == 17
    assert words in str(error)
    assert "stream visit" in str(error)
    assert ask(target, "SELECT id, name, note FROM {visit}") == [(1, "a", "x")]


# --- tables that are gone ---------------------------------------------------------------------------------------------


def start(serial: int, lineage: str = "a" * 16) -> dict[str, Any]:
    """Where our tap starts."""
    entry = {"lineage": lineage, "serial": serial} if serial else {}
    return {"lineage": lineage, "serial": serial, "version": None, "bookmark": entry}


def record(number: int, stream: str = "visit") -> str:
    """A RECORD message."""
    return json.dumps({"type": "RECORD", "stream": stream, "record": {"id": number, "name": "a", "note": "x"}})


def state(**serials: int) -> str:
    """A STATE message; each stream has a lineage of its own."""
    marks = {name: {"lineage": LINEAGES[name], "serial": serial} for name, serial in serials.items()}
    return json.dumps({"type": "STATE", "value": {"bookmarks": marks}})


LINEAGES = {"visit": "a" * 16, "ward": "b" * 16}
GONE = "table visit is gone here, and the state stands behind its rows; take the state back with `meltano state merge"


@pytest.fixture
def filled(target, tmp_path, monkeypatch) -> Target:
    """Two tables with a row each, at serial 5; files of a way back are written where the test is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MELTANO_PROJECT_ROOT", raising=False)
    ward = schema("ward", start(0, LINEAGES["ward"]))
    lines = [schema(start=start(0)), record(1), ward, record(1, "ward"), state(visit=5, ward=5)]
    assert target.listen(lines)[1] is None
    return target


def sent_nothing() -> list[str]:
    """A run in which nothing had changed at the source."""
    return [state(visit=5, ward=5)]


def sent_a_row() -> list[str]:
    """A run in which a row had changed in one table."""
    return [schema(start=start(5)), record(2), state(visit=6, ward=5)]


@pytest.mark.parametrize("run", [sent_nothing, sent_a_row])
def test_a_table_that_was_dropped_is_refused_until_it_is_read_anew(filled, run: Callable[[], list[str]]):
    """Whether its stream has rows to send or none, and at each run; the other stream, and a tap that begins, are well.

    The control is the run before the drop, which is fine.
    """
    assert filled.listen(sent_nothing())[1] is None
    ask(filled, "DROP TABLE {visit}")
    for _ in range(2):
        states, error = filled.listen(run())
        assert isinstance(error, MissingRowsError)
        assert error.exit_code == 16
        assert str(error).startswith(GONE)
        assert "adopt" not in str(error)
        assert states[-1]["bookmarks"]["visit"] == start(5)["bookmark"]
        with pytest.raises(Exception, match="visit"):
            ask(filled, "SELECT * FROM {visit}")
    [command] = re.findall(r"`(meltano state merge .*?)`", str(error))
    rewound = json.loads(Path(shlex.split(command)[4]).read_text())["singer_state"]["bookmarks"]
    assert rewound == {"visit": {"lineage": None, "serial": None}}
    again = [schema(start=start(0, "c" * 16)), record(1), record(2)]
    marks = {"visit": {"lineage": "c" * 16, "serial": 9}, "ward": {"lineage": LINEAGES["ward"], "serial": 5}}
    again.append(json.dumps({"type": "STATE", "value": {"bookmarks": marks}}))
    assert filled.listen(again)[1] is None
    assert ask(filled, "SELECT id FROM {visit} ORDER BY id") == [(1,), (2,)]
    assert filled.listen([again[-1]])[1] is None


def test_a_table_of_another_tap_is_made_again(filled):
    """A stream that tells no start cannot be taken back: its table is made again, and what was dropped stays so."""
    assert filled.listen([schema("mine"), record(1, "mine")])[1] is None
    ask(filled, "DROP TABLE {mine}")
    assert filled.listen([schema("mine"), record(2, "mine")])[1] is None
    assert ask(filled, "SELECT id FROM {mine}") == [(2,)]
