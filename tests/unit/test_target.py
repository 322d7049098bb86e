"""The target's own flow, against a destination in memory: order, states, failures, refusals, broken lines."""

import io
import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.memory_warehouse import MemoryWarehouse

from target_opendental_replica import loading, sinks
from target_opendental_replica.errors import (
    BrokenStreamError,
    ConfigError,
    MissingRowsError,
    NotFoundError,
    PartialLoadError,
    ReplicaError,
    SchemaRefusedError,
    StoreError,
    UnreachableError,
    ValueRefusedError,
    printable,
)
from target_opendental_replica.positions import Position
from target_opendental_replica.states import PendingState
from target_opendental_replica.stream_facts import FACTS
from target_opendental_replica.target import TargetOpenDentalReplica, UndeclaredStreamError

CONFIG = {"host": "h", "user": "u", "password": "p"}
SCHEMA = {"properties": {"Num": {"type": ["integer"]}, "LName": {"type": ["string", "null"]}}}
CANARY = "Zqxwv-Canary"


def schema(stream="patient", start=None, **facts):
    root = {**SCHEMA, **({FACTS: {"start": start, **facts}} if start else {})}
    return {"type": "SCHEMA", "stream": stream, "schema": root, "key_properties": ["Num"]}


def start(serial, lineage="a1", version=None):
    entry = {"lineage": lineage, "serial": serial, "value": f"at {serial}"}
    return {"lineage": lineage, "serial": serial, "version": version, "bookmark": entry if serial else {}}


def record(num, name="x", stream="patient", **more):
    return {"type": "RECORD", "stream": stream, "record": {"Num": num, "LName": name}, **more}


def state(**serials):
    marks = {stream: {"lineage": "a1", "serial": serial, "value": f"at {serial}"} for stream, serial in serials.items()}
    return {"type": "STATE", "value": {"bookmarks": marks}}


@pytest.fixture
def warehouse(monkeypatch):
    monkeypatch.setattr(loading, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(loading, "_LONGEST_PAUSE", 0.001)
    return MemoryWarehouse()


@pytest.fixture
def run(warehouse, monkeypatch, capsys, tmp_path):
    """Run lines through a target; returns the states that it sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MELTANO_PROJECT_ROOT", raising=False)

    def run(*messages, **config):
        target = TargetOpenDentalReplica(config={**CONFIG, **config})
        target.__dict__["warehouse"] = warehouse
        lines = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in messages)
        try:
            target.listen(io.StringIO(lines))
        finally:
            run.states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return run.states

    return run


def names(warehouse, stream="patient"):
    return {int(row["Num"]): row["LName"] for row in warehouse.tables[stream].values()}


def test_rows_are_loaded_and_the_state_follows(run, warehouse):
    """Rows land, the last one of a key counts, and the state goes out with the position committed."""
    states = run(schema(start=start(0)), record(1), record(2), record(1, "y"), state(patient=5))
    assert names(warehouse) == {1: "y", 2: "x"}
    assert states == [state(patient=5)["value"]]
    assert warehouse.positions["patient", "a1"] == Position("a1", 5, state(patient=5)["value"]["bookmarks"]["patient"])


def test_rows_behind_the_last_state_are_loaded_without_a_position(run, warehouse):
    """What came after the last STATE is committed, and the position stays behind it: it is sent again."""
    assert run(schema(start=start(0)), record(1), state(patient=5), record(2)) == [state(patient=5)["value"]]
    assert (sorted(names(warehouse)), warehouse.positions["patient", "a1"].serial) == ([1, 2], 5)


def test_a_state_waits_for_all_streams(run, warehouse):
    """A STATE commits every stream that has rows before it, also those whose bookmark did not move."""
    run(schema("a", start(0)), record(1, stream="a"), schema("b", start(0)), record(1, stream="b"), state(a=3, b=4))
    assert {stream for stream, _ in warehouse.log} == {"a", "b"}
    assert {key: held.serial for key, held in warehouse.positions.items()} == {("a", "a1"): 3, ("b", "a1"): 4}


def test_a_failed_commit_sends_no_state(run, warehouse):
    """A commit that fails for good ends the run, and the state that it belongs to is never sent."""
    warehouse.faults["settle"] = [StoreError("disk full")]
    with pytest.raises(StoreError):
        run(schema(start=start(0)), record(1), state(patient=5))
    assert (run.states, warehouse.positions) == ([], {})


def test_a_failed_commit_hides_no_state_before_it(run, warehouse):
    """What was committed before a failure is told before the run ends: it need not be sent again."""
    warehouse.faults["settle"] = [None, StoreError("disk full")]
    with pytest.raises(StoreError):
        run(schema(start=start(0)), record(1), state(patient=5), record(2), state(patient=6))
    assert run.states == [state(patient=5)["value"]]


def test_a_state_sent_early_would_be_seen(run, warehouse, monkeypatch):
    """Control: a target that sends STATE at once is caught by the comparison above."""

    def send_at_once(self, message):
        self._write_state(message["value"])

    monkeypatch.setattr(TargetOpenDentalReplica, "_process_state_message", send_at_once)
    warehouse.faults["settle"] = [StoreError("disk full")]
    with pytest.raises(StoreError):
        run(schema(start=start(0)), record(1), state(patient=5))
    assert run.states


@pytest.mark.parametrize("step", ["load", "settle", "open patient", "connect"])
def test_a_lost_connection_loads_again(run, warehouse, step):
    """What was not committed is loaded again on another session, once for each loss, and nothing twice."""
    warehouse.faults[step] = [None, UnreachableError("lost"), UnreachableError("lost")][step == "open patient" :]
    lines = [line for number in range(3) for line in (record(number), state(patient=number + 1))]
    states = run(schema(start=start(0)), *lines)
    assert (sorted(names(warehouse)), states[-1]) == ([0, 1, 2], state(patient=3)["value"])


def test_tries_come_to_an_end(run, warehouse):
    """A server that stays away ends the run with its own error after as many tries as the settings say."""
    warehouse.faults["load"] = [UnreachableError("lost")] * 3
    with pytest.raises(UnreachableError):
        run(schema(start=start(0)), record(1), state(patient=5), retries=2)
    assert warehouse.faults["load"] == []


def test_a_failed_stream_holds_its_bookmark_back(run, warehouse):
    """One stream that cannot be loaded keeps the bookmark that it had, the others go on, and the run says so."""
    warehouse.positions["bad", "a1"] = Position("a1", 7)
    warehouse.faults["open bad"] = [SchemaRefusedError("no")]
    lines = [schema("bad", start(7)), record(1, stream="bad"), schema("good", start(0)), record(2, stream="good")]
    with pytest.raises(SchemaRefusedError):
        run(*lines, state(bad=9, good=9))
    assert run.states == [
        {"bookmarks": {"bad": start(7)["bookmark"], "good": state(good=9)["value"]["bookmarks"]["good"]}}
    ]
    assert names(warehouse, "good") == {2: "x"}


def test_a_failed_stream_of_another_tap_ends_the_run(run, warehouse):
    """Without a bookmark to hold back, no state can be true: the run ends, and none is sent."""
    warehouse.faults["open patient"] = [SchemaRefusedError("no")]
    with pytest.raises(SchemaRefusedError):
        run(schema(), record(1), state(patient=9))
    assert run.states == []


def test_a_failure_names_its_stream(run, warehouse):
    """An error that does not say of which stream it is gets its name; one among others too."""
    warehouse.faults["open a"] = [SchemaRefusedError("no such name")]
    warehouse.faults["open b"] = [SchemaRefusedError("stream b: no such name")]
    lines = [schema("a", start(0)), record(1, stream="a")]
    with pytest.raises(SchemaRefusedError, match=r"^stream a: no such name$"):
        run(*lines)
    warehouse.faults["open a"] = [SchemaRefusedError("no such name")]
    with pytest.raises(
        PartialLoadError, match=r"^all 2 streams failed: stream a: no such name; stream b: no such name$"
    ):
        run(*lines, schema("b", start(0)), record(1, stream="b"))


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (0, r"all 2 streams failed: 1 stream \(old\): the state is ahead .*; stream a: no such name"),
        (1, r"2 of 3 streams failed, the other one is whole: 1 stream \(old\): "),
        (2, r"2 of 4 streams failed, the others are whole: 1 stream \(old\): "),
    ],
)
def test_lines_are_true_of_one_stream_as_of_many(run, warehouse, caplog, others, words):
    """How many failed, how many there are and what became of the rest: one that only lacks rows is counted too."""
    warehouse.faults["open a"] = [SchemaRefusedError("no such name")]
    rest = [line for name in "xy"[:others] for line in (schema(name, start(0)), record(1, stream=name))]
    with caplog.at_level("INFO"), pytest.raises(PartialLoadError, match=f"^{words}"):
        run(schema("a", start(0)), record(1, stream="a"), *rest, state(old=4))
    number = "1 stream: 1 row" if others == 1 else f"{others} streams: {others} rows"
    assert f"Loaded {number} inserted, 0 updated, 0 unchanged, 0 deleted" in caplog.text


def test_hostile_words_do_nothing_to_a_terminal():
    """Newlines, escapes and marks of direction come out as what they are called; letters of any script stay."""
    assert printable("a\nb\x1b[31m\u202e\u2028漢 é'`") == r"a\nb\x1b[31m\u202e\u2028漢 é'`"


def test_a_state_ahead_of_the_rows_is_refused(run, warehouse, tmp_path):
    """A start that stands behind rows that are not here is refused before the first of them, with the way back."""
    held = {"lineage": "a1", "serial": 5, "value": "at 5"}
    warehouse.positions["patient", "a1"] = Position("a1", 5, held)
    with pytest.raises(MissingRowsError, match="meltano state merge --input-file") as refused:
        run(schema(start=start(8)), record(1), state(patient=9))
    assert names(warehouse) == {}
    [file] = tmp_path.glob("rewind-*.json")
    assert json.loads(file.read_text()) == {"singer_state": {"bookmarks": {"patient": held}}}
    assert (file.stat().st_mode & 0o777, str(file) in str(refused.value)) == (0o600, True)
    assert run.states == [{"bookmarks": {"patient": start(8)["bookmark"]}}]


def test_a_new_destination_rewinds_to_nothing(run, tmp_path):
    """A destination that holds nothing of a stream is rewound by nulls, since a merge cannot remove a bookmark."""
    with pytest.raises(MissingRowsError):
        run(schema(start=start(8)), record(1), state(patient=9))
    [file] = tmp_path.glob("rewind-*.json")
    nulls = {"lineage": None, "serial": None, "value": None}
    assert json.loads(file.read_text()) == {"singer_state": {"bookmarks": {"patient": nulls}}}


def test_a_start_behind_the_rows_is_merged_again(run, warehouse):
    """A state that lags behind is fine: rows come again, and are merged."""
    warehouse.positions["patient", "a1"] = Position("a1", 9)
    run(schema(start=start(5)), record(1), state(patient=12))
    assert (names(warehouse), warehouse.positions["patient", "a1"].serial) == ({1: "x"}, 12)


def test_a_stream_that_sent_nothing_is_checked_too(run, warehouse):
    """A table that did not change since is told as missing, where the destination was restored without it."""
    warehouse.positions["old", "a1"] = Position("a1", 3)
    with pytest.raises(MissingRowsError, match="old"):
        run(schema(start=start(0)), record(1), state(patient=5, old=4))
    assert names(warehouse) == {1: "x"}
    warehouse.positions["old", "a1"] = Position("a1", 4)
    run(schema(start=start(5)), record(2), state(patient=6, old=4))


def test_missing_rows_can_be_adopted(run, warehouse):
    """A person's word that the rows are here is taken, and remembered."""
    run(schema(start=start(8)), record(1), state(patient=9, old=4), on_missing_rows="adopt")
    assert {key: held.serial for key, held in warehouse.positions.items()} == {("patient", "a1"): 9, ("old", "a1"): 4}
    run(schema(start=start(9)), record(2), state(patient=10, old=4))


@pytest.mark.parametrize("settings", [{}, {"on_missing_rows": "adopt"}])
def test_a_table_that_is_gone_is_told_with_the_way_back(run, warehouse, tmp_path, settings):
    """Also of a stream that sent nothing, and whatever is adopted: its rows are not here, and only the tap has them."""
    warehouse.positions |= {("old", "a1"): Position("a1", 4), ("new", "b2"): Position("b2", 4)}
    warehouse.gone["old"] = "old_table"
    with pytest.raises(
        MissingRowsError, match=r"^table old_table is gone here, .* rows; take the state back with `m"
    ) as e:
        run(schema("fresh", start(0, "c3")), record(1, stream="fresh"), state(old=4), **settings)
    assert str(e.value).endswith("run again")
    [file] = tmp_path.glob("rewind-*.json")
    nulls = {"lineage": None, "serial": None, "value": None}
    assert json.loads(file.read_text()) == {"singer_state": {"bookmarks": {"old": nulls}}}
    assert (names(warehouse, "fresh"), warehouse.positions["old", "a1"].serial) == ({1: "x"}, 4)


def test_tables_that_are_gone_and_streams_that_are_behind_are_told_in_one_line(run, warehouse, tmp_path):
    """With one command for all of them; adopting, which helps the one kind alone, is not offered."""
    warehouse.positions |= {("a", "a1"): Position("a1", 4), ("b", "b2"): Position("b2", 4)}
    warehouse.gone |= {"a": "a", "b": "b"}
    marks = {
        "a": {"lineage": "a1", "serial": 4},
        "b": {"lineage": "b2", "serial": 5},
        "c": {"lineage": "c3", "serial": 1},
    }
    words = (
        r"^1 stream \(c\): the state is ahead .*; 2 tables \(a, b\) are gone here, .*; take the state back .* again$"
    )
    with pytest.raises(MissingRowsError, match=words):
        run({"type": "STATE", "value": {"bookmarks": marks}})
    [file] = tmp_path.glob("rewind-*.json")
    assert json.loads(file.read_text())["singer_state"]["bookmarks"].keys() == marks.keys()


def test_each_state_has_its_own_position(run, warehouse):
    """Two jobs that fill one destination have bookmarks of their own, and so have their positions."""
    run(schema(start=start(0, "a1")), record(1), state(patient=5))
    with pytest.raises(MissingRowsError):
        run(schema(start=start(3, "b2")), record(2))


def test_versions_are_gathered_until_they_are_whole(run, warehouse):
    """Rows of a new version are no part of the table before ACTIVATE_VERSION, whatever is committed in between."""
    run(schema(start=start(0)), record(1), state(patient=1))
    run(schema(start=start(1)), record(2, version=7), state(patient=2))
    assert names(warehouse) == {1: "x"}
    activate = {"type": "ACTIVATE_VERSION", "stream": "patient", "version": 7}
    run(schema(start=start(2, version=7)), record(3, version=7), activate, state(patient=3))
    assert names(warehouse) == {2: "x", 3: "x"}


def test_an_activation_before_its_rows_waits_for_them(run, warehouse):
    """Taps of the SDK announce a version before its first row: the table stays what it was until they are all here."""
    run(schema(), record(1))
    activate = {"type": "ACTIVATE_VERSION", "stream": "patient", "version": 7}
    run(schema(), activate, state(patient=1), record(2, version=7))
    assert names(warehouse) == {1: "x"}  # no STATE after the row: the tap may have been killed
    run(schema(), activate, state(patient=1), record(2, version=7), state(patient=2))
    assert names(warehouse) == {2: "x"}


def test_files_are_passed_on_and_removed(run, warehouse, tmp_path):
    """A BATCH of CSV is loaded as it is; the tap's own file goes once it is committed, another tap's stays."""
    for folder in ("opendental-run-1", "elsewhere"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "patient.csv"
        path.write_text('"Num","LName"\n1,"a, ""b"""\n')
        batch = {"type": "BATCH", "stream": "patient", "encoding": {"format": "csv"}, "manifest": [path.as_uri()]}
        run(schema(), batch)
        assert (names(warehouse), path.exists()) == ({1: 'a, "b"'}, folder == "elsewhere")


def test_files_of_json_lines_are_records(run, warehouse, tmp_path):
    """A BATCH of JSON lines is read as records are."""
    path = tmp_path / "patient.jsonl"
    path.write_text('{"Num":1,"LName":"a"}\n{"Num":2,"LName":null}\n')
    batch = {"type": "BATCH", "stream": "patient", "encoding": {"format": "jsonl"}, "manifest": [path.as_uri()]}
    run(schema(), batch)
    assert names(warehouse) == {1: "a", 2: "NULL"}


def test_a_file_that_is_gone_fails_its_stream(run, warehouse):
    """The others go on, and its bookmark is held back."""
    batch = {"type": "BATCH", "stream": "bad", "encoding": {"format": "csv"}, "manifest": ["file:///nowhere/at.csv"]}
    with pytest.raises(NotFoundError, match="line 2"):
        run(schema("bad", start(0)), batch, schema("good", start(0)), record(1, stream="good"), state(bad=1, good=1))
    assert (names(warehouse, "good"), run.states[-1]["bookmarks"]["bad"]) == ({1: "x"}, {})


@pytest.mark.parametrize("url", ["https://host.example/a.csv", "file:///dev/null", 5])
def test_only_files_of_this_user_are_read(run, url):
    """A stream cannot make the target read (and remove) what is no file of its user's."""
    batch = {"type": "BATCH", "stream": "patient", "encoding": {"format": "csv"}, "manifest": [url]}
    with pytest.raises(BrokenStreamError, match="line 2"):
        run(schema(), batch)


def test_deleted_rows_are_deleted(run, warehouse):
    """A record with _sdc_deleted_at removes its row; one after it puts it back."""
    gone = {"type": "RECORD", "stream": "patient", "record": {"Num": 1, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}}
    run(schema(), record(1), record(2), gone)
    assert names(warehouse) == {2: "x"}
    run(schema(), gone, record(1, "y"))
    assert names(warehouse) == {1: "y", 2: "x"}


def test_another_schema_commits_what_came_before(run, warehouse):
    """Rows before a changed SCHEMA are loaded by the schema that they came with."""
    wider = schema()
    wider["schema"] = {"properties": {**SCHEMA["properties"], "FName": {"type": ["string", "null"]}}}
    run(schema(), record(1), wider, {**record(2), "record": {"Num": 2, "LName": "x", "FName": "f"}})
    assert [sorted(row) for row in warehouse.tables["patient"].values()] == [
        ["LName", "Num"],
        ["FName", "LName", "Num"],
    ]


def test_a_changed_start_is_no_changed_table(run, warehouse):
    """Streams keep one order: a second SCHEMA of the same stream goes to the same worker."""
    run(schema(start=start(0)), record(1), schema(start=start(0)), record(1, "y"), state(patient=2))
    assert names(warehouse) == {1: "y"}


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (
            '{"type":"RECORD","stream":"patient","record":{"Num":1,"LName":"%s\n',
            BrokenStreamError,
            "patient is no JSON",
        ),
        ("%s\n", BrokenStreamError, "is no JSON object"),
        ('["%s"]\n', BrokenStreamError, "is no JSON object"),
        ('{"record":{"LName":"%s"}}\n', BrokenStreamError, "is no Singer message"),
        ('{"type":"RECORD","record":{"LName":"%s"}}\n', BrokenStreamError, "stream is missing"),
        ('{"type":"RECORD","stream":"patient","record":"%s"}\n', BrokenStreamError, "of stream patient"),
        ('{"type":"RECORD","stream":"other","record":{"Num":1,"LName":"%s"}}\n', UndeclaredStreamError, "stream other"),
        ('{"type":"RECORD","stream":"patient","record":{"LName":"%s"}}\n', BrokenStreamError, "key Num"),
        ('{"type":"RECORD","stream":"patient","record":{"Num":"%s"}}\n', ValueRefusedError, "property Num"),
        ('{"type":"SCHEMA","stream":"patient","schema":{"x":"%s"}}\n', BrokenStreamError, "names no properties"),
    ],
)
def test_a_broken_line_is_told_by_its_place(run, line, error, words, caplog):
    """What cannot be read is told by line and stream, and its text stays where it is."""
    with pytest.raises(error, match=words) as told:
        run(schema(start=start(0)), record(1), state(patient=5), line.replace("%s", CANARY))
    assert "line 4" in str(told.value)
    assert CANARY not in str(told.value) + caplog.text + json.dumps(run.states)
    assert run.states in ([], [state(patient=5)["value"]])


def mutate(line, dice):
    """Damage a line: cut it, take, double or swap pieces of it, or put something else in."""
    at, to = sorted(dice.choices(range(len(line)), k=2))
    kinds = [
        line[:at],
        line[:at] + line[to:],
        line[:at] + line[at:to] * 2 + line[to:],
        line[:at] + dice.choice(['"', "{", "}", "[", "null", "\\", ":", "1e999", "\x00", "\udc80", "-"]) + line[to:],
        line.replace(
            *dice.choice([("RECORD", "STATE"), ("stream", "record"), ("Num", "num"), ("patient", "patientx")])
        ),
    ]
    return dice.choice(kinds).replace("\n", "") + "\n"


NOT_OF_A_LINE = (MissingRowsError, PartialLoadError, ConfigError)


def error_of(run, lines):
    """The error that a run ends with, or None."""
    try:
        run(*lines, workers=1)
    except ReplicaError as error:
        return error
    return None


def test_damaged_streams_say_where_and_never_what(run, warehouse, caplog):
    """5,000 damaged lines: loaded as they stand, or refused by line, with no value of a row in any log or error."""
    dice = random.Random(5)  # noqa: S311 - the same damage every time
    whole = [json.dumps(schema(start=start(0))), json.dumps(record(1, CANARY)), json.dumps(state(patient=2))]
    refused = 0
    for number in range(5_000):
        place = number % 3
        line = mutate(whole[place], dice)
        lines = [text + "\n" for text in whole[:place]] + [line] + [text + "\n" for text in whole[place + 1 :]]
        warehouse.positions.clear()
        warehouse.tables.clear()
        error = error_of(run, lines)
        refused += error is not None
        assert error is None or "line " in str(error) or isinstance(error, NOT_OF_A_LINE)
        assert CANARY not in str(error)
        if run.states and place == 2:
            assert names(warehouse) == {1: CANARY}  # no state without the rows before it
    assert refused > 2_000
    assert CANARY not in caplog.text


def test_the_moment_of_reading_goes_along(run, warehouse, monkeypatch):
    """A batch knows when its rows were read; without a word of the tap, that is now."""
    seen = []
    monkeypatch.setattr(
        "tests.memory_warehouse.MemoryLoader.load", lambda _self, batch: seen.append(batch.extracted_at)
    )
    run(schema(), record(1, time_extracted="2026-01-02T03:04:05+02:00"))
    run(schema(), record(1, time_extracted="nonsense"))
    assert seen[0] == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert (datetime.now(UTC) - seen[1]).total_seconds() < 60


def test_states_that_wait_do_not_pile_up(run, monkeypatch):
    """A state waits for what came since the one before it: hundreds of them cost no more than their number."""
    monkeypatch.setattr(PendingState, "is_ready", False)
    seen = []
    monkeypatch.setattr(TargetOpenDentalReplica, "process_endofpipe", lambda self: seen.extend(self._pending))
    run(schema(start=start(0)), *(line for n in range(1, 100) for line in (record(n), state(patient=n))))
    assert [len(pending.waits_for) for pending in seen] == [1] * 99


def test_a_state_behind_a_failed_one_is_not_sent(run, warehouse):
    """Once a stream failed that has no bookmark to hold back, no state goes out: not one of later streams, either."""
    warehouse.faults["open bad"] = [SchemaRefusedError("no")]
    with pytest.raises(SchemaRefusedError):
        run(
            schema("bad"),
            record(1, stream="bad"),
            state(bad=1),
            schema("good"),
            record(1, stream="good"),
            state(bad=1, good=1),
            workers=1,
        )
    assert run.states == []


def test_a_renamed_stream_has_its_own_bookmark(run, warehouse):
    """A stream that a map of the target renames is saved, checked and held back by its name in the state."""
    maps = {"stream_maps": {"patient": {"__alias__": "person"}}}
    run(schema(start=start(0)), record(1), state(patient=5), **maps)
    assert (names(warehouse, "person"), warehouse.positions["person", "a1"].serial) == ({1: "x"}, 5)
    run(schema(start=start(5)), record(2), state(patient=6), **maps)
    run(state(patient=6), **maps)
    warehouse.faults["open person"] = [SchemaRefusedError("no")]
    with pytest.raises(SchemaRefusedError):
        run(schema(start=start(6)), record(3), state(patient=7), **maps)
    assert run.states[-1]["bookmarks"]["patient"]["serial"] == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ('{"host": "h",', "not valid JSON"),
        ('["h"]', "a JSON object is expected"),
        ('{"host": "h"}', "setting user is missing"),
        ('{"host": "h", "user": "u", "password": "%s", "port": "x"}', "setting port is not valid"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(tmp_path, content, words):
    """A config file that is missing, broken or incomplete ends with exit code 2 and one line, without its content."""
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content.replace("%s", CANARY))
    command = [Path(sys.executable).with_name("target-opendental-replica"), "--config", path]
    run = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    [told] = [line for line in run.stderr.splitlines() if "INFO" not in line]
    assert (run.returncode, words in told, CANARY in run.stderr) == (2, True, False)


def test_a_setting_that_nobody_reads_is_told(run, caplog):
    """A misspelt setting does not pass for the default: a line says what may have been meant."""
    run(schema(), record(1), prot=1)
    assert "setting prot is unknown: did you mean port?" in caplog.text


def test_a_stream_that_is_left_is_free(run, warehouse):
    """Other runs may write a table once this one has gone on to the next; its position needs no lock."""
    run(
        schema("a", start(0)),
        record(1, stream="a"),
        schema("b", start(0)),
        record(1, stream="b"),
        state(a=3, b=4),
        workers=1,
    )
    assert warehouse.log == [("a", 3), ("a", "released"), ("b", 4)]
    assert {key: held.serial for key, held in warehouse.positions.items()} == {("a", "a1"): 3, ("b", "a1"): 4}


def test_a_state_goes_out_without_another(run, warehouse, monkeypatch):
    """A state whose rows are committed does not wait for the next one, nor for the end, nor for an error."""
    told = []
    monkeypatch.setattr(TargetOpenDentalReplica, "process_endofpipe", lambda _self: told.append("end"))
    monkeypatch.setattr(
        PendingState, "is_ready", property(lambda self: len([w.exception() for w in self.waits_for]) >= 0)
    )
    assert run(schema(start=start(0)), record(1), state(patient=5), record(2)) == [state(patient=5)["value"]]
    with pytest.raises(BrokenStreamError):
        run(schema(start=start(5)), record(1), state(patient=6), "broken\n")
    assert run.states == [state(patient=6)["value"]]


def test_a_null_map_drops_a_stream_and_its_files(run, warehouse):
    """A stream that a map of the target removes makes no table, and its files stop nothing."""
    batch = {"type": "BATCH", "stream": "patient", "encoding": {"format": "csv"}, "manifest": ["file:///nowhere.csv"]}
    run(schema(start=start(0)), record(1), batch, state(patient=5), stream_maps={"patient": None})
    assert (dict(warehouse.tables), warehouse.positions) == ({}, {})


def test_a_map_that_is_no_expression_is_told(run):
    """A broken stream map is the user's setting: one line names the stream."""
    with pytest.raises(ConfigError, match="stream map of patient"):
        run(schema(), stream_maps={"patient": {"x": "1+"}})


def test_memory_is_bounded_for_all_streams(run, warehouse, monkeypatch):
    """Streams that come by turns, without a STATE, are handed over before they are too much together."""
    monkeypatch.setattr(sinks, "_ALL_BUFFERS_BYTES", 100)
    seen = []
    monkeypatch.setattr("tests.memory_warehouse.MemoryLoader.load", lambda _self, batch: seen.append(batch.size))
    streams = [f"s{number}" for number in range(5)]
    run(*map(schema, streams), *(record(n, stream=stream) for n in range(20) for stream in streams))
    assert len(seen) > 10
    assert max(seen) < 100
