"""The state on a real server: a quiet night sends nothing, a kill loses nothing, no bookmark is passed over unsaid."""

import json
import re
from collections import defaultdict
from functools import partial

import pytest
import sqlalchemy as sa
import yaml
from tests.integration.conftest import config_of, messages

from tap_opendental.announcing import FACTS
from tap_opendental.connector import create_source_engine
from tap_opendental.discovery.model import Column, Table
from tap_opendental.errors import OpenDentalError
from tap_opendental.locks import name_lock
from tap_opendental.tap import TapOpenDental

STAMP_ON_UPDATE = "NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3)"
STAMP = "Stamp timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
PAGE = 3


class Target:
    """Does what a Singer target does: upserts by key, and removes what an activated version does not have."""

    def __init__(self):
        self.rows = defaultdict(dict)
        self.keys = {}

    def take(self, output):
        """Apply messages in order; a record without a schema before it, or with two versions, is an error."""
        for message in output:
            stream = message.get("stream")
            if message["type"] == "SCHEMA":
                self.keys[stream] = message["key_properties"]
            elif message["type"] == "RECORD":
                record = message["record"]
                key = tuple(record[name] for name in self.keys[stream])
                self.rows[stream][key] = (record, message.get("version"))
            elif message["type"] == "ACTIVATE_VERSION":
                held = self.rows[stream]
                self.rows[stream] = {key: row for key, row in held.items() if row[1] == message["version"]}
        return self

    def records(self, stream):
        """What it holds of a stream, by key."""
        return {key: record for key, (record, _) in self.rows[stream].items()}


class Source:
    """A practice of the test's own, and the tap on it, with the state and the target of the runs before."""

    def __init__(self, database, folder, capture, log):
        self.database, self.folder = database, folder
        self._capture, self._log = capture, log
        self.state, self.target, self.output, self.error = {}, Target(), [], ""

    def sql(self, *statements):
        """Run statements as the application, in UTC."""
        with self.database.engine.connect() as connection:
            verbatim = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
            verbatim.exec_driver_sql("SET time_zone = '+00:00', sql_mode = ''")
            for statement in statements:
                found = verbatim.exec_driver_sql(statement)
            return found.fetchall() if found.returns_rows else None

    def review(self, **tables):
        """Write tables.yml: a strategy for each table, or its whole entry; small pages."""
        entries = {
            name: {"batch_size": PAGE, "overrides": {"extraction_strategy": entry}} if isinstance(entry, str) else entry
            for name, entry in tables.items()
        }
        (self.folder / "tables.yml").write_text(yaml.safe_dump({"tables": entries}))

    def run(self, *, code=0, state=None, around=None, **settings):
        """Run the tap to its end; the rows that it sent, by stream. `around` takes the place of its fetch."""
        path = self.folder / "tables.yml"
        config = config_of(sa.make_url(self.database.reader_url), **settings)
        config |= {"tables_config": str(path)} if path.exists() else {}
        self._log.clear()
        self._log.set_level("INFO")
        ended = self._sync(config, self.state if state is None else state, around)
        assert ended == code, f"{self.log}\n{self.error}"
        self.output = messages(self._capture.readouterr().out)
        self.state = self.states[-1] if self.states else self.state
        self.target.take(self.output)
        sent = defaultdict(list)
        for message in self.output:
            if message["type"] == "RECORD":
                sent[message["stream"]].append(message["record"])
        return dict(sent)

    def _sync(self, config, state, around):
        tap = TapOpenDental(config=config, state=json.loads(json.dumps(state)))
        if around:
            tap.source.fetch = partial(around, tap.source.fetch)
        try:
            tap.sync_all()
        except OpenDentalError as error:
            self.error = str(error)
            return error.exit_code
        return 0

    @property
    def log(self):
        """What the last run said."""
        return "\n".join(self._log.messages)

    @property
    def states(self):
        """The states that the last run wrote."""
        return [message["value"] for message in self.output if message["type"] == "STATE"]

    @property
    def kinds(self):
        """The messages of the last run, without its states."""
        return [message["type"] for message in self.output if message["type"] != "STATE"]

    def bookmark(self, stream):
        """What the state remembers of a stream."""
        return self.state["bookmarks"][stream]

    def settle(self):
        """Wait until no MyISAM table was changed in the last two seconds, by the server's clock."""
        tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
        while self.sql(tables + "AND ENGINE = 'MyISAM' AND UPDATE_TIME > NOW() - INTERVAL 2 SECOND")[0][0]:
            self.sql("DO SLEEP(0.1)")

    def clean(self, *streams):
        """What a target holds of these streams after a first run without a fault."""
        kept = self.state, self.target, self.output
        self.target = Target()
        self.run(state={}, tables=list(streams))
        held = {stream: self.target.records(stream) for stream in streams}
        self.state, self.target, self.output = kept
        return held


@pytest.fixture
def source(mariadb_database, tmp_path, capsys, caplog):
    """An empty database, and the tap on it."""
    return Source(mariadb_database, tmp_path, capsys, caplog)


def ids(rows, name="Num"):
    """The keys of rows, in the order in which they came."""
    return [row[name] for row in rows]


# --- a quiet night ---------------------------------------------------------------------------------------------------

QUIET = {
    "whole_isam": ("full_table", "MyISAM", ""),
    "whole_inno": ("full_table", "InnoDB", ""),
    "visit_isam": ("incremental", "MyISAM", f", {STAMP}, KEY (Stamp)"),
    "visit_inno": ("incremental", "InnoDB", f", {STAMP}, KEY (Stamp)"),
    "range_isam": ("chunked_incremental", "MyISAM", f", {STAMP}"),
    "range_inno": ("chunked_incremental", "InnoDB", f", {STAMP}"),
}


@pytest.fixture
def quiet(source):
    """A table of ten rows for each way of reading, read once, and settled."""
    for table, (_, engine, more) in QUIET.items():
        stamp = ", NOW() - INTERVAL seq HOUR" if more else ""
        source.sql(
            f"CREATE TABLE {table} (Num int PRIMARY KEY, Note varchar(20){more}) ENGINE={engine}",
            f"INSERT INTO {table} SELECT seq, 'old'{stamp} FROM seq_1_to_10",
        )
    source.review(**{table: strategy for table, (strategy, _, _) in QUIET.items()})
    source.settle()
    assert {table: len(rows) for table, rows in source.run().items()} == dict.fromkeys(QUIET, 10)
    return source


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_night_without_a_change_sends_nothing(quiet, seconds):
    """No row, no SCHEMA, no ACTIVATE_VERSION, however often states are written, and with the same bookmarks after."""
    before = quiet.state
    assert quiet.run(state_interval_seconds=seconds) == {}
    assert quiet.kinds == []
    assert quiet.state == before
    assert f"unchanged streams: {6 - 2}" in quiet.log


def test_one_edit_sends_its_table_and_no_other(quiet):
    """Of a table that is read whole all rows, of an incremental one the row; its SCHEMA before, and nothing else."""
    for table, (strategy, _, _) in QUIET.items():
        quiet.sql(f"UPDATE {table} SET Note = 'new' WHERE Num = 4")
        quiet.settle()
        sent = quiet.run()
        assert {name: ids(rows) for name, rows in sent.items()} == {
            table: list(range(1, 11)) if strategy == "full_table" else [4]
        }
        ends = ["ACTIVATE_VERSION"] if strategy == "full_table" else []
        assert quiet.kinds == ["SCHEMA", *["RECORD"] * len(sent[table]), *ends]
        assert quiet.target.records(table)[4,]["Note"] == "new"


def test_a_digest_is_not_asked_of_a_large_table(quiet):
    """The server digests InnoDB tables that are read whole and small; without that they are sent again."""
    asked = []

    def listen(fetch, statement, **options):
        asked.append(statement[0])
        return fetch(statement, **options)

    quiet.run(around=listen)
    assert [text.rpartition(" ")[2] for text in asked if "MD5(" in text] == ["`whole_inno`"]
    assert set(quiet.run(checksum_max_mb=0)) == {"whole_inno"}


def test_an_edit_in_the_second_of_the_fingerprint_is_sent_the_next_night(source):
    """UPDATE_TIME has seconds: a second edit in the same one leaves it as it is, and is sent all the same.

    The control: the server's facts of the table, which are the fingerprint, are the same before and after that edit.
    """
    source.sql("CREATE TABLE room (Num int PRIMARY KEY, Note char(9)) ENGINE=MyISAM", "INSERT INTO room VALUES (1, '')")
    facts = "SELECT CREATE_TIME, UPDATE_TIME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES "
    facts += "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'room'"
    seen = []

    def edit(fetch, statement, **options):
        text = statement[0]
        if "information_schema.TABLES" in text and "%(table)s" in text:
            source.sql("DO SLEEP(1.05 - MICROSECOND(NOW(6)) / 1e6)", "UPDATE room SET Note = 'first'")
            seen.append(source.sql(facts))
        found = fetch(statement, **options)
        if "FROM `room`" in text:
            source.sql("UPDATE room SET Note = 'other'")
            seen.append(source.sql(facts))
        return found

    for _ in range(9):
        seen.clear()
        assert source.run(around=edit)["room"][0]["Note"] == "first"
        if seen[0] == seen[1]:
            break
    assert seen[0] == seen[1]
    source.settle()
    assert source.run()["room"] == [{"Num": 1, "Note": "other"}]
    assert source.run() == {}


# --- the overlap -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["", ", KEY (Stamp)"], ids=["ranges", "index"])
def visit(request, source):
    """An incremental table, by an index and in ranges of its key, of five rows an hour apart, read once."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(20), {STAMP}{request.param})",
        "INSERT INTO visit SELECT seq * 10, 'old', NOW() - INTERVAL 6 - seq HOUR FROM seq_1_to_5",
    )
    source.review(visit="incremental")
    assert len(source.run()["visit"]) == 5
    return source


def test_a_row_that_is_late_arrives(visit):
    """Committed after the bookmark moved past its time, within overlap_seconds: sent once, and the bookmark stays.

    The control: one that is later than that is not found, as documented; a longer overlap finds it.
    """
    bookmark = visit.bookmark("visit")["replication_key_value"]
    late = "INSERT INTO visit SELECT {0}, 'late', MAX(Stamp) - INTERVAL {1} MINUTE FROM visit"
    visit.sql(late.format(45, 45), late.format(35, 130))
    assert 45 in ids(visit.run()["visit"])
    assert (35,) not in visit.target.rows["visit"]
    assert visit.bookmark("visit")["replication_key_value"] == bookmark
    assert visit.run() == {}
    assert 35 in ids(visit.run(overlap_seconds=10_800)["visit"])
    assert visit.run(overlap_seconds=10_800) == {}


def test_a_shorter_overlap_is_no_reason_to_send_anything(visit):
    """What is read is compared with what was remembered of it, however far each run reaches."""
    for seconds in (86_400, 0, 600, 3600):
        visit.run(overlap_seconds=seconds)
        assert visit.run(overlap_seconds=seconds) == {}
    assert visit.target.rows["visit"].keys() == {(10,), (20,), (30,), (40,), (50,)}


@pytest.mark.parametrize("empty", ["NULL", "'0000-00-00 00:00:00'"])
def test_rows_without_a_time_and_of_the_future(visit, empty):
    """Both are read each night and sent when they change; the bookmark is never ahead of the server's clock."""
    visit.sql(
        f"INSERT INTO visit VALUES (60, 'timeless', {empty}), (70, 'timeless', {empty})",
        "INSERT INTO visit VALUES (80, 'future', '2037-12-31')",
    )
    assert set(ids(visit.run()["visit"])) == {60, 70, 80}
    (now,) = visit.sql("SELECT CAST(NOW() AS CHAR)")[0]
    assert "2026" < visit.bookmark("visit")["replication_key_value"] < now.replace(" ", "T") + "+00:00"
    assert visit.run() == {}
    visit.sql(f"UPDATE visit SET Note = 'edited', Stamp = {empty} WHERE Num = 60")
    assert set(ids(visit.run()["visit"])) == {60, 70}
    visit.sql("UPDATE visit SET Note = 'edited', Stamp = Stamp WHERE Num = 80", "INSERT INTO visit (Num) VALUES (90)")
    assert set(ids(visit.run()["visit"])) == {80, 90}
    assert visit.target.rows["visit"].keys() == {(number,) for number in range(10, 100, 10)}
    assert visit.run() == {}


@pytest.mark.parametrize("kind", ["timestamp NULL", "datetime"])
def test_exact_values_go_by_the_same_bookmarks(source, kind):
    """Moments are their own text, zero and NULL among them, and what the state remembers is what it always was.

    Rows without a cursor are asked for again each night, and not sent again.
    """
    update = "DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP"
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(9), Stamp {kind} {update})",
        "INSERT INTO visit SELECT seq, 'old', NOW() - INTERVAL 6 - seq HOUR FROM seq_1_to_5",
        "INSERT INTO visit VALUES (6, 'zero', '0000-00-00'), (7, 'none', NULL)",
    )
    source.review(visit="incremental")
    sent = {row["Num"]: row["Stamp"] for row in source.run(values="exact")["visit"]}
    assert [sent[6], sent[7]] == ["0000-00-00 00:00:00", None]
    assert [sent[num] for num in range(1, 6)] == [row[0] for row in source.sql("SELECT CONCAT(Stamp) FROM visit")][:5]
    assert source.run(values="exact") == {}
    source.sql("UPDATE visit SET Note = 'new', Stamp = NOW() - INTERVAL 30 MINUTE WHERE Num = 2")
    assert ids(source.run(values="exact")["visit"]) == [2]
    source.sql("UPDATE visit SET Note = 'odd', Stamp = '0000-00-00' WHERE Num = 3")
    assert set(ids(source.run(values="exact")["visit"])) == {3, 6, 7}
    exact = source.bookmark("visit")
    source.run(state={})
    for name in ("replication_key_value", "witnesses"):
        assert source.bookmark("visit")[name] == exact[name]


def test_a_wall_clock_is_capped_by_the_servers_own(source):
    """A DATETIME column holds the server's local time: so does its bookmark, and a future row does not move it."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, {STAMP.replace('timestamp NULL', 'datetime NULL')})",
        "SET time_zone = @@global.time_zone",
        "INSERT INTO visit (Num) VALUES (1)",
        "INSERT INTO visit VALUES (2, '2037-12-31')",
    )
    source.review(visit="incremental")
    assert len(source.run()["visit"]) == 2
    value = source.bookmark("visit")["replication_key_value"]
    ((early, late),) = source.sql(
        "SET time_zone = @@global.time_zone", "SELECT CAST(NOW() - INTERVAL 1 MINUTE AS CHAR), CAST(NOW() AS CHAR)"
    )
    assert early.replace(" ", "T") < value < late.replace(" ", "T")
    assert source.run() == {}


LOG = "CREATE TABLE securitylog (SecurityLogNum bigint AUTO_INCREMENT PRIMARY KEY, LogText varchar(20))"
GROWING = (
    "CREATE TABLE preference (PrefNum bigint PRIMARY KEY, PrefName varchar(99), ValueString varchar(99))",
    "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')",
)


def test_a_log_is_read_again_from_some_keys_before_its_end(source):
    """A key that was taken earlier and committed later is found within overlap_keys; edits and gaps beyond are not."""
    source.sql(LOG, *GROWING, "INSERT INTO securitylog SELECT seq * 1000, 'old' FROM seq_1_to_30")
    source.review(securitylog="incremental")
    run = partial(source.run, tables=["securitylog"], overlap_keys=5000)
    assert len(run()["securitylog"]) == 30
    assert source.bookmark("securitylog")["replication_key_value"] == 30_000
    assert run() == {}
    source.sql(
        "INSERT INTO securitylog VALUES (24999, 'beyond'), (25001, 'late')",
        "UPDATE securitylog SET LogText = 'edited' WHERE SecurityLogNum IN (1000, 29000)",
        "INSERT INTO securitylog (LogText) VALUES ('new')",
    )
    assert ids(run()["securitylog"], "SecurityLogNum") == [25_000, 25_001, 29_000, 30_000, 30_001]
    assert run() == {}
    assert source.bookmark("securitylog")["replication_key_value"] == 30_001


# --- kills -----------------------------------------------------------------------------------------------------------

KEYS = {
    "number": ("Num bigint", "CAST(seq AS int) - 4"),
    "word": ("Num varchar(9) COLLATE utf8mb4_general_ci", "CONCAT(ELT(seq % 4 + 1, 'a', 'B', 'ç', ''''), seq)"),
    "enumerated": ("Num enum('z','y','b','a','q','c','p','d','o','e')", "seq"),
    "single": ("Num float", "seq / 10"),
    "bytes": ("Num varbinary(9)", "CHAR(255 - seq USING binary)"),
    "exact": ("Num decimal(20,5)", "CAST(seq AS int) / 7 - 1"),
    "pair": ("Num varchar(9), Part int", "ELT(seq % 3 + 1, 'x', 'Y', ''), seq"),
}
WAYS = {"full_table": "", "incremental": ", KEY (Stamp)", "chunked_incremental": ""}


@pytest.fixture(params=WAYS)
def killed(request, source):
    """Ten rows for each kind of key, an hour apart, read one way; and its name."""
    for number, (table, (definition, value)) in enumerate(KEYS.items()):
        key = "Num, Part" if "Part" in definition else "Num"
        source.sql(
            f"CREATE TABLE {table} ({definition}, Note varchar(20), {STAMP}, PRIMARY KEY ({key}){WAYS[request.param]}) "
            f"ENGINE={('MyISAM', 'InnoDB')[number % 2]} CHARACTER SET utf8mb4",
            f"INSERT INTO {table} SELECT {value}, 'old', NOW() - INTERVAL seq HOUR FROM seq_1_to_10",
        )
    source.review(**dict.fromkeys(KEYS, request.param))
    return source, request.param


def cut(output, stream):
    """The messages up to a state in the middle of a stream, which is then the last of a killed run."""
    places = [
        number
        for number, message in enumerate(output)
        if message["type"] == "STATE" and message["value"].get("bookmarks", {}).get(stream, {}).get("position")
    ]
    assert len(places) >= 2, f"{stream} wrote {len(places)} positions"
    return output[: places[(len(places) - 1) // 2] + 1]


def rows_of(output, stream):
    """The records of a stream, as text, and their versions."""
    records = [m for m in output if m["type"] == "RECORD" and m["stream"] == stream]
    return [json.dumps(m["record"]) for m in records], {m.get("version") for m in records}


def resume(source, output, stream, **options):
    """Kill a run in the middle of a stream, and run again: what came before, what after, and a target with both."""
    before = cut(output, stream)
    source.target = Target().take(before)
    source.run(state=before[-1]["value"], state_interval_seconds=0, **options)
    return before, source.output


def test_a_killed_load_of_exact_values_goes_on(killed):
    """Numbers as text, members as numbers and bytes are no other order of pages: nothing is lost, and nothing twice."""
    source, _ = killed
    source.run(state_interval_seconds=0, values="exact")
    output, clean = source.output, {stream: source.target.records(stream) for stream in KEYS}
    for stream in KEYS:
        before, after = resume(source, output, stream, values="exact", tables=[stream])
        sent, again = rows_of(before, stream)[0], rows_of(after, stream)[0]
        assert 0 < len(sent) < 10
        assert sorted((sent + again)[:10]) == sorted(rows_of(output, stream)[0])
        assert source.target.records(stream) == clean[stream]


def test_a_killed_load_goes_on_behind_its_position(killed):
    """A first load, cut in each stream: the next run sends the rest first, under the same version.

    Then it catches up with what may have changed behind the position, and sends rows that are there already.
    """
    source, _ = killed
    source.run(state_interval_seconds=0)
    output, clean = source.output, {stream: source.target.records(stream) for stream in KEYS}
    assert {stream: len(rows) for stream, rows in clean.items()} == dict.fromkeys(KEYS, 10)
    for stream in KEYS:
        before, after = resume(source, output, stream)
        sent, again = rows_of(before, stream), rows_of(after, stream)
        assert 0 < len(sent[0]) < 10
        assert sorted((sent[0] + again[0])[:10]) == sorted(rows_of(output, stream)[0])
        assert {name: source.target.records(name) for name in KEYS} == clean
        assert source.bookmark(stream)["position"] is None
        assert sent[1] <= again[1]
        activated = [m["version"] for m in after if m["type"] == "ACTIVATE_VERSION" and m["stream"] == stream]
        assert activated[:1] == list(sent[1])


def test_a_killed_night_goes_on_behind_its_position(killed):
    """Of changed rows too, in each way of finding them: what is not sent yet comes, and all is there at the end."""
    source, _ = killed
    source.run()
    moved = "Note = 'new', Stamp = NOW() - INTERVAL 30 + HOUR(Stamp) SECOND"
    source.sql(*(f"UPDATE {table} SET {moved}" for table in KEYS))
    settled, held = source.state, source.target.rows
    source.run(state=settled, state_interval_seconds=0)
    output, clean = source.output, source.clean(*KEYS)
    for stream in KEYS:
        source.target.rows = {name: dict(rows) for name, rows in held.items()}
        before = cut(output, stream)
        source.target.take(before)
        source.run(state=before[-1]["value"])
        sent, again = rows_of(before, stream)[0], rows_of(source.output, stream)[0]
        assert 0 < len(sent) < 10
        assert not set(sent) & set(again[: 10 - len(sent)])
        assert {name: source.target.records(name) for name in KEYS} == clean


def test_an_edit_behind_the_position_of_a_killed_load_is_sent_once_the_load_is_done(source):
    """The fingerprint is that of before the first page, also after a resume, so the same run reads the table again.

    The control: what goes on behind the position does not see the edit.
    """
    for table, engine in (("isam", "MyISAM"), ("inno", "InnoDB")):
        source.sql(
            f"CREATE TABLE {table} (Num int PRIMARY KEY, Note varchar(9)) ENGINE={engine}",
            f"INSERT INTO {table} SELECT seq, 'old' FROM seq_1_to_10",
        )
    source.review(isam="full_table", inno="full_table")
    source.settle()
    source.run(state_interval_seconds=0)
    output = source.output
    for table in ("isam", "inno"):
        source.sql(f"UPDATE {table} SET Note = 'old'", f"UPDATE {table} SET Note = 'edited' WHERE Num = 1")
        source.settle()
        resume(source, output, table)
        rest = [json.loads(row) for row in rows_of(source.output, table)[0][:-10]]
        assert rest
        assert 1 not in {row["Num"] for row in rest}
        assert source.target.records(table)[1,]["Note"] == "edited"
        assert table not in source.run()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE {0}; CREATE TABLE {0} {1}; INSERT INTO {0} SELECT seq + 4, 'again', NOW() FROM seq_1_to_7",
        "ALTER TABLE {0} ADD KEY (Stamp)",
        "ALTER TABLE {0} MODIFY Note text",
        "ALTER TABLE {0} MODIFY Num bigint",
    ],
)
def test_a_position_does_not_outlive_its_table(source, change):
    """Altered or made again between a kill and the next run: read anew, since the order may be another one."""
    columns = f"(Num int PRIMARY KEY, Note varchar(20), {STAMP})"
    for table in ("whole", "visit"):
        source.sql(
            f"CREATE TABLE {table} {columns}",
            f"INSERT INTO {table} SELECT seq, 'old', NOW() - INTERVAL 1 DAY FROM seq_1_to_10",
        )
    source.review(whole="full_table", visit="incremental")
    source.run(state_interval_seconds=0)
    states = {table: cut(source.output, table)[-1]["value"] for table in ("whole", "visit")}
    source.sql("DO SLEEP(1.1)")  # CREATE_TIME has seconds
    for table, state in states.items():
        source.sql(*change.format(table, columns).split("; "))
        (rows,) = source.sql(f"SELECT COUNT(*) FROM {table}")
        assert len(source.run(state=state)[table]) == rows[0]


def test_states_are_written_after_every_page_or_now_and_then(source):
    """state_interval_seconds 0 is one for each page; the last one comes in any case."""
    source.sql("CREATE TABLE room (Num int PRIMARY KEY)", "INSERT INTO room SELECT seq FROM seq_1_to_10")
    source.review(room="full_table")
    source.run(state_interval_seconds=3600)
    assert len(source.states) == 1
    source.state = {}
    source.run(state_interval_seconds=0)
    assert len(source.states) > 10 / PAGE
    assert source.states[-1]["bookmarks"]["room"]["position"] is None


# --- another server --------------------------------------------------------------------------------------------------


@pytest.fixture
def foreign(source):
    """Tables that are read whole and by a cursor, whose state says that they are of another server or database."""
    source.sql(
        "CREATE TABLE room (Num int PRIMARY KEY, Note varchar(9)) ENGINE=InnoDB",
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(9), {STAMP}) ENGINE=InnoDB",
        f"CREATE TABLE old (Num int PRIMARY KEY, Note varchar(9), {STAMP}) ENGINE=InnoDB",
        *(f"INSERT INTO {table} (Num, Note) SELECT seq, 'x' FROM seq_1_to_5" for table in ("room", "visit", "old")),
    )
    source.review(room="full_table", visit="incremental", old="incremental")
    source.run()
    return source


def rename(state, **names):
    """The state as if it were of another source."""
    state = json.loads(json.dumps(state))
    for bookmark in state["bookmarks"].values():
        for place in (bookmark, bookmark["position"]):
            if place and place["source"]:
                place["source"] |= names
    return state


@pytest.mark.parametrize("name", ["server", "host", "database"])
def test_a_foreign_state_is_refused(foreign, name):
    """Before any row, with both names and both ways out, and the exit code of refused states."""
    before = foreign.state
    foreign.state = rename(before, **{name: "elsewhere"})
    assert foreign.run(code=11) == {}
    assert foreign.kinds == []
    assert "the bookmarks of 3 streams, old among them, are of another database" in foreign.error
    assert "elsewhere" in foreign.error
    assert before["bookmarks"]["room"]["source"]["server"] in foreign.error
    assert "on_foreign_state: adopt" in foreign.error
    assert "on_foreign_state: rebase" in foreign.error


def test_a_renamed_server_is_adopted(foreign):
    """Nothing is sent that did not change, and the run after needs no word any more."""
    before = foreign.state
    foreign.state = rename(before, host="elsewhere")
    foreign.sql("INSERT INTO visit (Num) VALUES (6)")
    assert {stream: ids(rows)[-1] for stream, rows in foreign.run(on_foreign_state="adopt").items()} == {"visit": 6}
    for stream in ("room", "visit", "old"):
        assert foreign.bookmark(stream)["source"] == before["bookmarks"][stream]["source"]
    assert foreign.run() == {}


def test_a_rebase_replaces_what_the_target_holds(foreign):
    """Every row comes, ACTIVATE_VERSION after the last one of each stream: the other server's rows are gone."""
    foreign.state = rename(foreign.state, server="elsewhere")
    for table in ("room", "visit", "old"):
        foreign.sql(f"DELETE FROM {table} WHERE Num < 3", f"INSERT INTO {table} (Num) VALUES (9)")
    sent = foreign.run(on_foreign_state="rebase")
    assert [sorted(ids(sent[stream])) for stream in ("room", "visit", "old")] == [[3, 4, 5, 9]] * 3
    assert foreign.kinds == ["SCHEMA", *["RECORD"] * 4, "ACTIVATE_VERSION"] * 3
    assert "visit has a bookmark of another server: it is read whole" in foreign.log
    for stream in sent:
        assert foreign.target.rows[stream].keys() == {(3,), (4,), (5,), (9,)}
    assert foreign.run() == {}


def test_a_rebase_that_is_killed_goes_on(foreign):
    """What was begun on the new server goes on, with its version; what was not is still refused without a word."""
    foreign.state = rename(foreign.state, server="elsewhere")
    foreign.run(on_foreign_state="rebase", state_interval_seconds=0)
    before = cut(foreign.output, "old")
    assert foreign.run(code=11, state=before[-1]["value"]) == {}
    sent = foreign.run(state=before[-1]["value"], on_foreign_state="rebase")
    rest = 5 - len(rows_of(before, "old")[0])
    assert 0 < rest < 5
    assert foreign.kinds.count("ACTIVATE_VERSION") == 3
    versions = rows_of(before, "old")[1]
    assert rows_of(foreign.output[: foreign.kinds.index("ACTIVATE_VERSION")], "old")[1] in (versions, set())
    assert foreign.target.records("old").keys() == {(row["Num"],) for row in sent["old"]}


def test_a_read_from_the_beginning_removes_what_is_gone(foreign):
    """Rows that were deleted stay, as no bookmark shows them, until a run without a state has read the table whole."""
    deletions = [f"DELETE FROM {table} WHERE Num < 3" for table in ("visit", "old")]
    foreign.sql(*deletions)
    foreign.run()
    for stream in ("visit", "old"):
        assert {(1,), (2,)} <= foreign.target.rows[stream].keys()
    foreign.run(state={})
    for stream in ("visit", "old"):
        assert foreign.target.rows[stream].keys() == {(3,), (4,), (5,)}


def test_a_read_from_a_start_date_removes_nothing(foreign):
    """What lies before it was left out on purpose: rows of before are not for this run to remove."""
    foreign.run(state={}, tables=["visit"], start_date="2100-01-01")
    assert "ACTIVATE_VERSION" not in foreign.kinds
    assert foreign.target.rows["visit"].keys() == {(1,), (2,), (3,), (4,), (5,)}


def test_a_load_that_another_server_began_is_replaced(foreign):
    """It left rows at the target and no bookmark: a rebase removes them all the same."""
    foreign.run(state={}, tables=["visit"], state_interval_seconds=0)
    before = cut(foreign.output, "visit")
    foreign.target = Target().take(before)
    foreign.sql("DELETE FROM visit WHERE Num = 1")
    foreign.run(state=rename(before[-1]["value"], server="elsewhere"), tables=["visit"], on_foreign_state="rebase")
    assert foreign.target.rows["visit"].keys() == {(2,), (3,), (4,), (5,)}


def test_the_bookmark_of_a_table_that_is_gone_refuses_nothing(foreign):
    """Its entry stays in the state for ever, of a server that is no more; no row of it could be mixed up."""
    gone = rename(foreign.state, server="elsewhere")["bookmarks"]["old"]
    foreign.sql("DROP TABLE old")
    foreign.state["bookmarks"]["old"] = gone
    assert foreign.run() == {}
    assert foreign.bookmark("old") == gone


# --- a restored database ---------------------------------------------------------------------------------------------

COUNTED = f"(Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(9), {STAMP})"
RESTORES = {
    "counter": ("DELETE FROM visit WHERE Num > 4", "ALTER TABLE visit AUTO_INCREMENT = 5"),
    "made again": ("DROP TABLE visit", f"CREATE TABLE visit {COUNTED}", "INSERT INTO visit (Note) VALUES ('a'), ('b')"),
    "emptied": ("TRUNCATE visit",),
    "refilled": ("TRUNCATE visit", "INSERT INTO visit (Note) VALUES ('a'), ('b'), ('c')"),
    "latest rows": ("DELETE FROM visit WHERE Num > 1",),
}


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
@pytest.mark.parametrize("restore", RESTORES)
def test_a_restored_table_is_read_whole_and_replaced(source, restore, engine):
    """Rows that the source lost are lost at the target too, with a line that says why the table was read whole.

    The control: what the bookmark alone would find leaves them at the target.
    """
    source.sql(
        f"CREATE TABLE visit {COUNTED} ENGINE={engine}",
        "INSERT INTO visit SELECT seq, 'old', NOW() - INTERVAL 11 - seq HOUR FROM seq_1_to_9",
    )
    source.review(visit="incremental")
    source.run()
    source.sql(*(f"{s} ENGINE={engine}" if s.startswith("CREATE") else s for s in RESTORES[restore]))
    left = {tuple(row) for row in source.sql("SELECT Num FROM visit")}
    assert len(left) < 9
    assert {(row["Num"],) for row in source.run().get("visit", [])} == left
    assert source.kinds[-1] == "ACTIVATE_VERSION"
    assert re.search(r"visit:? .*\(was a backup restored\?\): it is read whole", source.log)
    assert source.target.rows["visit"].keys() == left


def test_a_table_that_was_emptied_and_filled_again_is_read(source):
    """Rows that are put back with their own times lie before the last bookmark: it went with the rows."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(9), {STAMP}) ENGINE=MyISAM",
        "INSERT INTO visit SELECT seq, 'old', NOW() - INTERVAL seq DAY FROM seq_1_to_9",
        "CREATE TABLE kept AS SELECT * FROM visit",
    )
    source.review(visit="incremental")
    source.run()
    source.sql("TRUNCATE visit")
    source.run()
    assert source.target.rows["visit"] == {}
    source.sql("INSERT INTO visit SELECT * FROM kept")
    assert len(source.run()["visit"]) == 9


def test_a_log_whose_lines_are_made_in_another_way_is_no_restored_one(source):
    """Where rows are wide on average, their lines are laid out otherwise: a night in which that turns is a night."""
    source.sql(
        "CREATE TABLE preference (PrefNum bigint PRIMARY KEY, PrefName varchar(255), ValueString text)",
        "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')",
        "CREATE TABLE log (Num bigint AUTO_INCREMENT PRIMARY KEY, Kind int, Note text) ENGINE=MyISAM",
        "INSERT INTO log SELECT seq, 1, REPEAT('x', 900) FROM seq_1_to_50",
    )
    source.review(log={"overrides": {"extraction_strategy": "incremental", "incremental_column": "Num"}})
    source.run()
    source.sql("INSERT INTO log SELECT 50 + seq, 1, REPEAT('y', 9000) FROM seq_1_to_10")
    source.run()
    assert "read whole" not in source.log
    activated = [m["stream"] for m in source.output if m["type"] == "ACTIVATE_VERSION"]
    assert "log" not in activated
    assert len(source.target.rows["log"]) == 60


def test_a_broken_view_costs_no_table(source):
    """The server warns of it when it is asked for the facts of all tables, which is from the second run on."""
    source.sql(
        "CREATE TABLE room (Num int PRIMARY KEY) ENGINE=MyISAM",
        "CREATE TABLE gone (Num int PRIMARY KEY)",
        "CREATE VIEW broken AS SELECT * FROM gone",
        "DROP TABLE gone",
        "INSERT INTO room VALUES (1)",
    )
    source.run()
    source.settle()
    source.run()
    assert source.run() == {}


def test_a_cursor_inside_the_key_is_read_from_its_own_place(source):
    """The key of a table that is partitioned by time, the cursor not in front: nights send what changed."""
    columns = f"Part int, Stamp timestamp(3) {STAMP_ON_UPDATE}, Note varchar(9), PRIMARY KEY (Part, Stamp)"
    for table, engine in (("isam", "MyISAM"), ("inno", "InnoDB")):
        source.sql(
            f"CREATE TABLE {table} ({columns}) ENGINE={engine}",
            f"INSERT INTO {table} SELECT 1200000 + seq, NOW(3) - INTERVAL seq HOUR, 'old' FROM seq_1_to_20",
        )
    source.review(isam="incremental", inno="incremental")
    source.run(state_interval_seconds=0)
    for table in ("isam", "inno"):
        source.sql(f"INSERT INTO {table} (Part, Note) VALUES (7, 'new'), (1300000, 'new')")
    sent = source.run(state_interval_seconds=0)
    for table in ("isam", "inno"):
        assert {row["Part"] for row in sent[table]} >= {7, 1300000}
        assert len(sent[table]) < 10
        assert source.bookmark(table)["replication_key_value"] > "2026"
        assert len(source.target.rows[table]) == 22
    assert source.run() == {}


def test_a_new_stream_map_is_for_all_rows_of_a_load_that_was_cut_short(source):
    """Rows that went out before it, unmasked, come again: the position of another form is none."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(9), {STAMP}) ENGINE=MyISAM",
        "INSERT INTO visit SELECT seq, 'open', NOW() - INTERVAL seq DAY FROM seq_1_to_9",
    )
    source.review(visit="incremental")
    source.run(state_interval_seconds=0)
    before = cut(source.output, "visit")
    source.target = Target().take(before)
    source.run(state=before[-1]["value"], stream_maps={"visit": {"Note": "'hidden'"}})
    assert {row["Note"] for row in source.target.records("visit").values()} == {"hidden"}
    assert len(source.target.rows["visit"]) == 9


# --- other ways of reading -------------------------------------------------------------------------------------------


def test_another_replication_key_is_told_and_read_whole_once(source):
    """A bookmark says nothing of another column: after an upgrade that renamed it, for one."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, {STAMP}) ENGINE=InnoDB",
        "INSERT INTO visit SELECT seq, NOW() - INTERVAL seq HOUR FROM seq_1_to_10",
    )
    source.review(visit="incremental")
    source.run()
    source.sql(f"ALTER TABLE visit CHANGE {STAMP.replace('Stamp', 'Stamp Moved')}")
    assert sorted(ids(source.run()["visit"])) == list(range(1, 11))
    assert "visit goes by Moved now and by Stamp before: it is read whole once" in source.log
    assert source.kinds[-1] == "RECORD"
    assert source.bookmark("visit")["replication_key"] == "Moved"
    assert source.run() == {}


@pytest.mark.parametrize("mode", ["evolve", "warn"])
@pytest.mark.parametrize("key", ["Other", "Num, Other", "Other, Num"])
def test_another_primary_key_replaces_what_the_target_holds(source, key, mode):
    """Rows under the old key would stay for ever: the table is read whole, and what does not come is removed.

    Its newest row looks the same by either key, so that nothing else would tell of another table.
    """
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Other int, {STAMP}) ENGINE=InnoDB",
        "INSERT INTO visit SELECT seq, IF(seq = 1, 1, seq + 100), NOW() - INTERVAL seq HOUR FROM seq_1_to_9",
    )
    source.review(visit="incremental")
    source.run(on_schema_change=mode)
    source.sql(f"ALTER TABLE visit DROP PRIMARY KEY, ADD PRIMARY KEY ({key})")
    assert len(source.run(on_schema_change=mode)["visit"]) == 9
    assert source.target.records("visit") == source.clean("visit")["visit"]
    assert source.kinds[-1] == "ACTIVATE_VERSION"
    assert source.run(on_schema_change=mode) == {}


def test_a_new_key_is_told(source):
    """Why a table is read whole and replaced is one line."""
    source.sql(f"CREATE TABLE visit (Num int PRIMARY KEY, Other int NOT NULL, {STAMP})")
    source.review(visit="incremental")
    source.run()
    source.sql("ALTER TABLE visit DROP PRIMARY KEY, ADD PRIMARY KEY (Other)")
    source.run()
    assert "visit has another primary key: it is read whole, and rows that are gone are removed" in source.log


def test_a_change_of_strategy_is_never_an_error(source):
    """Incremental kinds keep the bookmark; a full table that becomes incremental is read whole once, and back."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, {STAMP}) ENGINE=InnoDB",
        "INSERT INTO visit SELECT seq, NOW() - INTERVAL 11 - seq HOUR FROM seq_1_to_10",
    )
    steps = [
        ("full_table", 11, True),
        ("incremental", 12, True),
        ("chunked_incremental", 1, False),
        ("streaming_incremental", 1, False),
        ("incremental", 1, False),
        ("full_table", 16, True),
        ("full_table", 17, True),
        ("chunked_incremental", 18, True),
    ]
    versions = []
    for number, (strategy, rows, activates) in enumerate(steps):
        source.review(visit=strategy)
        source.sql(f"INSERT INTO visit SELECT {100 + number}, NOW() - INTERVAL {600 - 10 * number} SECOND")
        sent = ids(source.run()["visit"])
        assert 100 + number in sent
        assert rows <= len(sent) <= max(rows, number + 1), (strategy, sent)
        assert (source.kinds[-1] == "ACTIVATE_VERSION") == activates
        versions += [m["version"] for m in source.output if m["type"] == "ACTIVATE_VERSION"]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(("first", "then"), [("full_table", "incremental"), ("incremental", "full_table")])
def test_a_position_of_one_strategy_is_none_of_another(source, first, then):
    """A load that was cut short is begun anew: a full one knows no watermark, an incremental one no version."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, {STAMP})",
        "INSERT INTO visit SELECT seq, NOW() - INTERVAL seq HOUR FROM seq_1_to_10",
    )
    source.review(visit=first)
    source.run(state_interval_seconds=0)
    before = cut(source.output, "visit")
    source.review(visit=then)
    source.sql("INSERT INTO visit VALUES (11, '2037-01-01')")
    assert len(source.run(state=before[-1]["value"])["visit"]) == 11
    assert (source.kinds[-1] == "ACTIVATE_VERSION") == ("full_table" in (first, then))
    assert (source.bookmark("visit")["replication_key_value"] or "") < "2037"


def test_a_snapshot_is_of_one_moment(source):
    """An edit between two pages is not seen within a snapshot, and is sent the next night; without one it is seen."""
    source.sql(
        "CREATE TABLE room (Num int PRIMARY KEY, Note varchar(9)) ENGINE=InnoDB",
        "INSERT INTO room SELECT seq, 'old' FROM seq_1_to_10",
    )
    source.review(room="full_table")

    def edit(note, fetch, statement, **options):
        found = fetch(statement, **options)
        if "FROM `room`" in statement[0] and "COUNT(*)" not in statement[0]:
            source.sql(f"UPDATE room SET Note = '{note}' WHERE Num = 10")
        return found

    rows = source.run(snapshot=True, around=partial(edit, "one"))["room"]
    assert rows[-1] == {"Num": 10, "Note": "old"}
    assert source.run(snapshot=True)["room"][-1]["Note"] == "one"
    source.state = {}
    assert source.run(around=partial(edit, "two"))["room"][-1]["Note"] == "two"


# --- runs and their streams ------------------------------------------------------------------------------------------


@pytest.fixture
def rooms(source):
    """Three small tables of different importance."""
    importance = {"a": "critical", "b": "important", "c": "reference"}
    for table in importance:
        source.sql(f"CREATE TABLE {table} (Num int PRIMARY KEY) ENGINE=InnoDB", f"INSERT INTO {table} VALUES (1), (2)")
    source.review(**{table: {"overrides": {"table_importance": word}} for table, word in importance.items()})
    return source


def test_a_stream_that_another_run_reads_is_refused(rooms):
    """After lock_wait_seconds, with the exit code of locks, alone or as one of several; another lock_name is free."""
    tap = TapOpenDental(config=config_of(sa.make_url(rooms.database.reader_url), tables=["b"]))
    with create_source_engine(tap.settings.address).connect() as connection:
        lock = name_lock(tap.settings.lock_name, "b")
        assert connection.exec_driver_sql("SELECT GET_LOCK(%s, 0)", (lock,)).scalar_one() == 1
        assert rooms.run(code=13, lock_wait_seconds=1, tables=["b"]) == {}
        assert "stream b is locked by another run" in rooms.error
        assert set(rooms.run(code=10, lock_wait_seconds=1)) == {"a", "c"}
        assert rooms.error.startswith("1 of 3 streams failed, the others are whole: b (stream b is locked")
        assert "b" not in rooms.state["bookmarks"]
        assert set(rooms.run(state={}, lock_name="another destination", tables=["b"])) == {"b"}
    assert set(rooms.run(state={}, lock_wait_seconds=1, tables=["b"])) == {"b"}


def test_partial_exit_ok_tells_and_goes_on(rooms):
    """A chain of blocks is not stopped by one stream; the line names it all the same. What fails whole still fails."""
    tap = TapOpenDental(config=config_of(sa.make_url(rooms.database.reader_url), tables=["b"]))
    with create_source_engine(tap.settings.address).connect() as connection:
        connection.exec_driver_sql("SELECT GET_LOCK(%s, 0)", (name_lock(tap.settings.lock_name, "b"),))
        assert set(rooms.run(lock_wait_seconds=0, partial_exit="ok")) == {"a", "c"}
        assert "1 of 3 streams failed, the others are whole: b (stream b is locked" in rooms.log
        assert "partial_exit is ok" in rooms.log
        assert rooms.run(code=13, state={}, lock_wait_seconds=0, partial_exit="ok", tables=["b"]) == {}


def test_a_tier_reads_its_tables_and_keeps_the_others_bookmarks(rooms):
    """A class of importance is a tier; what an hourly run does not read is where the nightly one left it."""
    assert list(rooms.run()) == ["a", "b", "c"]
    before = rooms.state
    for table in "abc":
        rooms.sql(f"INSERT INTO {table} VALUES (3)")
    assert list(rooms.run(importance=["critical", "reference"])) == ["a", "c"]
    assert rooms.bookmark("b") == before["bookmarks"]["b"]
    assert list(rooms.run()) == ["b"]


def test_names_are_safe_or_exact(source):
    """A table and a column that most targets cannot name get safe names, told once, by which state and catalog go."""
    source.sql(
        "CREATE TABLE `temp-table` (`The Num` int PRIMARY KEY, `a b` varchar(9)) ENGINE=InnoDB",
        "INSERT INTO `temp-table` SELECT seq, 'x' FROM seq_1_to_10",
    )
    source.review(**{"temp-table": {"batch_size": PAGE}})
    (safe,) = source.run(state_interval_seconds=0)
    output = source.output
    assert re.fullmatch(r"temp_table_[0-9a-f]{8}", safe)
    assert source.output[0]["stream"] == safe
    number, text = source.output[0]["schema"]["properties"]
    assert re.fullmatch(r"The_Num_[0-9a-f]{8}", number)
    assert re.fullmatch(r"a_b_[0-9a-f]{8}", text)
    assert source.output[0]["key_properties"] == [number]
    assert "3 names are not safe for every target and are sent changed: " in source.log
    for told in (f"temp-table as {safe}", f"temp-table.The Num as {number}", f"temp-table.a b as {text}"):
        assert told in source.log
    assert list(source.state["bookmarks"]) == [safe]
    assert source.run() == {}
    before = cut(output, safe)
    assert 0 < len(source.run(state=before[-1]["value"])[safe]) < 10
    source.state = {}
    assert source.run(names="exact")["temp-table"][0] == {"The Num": 1, "a b": "x"}
    assert list(source.state["bookmarks"]) == ["temp-table"]


# --- what a destination is told --------------------------------------------------------------------------------------


def starts(output):
    """Where the tap says that each stream starts, by the root of its SCHEMA."""
    found = [message for message in output if message["type"] == "SCHEMA"]
    return {message["stream"]: message["schema"][FACTS]["start"] for message in found}


@pytest.fixture(params=["full_table", "incremental"])
def told(request, source):
    """A table of ten rows, read once by either way, with a state after every page."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(9), Pin int, {STAMP}) ENGINE=InnoDB",
        "INSERT INTO visit SELECT seq, 'old', 1, NOW() - INTERVAL 11 - seq HOUR FROM seq_1_to_10",
    )
    entry = {"batch_size": PAGE, "overrides": {"extraction_strategy": request.param}}
    source.review(visit=entry | {"column_overrides": {"Pin": {"conversion_rule": "exclude"}}})
    source.run(state_interval_seconds=0)
    return source


def test_a_run_tells_the_save_that_it_starts_from(told):
    """A new stream starts at 0; the next run at the last save, with its whole entry; each save is above the one before.

    The lineage stays, and is the one that the first run told.
    """
    first, last = starts(told.output)["visit"], told.bookmark("visit")
    assert (first["serial"], first["version"], first["bookmark"]) == (0, None, {})
    entries = [state["bookmarks"]["visit"] for state in told.states if "visit" in state["bookmarks"]]
    assert {entry["lineage"] for entry in entries} == {first["lineage"]}
    serials = [entry["serial"] for entry in entries]
    assert len(set(serials)) >= 4
    assert serials == sorted(serials)
    told.sql("UPDATE visit SET Note = 'new' WHERE Num = 4")
    told.run()
    assert starts(told.output) == {"visit": {**first, "serial": last["serial"], "bookmark": last}}
    assert told.bookmark("visit")["serial"] > last["serial"]


def test_a_stream_that_says_nothing_keeps_its_serial(told):
    """No target hears of a table from which nothing is sent: a higher serial would look like rows that it lacks."""
    before = told.bookmark("visit")
    told.sql("DELETE FROM visit WHERE Num = 2" if before["replication_key"] else "DO 0")
    assert told.run(state_interval_seconds=0, overlap_seconds=0) == {}
    assert starts(told.output) == {}
    after = told.bookmark("visit")
    assert (after["lineage"], after["serial"]) == (before["lineage"], before["serial"])


def test_a_pass_that_goes_on_tells_its_version(told):
    """A target may hold the rows of a table that was being read whole apart."""
    told.run(state={}, state_interval_seconds=0)
    (state, *_) = [each for each in told.states if each["bookmarks"]["visit"]["position"]]
    position = state["bookmarks"]["visit"]["position"]
    told.run(state=state)
    (start,) = starts(told.output).values()
    assert start["bookmark"] == state["bookmarks"]["visit"]
    assert start["version"] == position["version"] is not None


def test_an_entry_of_nulls_reads_the_stream_anew(told):
    """What a target writes with `meltano state merge` where it holds nothing: all rows come, under another lineage."""
    before = told.bookmark("visit")
    assert len(told.run(state={"bookmarks": {"visit": dict.fromkeys(before)}})["visit"]) == 10
    (start,) = starts(told.output).values()
    assert (start["serial"], start["bookmark"]) == (0, {})
    assert start["lineage"] != before["lineage"]


def test_schema_has_the_tables_facts_and_the_catalog_has_not(told):
    """All columns with those that are withheld, in the shape of `Table.to_dict()`; each property its own column."""
    message = next(message for message in told.output if message["type"] == "SCHEMA")
    facts = message["schema"][FACTS]
    table = Table.from_dict(facts["table"])
    assert table.column_names == ("Num", "Note", "Pin", "Stamp")
    assert (table.primary_key, table.engine, facts["withheld"], facts["values"]) == (
        ("Num",),
        "InnoDB",
        ["Pin"],
        "portable",
    )
    columns = {name: Column(**each[FACTS]["column"]) for name, each in message["schema"]["properties"].items()}
    assert columns == {name: table.column(name) for name in ("Num", "Note", "Stamp")}
    config = config_of(sa.make_url(told.database.reader_url))
    assert FACTS not in json.dumps(TapOpenDental(config=config).catalog_dict)


def test_a_mapped_stream_tells_no_facts_but_its_start(told):
    """A stream map may alter any value, so what it makes is no exact copy; where the tap starts is as true as ever."""
    told.run(state={}, values="exact", stream_maps={"visit": {"Note": "'x'"}})
    schema = next(message["schema"] for message in told.output if message["type"] == "SCHEMA")
    assert schema[FACTS].keys() == {"start"}
    assert {name: [*each.get(FACTS, {})] for name, each in schema["properties"].items()} == {
        "Num": ["start"],
        "Note": [],
        "Stamp": [],
    }
