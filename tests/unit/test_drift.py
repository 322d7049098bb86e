"""A moved structure: what each mode does, when a table is read whole again, and what the state remembers."""

import pytest

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.discovery.structure import describe_content
from tap_opendental.drift import Structure, adopt, has_grown


def structure_of(table):
    """The structure as a run that sends every column remembers it."""
    return Structure(table.schema_hash, {column.name: describe_content(column) for column in table.columns})


OLD = Table("t", (Column("k", "bigint(20)", nullable=False), Column("v", "varchar(10)")), ("k",))
ADDED = Table("t", (*OLD.columns, Column("new", "int(11)")), ("k",))
RETYPED = Table("t", (OLD.columns[0], Column("v", "varchar(20)")), ("k",))
DROPPED = Table("t", OLD.columns[:1], ("k",))
INDEXED = Table("t", OLD.columns, ("k",), (Index("i", (IndexColumn("v"),)),))
WAS = structure_of(OLD)


def whole(today, remembered, reviewed, mode, sent=None):
    """Whether a stream of these structures is read whole; by default all of today's columns are sent."""
    return has_grown(today if sent is None else sent, adopt(today, remembered, reviewed, mode), remembered)


def test_nothing_moved_nothing_happens():
    """The reviewed and remembered structure is read as it is, in every mode."""
    for mode in ("evolve", "warn", "fail"):
        adoption = adopt(WAS, WAS, OLD.schema_hash, mode)
        assert (adoption.columns, adoption.notice, adoption.refusal) == (None, None, None)
        assert not whole(WAS, WAS, OLD.schema_hash, mode)


@pytest.mark.parametrize(
    ("table", "expected", "notice"),
    [
        (ADDED, True, "added new"),
        (RETYPED, True, "of another type v"),
        (DROPPED, False, "dropped v"),
        (INDEXED, False, "defaults or indexes moved"),
    ],
)
@pytest.mark.parametrize("reviewed", [OLD.schema_hash, None])
def test_evolve_reads_whole_when_old_rows_may_hold_new_values(table, expected, notice, reviewed):
    """An added or retyped column fills rows whose timestamp did not move; a dropped one or an index does not."""
    adoption = adopt(structure_of(table), WAS, reviewed, "evolve")
    assert (adoption.columns, adoption.notice, adoption.remember) == (None, notice, table.schema_hash)
    assert whole(structure_of(table), WAS, reviewed, "evolve") == expected


def test_a_table_is_read_whole_once():
    """Once the state remembers the new structure, later runs follow the bookmark again, reviewed or not."""
    now = structure_of(ADDED)
    assert not whole(now, now, OLD.schema_hash, "evolve")
    assert adopt(now, now, OLD.schema_hash, "evolve").notice == "not the reviewed structure"
    assert adopt(now, now, ADDED.schema_hash, "evolve").notice is None


def test_a_reviewed_change_is_read_whole_too():
    """After the review the new columns flow: the old rows are sent again, in every mode."""
    for mode in ("evolve", "warn", "fail"):
        adoption = adopt(structure_of(ADDED), WAS, ADDED.schema_hash, mode)
        assert (adoption.columns, adoption.refusal) == (None, None)
        assert whole(structure_of(ADDED), WAS, ADDED.schema_hash, mode)


@pytest.mark.parametrize("reviewed", [OLD.schema_hash, None])
def test_warn_goes_on_with_the_old_columns(reviewed):
    """New columns stay out night after night, since the state goes on remembering the old ones."""
    adoption = adopt(structure_of(ADDED), WAS, reviewed, "warn")
    assert adoption.columns == {"k", "v"}
    assert adoption.remember == WAS.schema_hash
    assert adoption.notice == "added new"
    assert not whole(structure_of(ADDED), WAS, reviewed, "warn", sent=WAS)


def test_warn_without_a_memory_reads_what_is_there():
    """On a first run no column is old: everything is read, with a line."""
    adoption = adopt(structure_of(ADDED), None, OLD.schema_hash, "warn")
    assert adoption.columns is None
    assert adoption.notice == "not the reviewed structure"


@pytest.mark.parametrize(("remembered", "reviewed"), [(WAS, OLD.schema_hash), (WAS, None), (None, OLD.schema_hash)])
def test_fail_refuses(remembered, reviewed):
    """What moved since the review, or since the last run where there is no tables.yml, is not read."""
    assert adopt(structure_of(ADDED), remembered, reviewed, "fail").refusal


def test_a_moved_hash_without_known_columns_is_read_whole():
    """A state that knows only the hash cannot tell that nothing was added: better to send the rows again."""
    assert whole(structure_of(INDEXED), Structure(OLD.schema_hash), None, "evolve")


def test_an_unknown_past_is_read_whole():
    """A bookmark without a memory, and a structure that is not the reviewed one: what was sent before, nobody knows."""
    assert whole(structure_of(ADDED), None, OLD.schema_hash, "evolve")
    assert not whole(structure_of(ADDED), None, ADDED.schema_hash, "evolve")
    assert not whole(structure_of(ADDED), None, None, "evolve")


def test_what_was_not_sent_is_new():
    """A column that a catalog deselects is not remembered: selected again, old rows follow."""
    partly = Structure(OLD.schema_hash, {"k": "bigint"})
    assert not whole(WAS, WAS, OLD.schema_hash, "evolve", sent=partly)
    assert whole(WAS, partly, OLD.schema_hash, "evolve")


def test_other_stream_maps_are_another_content():
    """What goes out of old rows is not what went out before, though no column moved."""
    mapped = Structure(WAS.schema_hash, WAS.columns, form="maps")
    assert whole(WAS, mapped, None, "evolve")
    assert whole(WAS, WAS, None, "evolve", sent=mapped)
    assert not whole(WAS, mapped, None, "evolve", sent=mapped)


def test_another_expression_is_another_content():
    """What a column is generated from decides its values, though its type stays."""
    first = structure_of(Table("t", (Column("g", "int(11)", generated="`v` + 1"),)))
    second = structure_of(Table("t", (Column("g", "int(11)", generated="`v` + 100"),)))
    assert whole(second, first, None, "evolve")


def test_the_state_says_what_it_was_told():
    """Structure survives the state, whatever stands there is survived too."""
    assert Structure.from_state(WAS.to_state()) == WAS
    assert Structure.from_state({"hash": "x", "columns": []}) == Structure("x")
    for foreign in (None, 3, {}, {"hash": 3}, {"hash": "x", "columns": 3}, {"hash": "x", "columns": [[1]]}):
        assert (Structure.from_state(foreign) or Structure("")).columns == {}


def test_what_a_person_allows_or_converts_later_is_read_whole_once():
    """A column that is no longer excluded, or is converted otherwise, is new to the rows that were sent before."""
    excluded = Structure(OLD.schema_hash, {"k": WAS.columns["k"]})
    rounded = Structure(OLD.schema_hash, {**WAS.columns, "v": "varchar(10) decimal_round 2"})
    assert whole(WAS, excluded, OLD.schema_hash, "evolve")
    assert whole(rounded, WAS, None, "warn")
    assert not whole(excluded, WAS, OLD.schema_hash, "fail")
    assert not whole(rounded, rounded, OLD.schema_hash, "evolve")


def test_another_key_is_told_by_name_and_survives_the_state():
    """A key that moved changes no column's values; what is said names it, and the next run knows it."""
    keyed, other = (Structure(number, WAS.columns, key=key) for number, key in (("1", ("k",)), ("2", ("k", "v"))))
    assert adopt(other, keyed, None, "evolve").notice == "another primary key"
    assert Structure.from_state(other.to_state()) == other
    for foreign in (None, 3, [1], "k", {"k": 1}):
        assert Structure.from_state({**other.to_state(), "key": foreign}).key == ()
