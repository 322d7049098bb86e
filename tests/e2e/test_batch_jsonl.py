"""BATCH files of JSON lines and stock target-postgres: what it wipes, what it forgets, and the lines that it keeps.

The SDK fills the `_sdc_` columns of a RECORD and not those of a line in a file; whoever writes the file has to.
"""

import json
from datetime import datetime
from pathlib import Path

import pytest
from tests.e2e.stock_target import activate, batch, record, schema, start_stock_target

from tap_opendental.batch_files import BatchFolder

MOMENT = "2026-03-08T02:15:00+00:00"  # in New York, no clock ever shows 02:15 of this day
EARLIER, LATER = 1_700_000_000_000, 1_800_000_000_000


@pytest.fixture
def target(postgres_database, tmp_path):
    """Stock target-postgres as meltano.yml sets it, into a database of the test's own."""
    return start_stock_target(tmp_path, postgres_database.engine)


@pytest.fixture
def folder(tmp_path):
    """The run's folder for batch files, as the tap makes it."""
    batches = BatchFolder(f"file://{tmp_path / 'batches'}")
    yield batches
    batches.close()


@pytest.fixture
def send(folder):
    """A BATCH message of rows; `metadata` is added to each of their lines."""

    def write(stream, *rows, **metadata):
        lines = [json.dumps(row | metadata).encode() + b"\n" for row in rows]
        return batch(stream, folder.write(stream, lines, ".jsonl.gz"))

    return write


def metadata(version):
    """What the tap writes into each line beside the row: what it knows of its own reading."""
    moments = {"_sdc_extracted_at": MOMENT, "_sdc_batched_at": MOMENT}
    return {"_sdc_table_version": version, "_sdc_sequence": LATER, **moments}


def names(target, stream="patient"):
    return {row["id"]: row["name"] for row in target.rows(stream)}


def test_activation_wipes_a_batch_that_says_no_version(target, send):
    """The trap: a full pass by BATCH loads every row, and its own ACTIVATE_VERSION then removes every row, rc 0."""
    rows = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}
    target.load(
        *(schema("loaded"), send("loaded", *rows)),
        *(schema("wiped"), send("wiped", *rows), activate("wiped", LATER)),
    )
    assert names(target, "loaded") == {1: "a", 2: "b"}
    assert names(target, "wiped") == {}


def test_activation_keeps_a_batch_whose_lines_say_their_version(target, send):
    """The way that is right: lines with `_sdc_table_version` stay, and only what is gone from the source goes.

    The SCHEMA does not declare the column; the target adds it by itself, since add_record_metadata is on.
    """
    first = send("patient", {"id": 1, "name": "a"}, {"id": 2, "name": "b"}, **metadata(EARLIER))
    second = send("patient", {"id": 2, "name": "B"}, **metadata(LATER))
    third = send("patient", {"id": 3, "name": "c"}, **metadata(LATER))
    target.load(schema("patient"), first, activate("patient", EARLIER), second, third)
    assert names(target) == {1: "a", 2: "B", 3: "c"}
    target.load(schema("patient"), activate("patient", LATER))
    assert names(target) == {2: "B", 3: "c"}


def test_full_passes_by_record_and_by_batch_follow_each_other(target, send):
    """A table may go as RECORD one night and as BATCH the next: what is gone goes, what is there stays."""
    rows = [{"id": number, "name": "a"} for number in (1, 2, 3)]
    first = [schema("patient"), *(record("patient", row, version=1) for row in rows), activate("patient", 1)]
    second = [send("patient", *rows[1:], **metadata(2)), activate("patient", 2)]
    target.load(*first, *second)
    assert names(target) == {2: "a", 3: "a"}
    target.load(schema("patient"), record("patient", rows[2], version=3), activate("patient", 3))
    assert names(target) == {3: "a"}


def test_a_line_carries_the_metadata_of_its_reading(target, send):
    """A line's own `_sdc_` values arrive, moments to the second; a line without them empties what the row had."""
    full = {"id": 1, "name": "a", "at": MOMENT, **metadata(LATER)}
    target.load(
        *(schema("kept"), send("kept", full)),
        *(schema("emptied"), send("emptied", full), send("emptied", {"id": 1, "name": "b"})),
    )
    kept, emptied = target.rows("kept")[0], target.rows("emptied")[0]
    moment = datetime(2026, 3, 8, 2, 15)  # noqa: DTZ001  # the target's columns have no zone
    assert kept["at"] == kept["_sdc_extracted_at"] == kept["_sdc_batched_at"] == moment
    assert (kept["_sdc_table_version"], kept["_sdc_sequence"]) == (LATER, LATER)
    assert emptied["name"] == "b"
    assert [emptied[name] for name in metadata(LATER)] == [None] * 4


def test_a_record_before_a_batch_of_its_stream_is_written_after_it(target, send):
    """Why the tap never mixes them in one run: the older RECORD waits in memory, then overwrites the newer BATCH."""
    older, newer = record("patient", {"id": 1, "name": "older"}), send("patient", {"id": 1, "name": "newer"})
    target.load(schema("patient"), older, newer)
    assert names(target) == {1: "older"}


def test_stock_target_leaves_what_it_has_read(target, send, folder):
    """Nobody but the next start of a tap removes a file that the stock target has loaded."""
    message = send("patient", {"id": 1, "name": "a"})
    target.load(schema("patient"), message)
    assert [path.as_uri() for path in folder.path.glob("*.gz")] == message["manifest"]


def test_stock_target_does_not_undo_a_urls_escapes(target, send, tmp_path):
    """Why a root such as `/srv/my files` is refused: by its correct URL, the target does not find a file there."""
    plain = Path(send("patient", {"id": 1, "name": "a"})["manifest"][0].removeprefix("file://"))
    spaced = tmp_path / "my files" / plain.name
    spaced.parent.mkdir()
    spaced.write_bytes(plain.read_bytes())
    run = target.run(schema("patient"), batch("patient", spaced.as_uri()))
    assert run.returncode == 1
    assert "my%20files" in run.stderr
