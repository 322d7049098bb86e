"""What the sandbox computes without a server."""

from __future__ import annotations

import io
import os
import shlex
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from dotenv import dotenv_values
from rich.console import Console

from opendental_analyze.cli import main
from opendental_analyze.errors import MissingServerError, SandboxError
from opendental_analyze.progress import show_progress
from opendental_analyze.sandbox import binaries
from opendental_analyze.sandbox.addresses import render_dotenv, render_environment, render_exports
from opendental_analyze.sandbox.cli import find_root
from opendental_analyze.sandbox.leftovers import choose_leftovers, copy_as_select
from opendental_analyze.sandbox.processes import Process, is_running, read_boot, read_start
from opendental_analyze.sandbox.source import choose_engine
from opendental_analyze.sandbox.state import Source, create_state, read_state, write_state
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.errors import ExitCode

HOSTILE = {"A": "it's", "B": 'say "no" $HOME `id` \\', "C": "two\nlines", "D": "", "E": "é €"}
OFFICIAL = {name: known.table for name, known in load_knowledge().tables.items()}


def commands(group, path=()):
    """Every command below a group."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_every_command_has_a_sentence_and_an_example(path):
    """Help is one sentence and one example that begins with the command itself."""
    sentence, example = dict(commands(main))[path].help.replace("\b", "").split("\n\n")
    assert sentence.endswith(".")
    assert f"opendental {' '.join(path)}" in example
    assert example.strip().startswith("Example: ")
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0


def test_version_is_printed():
    """`opendental --version` says which one it is."""
    assert CliRunner().invoke(main, ["--version"]).output == "opendental 0.1.0\n"


def test_contradicting_options_are_a_usage_error(tmp_path):
    """An empty source has no patients: both at once is a wrong call, exit code 2."""
    wrong = CliRunner().invoke(main, ["sandbox", "up", "--empty", "--patients", "5", "--root", str(tmp_path / "s")])
    assert wrong.exit_code == ExitCode.CONFIG
    assert "contradict" in wrong.stderr
    assert not (tmp_path / "s").exists()


def test_sandbox_belongs_to_the_project_around(tmp_path, monkeypatch):
    """Below a directory with meltano.yml the sandbox is that project's, elsewhere it is the working directory's."""
    inside = tmp_path / "project" / "docs"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert find_root() == inside / ".sandbox"
    (tmp_path / "project" / "meltano.yml").touch()
    assert find_root() == tmp_path / "project" / ".sandbox"


def test_exports_survive_any_shell():
    """Quotes, dollars, backticks and newlines reach the environment as they were."""
    names = " ".join(HOSTILE)
    script = f'{render_exports(HOSTILE)}\nfor name in {names}; do printf "%s\\0" "${{!name}}"; done'
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout.split("\0")[:-1] == list(HOSTILE.values())


def test_dotenv_lines_are_read_back():
    """The reader that Meltano uses sees the same values."""
    assert dict(dotenv_values(stream=io.StringIO(render_dotenv(HOSTILE)))) == HOSTILE


def test_environment_names_what_the_plugins_read(tmp_path):
    """The settings of the plugins and the URLs of the contract are all there, each URL with its driver."""
    environment = render_environment(create_state(tmp_path))
    assert list(environment) == [
        *(f"TAP_OPENDENTAL_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")),
        *(f"TARGET_OPENDENTAL_REPLICA_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")),
        *(f"TARGET_POSTGRES_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA",
        "OPENDENTAL_SOURCE_URL", "OPENDENTAL_SOURCE_ADMIN_URL", "OPENDENTAL_REPLICA_URL", "OPENDENTAL_ANALYTICS_URL",
        "MELTANO_DATABASE_URI",
    ]  # fmt: skip
    assert environment["OPENDENTAL_SOURCE_URL"].startswith("mysql+pymysql://opendental_reader:")
    assert environment["OPENDENTAL_ANALYTICS_URL"].startswith("postgresql+psycopg://analytics_owner:")
    assert len(shlex.split(render_exports(environment))) == 2 * len(environment)


def test_state_is_read_as_it_was_written(tmp_path):
    """Servers, processes, passwords and the source survive the file; nobody else can read it."""
    state = create_state(tmp_path)
    process = Process(pid=1, started=2, boot="b")
    state = state.with_server("mariadb", type(state.mariadb)(state.mariadb.directory, 3306, process))
    assert read_state(tmp_path) is None
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert stat.S_IMODE((tmp_path / "sandbox.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", "{not json"])
def test_unreadable_state_is_one_line_of_error(tmp_path, text):
    """A broken state file is named; nothing is guessed from it."""
    (tmp_path / "sandbox.json").write_text(text)
    with pytest.raises(SandboxError, match=r"sandbox\.json is not a sandbox's state"):
        read_state(tmp_path)


def test_source_says_what_it_was_filled_with(tmp_path):
    """The choice of the practice is remembered, so that another `up` can refuse to mix two."""
    source = Source(engine="InnoDB", patients=5, seed=7, rows=100)
    write_state(tmp_path, replace(create_state(tmp_path), source=source))
    assert read_state(tmp_path).source == source


def test_process_is_known_by_its_start():
    """A living pid of another boot is not the process that was meant; a pid that does not exist never runs."""
    own = Process(os.getpid(), read_start(os.getpid()), read_boot())
    program = Path(Path("/proc/self/cmdline").read_text(encoding="utf-8").split("\0")[0])
    assert is_running(own, program)
    assert not is_running(Process(own.pid, own.started, "another boot"), program)
    assert not is_running(Process(2**22 + 1, own.started, own.boot), program)


@pytest.mark.parametrize(
    ("find", "package"), [(binaries.find_mariadbd, "mariadb-server-core"), (binaries.find_postgres, "postgresql")]
)
def test_missing_server_names_the_package(monkeypatch, find, package):
    """A missing program is an error that says how to get it."""
    monkeypatch.setattr(binaries, "_directories", lambda: iter(()))
    with pytest.raises(
        MissingServerError, match=f"make servers`, or install the Debian or Ubuntu package {package}$"
    ) as caught:
        find()
    assert caught.value.exit_code == 9


def test_newest_postgres_comes_first(tmp_path, monkeypatch):
    """Of several installed versions the highest number wins, 10 and more included."""
    for version in ("9", "15", "16", "14"):
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        for program in ("postgres", "initdb"):
            (directory / program).touch(mode=0o755)
    monkeypatch.setattr(binaries, "POSTGRES_VERSIONS", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert binaries.find_postgres() == tmp_path / "16" / "bin"


def test_mixed_engines_split_the_same_way_every_time():
    """Half of the tables go to each engine, chosen by name alone."""
    chosen = [choose_engine("mixed", name) for name in OFFICIAL]
    assert choose_engine("mixed", "patient") == choose_engine("mixed", "patient")
    assert 150 < chosen.count("MyISAM") < 274
    assert {choose_engine("InnoDB", name) for name in OFFICIAL} == {"InnoDB"}


def test_leftovers_are_the_same_every_time():
    """Ten tables and a few dozen rows in each, without a random choice anywhere."""
    leftovers = choose_leftovers(OFFICIAL)
    assert leftovers == choose_leftovers(OFFICIAL)
    assert len(leftovers) == 10
    assert all(12 <= len(left.rows) <= 60 for left in leftovers)
    assert not {left.table.name for left in leftovers} & set(OFFICIAL)


def test_keys_of_the_leftovers_are_unique():
    """No row of a leftover repeats another's primary key."""
    for left in choose_leftovers(OFFICIAL):
        places = [left.table.column_names.index(name) for name in left.table.primary_key]
        keys = [tuple(row[place] for place in places) for row in left.rows]
        assert not places or len(set(keys)) == len(keys)


def test_self_updating_columns_hold_a_plausible_past():
    """A column that the server's clock writes is never ahead of it: a bookmark there would see nothing any more."""
    stamps = [
        value
        for left in choose_leftovers(OFFICIAL)
        for row in left.rows
        for column, value in zip(left.table.columns, row, strict=True)
        if column.updates_itself
    ]
    assert len(stamps) >= 30
    assert all(stamp.startswith("2024-05-01 ") for stamp in stamps)


def test_copy_of_rows_stands_still():
    """A copy keeps columns and types, and loses key, indexes, counter and self-update."""
    patient = OFFICIAL["patient"]
    copy = copy_as_select(patient, "copy")
    assert copy.column_names == patient.column_names
    assert (copy.primary_key, copy.indexes) == ((), ())
    assert any(column.updates_itself for column in patient.columns)
    assert not any(column.updates_itself or column.auto_increment for column in copy.columns)


def test_progress_is_plain_lines_where_nobody_watches():
    """In a log the first step is a line, and then there is one every few seconds, however many steps there are."""
    output = io.StringIO()
    with show_progress(Console(file=output), every=3600) as progress:
        for step in range(1000):
            progress(f"table{step}", 5)
    assert output.getvalue().split() == ["0", "s", "5", "rows", "table0"]


def test_progress_lives_on_a_terminal():
    """On a terminal the steps replace each other in place."""
    output = io.StringIO()
    with show_progress(Console(file=output, force_terminal=True, width=100)) as progress:
        progress("patient", 5)
    assert "\x1b[" in output.getvalue()
