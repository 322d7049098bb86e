"""The demo: what it calls equal, whose settings reach Meltano, and how it ends when a program fails."""

import io
import json
import signal
import sys

import pytest
from rich.console import Console
from scripts import demo
from scripts.demo import Comparison, ProgramError, Rows, compare

TWO = Rows(2, frozenset({(1,), (2,)}))


def printed(table):
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()


def test_equal_keys_do_not_differ():
    """An incremental table with the same keys in both databases is equal."""
    assert not compare("commlog", "INCREMENTAL", TWO, TWO).differs


def test_a_key_that_raw_lacks_is_an_error_at_equal_counts():
    """A missing row is an error, also where a deleted one makes the counts equal."""
    comparison = compare("commlog", "INCREMENTAL", TWO, Rows(2, frozenset({(1,), (3,)})))
    assert comparison.source == comparison.raw
    assert (comparison.missing, comparison.deleted, comparison.differs) == (1, 1, True)


def test_rows_deleted_at_the_source_are_no_error():
    """What only raw still has in an incremental table is counted as deleted, and is no difference."""
    comparison = compare("commlog", "INCREMENTAL", TWO, Rows(3, TWO.keys | {(3,)}))
    assert (comparison.deleted, comparison.differs) == (1, False)


def test_a_duplicated_row_is_an_error():
    """More rows than keys in raw is a difference."""
    assert compare("commlog", "INCREMENTAL", TWO, Rows(3, TWO.keys)).differs


@pytest.mark.parametrize("raw", [Rows(1), Rows(3), None])
def test_full_tables_have_the_sources_number_of_rows(raw):
    """A full table with fewer or more rows than the source, or none at all, differs."""
    assert not compare("definition", "FULL_TABLE", Rows(2), Rows(2)).differs
    assert compare("definition", "FULL_TABLE", Rows(2), raw).differs


def test_an_empty_table_that_is_not_in_raw_differs():
    """A table that never arrived is a difference even when the source has no row for it."""
    assert compare("definition", "FULL_TABLE", Rows(0), None).differs


def test_the_table_shows_whatever_is_not_equal():
    """Small tables are left out, but for those that differ or keep deleted rows."""
    large = [Comparison(f"large{number}", "FULL_TABLE", 100, 100) for number in range(demo.SHOWN_TABLES)]
    small = [
        Comparison("equal", "FULL_TABLE", 1, 1),
        Comparison("lacking", "INCREMENTAL", 3, 2, missing=1),
        Comparison("keeping", "INCREMENTAL", 3, 4, deleted=1),
        Comparison("absent", "FULL_TABLE", 3, None),
    ]
    text = printed(demo.render_table([*small, *large]))
    assert "equal" not in text
    assert [part in text for part in ("1 missing 2", "1 deleted 4", "differs no table", "and 1 more tables")] == [
        True
    ] * 4


def test_the_summary_tells_deleted_rows_apart():
    """The summary counts differing tables and, only where there are any, deleted rows."""
    keeping = Comparison("commlog", "INCREMENTAL", 3, 5, moved=1, deleted=2)
    lacking = Comparison("patient", "INCREMENTAL", 3, 2, moved=4, missing=1)
    text = demo.render_summary([keeping, lacking])
    assert text.startswith("Tables that differ: 1. Rows that the second run moved: 5 (nothing had changed).\n")
    assert text.endswith("2 rows deleted at the source, which no bookmark can see.")
    assert "deleted" not in demo.render_summary([lacking])


def test_only_the_sandboxes_own_settings_reach_meltano():
    """Settings of another source, warehouse, project or environment do not; the rest of the environment does."""
    inherited = {
        "PATH": "/bin",
        "TAP_OPENDENTAL_TABLES": "[patient]",
        "TAP_OPENDENTAL_HOST": "clinic.internal",
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "other",
        "MELTANO_ENVIRONMENT": "prod",
        "MELTANO_PROJECT_ROOT": "/elsewhere",
    }
    assert demo.meltano_environment(inherited, {"TAP_OPENDENTAL_HOST": "127.0.0.1"}) == {
        "PATH": "/bin",
        "TAP_OPENDENTAL_HOST": "127.0.0.1",
        "MELTANO_ENVIRONMENT": "dev",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def test_meltano_reads_no_env_file():
    """A .env for a real source cannot mix with the sandbox."""
    assert demo.meltano("run")[1:] == ["--env-file", "/dev/null", "run"]


@pytest.mark.parametrize(
    ("source", "up"),
    [(None, ["--patients", "80"]), ({"patients": 60}, [])],
)
def test_a_practice_that_is_there_stays(monkeypatch, source, up):
    """A size is asked for only where there is no practice yet: no other size is refused then."""
    answers = {"status": {"root": "/sandbox", "source": source}, "up": None, "env": {}}
    commands = []

    def run(command, **_options):
        commands.append(command)
        return json.dumps(answers[command[2]])

    monkeypatch.setattr(demo, "run", run)
    monkeypatch.setenv("PATIENTS", "80")
    demo.start_sandbox()
    assert [command[3:] for command in commands if command[2] == "up"] == [up]


def test_another_size_than_asked_for_is_said():
    """Who asks for 80 patients where 60 are learns how to get them."""
    assert "reset --patients 80" in demo.render_start({"patients": 60}, "80")
    assert "reset" not in demo.render_start({"patients": 60}, "60")
    assert "reset" not in demo.render_start({"patients": 60}, None)


def test_a_failing_program_ends_the_demo_with_its_exit_code(monkeypatch, capsys):
    """One line that names the program and the code, and no traceback."""
    monkeypatch.setattr(demo, "play", lambda: demo.run([sys.executable, "-c", "raise SystemExit(9)"]))
    assert demo.main() == 9
    assert capsys.readouterr().err.endswith("ended with exit code 9: its own message is above\n")


def test_a_killed_program_has_the_shells_exit_code():
    """A program that a signal ended counts as 128 and the signal's number."""
    with pytest.raises(ProgramError) as raised:
        demo.run(["/bin/sh", "-c", "kill -KILL $$"])
    assert raised.value.exit_code == 137


def test_a_missing_program_says_what_to_run():
    """Without the environments of `make install plugins` the demo says so."""
    with pytest.raises(ProgramError, match="run `make install plugins`"):
        demo.run(["/nowhere/meltano"])


def test_ctrl_c_ends_the_demo_and_its_program(monkeypatch, capsys):
    """Exit code 130 and one line; the program has ended before."""
    monkeypatch.setattr(demo, "SECONDS_TO_END", 0.1)
    started = []

    def interrupted():
        with demo.program(["/bin/sleep", "60"], "") as process:
            started.append(process)
            raise KeyboardInterrupt

    monkeypatch.setattr(demo, "play", interrupted)
    assert demo.main() == 130
    assert started[0].returncode == -signal.SIGTERM
    assert capsys.readouterr().err.count("\n") == 1
