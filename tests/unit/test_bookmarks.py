"""What the state remembers: all of it comes back, and what cannot be read is refused by the stream's name alone."""

import json
from copy import deepcopy
from decimal import Decimal

import pytest

from tap_opendental.bookmarks import FORMAT, REPAIR, Bookmark, Pass, Stamp, check_state, read_bookmarks
from tap_opendental.drift import Structure
from tap_opendental.errors import StateError
from tap_opendental.extraction.pages import Place
from tap_opendental.extraction.table_state import Looks
from tap_opendental.extraction.witnesses import Witness
from tap_opendental.identity import Identity
from tap_opendental.inputs import read_object

HERE = Identity("0b5c-uid", "server-1", "opendental")
LOOKS = Looks("2024-01-01 00:00:00", None, 2**63, -3)
STAMPED = (
    Witness(("SECRET", 3), "2024-06-28T18:00:00+00:00"),
    Witness((b"\xfe", Decimal("1.50")), "2024-06-28T17:00:00+00:00"),
)
KEYS = {
    "number": (7,),
    "unsigned": (2**64 - 1,),
    "negative": (-5,),
    "text": ("O'Brien \\ 漢字\t",),
    "empty text": ("",),
    "moment": ("2024-02-29 23:59:59.123456",),
    "binary": (b"\x00\xff'%s",),
    "decimal": (Decimal("-99999999999999999999.00001"),),
    "float": (0.10000000149011612,),
    "composite": ("East", -3, b"\xfe", Decimal("1.50"), 1.5),
    "not yet": None,
}
WALK = Pass(
    sent="0123456789abcdef",
    place=Place("changed", ("2024-06-28 18:00:00", "SECRET", 3)),
    source=HERE,
    since="2024-06-28T17:00:00+00:00",
    watermark="2024-06-29T00:00:00+00:00",
    largest="2024-06-28T18:00:00+00:00",
    version=1719619200,
    fingerprint="2024-06-28 18:00:00 2024-01-01 00:00:00 3 60 0",
    looks=LOOKS,
)
FULL = Bookmark(
    key="DateTStamp",
    value="2024-06-28T18:00:00+00:00",
    source=HERE,
    structure=Structure("ab" * 32, {"VisitNum": "bigint", "Note": "varchar(20)"}),
    fingerprint="checksum 5 2024-01-01 00:00:00",
    looks=LOOKS,
    overlap=(("2024-06-28T17:5", "3:00ff"), ("unset", "1:0a")),
    witnesses=STAMPED,
    unfinished=WALK,
    version=1719000000,
    stamp=Stamp("0123456789abcdef", 1719619200000000),
)
LOG = Bookmark(
    key="LogNum",
    value=12345,
    source=HERE,
    structure=Structure("x", form="maps"),
    overlap=(("-1", "1:0"), ("12", "9:1")),
    witnesses=(Witness((12345,), 12345, "json c:0a"),),
)


def through_a_file(bookmark):
    """A bookmark as the next run finds it."""
    state = json.loads(json.dumps({"bookmarks": {"visit": bookmark.to_state()}}))
    return read_bookmarks(state)["visit"]


@pytest.mark.parametrize("bookmark", [Bookmark(), FULL, LOG])
def test_a_bookmark_survives_the_state(bookmark):
    """Every field comes back as it was; a stream that no run has finished is still a new one."""
    found = through_a_file(bookmark)
    assert found == bookmark
    assert found.is_new == bookmark.is_new


@pytest.mark.parametrize("stage", ["all", "changed", "unset"])
@pytest.mark.parametrize("kind", KEYS)
def test_a_position_survives_the_state(kind, stage):
    """Whatever a key holds, of a load of a whole table and of a pass by its growing key."""
    for since, largest in ((None, None), (7000, 2**63), ("0001-01-01T00:00:00", None)):
        walk = Pass("s", Place(stage, KEYS[kind]), since=since, largest=largest)
        assert through_a_file(Bookmark(unfinished=walk)).unfinished == walk


def leaves(value, path=()):
    """Every place in a JSON value, with what stands there."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from leaves(inner, (*path, name))


def test_all_keys_are_always_written_and_no_float():
    """A merge of states keeps what is left out, and SDK targets cannot write the Decimal that a float becomes."""
    written = [bookmark.to_state() for bookmark in (Bookmark(), FULL, LOG)]
    assert len({tuple(entry) for entry in written}) == 1
    floats = Bookmark(unfinished=Pass("s", Place("all", (1.5, Decimal("0.1"))))).to_state()
    assert [value for entry in (*written, floats) for _, value in leaves(entry) if isinstance(value, float)] == []


def refused(entry):
    """The words with which a run refuses this entry, None where it believes it."""
    try:
        check_state({"bookmarks": {"visit": entry, "other": {}}})
    except StateError as error:
        return f"{error.exit_code:d} {error}"
    return None


SAID = f"11 state: the bookmark of stream visit cannot be read; {REPAIR}"
WRONG = (None, True, 7, -1, 2**70, 1.5, "", "x", "2024-01-01", [], [7], ["x", "y"], [["x"]], {}, {"x": 1})


@pytest.mark.parametrize("bookmark", [Bookmark(), FULL, LOG])
def test_a_wrong_kind_at_any_place_is_refused_by_the_streams_name(bookmark):
    """Whatever stands at any place: it is believed as it is written, or refused in words that quote none of it."""
    entry = json.loads(json.dumps(bookmark.to_state()))
    refusals = 0
    for path, found in leaves(entry):
        for wrong in WRONG:
            changed = {"entry": deepcopy(entry)}
            place = changed
            for name in ("entry", *path)[:-1]:
                place = place[name]
            place[("entry", *path)[-1]] = wrong
            said = refused(changed["entry"])
            assert said in (None, SAID)
            refusals += said is not None
            if said is None and path:
                again = Bookmark.from_state("visit", changed["entry"]).to_state()
                assert json.dumps(again) == json.dumps(changed["entry"]), (path, found, wrong)
    assert refusals > 5 * len(list(leaves(entry)))


def test_a_position_that_lacks_anything_is_refused():
    """Of a pass that was cut short every key is needed: one that is missing is no reason to begin elsewhere."""
    entry = FULL.to_state()
    for name in entry["position"]:
        cut = {**entry, "position": {key: value for key, value in entry["position"].items() if key != name}}
        assert refused(cut) == SAID


def test_a_state_that_is_cut_at_any_byte_is_refused():
    """A file that was not written to its end is refused, and nothing of its content is quoted."""
    text = json.dumps({"bookmarks": {"visit": FULL.to_state()}})
    for length in range(len(text)):
        with pytest.raises(StateError) as caught:
            check_state(read_object("state file s.json", text[:length], StateError))
        assert "SECRET" not in str(caught.value)
    check_state(read_object("state file s.json", text, StateError))


@pytest.mark.parametrize("number", [0, 1, FORMAT + 1, str(FORMAT), None, True, [FORMAT]])
def test_an_unknown_format_is_refused(number):
    """A state of a later version may mean something else by the same names."""
    assert refused({**LOG.to_state(), "format": number}) == SAID


def test_a_plain_singer_bookmark_is_taken():
    """A state of another tap, or of a run before there was a format: the bookmark counts, nothing else is known."""
    found = Bookmark.from_state("visit", {"replication_key": "Stamp", "replication_key_value": "2024-01-01T00:00:00"})
    assert found == Bookmark("Stamp", "2024-01-01T00:00:00")
    assert found.is_new
    assert read_bookmarks({}) == {}


# --- the stamp --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [Bookmark(), FULL, LOG])
def test_an_entry_of_nulls_is_no_bookmark(held):
    """`meltano state merge` cannot delete an entry: one that it fills with nulls is as good as none.

    The control: with any other value in it, a null format is refused.
    """
    nulls = dict.fromkeys(held.to_state())
    assert Bookmark.from_state("visit", nulls) == Bookmark.from_state("visit", {}) == Bookmark()
    assert Bookmark.from_state("visit", nulls).is_blank
    assert refused({**nulls, "version": 7}) == SAID


def test_a_serial_grows_whatever_the_clock_says():
    """Each save is above the one before, also after the clock was set back; the lineage stays."""
    stamp = Stamp("0123456789abcdef")
    serials = [(stamp := stamp.move(now)).serial for now in (500, 400, 501, 501, 900)]
    assert serials == [500, 501, 502, 503, 900]
    assert stamp.lineage == "0123456789abcdef"


def test_a_bookmark_without_a_stamp_is_ahead_of_every_destination():
    """A new stream starts at 0; an entry that somebody wrote by hand after 0, since nobody knows what was sent."""
    assert Bookmark().stamp_with("00ff00ff00ff00ff") == Stamp("00ff00ff00ff00ff", 0)
    assert Bookmark("Stamp", "2024-01-01T00:00:00").stamp_with("00ff00ff00ff00ff").serial == 1
    assert FULL.stamp_with("00ff00ff00ff00ff") == FULL.stamp


@pytest.mark.parametrize(
    "wrong",
    [{"lineage": None}, {"serial": None}, {"lineage": "0123456789ABCDEF"}, {"lineage": "0123"}, {"serial": -1}],
)
def test_half_a_stamp_is_refused(wrong):
    """A lineage without its serial, or one that is none, would pass for another state's."""
    assert refused({**FULL.to_state(), **wrong}) == SAID
