"""`opendental analyze` against real servers: what it writes, says and ends with."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from opendental_analyze.cli import main
from opendental_analyze.sandbox.databases import mariadb_root
from tap_opendental.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

OPENDENTAL = Path(sys.executable).with_name("opendental")
FILES = {"tables.yml", "analysis.json", "summary.txt", "report.html"}


@dataclass(frozen=True)
class Command:
    """`opendental analyze --output FOLDER` for one source."""

    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> Result:
        """Run it in this process: starting another takes a second."""
        unset = dict.fromkeys((name for name in os.environ if name.startswith("TAP_OPENDENTAL_")), None)
        given = {**unset, **self.environment, **environment}
        return CliRunner().invoke(main, ["analyze", "--output", str(self.folder), *arguments], env=given)

    def read(self) -> dict[str, str]:
        """Every file of the folder by name."""
        return {path.name: path.read_text("utf-8") for path in sorted(self.folder.iterdir())}

    def load_tables(self):
        """The entries of tables.yml, as YAML reads them."""
        return yaml.safe_load((self.folder / "tables.yml").read_text("utf-8"))["tables"]

    def edit(self, table: str, **entry: object) -> None:
        """Change a table's entry in tables.yml, as a person does."""
        path = self.folder / "tables.yml"
        content = yaml.safe_load(path.read_text("utf-8"))
        content["tables"][table] = {**(content["tables"][table] or {}), **entry}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")


def variables_of(url: sa.URL) -> dict[str, str]:
    values = {"HOST": url.host, "PORT": url.port, "USER": url.username, "PASSWORD": url.password}
    return {f"TAP_OPENDENTAL_{key}": str(value) for key, value in {**values, "DATABASE": url.database}.items()}


@pytest.fixture
def run(mariadb_database, tmp_path):
    """Analyse a database of the test's own."""
    return Command(variables_of(sa.make_url(mariadb_database.reader_url)), tmp_path / "analysis")


@pytest.fixture
def execute(mariadb_database):
    """Run statements in the database of the test."""

    def execute(*statements: str) -> None:
        with mariadb_database.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    return execute


@pytest.fixture
def two_tables(execute):
    """A table that is tracked and one that is not."""
    execute(
        "CREATE TABLE patient (PatNum bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, LName varchar(100), "
        "DateTStamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()) ENGINE=MyISAM",
        "CREATE TABLE feesched (FeeSchedNum bigint NOT NULL PRIMARY KEY, Description varchar(255)) ENGINE=MyISAM",
    )


@pytest.fixture
def run_practice(practice, tmp_path):
    """Analyse the practice that all tests read."""
    return Command(variables_of(practice.reader.url), tmp_path / "analysis")


def undated(files: Mapping[str, str]) -> dict[str, str]:
    """The files without the date of the analysis, should a day begin between two runs."""
    date = json.loads(files["analysis.json"])["analyzed_on"]
    return {name: text if name == "tables.yml" else text.replace(date, "DATE") for name, text in files.items()}


def test_it_writes_four_files_and_says_what_a_person_wants_to_know(run_practice):
    """Four files; stdout is summary.txt and where the files are, progress is on stderr."""
    result = run_practice()
    assert result.exit_code == ExitCode.OK, result.stderr
    files = run_practice.read()
    assert set(files) == FILES
    assert result.stdout.startswith(files["summary.txt"])
    assert result.stdout.removeprefix(files["summary.txt"]).startswith(
        f"\nWrote {run_practice.folder}: tables.yml (new)"
    )
    assert "reading the schema" in result.stderr
    assert len(files["summary.txt"].splitlines()) <= 40
    analysis = json.loads(files["analysis.json"])
    assert {table["name"] for table in analysis["tables"]} == set(run_practice.load_tables())
    keys = [table["replication"] for table in analysis["tables"] if table["replication"]["key"]]
    moving = sum(not choice["append_only"] for choice in keys)
    assert moving >= 67  # those of the official tables
    assert f"{moving} self-updating columns" in files["summary.txt"]
    assert f"{len(keys) - moving} append-only primary keys" in files["summary.txt"]


def test_a_second_run_gives_the_same_bytes_and_nothing_to_change(run_practice):
    """Same source, same previous file: same bytes in all four files, and `--check` ends with 0."""
    run_practice()
    first = run_practice.read()
    second = run_practice("--json")
    assert json.loads(second.stdout)["changes"] == []
    assert json.loads(second.stdout)["would_change"] is False
    after_second = run_practice.read()
    assert run_practice().exit_code == ExitCode.OK
    assert undated(run_practice.read()) == undated(after_second)
    assert after_second["tables.yml"] == first["tables.yml"]
    assert run_practice("--check").exit_code == ExitCode.OK


def test_no_password_in_what_it_writes_or_says(run_practice):
    """The reader's password is in no file and on no stream."""
    password = run_practice.environment["TAP_OPENDENTAL_PASSWORD"]
    result = run_practice()
    assert len(password) > 10
    assert all(password not in text for text in (result.stdout, result.stderr, *run_practice.read().values()))


def test_json_is_one_object_and_nothing_else_is_on_stdout(run, two_tables):
    """`--json`: counts, changes, problems, tables left out and missing, the files, and whether tables.yml changed."""
    result = run("--json")
    content = json.loads(result.stdout)
    assert set(content) == {"summary", "changes", "problems", "left_out", "missing", "files", "would_change"}
    assert content["summary"]["tables"] == 2
    assert content["would_change"] is True
    assert content["files"] == {name: str(run.folder / name) for name in FILES}
    assert "patient" not in content["missing"]
    assert "procedurelog" in content["missing"]


def test_check_writes_nothing_and_ends_with_3_when_tables_yml_would_change(run, two_tables, execute):
    """First without a tables.yml, then as it is, then after a change of structure; never a file."""
    first = run("--check")
    assert first.exit_code == ExitCode.WOULD_CHANGE
    assert "tables.yml would be written" in first.stdout
    assert not run.folder.exists()
    run()
    before = run.read()
    assert run("--check").exit_code == ExitCode.OK
    execute("ALTER TABLE patient ADD Birthdate date NOT NULL DEFAULT '0001-01-01'")
    changed = run("--check", "--json")
    assert changed.exit_code == ExitCode.WOULD_CHANGE
    content = json.loads(changed.stdout)
    assert [(change["table"], change["key"]) for change in content["changes"]] == [("patient", "schema_hash")]
    assert (content["would_change"], content["files"]) == (True, {})
    assert run.read() == before
    assert "1 table changed (structure 1)" in run().stdout
    assert run("--check").exit_code == ExitCode.OK


def test_tables_that_come_and_go_are_told(run, two_tables, execute):
    """A new table and a dropped one are changes by name."""
    run()
    execute("DROP TABLE feesched", "CREATE TABLE extra (Id int PRIMARY KEY) ENGINE=MyISAM")
    result = run()
    assert "1 new table, 1 table gone" in result.stdout
    assert "+ extra" in result.stdout
    assert "- feesched" in result.stdout
    assert set(run.load_tables()) == {"patient", "extra"}


def test_what_a_person_wrote_survives(run, two_tables, execute):
    """Overrides are in the next file, in force, through a change of structure too."""
    run()
    run.edit("patient", overrides={"batch_size": 77, "reason": "long notes"})
    execute("ALTER TABLE patient ADD Extra int")
    result = run()
    assert result.exit_code == ExitCode.OK
    assert run.load_tables()["patient"]["overrides"] == {"batch_size": 77, "reason": "long notes"}
    assert "1 value that a person set, in 1 table" in result.stdout


def test_an_override_that_no_longer_fits_is_a_warning(run, two_tables, execute):
    """It stays in the file, is said on stderr, counted in the summary, and does not fail the command.

    The last line says what it means to the tap. `--check` ends with the code that the tap would end with; with 3 as
    long as tables.yml would change.
    """
    run()
    run.edit("patient", overrides={"incremental_column": "DateTStamp", "extraction_strategy": "incremental"})
    execute("ALTER TABLE patient DROP COLUMN DateTStamp")
    assert run("--check").exit_code == ExitCode.WOULD_CHANGE
    result = run()
    assert result.exit_code == ExitCode.OK
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert any("patient" in line and "incremental_column" in line for line in warnings)
    assert f"{len(warnings)} problem" in result.stdout
    assert run.load_tables()["patient"]["overrides"]["incremental_column"] == "DateTStamp"
    refused = "The tap will not read these until a person mends tables.yml: patient"
    assert result.stdout.splitlines()[-1] == refused
    before = run.read()
    checked = run("--check")
    assert (checked.exit_code, checked.stdout.splitlines()[-1]) == (ExitCode.CONFIG, refused)
    assert run("--check", "--json").exit_code == ExitCode.CONFIG
    assert run.read() == before
    run.edit("patient", overrides={})
    assert run("--check").exit_code == ExitCode.WOULD_CHANGE
    assert "refuse" not in run().stdout
    assert run("--check").exit_code == ExitCode.OK


def test_what_the_tap_passes_over_does_not_fail_a_check(run, two_tables, execute):
    """The overrides of a table that is gone are a warning until they are removed, and nothing that stops a run."""
    run()
    run.edit("patient", overrides={"batch_size": 77})
    execute("DROP TABLE patient")
    result = run()
    assert "warning: " in result.stderr
    assert "patient" in result.stderr
    assert "refuse" not in result.stdout
    assert run("--check").exit_code == ExitCode.OK


def test_only_the_tables_that_a_pattern_names_are_analysed_again(run, two_tables, execute):
    """The entries of all other tables stay as they are, whatever happened to those tables."""
    run()
    before = run.load_tables()
    execute("ALTER TABLE patient ADD Extra int", "ALTER TABLE feesched ADD Extra int")
    result = run("--tables", "FEE*", "--json")
    assert [change["table"] for change in json.loads(result.stdout)["changes"]] == ["feesched"]
    after = run.load_tables()
    assert after["patient"] == before["patient"]
    assert after["feesched"]["schema_hash"] != before["feesched"]["schema_hash"]
    assert [table["name"] for table in json.loads(run.read()["analysis.json"])["tables"]] == ["feesched"]
    assert "1 table like FEE* (1 empty)" in run.read()["summary.txt"]
    assert json.loads(run.read()["analysis.json"])["complete"] is False


def test_a_probe_looks_at_rows_and_moves_no_decision(run, two_tables, execute):
    """`--probe` says so, and tables.yml is the one that there is without it."""
    execute("INSERT INTO patient (LName) VALUES ('A'), ('B')")
    run()
    before = run.read()["tables.yml"]
    result = run("--probe")
    assert "data sampled" in result.stdout.splitlines()[0]
    assert run.read()["tables.yml"] == before


def test_hostile_names_are_shown_and_written(run, execute):
    """A name with quotes, markup, percent signs and a terminal's escape breaks neither the files nor the terminal."""
    name = "a `b`\" 'c' %s [red] <b>\x1b[31m ü"
    execute(f"CREATE TABLE `{name.replace('`', '``').replace('%', '%%')}` (`x``%%s` int PRIMARY KEY) ENGINE=MyISAM")
    run()
    execute("CREATE TABLE other (Id int PRIMARY KEY) ENGINE=MyISAM")
    run.edit(name, overrides={"incremental_column": "none\x1b[31m"})
    result = run()
    assert result.exit_code == ExitCode.OK
    assert name in run.load_tables()
    assert "\x1b" not in result.stdout + result.stderr


def test_a_comment_alone_is_no_decision(run, two_tables):
    """A file that says the same in other words would be written anew, and the command says that it is only that."""
    run()
    path = run.folder / "tables.yml"
    path.write_text(path.read_text("utf-8") + "# seen by me\n", encoding="utf-8")
    result = run("--check")
    assert result.exit_code == ExitCode.WOULD_CHANGE
    assert "would change in what is no decision" in result.stdout


def test_a_terminal_without_unicode_shows_names_escaped(run, execute, tmp_path):
    """A name that stdout's encoding lacks is no traceback; JSON stays JSON."""
    execute("CREATE TABLE `täble表` (Id int PRIMARY KEY) ENGINE=MyISAM")
    run()
    execute("DROP TABLE `täble表`", "CREATE TABLE `öther` (Id int PRIMARY KEY) ENGINE=MyISAM")
    command = [OPENDENTAL, "analyze", "--check", "--output", run.folder]
    environment = {**os.environ, **run.environment, "PYTHONIOENCODING": "latin-1"}
    said = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert said.returncode == ExitCode.WOULD_CHANGE, said.stderr
    assert b"- t\xe4ble\\u8868" in said.stdout
    said = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=False)
    assert {change["table"] for change in json.loads(said.stdout)["changes"]} == {"täble表", "öther"}


def fails(result: Result, code: ExitCode, *words: str) -> None:
    """The command ended with a code and one line on stderr that holds the words, and said nothing else."""
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors
    assert "Traceback" not in result.stderr


def test_a_pattern_that_matches_nothing_is_an_error(run, two_tables):
    """Nothing is written, and the pattern is named."""
    fails(run("--tables", "patient", "--tables", "proc*"), ExitCode.NOTHING_SELECTED, "--tables", "'proc*'")
    assert not run.folder.exists()


def test_a_database_without_tables_is_an_error(run):
    """An empty database is more likely a wrong one: the error names it and what to check."""
    fails(run(), ExitCode.NOT_FOUND, run.environment["TAP_OPENDENTAL_DATABASE"], "GRANT SELECT")
    assert not run.folder.exists()


def test_a_server_that_does_not_answer_is_an_error(run):
    """The address is named."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = str(nobody.getsockname()[1])
        fails(run(TAP_OPENDENTAL_PORT=port), ExitCode.UNREACHABLE, f"127.0.0.1:{port}")


def test_a_refused_user_is_an_error(run):
    """A wrong password ends with the tap's code for it, and is not shown."""
    result = run(TAP_OPENDENTAL_PASSWORD="not-this-one")
    fails(result, ExitCode.ACCESS_DENIED, run.environment["TAP_OPENDENTAL_USER"])
    assert "not-this-one" not in result.stderr


def test_a_database_that_the_user_may_not_see_is_an_error(run):
    """A wrong name, or no right: both ask the reader to check the setting."""
    fails(run(TAP_OPENDENTAL_DATABASE="nowhere"), ExitCode.ACCESS_DENIED, "nowhere", "database")


def test_a_missing_variable_is_an_error(run):
    """The variable is named before any connection."""
    fails(run(TAP_OPENDENTAL_HOST=""), ExitCode.CONFIG, "TAP_OPENDENTAL_HOST")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tables: [", ("tables.yml", "YAML")),
        ("tables:\n  patient: {batch_sise: 1}\n", ("tables.yml line 2", "batch_sise", "did you mean 'batch_size'")),
    ],
)
def test_a_malformed_tables_yml_is_an_error_and_stays(run, two_tables, text, words):
    """What a person wrote is not replaced because it could not be read: the error names file, line and key."""
    run.folder.mkdir()
    (run.folder / "tables.yml").write_text(text)
    fails(run(), ExitCode.CONFIG, *words)
    assert run.read() == {"tables.yml": text}


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_tables_yml_that_is_a_link_to_itself_is_an_error(run, arguments):
    """It is there and cannot be read: no first tables.yml, which would put an end to what a person wrote."""
    run.folder.mkdir()
    (run.folder / "tables.yml").symlink_to("tables.yml")
    fails(run(*arguments), ExitCode.CONFIG, "tables.yml: cannot be read", "symbolic links")


def test_an_output_that_is_a_file_is_an_error(run, two_tables):
    """It is found before the source is asked."""
    run.folder.write_text("")
    fails(run(TAP_OPENDENTAL_HOST="nowhere.invalid"), ExitCode.CONFIG, "--output")


def test_a_damaged_table_is_left_out_with_a_warning(run, two_tables, sandbox, mariadb_database):
    """One table that the server cannot open does not stop the others; its entry in tables.yml stays."""
    run()
    root = mariadb_root(sandbox.state)
    with root.connect() as connection:
        connection.exec_driver_sql("FLUSH TABLES")
    root.dispose()
    files = sandbox.state.mariadb.data / mariadb_database.name
    os.truncate(files / "feesched.MYI", 100)
    for arguments in ((), ("--tables", "*")):
        result = run(*arguments)
        assert result.exit_code == ExitCode.OK, result.stderr
        assert "warning: table feesched is left out" in result.stderr
        assert "1 table that could not be analysed" in result.stdout
        assert set(run.load_tables()) == {"patient", "feesched"}
    fails(run("--tables", "fee*"), ExitCode.NOT_FOUND, "feesched", "REPAIR TABLE")
    for part in ("MYI", "MYD", "frm"):
        (files / f"feesched.{part}").unlink()


def test_an_option_before_a_subcommand_is_refused(run):
    """`analyze --output X diff A B` would not do what it says."""
    result = run("diff", "a", "b")
    assert result.exit_code == ExitCode.CONFIG
    assert "--output belongs to `opendental analyze` alone" in result.stderr


def test_without_an_output_the_files_are_in_the_project(run, two_tables, tmp_path, monkeypatch):
    """The default is `analysis` beside the nearest meltano.yml, else in the working directory."""
    inside = tmp_path / "project" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "project" / "meltano.yml").write_text("")
    monkeypatch.chdir(inside)
    for name, value in run.environment.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(main, ["analyze"]).exit_code == ExitCode.OK
    assert {path.name for path in (tmp_path / "project" / "analysis").iterdir()} == FILES
