"""What the target refuses alike in both dialects, in one line that tells the truth: rows without a column."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.scripted import Target

from target_opendental_replica.errors import BrokenStreamError

if TYPE_CHECKING:
    from pathlib import Path


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
