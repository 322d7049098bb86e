"""The state that takes a stream back, as `meltano state merge` lays it over the one that is there."""

import json
import os
import stat

import pytest

from target_opendental_replica import rewinding
from target_opendental_replica.positions import Position
from target_opendental_replica.rewinding import advise, rewind


def merge(source, destination):
    """What Meltano does (meltano.core.utils.merge)."""
    for key, value in source.items():
        if isinstance(value, dict):
            merge(value, destination.setdefault(key, {}))
        else:
            destination[key] = value
    return destination


# What is held, what the state has, and what it has after the merge.
CASES = {
    "plain": ({"value": 1}, {"value": 2}, {"value": 1}),
    "a key that was not there": ({"value": 1}, {"value": 2, "version": 7}, {"value": 1, "version": None}),
    "a key that is gone": ({"value": 1, "version": 7}, {"value": 2}, {"value": 1, "version": 7}),
    "a pass that ended since": ({"position": {"after": 5}}, {"position": None}, {"position": None}),
    "a pass that began since": ({"position": None}, {"position": {"after": 5}}, {"position": None}),
    "another place of the pass": (
        {"position": {"after": 3, "table": {"rows": 1}}},
        {"position": {"after": 5, "table": None, "since": 1}},
        {"position": {"after": 3, "table": None, "since": None}},
    ),
    "lists": ({"overlap": [["1", "a"]]}, {"overlap": [["1", "b"], ["2", "c"]]}, {"overlap": [["1", "a"]]}),
    "nothing": (None, {"value": 2, "position": {"after": 5}}, {"value": None, "position": None}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_merge_takes_the_state_back(case):
    """After the merge the bookmark is the one that is held, with nulls where the state had more."""
    kept, entry, expected = CASES[case]
    stamp = {"lineage": "a1", "serial": 1}
    held = [] if kept is None else [Position("a1", 1, {**kept, **stamp})]
    rewound = rewind({"visit": {**entry, "lineage": "a1", "serial": 2}}, held)["singer_state"]["bookmarks"]
    merged = merge(rewound, {"visit": {**entry, "lineage": "a1", "serial": 2}})
    stamp = dict.fromkeys(stamp) if kept is None else stamp
    assert merged == {"visit": {**expected, **stamp}}


def test_a_plain_merge_would_fail():
    """The control: a mapping over a null, as the held bookmark has it, cannot be merged."""
    with pytest.raises((AttributeError, TypeError)):
        merge({"visit": {"position": {"table": {"rows": 1}}}}, {"visit": {"position": None}})


@pytest.mark.parametrize(("held", "adopt"), [(1, True), (2, False), (3, False)])
def test_adopting_is_offered_where_it_helps(tmp_path, held, adopt):
    """Where the destination stands at the state, and rows of a cut version are gone, only reading them again helps."""
    environment = {"MELTANO_PROJECT_ROOT": str(tmp_path)}
    (tmp_path / ".meltano").mkdir()
    said = advise({"visit": {"lineage": "a1", "serial": 2}}, [Position("a1", held, {"value": 1})], environment)
    assert ("on_missing_rows" in said, "meltano state merge" in said) == (adopt, True)
    [path] = (tmp_path / ".meltano").iterdir()
    entry = json.loads(path.read_text())["singer_state"]["bookmarks"]["visit"]
    assert entry == {"lineage": None, "serial": None, **({"value": 1} if held < 2 else {})}


def test_no_place_for_the_file_is_no_other_error(monkeypatch):
    """Where nothing can be written, the refusal is still told."""
    monkeypatch.setattr(rewinding.tempfile, "mkstemp", refuse)
    assert "no place for a file" in advise({"visit": {"lineage": "a1", "serial": 2}}, [], {})


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_lineage_with_two_tables_the_one_with_less_counts(tmp_path, monkeypatch, order):
    """In whatever order the destination tells them: the way back is to it, and adopting would help it."""
    monkeypatch.chdir(tmp_path)
    held = [Position("a1", 1, {"value": 1}), Position("a1", 2, {"value": 2})][::order]
    said = advise({"visit": {"lineage": "a1", "serial": 2}}, held, {})
    assert "on_missing_rows" in said
    [path] = tmp_path.iterdir()
    assert json.loads(path.read_text())["singer_state"]["bookmarks"]["visit"]["value"] == 1


def test_the_file_is_a_new_one(tmp_path, monkeypatch):
    """Nothing that somebody put there is written to, be it a file or a link, and nobody else can read it."""
    monkeypatch.chdir(tmp_path)
    planted = tmp_path / f"rewind-{os.getpid()}.json"
    planted.touch(mode=0o666)
    planted.chmod(0o666)
    paths = [rewinding.write_rewind({"a": 1}, {}) for _ in range(2)]
    assert planted.read_text() == ""
    assert len({planted, *paths}) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert {path.read_text() for path in paths} == {json.dumps({"a": 1}, indent=1)}


def refuse(*_arguments, **_options):
    raise PermissionError
