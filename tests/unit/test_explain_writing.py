"""Files of an analysis appear whole and together; what cannot be written leaves the folder as it was."""

import errno
import os
import stat
from pathlib import Path

import pytest

from opendental_analyze.explain.writing import require_folder, write_files
from tap_opendental.errors import ConfigError

OLD = {"report.html": "old report\n", "tables.yml": "old tables\n"}
NEW = {"report.html": "new report\n", "tables.yml": "new tables: ü\n"}


@pytest.fixture
def folder(tmp_path):
    """A folder with the files of an earlier analysis."""
    write_files(tmp_path, OLD)
    return tmp_path


def content(folder):
    """Every file of a folder, drafts too."""
    return {path.name: path.read_text("utf-8") for path in folder.iterdir() if path.is_file()}


def test_files_are_replaced_and_nothing_else_stays(folder):
    """All files hold their new text in UTF-8, and no draft is left."""
    assert write_files(folder, NEW) == {name: folder / name for name in NEW}
    assert content(folder) == NEW


def test_a_folder_that_is_not_there_is_made(tmp_path):
    """Parents are made as well."""
    write_files(tmp_path / "one" / "two", NEW)
    assert content(tmp_path / "one" / "two") == NEW


@pytest.mark.parametrize("failing", range(1, 3))
def test_a_full_disk_changes_no_file(folder, monkeypatch, failing):
    """When a text does not reach the disk, whichever it is, all files keep their old text and no draft stays."""
    calls = iter(range(1, 100))

    def fsync(_descriptor):
        if next(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device", "the draft")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ConfigError, match="No space left on device"):
        write_files(folder, NEW)
    assert content(folder) == OLD


@pytest.mark.parametrize("taken", NEW)
def test_a_directory_in_the_way_changes_no_file(folder, taken):
    """A name that a directory has is found before the first file is replaced, and named."""
    (folder / taken).unlink()
    (folder / taken).mkdir()
    with pytest.raises(ConfigError, match=f"{taken}: it is a directory"):
        write_files(folder, NEW)
    assert content(folder) == {name: text for name, text in OLD.items() if name != taken}


def test_the_file_that_others_obey_changes_last(folder, monkeypatch):
    """When replacing stops half way, the last file is still the old one, so that the next analysis starts from it."""
    replace = Path.replace

    def stop_at_tables(self, target):
        if target.name == "tables.yml":
            raise OSError(errno.EIO, "Input/output error", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stop_at_tables)
    with pytest.raises(ConfigError, match=r"tables\.yml: Input/output error"):
        write_files(folder, NEW)
    assert content(folder) == {"report.html": NEW["report.html"], "tables.yml": OLD["tables.yml"]}


def test_a_link_stays_a_link_and_rights_stay(folder):
    """A tables.yml that is kept elsewhere is written there; a file keeps the rights that it had."""
    elsewhere = folder / "reviewed.yml"
    (folder / "tables.yml").rename(elsewhere)
    (folder / "tables.yml").symlink_to(elsewhere)
    (folder / "report.html").chmod(0o600)
    write_files(folder, NEW)
    assert (folder / "tables.yml").is_symlink()
    assert elsewhere.read_text("utf-8") == NEW["tables.yml"]
    assert stat.S_IMODE((folder / "report.html").stat().st_mode) == 0o600


def test_a_file_is_no_folder(tmp_path):
    """An output that is a file, or would be below one, is refused before any work; one that is not there is none."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(ConfigError, match=r"--output: .*file is no directory"):
            require_folder(place)
    require_folder(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    """The refusal names the folder; rights are the system's word, since root may write anywhere."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=f"--output: {tmp_path} is not writable"):
        require_folder(tmp_path / "new")


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path, monkeypatch):
    """Without rights on a folder nothing in it can be asked for: one line, not the system's own error."""

    def refuse(path, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda place, _rights: place != tmp_path)
    stat_of = os.stat
    inside = tmp_path / "closed" / "deeper"
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, lambda path, **k: refuse(path) if path == inside else stat_of(path, **k))
    with pytest.raises(ConfigError, match=f"--output: {tmp_path} is not writable"):
        require_folder(inside)


def test_a_link_to_itself_is_named(folder):
    """What it leads to cannot be written, and no file changes."""
    (folder / "tables.yml").unlink()
    (folder / "tables.yml").symlink_to("tables.yml")
    with pytest.raises(ConfigError, match=r"cannot write .*tables\.yml: Too many levels of symbolic links"):
        write_files(folder, NEW)
    assert (folder / "report.html").read_text("utf-8") == OLD["report.html"]


def test_a_link_to_a_file_that_is_not_there_makes_it(folder):
    """As a plain write would."""
    (folder / "tables.yml").unlink()
    (folder / "tables.yml").symlink_to("reviewed.yml")
    write_files(folder, NEW)
    assert (folder / "tables.yml").is_symlink()
    assert (folder / "reviewed.yml").read_text("utf-8") == NEW["tables.yml"]
