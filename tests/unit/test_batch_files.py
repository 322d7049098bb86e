"""The private folder of a run's BATCH files: who can read it, what survives a crash, what is refused."""

import fcntl
import gzip
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tap_opendental.batch_files import BatchFolder, choose_root
from tap_opendental.errors import ConfigError

TWO_DAYS = 2 * 86_400
HOLD = """
import sys, time
from tap_opendental.batch_files import BatchFolder
folder = BatchFolder(sys.argv[1])
folder.write("patient", [b"row"], ".jsonl")
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def root(tmp_path):
    """A root folder as `batch_config.storage.root` names it."""
    return f"file://{tmp_path / 'batches'}"


@pytest.fixture
def other_run(root):
    """Another process with a folder of its own under the root, and a file in it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, root], stdout=subprocess.PIPE, text=True)
    process.folder = Path(process.stdout.readline().strip())
    yield process
    process.kill()
    process.communicate()


def folders(root):
    return sorted(Path(root.removeprefix("file://")).iterdir())


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def age(path, seconds=TWO_DAYS):
    os.utime(path, (time.time() - seconds,) * 2)


def leave(root, *files):
    """A folder as a run leaves it that was killed, with the files that it wrote."""
    folder = BatchFolder(root)
    path = folder.path
    for stream in files:
        folder.write(stream, [b"row"], ".jsonl")
    for descriptor in (folder._lock, folder._folder, folder._root):
        os.close(descriptor)
    return path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_nobody_else_can_read_a_row_whatever_the_umask(root, umask):
    """The folders have mode 0700 and every file in them 0600: patient data is the tap's and the target's alone."""
    Path(root.removeprefix("file://")).mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        folder = BatchFolder(root)
        folder.write("patient", [b"row"], ".jsonl.gz")
    finally:
        os.umask(before)
    assert mode(folder.path) == 0o700
    assert [mode(path) for path in folder.path.iterdir()] == [0o600, 0o600]
    folder.close()


def test_a_root_that_is_made_is_private_too(root, monkeypatch, tmp_path):
    """A root that is not there yet is made, with mode 0700; so is the one that stands for no setting at all."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for folder in (BatchFolder(root), BatchFolder()):
        assert mode(folder.path.parent) == 0o700
        folder.close()
    assert mode(tmp_path / f"opendental-batches-{os.geteuid()}") == 0o700


def test_a_written_file_is_found_by_its_url(root):
    """The URL needs no escapes, so that a target finds the file whether it undoes them or not; gzip for .gz."""
    folder = BatchFolder(root)
    for stream in ("patient", "a/b", "../x", "naïve 表", "100%s", "a#b?c", "x" * 64):
        url = folder.write(stream, [b'{"a":1}\n', b"", b'{"a":2}\n'], ".jsonl.gz")
        path = Path(url.removeprefix("file://"))
        assert path.parent == folder.path
        assert path.as_uri() == url
        assert gzip.decompress(path.read_bytes()) == b'{"a":1}\n{"a":2}\n'
    assert Path(folder.write("patient", [b"1,2\n"], ".csv").removeprefix("file://")).read_bytes() == b"1,2\n"
    folder.close()


def test_two_files_of_a_stream_are_two_files(root):
    """A second file of a stream never takes the place of the first, which a target may not have read."""
    folder = BatchFolder(root)
    urls = [folder.write("patient", [text], ".csv") for text in (b"first", b"second")]
    assert [Path(url.removeprefix("file://")).read_bytes() for url in urls] == [b"first", b"second"]
    folder.close()


def test_a_file_has_its_name_only_when_it_is_whole(root):
    """While a file is written, nothing stands under its name: a target that looks early finds no half of it."""
    folder = BatchFolder(root)
    seen = []

    def chunks():
        yield b"half"
        seen.extend(path.name for path in folder.path.iterdir())
        yield b"whole"

    name = Path(folder.write("patient", chunks(), ".csv")).name
    assert name not in seen
    assert f".{name}.part" in seen
    assert {path.name for path in folder.path.iterdir()} == {name, "lock"}
    folder.close()


def test_rows_that_fail_half_way_leave_no_file(root):
    """An error of the source comes out as it is, and half a file is no file."""
    folder = BatchFolder(root)

    def chunks():
        yield b"half"
        raise BrokenPipeError("the source is gone")

    with pytest.raises(BrokenPipeError, match="the source is gone"):
        folder.write("patient", chunks(), ".csv")
    assert [path.name for path in folder.path.iterdir()] == ["lock"]
    folder.close()


def test_a_full_disk_is_one_line_and_leaves_no_half_file(root):
    """The kernel refuses the write in the middle of a file (a limit of 64 KB on file sizes stands for the disk)."""
    folder = BatchFolder(root)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    try:
        with pytest.raises(ConfigError) as refused:
            folder.write("patient", [b"x" * 50_000] * 2, ".csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(refused.value) == (
        f"{folder.path}: batch files cannot be written (File too large); make room or rights there, or name another "
        "folder in batch_config.storage.root"
    )
    assert refused.value.__cause__ is None
    assert [path.name for path in folder.path.iterdir()] == ["lock"]
    folder.write("patient", [b"x" * 100_000], ".csv")
    folder.close()


def test_a_folder_that_was_taken_away_is_one_line(root):
    """Whoever cleans up temporary files may take the run's folder: the line says where and what to set."""
    folder = BatchFolder(root)
    (folder.path / "lock").unlink()
    folder.path.rmdir()
    with pytest.raises(ConfigError, match=rf"{folder.path}: .*No such file.*batch_config\.storage\.root"):
        folder.write("patient", [b"row"], ".csv")
    folder.close()


def test_files_stay_when_the_tap_ends_and_an_empty_folder_goes(root):
    """A target may read after the tap is done: close() frees the lock and removes nothing that holds rows."""
    full, empty = BatchFolder(root), BatchFolder(root)
    url = full.write("patient", [b"row"], ".csv")
    for folder in (full, empty, empty):
        folder.close()
    assert Path(url.removeprefix("file://")).read_bytes() == b"row"
    assert folders(root) == [full.path]


def test_a_running_taps_folder_is_never_touched(root, other_run):
    """Two runs at once: however old the other's folder looks, it stays while its process lives, and goes after."""
    age(other_run.folder)
    BatchFolder(root).close()
    assert len(list(other_run.folder.iterdir())) == 2
    other_run.kill()
    other_run.wait()
    BatchFolder(root).close()
    assert folders(root) == []


def test_a_killed_runs_files_stay_for_a_day(root):
    """The target of a killed tap may still be reading: its folder goes once nothing changed in it for a day."""
    young, old = leave(root, "patient"), leave(root, "patient", "claim")
    age(young, 86_000)
    age(old, 86_800)
    BatchFolder(root).close()
    assert folders(root) == [young]


def test_a_killed_runs_empty_folder_goes_at_once(root):
    """Our own target removes what it has committed: an empty folder is needed by nobody."""
    leave(root)
    assert len(folders(root)) == 1
    BatchFolder(root).close()
    assert folders(root) == []


def test_what_is_not_a_runs_folder_stays(root, tmp_path):
    """A root that holds other things too loses none of them; symbolic links are not followed."""
    victim = leave(f"file://{tmp_path / 'elsewhere'}", "patient")
    place = tmp_path / "batches"
    place.mkdir()
    (place / "opendental-run-link").symlink_to(victim)
    (place / "opendental-run-file").write_text("notes")
    (place / "thesis").mkdir()
    (place / "opendental-run-trap").mkdir()
    (place / "opendental-run-trap" / "lock").symlink_to(victim / "lock")
    for path in (victim, *place.iterdir()):
        age(path)
    before = sorted(tmp_path.rglob("*"))
    BatchFolder(root).close()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_another_start_takes_for_a_leftover_is_made_again(root, monkeypatch):
    """A second run that cleans up between the making of a folder and its lock costs nothing but another folder."""
    lock, removed = fcntl.flock, []

    def flock(*arguments):
        monkeypatch.setattr(fcntl, "flock", lock)
        removed.extend(folders(root))
        BatchFolder(root).close()
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = BatchFolder(root)
    assert removed
    assert folders(root) == [folder.path] != removed
    folder.write("patient", [b"row"], ".csv")
    folder.close()


def test_a_root_that_is_a_symbolic_link_is_refused(root, tmp_path):
    """Somebody who may write to /tmp could point our name at a folder of his own."""
    (tmp_path / "his").mkdir()
    (tmp_path / "batches").symlink_to(tmp_path / "his")
    with pytest.raises(ConfigError, match=r"batch_config\.storage\.root: .*/batches is a symbolic link"):
        BatchFolder(root)
    assert list((tmp_path / "his").iterdir()) == []


def test_a_root_of_another_user_is_refused(root, tmp_path, monkeypatch):
    """Its owner could rename the run's folder and put his own in its place."""
    (tmp_path / "batches").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match=rf"belongs to user {os.getuid()}, and the tap runs as user"):
        BatchFolder(root)
    assert list((tmp_path / "batches").iterdir()) == []


@pytest.mark.parametrize(("rights", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_root_that_anybody_may_rename_in_is_refused(root, tmp_path, rights, refused):
    """World-writable is fine with the sticky bit, as /tmp has it, and refused without."""
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches").chmod(rights)
    if refused:
        with pytest.raises(ConfigError, match="anybody may write to"):
            BatchFolder(root)
    else:
        BatchFolder(root).close()


@pytest.mark.parametrize(
    ("setting", "path"),
    [("file:///srv/b", "/srv/b"), ("/srv/b", "/srv/b"), ("file://b", "{cwd}/b"), ("b", "{cwd}/b")],
)
def test_a_root_is_written_as_for_the_sdk(setting, path, tmp_path, monkeypatch):
    """A file:// URL or a path; relative ones count from the working directory, as the SDK reads them."""
    monkeypatch.chdir(tmp_path)
    assert str(choose_root(setting)) == path.format(cwd=tmp_path)


@pytest.mark.parametrize("setting", ["s3://bucket/x", "ftp://host/x", "FILE:///x"])
def test_other_storage_is_refused(setting):
    """Rows go to this machine's disk or nowhere."""
    with pytest.raises(ConfigError, match=r"batch_config\.storage\.root: .*name a folder as file:///path"):
        choose_root(setting)


@pytest.mark.parametrize("name", ["a b", "a%20b", "ö", "a?b", "a#b", "a\0b", "\udcff"])
def test_a_root_that_targets_would_not_find_is_refused(name):
    """target-postgres does not undo a URL's escapes, others do: only a path that needs none is found by both."""
    with pytest.raises(ConfigError, match="letters and digits of ASCII"):
        choose_root(f"file:///srv/{name}")
