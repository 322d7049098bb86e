"""The tap on a real server: what it reads, what it refuses, how it ends."""

import json
import signal
import subprocess
import sys
import textwrap
from itertools import islice
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.conftest import clean_environment, config_of, messages, records, start_command

from opendental_analyze.sandbox.databases import mariadb_root
from tap_opendental.connector import create_source_engine
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.errors import ConfigError, NotFoundError, OpenDentalError
from tap_opendental.settings import Settings
from tap_opendental.tap import TapOpenDental, main

ROOT = Path(__file__).resolve().parents[2]
TARGET_JSONL = ROOT / ".tools/target-jsonl/bin/target-jsonl"
SELECTED = [{"breadcrumb": [], "metadata": {"selected": True}}]
SUITE = """
    import json, os
    from singer_sdk.testing import SuiteConfig, get_tap_test_class
    from tap_opendental.tap import TapOpenDental

    TestTap = get_tap_test_class(
        TapOpenDental,
        config=json.loads(os.environ["CONFIG"]),
        suite_config=SuiteConfig(
            max_records_limit=5, ignore_no_records_for_streams=json.loads(os.environ["EMPTY"])
        ),
        parse_env_config=False,
    )
"""


def test_the_sdks_suite_passes_over_all_streams(practice, tmp_path):
    """The SDK's own tests pass for every stream; exactly the tables that are empty in the practice yield no record."""
    with practice.reader.connect() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SHOW TABLES")]
        empty = [n for n in names if not connection.exec_driver_sql(f"SELECT EXISTS(SELECT 1 FROM `{n}`)").scalar()]
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    environment = clean_environment() | {"CONFIG": json.dumps(practice.config), "EMPTY": json.dumps(empty)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert f"{len(empty)} skipped" in run.stdout
    assert len(empty) < len(names) / 2


def test_discovery_takes_at_most_15_statements(practice, sandbox, general_log):
    """The whole catalog of 434 tables costs a handful of statements, and every one of them only reads."""
    with general_log() as statements:
        tap = TapOpenDental(config=dict(practice.config), parse_env_config=False)
        catalog = tap.catalog_dict
        tap.source.close()
    assert len(catalog["streams"]) >= 424
    assert 0 < len(statements) <= 15, statements
    assert [s for s in statements if not s.upper().startswith(("SELECT", "SET", "SHOW", "ROLLBACK", "COMMIT"))] == []


def test_introspection_agrees_with_the_knowledge(practice):
    """SchemaDiscovery reads back every table of 24.3 as the knowledge has it: types, defaults, keys, indexes."""
    engine = create_source_engine(Settings.from_config(TapOpenDental(config=dict(practice.config)).config).address)
    discovery = SchemaDiscovery(engine, practice.database)
    for name, known in load_knowledge().tables.items():
        found = discovery.get_table_schema(name)
        assert found.columns == known.table.columns
        assert found.primary_key == known.table.primary_key
        assert sorted(found.indexes, key=lambda i: i.name) == sorted(known.table.indexes, key=lambda i: i.name)


def test_an_unrelated_target_takes_the_stream(practice, run_installed_tap, tmp_path):
    """Without Meltano: `tap-opendental --config config.json | target-jsonl` writes as many rows as the source has."""
    tables = ["patient", "claimproc", "definition", "zz_alltypes"]
    tap = run_installed_tap({**practice.config, "tables": tables})
    assert tap.returncode == 0, tap.stderr
    target = subprocess.run([TARGET_JSONL], input=tap.stdout, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert target.returncode == 0, target.stderr
    for table in tables:
        lines = sum(len(path.read_text().splitlines()) for path in tmp_path.glob(f"{table}-*.jsonl"))
        with practice.reader.connect() as connection:
            assert lines == connection.exec_driver_sql(f"SELECT COUNT(*) FROM `{table}`").scalar_one()
    assert '"patient"' in target.stdout


def test_a_full_table_is_activated_after_its_last_row(practice, run_tap):
    """ACTIVATE_VERSION follows the rows: sent before them, a crash in between would leave an emptied table."""
    run = run_tap({**practice.config, "tables": ["definition"]})
    kinds = [message["type"] for message in messages(run.stdout) if message["type"] != "STATE"]
    assert kinds[0] == "SCHEMA"
    assert kinds[-1] == "ACTIVATE_VERSION"
    assert set(kinds[1:-1]) == {"RECORD"}


def test_an_empty_full_table_is_activated_too(practice, run_tap):
    """A table that became empty is emptied at the target: SCHEMA and ACTIVATE_VERSION go out without a row."""
    with practice.reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM anestheticdata").scalar_one() == 0
    run = run_tap({**practice.config, "tables": ["anestheticdata"]})
    assert [m["type"] for m in messages(run.stdout) if m["type"] != "STATE"] == ["SCHEMA", "ACTIVATE_VERSION"]


def test_a_bookmark_limits_the_next_run(practice, incremental, run_tap):
    """With a state, an incremental stream sends the rows at or after its bookmark, and no others."""
    with practice.reader.connect() as connection:
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        stamps = [str(row[0]) for row in connection.exec_driver_sql("SELECT DateTStamp FROM procedurelog ORDER BY 1")]
    middle = stamps[len(stamps) // 2]
    bookmark = {"replication_key": "DateTStamp", "replication_key_value": middle.replace(" ", "T") + "+00:00"}
    config = {**practice.config, "tables": ["procedurelog"], "tables_config": incremental}
    run = run_tap(config, state={"bookmarks": {"procedurelog": bookmark}})
    assert len(records(run.stdout)["procedurelog"]) == sum(stamp >= middle for stamp in stamps) < len(stamps)
    final = messages(run.stdout)[-1]["value"]["bookmarks"]["procedurelog"]
    assert final["replication_key_value"] == stamps[-1].replace(" ", "T") + "+00:00"


def test_start_date_limits_the_first_run(practice, incremental, run_tap):
    """start_date is a bookmark for streams that have none."""
    config = {**practice.config, "tables": ["commlog"], "tables_config": incremental}
    recent = run_tap({**config, "start_date": "2024-01-01"})
    with practice.reader.connect() as connection:
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        count = "SELECT COUNT(*), SUM(DateTStamp >= '2024-01-01') FROM commlog"
        everything, expected = connection.exec_driver_sql(count).one()
    assert len(records(recent.stdout)["commlog"]) == expected
    assert 0 < expected < everything


def test_sentinel_dates_and_hex_on_request(practice, run_tap):
    """sentinel_dates: null and binary_encoding: hex change what they name, and the summary counts the former."""
    config = {**practice.config, "tables": ["patient", "zz_alltypes"]}
    plain = records(run_tap(config).stdout)
    other = run_tap({**config, "sentinel_dates": "null", "binary_encoding": "hex"})
    changed = records(other.stdout)
    assert "0001-01-01" in {row["DateFirstVisit"] for row in plain["patient"]}
    assert "0001-01-01" not in {row["DateFirstVisit"] for row in changed["patient"]}
    assert "dates 0001-01-01 sent as NULL" in other.stderr
    assert [bytes.fromhex(row["fixed_bytes"]) for row in changed["zz_alltypes"] if row["fixed_bytes"]]


def test_tables_without_a_key_are_read_on_purpose_only(practice, run_tap):
    """They are left out with a line that names them; keyless_tables reads them whole."""
    left_out = run_tap({**practice.config, "tables": ["patient", "tempschedule_*"]}, "--discover")
    assert "tempschedule_bak_20200424" in left_out.stderr
    assert "tempschedule_bak_20200424" not in left_out.stdout
    asked = run_tap({**practice.config, "tables": ["tempschedule_*"], "keyless_tables": ["tempschedule_*"]})
    with practice.reader.connect() as connection:
        count = connection.exec_driver_sql("SELECT COUNT(*) FROM tempschedule_bak_20200424").scalar_one()
    assert len(records(asked.stdout)["tempschedule_bak_20200424"]) == count > 0


def test_a_deselected_column_is_not_even_read(practice, sandbox, general_log):
    """What the catalog deselects is in no SELECT; what the knowledge calls a secret is in no catalog."""
    catalog = TapOpenDental(config={**practice.config, "tables": ["userod"]}).catalog_dict
    assert "Password" not in catalog["streams"][0]["schema"]["properties"]
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] == ["properties", "UserName"]:
            entry["metadata"]["selected"] = False
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = True
    with general_log() as statements:
        TapOpenDental(config={**practice.config, "tables": ["userod"]}, catalog=catalog).sync_all()
    reads = [statement for statement in statements if "FROM `userod`" in statement]
    assert reads
    assert [statement for statement in reads if "UserName" in statement or "Password`" in statement] == []


WRONG = {
    "wrong password": ({"password": "wrong"}, 5, "settings user and password"),
    "wrong host": ({"host": "127.0.0.1", "port": 1}, 4, "settings host and port"),
    "unresolvable host": ({"host": "nowhere.invalid"}, 4, "settings host and port"),
    "no such database": ({"database": "nodatabase"}, 5, "setting database"),
    "pattern without a match": ({"tables": ["patient", "proc_log*"]}, 7, "pattern 'proc_log*' matches none"),
    "everything excluded": ({"tables": ["patient"], "exclude_tables": ["p*"]}, 7, "exclude_tables"),
    "unreadable tables.yml": ({"tables_config": "/nowhere/tables.yml"}, 2, "/nowhere/tables.yml: cannot be read"),
    "half a client certificate": ({"ssl_cert": "/nowhere.pem"}, 2, "ssl_cert and ssl_key"),
    "unreadable CA": ({"ssl_ca": "/nowhere.pem"}, 2, "ssl_ca: not a readable PEM file"),
    "server without TLS": ({"ssl_required": True}, 2, "ssl_required"),
    "a date that is none": ({"start_date": "soon"}, 2, "start_date"),
    "a setting of a wrong kind": ({"port": "many"}, 2, "setting port"),
    "an unknown choice": ({"sentinel_dates": "maybe"}, 2, "setting sentinel_dates"),
    "a missing setting": ({"host": None}, 2, "setting host"),
    "an empty host": ({"host": ""}, 2, "setting host is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_gets_one_clear_line(practice, run_tap, case):
    """Each mistake ends with its exit code and one line that names the setting and the fix, without a traceback."""
    change, code, message = WRONG[case]
    config = {name: value for name, value in {**practice.config, **change}.items() if value is not None}
    run = run_tap(config)
    last = run.stderr.splitlines()[-1]
    assert run.returncode == code, run.stderr
    assert last.startswith("tap-opendental: error: ")
    assert message in last
    assert "Traceback" not in run.stderr
    assert str(practice.config["password"]) not in run.stderr
    assert "RECORD" not in run.stdout


def test_a_database_that_does_not_exist_is_said_to_the_one_who_may_know(practice, sandbox, run_tap):
    """The server tells its administrator that the database is missing; the exit code is that of missing things."""
    root = mariadb_root(sandbox.state)
    run = run_tap(config_of(root.url, database="nodatabase"))
    root.dispose()
    assert run.returncode == 6
    assert "database 'nodatabase' does not exist" in run.stderr.splitlines()[-1]


FILES = {
    "state": ({"state": {"bookmarks": {"patient": 3}}}, 11, "bookmark of stream patient"),
    "state that is no object": ({"state": []}, 11, "a JSON object is expected"),
    "catalog": ({"catalog": {"streams": [{}]}}, 2, "--discover"),
    "catalog of another database": (
        {"catalog": {"streams": [{"tap_stream_id": "gone", "schema": {"properties": {}}, "metadata": SELECTED}]}},
        7,
        "no stream is selected",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_state_and_catalog_get_one_clear_line(practice, run_installed_tap, case):
    """What cannot be believed ends the run before a row, with its exit code and the way out."""
    files, code, message = FILES[case]
    run = run_installed_tap({**practice.config, "tables": ["patient"]}, **files)
    assert run.returncode == code, run.stderr
    assert message in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def catalog_of(practice, table, **settings):
    """The table's catalog entry, selected."""
    catalog = TapOpenDental(config={**practice.config, "tables": [table], **settings}).catalog_dict
    for item in catalog["streams"][0]["metadata"]:
        if item["breadcrumb"] == []:
            item["metadata"]["selected"] = True
    return catalog


@pytest.mark.parametrize(
    "entry",
    [
        {"replication_method": "INCREMENTAL", "replication_key": "ProcDate"},
        {"replication_method": "INCREMENTAL", "replication_key": "ProcNum"},
        {"replication_method": "LOG_BASED"},
    ],
)
def test_a_catalog_cannot_choose_a_key_that_loses_changes(practice, incremental, entry):
    """An event time, the primary key or a log as replication method are refused with what to use instead."""
    catalog = catalog_of(practice, "procedurelog", tables_config=incremental)
    catalog["streams"][0].update(entry)
    config = {**practice.config, "tables": ["procedurelog"], "tables_config": incremental}
    tap = TapOpenDental(config=config, catalog=catalog, setup_mapper=False)
    with pytest.raises(ConfigError, match="would lose changes; use INCREMENTAL by DateTStamp"):
        tap.streams  # noqa: B018 - reading it applies the catalog


def test_a_catalog_may_ask_for_a_full_table(practice, run_tap):
    """FULL_TABLE loses nothing: the stream is read whole and activated, at the entry's top or in its metadata."""
    catalog = catalog_of(practice, "claim")
    catalog["streams"][0]["metadata"][0]["metadata"]["forced-replication-method"] = "FULL_TABLE"
    for item in catalog["streams"][0]["metadata"]:
        if item["breadcrumb"] == []:
            item["metadata"]["forced-replication-method"] = "FULL_TABLE"
    kinds = {m["type"] for m in messages(run_tap({**practice.config, "tables": ["claim"]}, catalog=catalog).stdout)}
    assert "ACTIVATE_VERSION" in kinds


def test_a_catalog_says_which_columns_are_read(practice, run_tap):
    """A column that a catalog does not declare is not sent; the key and the cursor are, even when deselected."""
    catalog = catalog_of(practice, "claim")
    del catalog["streams"][0]["schema"]["properties"]["ClaimStatus"]
    for item in catalog["streams"][0]["metadata"]:
        if item["breadcrumb"][-1:] in (["ClaimNum"], ["SecDateTEdit"], ["ClaimFee"]):
            item["metadata"] |= {"inclusion": "available", "selected": False}
    run = run_tap({**practice.config, "tables": ["claim"]}, catalog=catalog)
    sent = records(run.stdout)["claim"][0].keys()
    assert {"ClaimNum", "SecDateTEdit", "PatNum"} <= sent
    assert not {"ClaimStatus", "ClaimFee"} & sent


def test_a_catalog_stream_that_is_gone_is_an_error(practice):
    """A selected stream that the database no longer has fails the run; the SDK would pass over it."""
    catalog = catalog_of(practice, "claim")
    gone = {**catalog["streams"][0], "tap_stream_id": "gone", "stream": "gone"}
    catalog["streams"].append(gone)
    tap = TapOpenDental(config={**practice.config, "tables": ["claim"]}, catalog=catalog)
    with pytest.raises(NotFoundError, match="selects gone"):
        tap.sync_all()


STAMPED = "(Num int PRIMARY KEY, Stamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp())"


@pytest.fixture
def three_tables(mariadb_database, tmp_path):
    """A tap that has discovered three incremental tables of two rows each, and their engine."""
    with mariadb_database.engine.begin() as connection:
        for table in "abc":
            connection.exec_driver_sql(f"CREATE TABLE {table} {STAMPED}")
            connection.exec_driver_sql(f"INSERT INTO {table} (Num) VALUES (1), (2)")
    (tmp_path / "tables.yml").write_text("defaults: {extraction_strategy: incremental}\ntables: {a: {}, b: {}, c: {}}")
    config = config_of(sa.make_url(mariadb_database.reader_url), tables_config=str(tmp_path / "tables.yml"))
    tap = TapOpenDental(config={**config, "page_retries": 0})
    assert list(tap.streams) == ["a", "b", "c"]
    return tap, mariadb_database.engine


def run_in_process(tap, capsys):
    """Run a tap to its end; rows by stream, the last state, and the error that it ended with."""
    with pytest.raises(OpenDentalError) as ended:
        tap.sync_all()
    output = capsys.readouterr().out
    states = [message["value"] for message in messages(output) if message["type"] == "STATE"]
    return records(output), states[-1].get("bookmarks", {}) if states else {}, ended.value


def test_a_stream_that_fails_does_not_stop_the_others(three_tables, capsys):
    """A table that is dropped after discovery fails alone: the others are whole, their bookmarks move, and exit 10.

    The control: the SDK's own loop ends at the first error, so that `c` would not be read.
    """
    tap, engine = three_tables
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE b")
    rows, bookmarks, error = run_in_process(tap, capsys)
    assert {table: len(found) for table, found in rows.items()} == {"a": 2, "c": 2}
    assert {table for table, bookmark in bookmarks.items() if bookmark["replication_key_value"]} == {"a", "c"}
    assert error.exit_code == 10
    assert str(error).startswith("1 of 3 streams failed, the others are whole: b (table b is gone since discovery")


def kill_connection(tap):
    """End the tap's reading connection, as an administrator or a firewall does."""
    identity = tap.source.connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
    with create_source_engine(tap.settings.address).connect() as connection:
        connection.exec_driver_sql(f"KILL {identity}")


def test_a_connection_that_is_lost_between_streams_costs_nothing(three_tables, capsys):
    """While a target is slow nobody reads, and a firewall forgets the connection: the next stream opens another."""
    tap, _ = three_tables
    kill_connection(tap)
    tap.sync_all()
    assert {table: len(found) for table, found in records(capsys.readouterr().out).items()} == dict.fromkeys("abc", 2)


def test_a_connection_that_is_lost_again_and_again_costs_one_stream(three_tables, capsys, monkeypatch):
    """Once all tries of a page are used up, its stream fails with what happened; the next ones are read."""
    tap, _ = three_tables
    fetch = tap.source.fetch

    def fail(statement, **options):
        if "FROM `a`" in statement[0]:
            kill_connection(tap)
        return fetch(statement, **options)

    monkeypatch.setattr(tap.source, "fetch", fail)
    rows, bookmarks, error = run_in_process(tap, capsys)
    assert {table: len(found) for table, found in rows.items()} == {"b": 2, "c": 2}
    assert "a" not in bookmarks
    assert error.exit_code == 10
    assert "was lost while reading table a" in str(error)


def test_a_connection_test_fails_where_a_run_would(three_tables, capsys):
    """`--test` reads a row of each stream and ends as a run would: a failed stream is no success."""
    tap, engine = three_tables
    assert tap.run_connection_test()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE b")
    with pytest.raises(OpenDentalError) as ended:
        tap.run_connection_test()
    assert ended.value.exit_code == 10


def test_a_failed_stream_leaves_no_marks_in_the_state(three_tables, capsys):
    """What a stream noted on its way is gone with it: the last state knows no more of it than the one before."""
    tap, engine = three_tables
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE b")
    _, bookmarks, _ = run_in_process(tap, capsys)
    assert set(bookmarks) == {"a", "c"}


def test_a_lone_stream_keeps_its_exit_code(three_tables, capsys):
    """Where nothing was read, the run is not partial: it ends with the stream's own error."""
    tap, engine = three_tables
    with engine.begin() as connection:
        for table in "abc":
            connection.exec_driver_sql(f"DROP TABLE {table}")
    rows, bookmarks, error = run_in_process(tap, capsys)
    assert (rows, bookmarks) == ({}, {})
    assert error.exit_code == 6


def test_a_future_cursor_does_not_move_the_bookmark_past_now(mariadb_database, run_tap, tmp_path):
    """One row dated in the future must not hide every later change: the bookmark stops at the server's clock.

    The row itself is read each night, and sent once.
    """
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE visit (Num int PRIMARY KEY, DateTStamp timestamp NOT NULL DEFAULT current_timestamp() "
            "ON UPDATE current_timestamp())"
        )
        connection.exec_driver_sql("INSERT INTO visit VALUES (1, '2037-12-31 00:00:00'), (2, '2020-01-01 00:00:00')")
    (tmp_path / "tables.yml").write_text("tables: {visit: {extraction_strategy: incremental}}")
    config = config_of(sa.make_url(mariadb_database.reader_url), tables_config=str(tmp_path / "tables.yml"))
    state = messages(run_tap(config).stdout)[-1]["value"]
    assert "2026" <= state["bookmarks"]["visit"]["replication_key_value"] < "2037"
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO visit (Num) VALUES (3)")
    again = records(run_tap(config, state=state).stdout)["visit"]
    assert {row["Num"] for row in again} == {3}


def test_an_unexpected_error_withholds_its_text(practice, run_installed_tap):
    """A stream map that stumbles over a name would print it: only the error's type and place are told."""
    config = {**practice.config, "tables": ["patient"], "stream_maps": {"patient": {"Number": "int(LName)"}}}
    run = run_installed_tap(config)
    with practice.reader.connect() as connection:
        names = {row[0] for row in connection.exec_driver_sql("SELECT LName FROM patient WHERE LName <> ''")}
    assert run.returncode == 1
    assert "unexpected ValueError at" in run.stderr.splitlines()[-1]
    assert [name for name in names if name in run.stderr] == []
    assert "Traceback" not in run.stderr


def test_a_user_without_select_is_told_what_to_grant(practice, sandbox, run_tap):
    """A user who may connect and read nothing, or not all, gets the name of the table and the GRANT."""
    root = mariadb_root(sandbox.state)
    with root.begin() as connection:
        connection.exec_driver_sql("CREATE USER 'tmp_half'@'127.0.0.1' IDENTIFIED BY 'x'")
        connection.exec_driver_sql("GRANT INSERT ON opendental.patient TO 'tmp_half'@'127.0.0.1'")
        connection.exec_driver_sql("GRANT SELECT ON opendental.definition TO 'tmp_half'@'127.0.0.1'")
    config = {**practice.config, "user": "tmp_half", "password": "x"}
    runs = [run_tap({**config, "tables": ["patient"]}), run_tap(config)]
    with root.begin() as connection:
        connection.exec_driver_sql("DROP USER 'tmp_half'@'127.0.0.1'")
    root.dispose()
    assert [run.returncode for run in runs] == [5, 10]
    for run in runs:
        assert "may not read table patient: GRANT SELECT" in run.stderr.splitlines()[-1]
    assert set(records(runs[1].stdout)) == {"definition"}


def test_no_selected_stream_is_an_error(practice, run_tap):
    """A run that would move nothing fails, where Meltano alone would call it a success."""
    catalog = TapOpenDental(config={**practice.config, "tables": ["patient"]}).catalog_dict
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = False
    run = run_tap({**practice.config, "tables": ["patient"]}, catalog=catalog)
    assert run.returncode == 7
    assert "no stream is selected" in run.stderr.splitlines()[-1]


def test_an_unknown_column_type_is_refused(mariadb_database, monkeypatch, capsys, tmp_path):
    """A type that this version cannot read ends the run with its own code before any row."""
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE later (Num bigint PRIMARY KEY, Value uuid)")
    monkeypatch.setattr("tap_opendental.types.WORDS", frozenset())
    command = start_command(tmp_path, config_of(sa.make_url(mariadb_database.reader_url)), "--discover")
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 8
    assert "later.Value has type 'uuid'" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_between_lines(practice, tmp_path, name, code):
    """SIGTERM and SIGINT end the run with 143 and 130 after a whole line, never with success."""
    command = start_command(tmp_path, practice.config)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment()) as tap:
        begun = b"".join(islice(tap.stdout, 500))
        tap.send_signal(getattr(signal, name))
        output = begun + tap.stdout.read()
    assert tap.returncode == code
    assert output.endswith(b"\n")
    assert len(messages(output.decode())) >= 500
