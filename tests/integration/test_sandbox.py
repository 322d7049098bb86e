"""The life of a sandbox: up, down, again, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from opendental_analyze.cli import main
from opendental_analyze.errors import ForeignServerError
from opendental_analyze.sandbox import databases
from opendental_analyze.sandbox.addresses import render_dotenv, render_environment
from opendental_analyze.sandbox.ports import answers
from opendental_analyze.sandbox.processes import Process, read_boot, read_start
from opendental_analyze.sandbox.sandbox import ELSEWHERE, Sandbox
from opendental_analyze.sandbox.state import STATE_FILE, Source, read_state, write_state

OPENDENTAL = Path(sys.executable).with_name("opendental")


@pytest.fixture(scope="module")
def own():
    """A sandbox that these tests may stop and break."""
    root = Path(tempfile.mkdtemp(prefix="opendental-own-"))
    root.chmod(0o755)
    place = Sandbox(root / "sandbox")
    try:
        yield place
    finally:
        place.shut_down(delete=True)
        shutil.rmtree(root)


def opendental(*arguments, root):
    """Run the command in this process: starting another takes a second."""
    return CliRunner().invoke(main, ["sandbox", *arguments, "--root", str(root)])


def opendental_program(*arguments, root):
    """Run the installed program."""
    command = [OPENDENTAL, "sandbox", *arguments, "--root", root]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def listening_addresses(port):
    """Local addresses, in /proc's hexadecimal, on which something listens at the port."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]


def processes_on(directory):
    """Pids whose command line names the directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_up_status_env_down_through_the_command(own):
    """The command brings the servers up once, knows that they are up, prints their settings, and leaves nothing."""
    first = opendental_program("up", "--empty", "--json", root=own.root)
    assert first.returncode == 0, first.stderr
    up = json.loads(first.stdout)
    assert (up["started"], up["filled"], up["source"]["patients"]) == (True, True, 0)

    second = opendental("up", root=own.root)
    assert second.exit_code == 0
    assert second.stdout.startswith("the sandbox was up already\n")

    status = json.loads(opendental("status", "--json", root=own.root).stdout)
    assert status["servers"] == up["servers"]
    assert {base["name"]: base["tables"] for base in status["databases"]} == {
        "opendental": 434, "opendental_replica": 0, "opendental_analytics": 0, "meltano": 0,
    }  # fmt: skip

    ports = [server["port"] for server in up["servers"].values()]
    assert all(map(answers, ports))
    down = opendental_program("down", root=own.root)
    assert (down.returncode, down.stdout) == (0, "stopped MariaDB and PostgreSQL\n")
    assert not any(map(answers, ports))
    assert processes_on(own.root) == []
    assert opendental("down", root=own.root).stdout == "the sandbox was not up\n"


def test_env_of_a_stopped_sandbox_is_one_line_of_error(own):
    """A command that needs the servers says how to start them, on stderr, with the sandbox's exit code."""
    own.shut_down()
    done = opendental_program("env", root=own.root)
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == f"error: the sandbox in {own.root} is not up: run `opendental sandbox up`\n"


def test_data_ports_and_passwords_survive_a_stop(own):
    """Up after down serves the same data on the same ports under the same passwords."""
    own.start()
    before = render_environment(own.state)
    databases.run(databases.mariadb_root(own.state), ["CREATE OR REPLACE TABLE opendental_replica.kept (a INT)"])
    own.stop()
    own.start()
    assert render_environment(own.state) == before
    assert databases.read_tables(databases.mariadb_root(own.state), "opendental_replica", storage="MyISAM") == ("kept",)


def test_taken_port_is_replaced(own):
    """When another program took a server's port meanwhile, the server gets a new one."""
    own.start()
    before = own.state
    own.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", before.mariadb.port))
        squatter.listen()
        own.start()
    assert own.state.mariadb.port != before.mariadb.port
    assert own.state.postgres.port == before.postgres.port


def test_killed_server_is_started_again(own):
    """A server that died is found dead and started again on its data."""
    own.start()
    before = own.state
    os.kill(before.mariadb.process.pid, signal.SIGKILL)
    while read_start(before.mariadb.process.pid):
        time.sleep(0.02)
    assert not own.is_up
    assert own.start()
    assert own.state.mariadb.process != before.mariadb.process
    assert own.state.postgres.process == before.postgres.process


@pytest.mark.parametrize("change", ["start", "data"])
def test_foreign_process_is_refused(own, change):
    """A process with our pid but another start or another data directory gets no signal, nor does any other."""
    own.start()
    state = own.state
    with subprocess.Popen(["sleep", "60"]) as foreign:
        started = read_start(foreign.pid)
        process = Process(foreign.pid, started + 1 if change == "start" else started, read_boot())
        write_state(own.root, state.with_server("mariadb", replace(state.mariadb, process=process)))
        try:
            done = opendental("down", root=own.root)
            assert done.exit_code == 9
            assert done.stderr.startswith(
                f"error: process {foreign.pid} is not the server that this sandbox started on"
            )
            assert done.stderr.count("\n") == 1
            with pytest.raises(ForeignServerError):
                own.stop()
            assert foreign.poll() is None
            assert answers(state.postgres.port)
        finally:
            write_state(own.root, state)
            foreign.kill()


def test_process_of_another_boot_is_gone(own):
    """After a reboot a pid means nothing: down says that nothing ran, up starts servers on the same data."""
    own.start()
    own.stop()
    state = read_state(own.root)
    stale = Process(os.getpid(), read_start(os.getpid()), "another boot")
    write_state(own.root, state.with_server("mariadb", replace(state.mariadb, process=stale)))
    assert own.stop() == ()
    write_state(own.root, state.with_server("mariadb", replace(state.mariadb, process=stale)))
    assert own.start()


def test_second_command_at_the_same_time_is_refused(own):
    """Two commands never change one sandbox at once: the second says so instead of waiting."""
    with own.locked():
        done = opendental("up", "--empty", root=own.root)
    assert done.exit_code == 9
    assert "another command is at work" in done.stderr


def test_reset_replaces_what_up_refuses_to_mix(own):
    """Up with other options than those of the data there is refused; reset drops all old data and fills anew."""
    own.start()
    own.remember_source(Source(engine="MyISAM", patients=0, seed=1, rows=0))
    databases.run(databases.mariadb_root(own.state), ["CREATE OR REPLACE TABLE opendental_replica.old (a INT)"])
    databases.run(databases.postgres_root(own.state, "opendental_analytics"), ["CREATE TABLE raw.old (a INT)"])
    databases.run(databases.postgres_root(own.state, "meltano"), ["CREATE TABLE old (a INT)"])
    refused = opendental("up", "--empty", "--engine", "mixed", root=own.root)
    assert refused.exit_code == 9
    assert "not the engine asked for: `opendental sandbox reset`" in refused.stderr

    reset = opendental("reset", "--empty", "--engine", "mixed", "--json", root=own.root)
    assert json.loads(reset.stdout)["source"]["engine"] == "mixed"
    sizes = {size.name: size.tables for size in databases.read_sizes(own.state)}
    assert sizes == {"opendental": 434, "opendental_replica": 0, "opendental_analytics": 0, "meltano": 0}
    root = databases.mariadb_root(own.state)
    split = [len(databases.read_tables(root, "opendental", storage=storage)) for storage in ("MyISAM", "InnoDB")]
    assert sum(split) == 434
    assert min(split) > 150


def test_server_that_cannot_start_says_why(own):
    """The server's own complaint is in the error, in one line, with the way out."""
    own.start()
    own.stop()
    version = own.root / "postgres" / "data" / "PG_VERSION"
    before = version.read_text()
    version.write_text("9.4\n")
    try:
        failed = opendental("up", root=own.root)
    finally:
        version.write_text(before)
    assert failed.exit_code == 9
    assert failed.stderr.startswith("error: PostgreSQL does not start: ")
    assert "database files are incompatible with server" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_data_deleted_by_hand_is_made_again(own):
    """A server whose files are gone starts empty, and the source counts as not filled."""
    own.start()
    own.remember_source(Source(engine="MyISAM", patients=0, seed=1, rows=0))
    own.stop()
    shutil.rmtree(own.root / "mariadb")
    assert own.start()
    assert own.state.source is None


def test_servers_listen_on_loopback_only(sandbox):
    """Each port is bound to 127.0.0.1 and to no other address."""
    for server in sandbox.state.servers.values():
        assert listening_addresses(server.port) == ["0100007F"]


def test_servers_never_run_as_root(sandbox):
    """Server processes and their files belong to an unprivileged account."""
    for server in sandbox.state.servers.values():
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        ids = {
            line.split()[0]: line.split()[1:]
            for line in status.splitlines()
            if line.startswith(("Uid", "Gid", "Groups"))
        }
        assert "0" not in ids["Uid:"] + ids["Gid:"] + (ids["Groups:"] if os.geteuid() == 0 else [])
        assert server.data.stat().st_uid != 0
        assert stat.S_IMODE(server.data.stat().st_mode) & 0o077 == 0


def test_state_file_is_private(sandbox):
    """Passwords are readable by the sandbox's owner alone, and they are not those of another sandbox."""
    path = sandbox.root / STATE_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    passwords = sandbox.state.passwords.values()
    assert len(set(passwords)) == len(passwords)
    assert min(map(len, passwords)) >= 40


def test_env_lines_mean_the_same_in_every_form(sandbox):
    """A shell, a dotenv reader and JSON give one mapping, under the names that the plugins know."""
    lines = opendental("env", root=sandbox.root).stdout
    script = f'{lines}\nfor name in {" ".join(render_environment(sandbox.state))}; do echo "$name=${{!name}}"; done'
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    expected = render_environment(sandbox.state)
    assert dict(line.split("=", 1) for line in shell.splitlines()) == expected
    assert json.loads(opendental("env", "--json", root=sandbox.root).stdout) == expected
    assert opendental("env", "--dotenv", root=sandbox.root).stdout == render_dotenv(expected) + "\n"
    url = make_url(expected["OPENDENTAL_SOURCE_URL"])
    assert (url.host, str(url.port), url.username) == (
        "127.0.0.1",
        expected["TAP_OPENDENTAL_PORT"],
        "opendental_reader",
    )


def test_missing_server_names_its_package(tmp_path):
    """Without the programs the command names the package and the verb that bring them, exit code 9, no traceback."""
    arguments = ["sandbox", "up", "--empty", "--root", str(tmp_path / "sandbox")]
    script = (
        "from opendental_analyze.sandbox import binaries; binaries._directories = lambda: iter(())\n"
        f"from opendental_analyze.cli import main; main({arguments})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr.splitlines()[-1] == (
        "error: the MariaDB server is not installed: run `make servers`, "
        "or install the Debian or Ubuntu package mariadb-server-core"
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "sandbox" / STATE_FILE).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody who cannot enter its directory")
def test_project_that_the_servers_cannot_enter():
    """Under a private directory the servers' files go to /var/tmp, as recorded, and are deleted from there."""
    private = Path(tempfile.mkdtemp(prefix="opendental-private-"))
    place = Sandbox(private / ("a" * 100) / ".sandbox")
    try:
        place.start()
        home = Path(place.state.home)
        assert home.parent == ELSEWHERE
        assert home.exists()
        assert place.state.mariadb.data.is_relative_to(home)
    finally:
        place.shut_down(delete=True)
        shutil.rmtree(private)
    assert not home.exists()
    assert processes_on(home) == []
