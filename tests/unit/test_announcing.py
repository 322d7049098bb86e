"""What SCHEMA says beside its JSON Schema: the table, its columns and where the tap starts, each where it is found."""

import json
from dataclasses import replace

import pytest

from tap_opendental.announcing import FACTS, Announcement, announce, announce_start, describe_start
from tap_opendental.bookmarks import Bookmark, Pass, Stamp
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.extraction.pages import Place
from target_opendental_replica.stream_facts import Start, read_schema_message

TABLE = Table(
    "visit",
    (Column("Visit Num", "bigint(20)", nullable=False), Column("Note", "text"), Column("Pin", "varchar(9)")),
    primary_key=("Visit Num",),
    indexes=(Index("by_note", (IndexColumn("Note", 20),)),),
)
SCHEMA = {"type": "object", "properties": {"Visit_Num": {"type": ["integer"]}, "Note": {"type": ["string", "null"]}}}
SENT = {"Visit_Num": "Visit Num", "Note": "Note", "Pin": "Pin"}
STAMP = Stamp("0123456789abcdef", 7)
BEGUN = Pass("x", Place("all", (1,)), version=3)
BOOKMARK = Bookmark("Stamp", "2024-01-01T00:00:00", stamp=STAMP)


def announced(**other):
    """The schema with all facts, as a target reads it."""
    start = describe_start("visit", STAMP, BOOKMARK, BEGUN)
    facts = {"table": TABLE.to_dict(), "sent": SENT, "is_exact": False, "start": start}
    return json.loads(json.dumps(announce(SCHEMA, ["Visit_Num"], Announcement(**facts | other))))


def test_the_target_reads_all_of_it():
    """The target's own reader finds the table, each column's facts, how values are written, and the start."""
    message = {"stream": "visit", "schema": announced(is_exact=True), "key_properties": ["Visit_Num"]}
    found = read_schema_message(message)
    assert Table.from_dict(found.table) == TABLE
    assert [(field.name, Column(**field.column)) for field in found.fields] == [
        ("Visit_Num", TABLE.columns[0]),
        ("Note", TABLE.columns[1]),
    ]
    assert found.is_exact
    assert found.start == Start(STAMP.lineage, STAMP.serial, 3, json.loads(json.dumps(BOOKMARK.to_state())), "visit")


def test_what_is_not_sent_is_named():
    """Columns of the table that no property holds are withheld, whatever the reason; values are portable by default."""
    root = announced()[FACTS]
    assert (root["withheld"], root["values"]) == (["Pin"], "portable")


def test_the_start_stands_on_the_key_as_well():
    """A stream map that drops the root keeps the key, so the start is found all the same."""
    schema = announced()
    start = schema.pop(FACTS)["start"]
    assert schema["properties"]["Visit_Num"][FACTS]["start"] == start
    assert "start" not in schema["properties"]["Note"][FACTS]
    assert read_schema_message({"stream": "visit", "schema": schema}).start.serial == STAMP.serial


@pytest.mark.parametrize(("key", "place"), [(["Note"], "Note"), ([], "Visit_Num"), (None, "Visit_Num")])
def test_a_mapped_stream_tells_its_start_alone(key, place):
    """What a stream map makes is not the table any more: the start alone; without a key on the first property."""
    start = describe_start("visit", STAMP, BOOKMARK, None)
    schema = announce_start(SCHEMA, key, start)
    assert schema[FACTS] == {"start": start}
    assert {name for name, each in schema["properties"].items() if FACTS in each} == {place}
    assert schema["properties"][place][FACTS] == {"start": start}


def test_the_schema_that_the_catalog_has_stays_as_it_is():
    """Facts are added to a copy: the SDK hands out the schema that its catalog holds."""
    before = json.dumps(SCHEMA)
    announced()
    announce_start(SCHEMA, ["Note"], {})
    assert json.dumps(SCHEMA) == before


def test_a_new_stream_starts_before_everything():
    """No bookmark: the serial is 0 and the entry empty, under the lineage that its first save will have."""
    start = describe_start("visit", Bookmark().stamp_with("00ff00ff00ff00ff"), Bookmark(), None)
    assert start == {"stream": "visit", "lineage": "00ff00ff00ff00ff", "serial": 0, "version": None, "bookmark": {}}


@pytest.mark.parametrize(
    ("begun", "version"),
    [(BEGUN, 3), (replace(BEGUN, place=Place("all")), None), (replace(BEGUN, version=None), None), (None, None)],
)
def test_a_version_is_announced_only_where_rows_of_it_went_out(begun, version):
    """A pass that stands before its first row asks nothing of a target: it need not know the tap's own positions."""
    assert describe_start("visit", STAMP, BOOKMARK, begun)["version"] == version
