"""The main job, `meltano run tap-opendental target-postgres`, compared row by row over all columns of all streams."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.conftest import PAGES, read_logs
from tests.oracle import read_cursors

from opendental_analyze.sandbox.addresses import SOURCE
from opendental_analyze.sandbox.practice.canaries import CANARIES, CANARY_NAME, SECRET_CANARIES
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.extraction.overlap import Reach

NAMED = ("patient", "procedurelog", "claimproc", "securitylog", "commlog")


def test_every_row_of_every_stream_arrives_as_it_is(first_night):
    """After the first run each table with a primary key, empty or not, is equal in raw: counts, keys, every value."""
    assert first_night.returncode == 0, first_night.log[-3000:]
    assert {table: problems for table, problems in first_night.problems.items() if problems} == {}
    assert len(first_night.problems) >= 424


@pytest.mark.parametrize("table", NAMED)
def test_the_comparison_sees_rows(pipeline, first_night, table):
    """The tables that matter most hold rows, so that their equality proves something."""
    with pipeline.warehouse.connect() as connection:
        assert connection.exec_driver_sql(f'SELECT count(*) FROM raw."{table}"').scalar_one() >= 25


@pytest.mark.parametrize("table", PAGES)
def test_the_first_run_crosses_pages(pipeline, first_night, table):
    """The tables with small pages have more than three pages of rows each: their equality proves page borders."""
    with pipeline.warehouse.connect() as connection:
        rows = connection.exec_driver_sql(f'SELECT count(*) FROM raw."{table}"').scalar_one()
    assert rows > 3 * PAGES[table]


def test_a_second_run_moves_nothing(second_night):
    """With nothing changed, not one row of any table is written again, incremental or full."""
    assert second_night.returncode == 0, second_night.log
    assert {table: problems for table, problems in second_night.problems.items() if problems} == {}
    assert {table: keys for table, keys in second_night.moved.items() if keys} == {}
    assert len(second_night.moved) >= 424


def test_after_a_day_exactly_the_invisible_keys_differ(pipeline, third_night, bookmarks, day):
    """Full tables are equal; incremental tables differ in the keys that no bookmark can see, not one more or fewer.

    Tables that got a new column are read whole once: what was rewritten silently in them is right again. So is what
    lies in the overlap, which is read again each night.
    """
    assert third_night.returncode == 0, third_night.log[-3000:]
    expected = {
        table: {tuple(map(str, key)): "extra" for key in hidden["deleted"]}
        | dict.fromkeys(find_behind_overlap(pipeline, bookmarks, table, hidden), "different")
        for table, hidden in (day["invisible"] | day["invisible_append_only"]).items()
        if table not in day["added_columns"] or hidden["deleted"]
    }
    for table in day["added_columns"]:
        expected[table] = {key: what for key, what in expected.get(table, {}).items() if what == "extra"}
    found = {
        table: {key: what.partition(":")[0] for key, what in problems.items()}
        for table, problems in third_night.problems.items()
        if problems
    }
    assert found == {table: keys for table, keys in expected.items() if keys}


def find_behind_overlap(pipeline, bookmarks, table, hidden):
    """Keys of silently rewritten rows whose cursor lies before what the third run read again."""
    ((key,), bookmark) = hidden["key"], bookmarks[table]
    begin = Reach().begin(bookmark["replication_key_value"])
    begin = begin if isinstance(begin, int) else begin.replace("T", " ").replace("+00:00", "")
    statement = f"SELECT `{key}` FROM `{table}` WHERE `{bookmark['replication_key']}` < %(begin)s"
    with pipeline.source.connect() as connection:
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        before = {str(row[0]) for row in connection.exec_driver_sql(statement, {"begin": begin})}
    return [(str(number),) for (number,) in hidden["rewritten"] if str(number) in before]


def test_the_day_changed_what_a_bookmark_can_see(third_night, day):
    """The day's edits and inserts did travel: the run moved rows of the tables that the day worked in."""
    worked = {table for table, counts in day["tables"].items() if counts["inserted"] and table in third_night.moved}
    assert worked
    assert all(third_night.moved[table] for table in worked)


@pytest.mark.parametrize("table", ["claimproc", "paysplit", "procedurelog", "patient", "commlog", "securitylog"])
def test_the_run_after_the_day_crosses_pages(third_night, table):
    """Of each incremental table with small pages more than a page of changed rows travels, in each way to find them."""
    assert len(third_night.moved[table]) > PAGES[table]


def test_columns_that_an_upgrade_adds_arrive(pipeline, third_night, day):
    """A column that did not exist at the last run is there after the next: no cached catalog hides it."""
    assert day["added_columns"]
    with pipeline.warehouse.connect() as connection:
        for table, columns in day["added_columns"].items():
            names = connection.exec_driver_sql(f'SELECT * FROM raw."{table}" LIMIT 0').keys()
            assert {column["name"] for column in columns} <= set(names)


def test_no_row_value_in_any_log(pipeline, first_night, second_night, third_night):
    """Names, SSNs, notes and secrets of the practice travel, and none is in the console or in Meltano's logs."""
    with pipeline.warehouse.connect() as connection:
        statement = f"SELECT count(*) FROM raw.patient WHERE \"LName\" = '{CANARY_NAME}'"
        assert connection.exec_driver_sql(statement).scalar_one() == 1
    log = first_night.log + second_night.log + third_night.log
    assert "Beginning sync of 'patient'" in log
    assert "Beginning sync of 'patient'" in read_logs(pipeline.logs)
    assert [canary for canary in (*CANARIES, *SECRET_CANARIES) if canary in log] == []


def test_secrets_never_leave_the_source(pipeline, first_night):
    """No secret column exists in raw, though every one of them holds a value in the source."""
    statement = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'raw'"
    with pipeline.warehouse.connect() as connection:
        landed = {tuple(row) for row in connection.exec_driver_sql(statement)}
    assert ("userod", "UserName") in landed
    assert landed & set(load_knowledge().secrets()) == set()


def test_bookmarks_are_in_meltanos_state(pipeline, first_night):
    """`meltano state get` prints, under the job's name, a bookmark for each incremental stream with rows."""
    state = json.loads(pipeline.meltano("state", "get", "test:tap-opendental-to-target-postgres").stdout)
    bookmarks = state["singer_state"]["bookmarks"]
    assert bookmarks["procedurelog"]["replication_key"] == "DateTStamp"
    cursors = read_cursors(pipeline.source, SOURCE)
    filled = {table for table, keys in first_night.moved.items() if keys and table in cursors}
    assert [table for table in filled if bookmarks[table]["replication_key_value"] is None] == []
    assert len(filled) > 30


def test_meltano_invokes_the_analysis(pipeline, tmp_path):
    """`meltano invoke opendental:analyze` sees the tap's variables, writes its files, and keeps the exit codes."""
    folder = str(tmp_path / "analysis")
    check = pipeline.meltano("invoke", "opendental:analyze", "--output", folder, "--check")
    assert check.returncode == 3, check.stderr
    written = pipeline.meltano("invoke", "opendental:analyze", "--output", folder, "--json")
    assert written.returncode == 0, written.stderr
    assert json.loads(written.stdout)["summary"]["tables"] == 434
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "analysis.json",
        "report.html",
        "summary.txt",
        "tables.yml",
    ]
    assert pipeline.meltano("invoke", "opendental:analyze", "--output", folder, "--check").returncode == 0


def test_a_failed_night_says_so(pipeline):
    """A wrong password ends the run with a failure, and the log names the settings to check, without a traceback."""
    run = pipeline.meltano("run", "tap-opendental", "target-postgres", TAP_OPENDENTAL_PASSWORD="wrong")
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "check settings user and password" in output
    assert "Traceback" not in output


def test_jobs_and_schedules_are_valid(pipeline):
    """meltano.yml's two schedules name jobs that exist, and both are runnable."""
    with ThreadPoolExecutor() as both:
        schedules = both.submit(pipeline.meltano, "schedule", "list", "--format=json")
        run = both.submit(pipeline.meltano, "run", "--dry-run", "nightly", "critical")
    listed = json.loads(schedules.result().stdout)
    scheduled = {schedule["name"]: schedule["job"]["name"] for schedule in listed["schedules"]["job"]}
    assert scheduled == {"every-night": "nightly", "office-hours": "critical"}
    assert run.result().returncode == 0
