"""What a table lacks of what its stream needs."""

from datetime import date

import pytest

from target_opendental_replica.postgres.drift import (
    AddColumn,
    AlterType,
    Comment,
    DropColumn,
    RenameColumn,
    ReplaceKey,
    plan_drift,
)
from target_opendental_replica.postgres.model import METADATA, Column, Table, Wanted

TODAY = date(2026, 1, 2)
MARK = "dropped at the source on 2026-01-02"


def plan(columns, wanted, *, key=("id",), new_key=("id",), drops=False, metadata=None):
    table = Table(1, tuple(Column(*each) for each in columns), key, "patient_pkey" if key else None)
    return plan_drift(table, Wanted(wanted, new_key, metadata or {}), drops_columns=drops, today=TODAY)


ID, NAME = ("id", "bigint", True), ("name", "text")


@pytest.mark.parametrize(
    ("columns", "wanted", "steps"),
    [
        ([ID, NAME], {"id": "bigint", "name": "text"}, ()),
        ([NAME, ID], {"id": "bigint", "name": "text"}, ()),
        ([ID, NAME], {"id": "smallint", "name": "bigint"}, ()),
        ([ID], {"id": "bigint", "name": "text"}, (AddColumn("name", "text"),)),
        ([ID, ("NAME", "text")], {"id": "bigint", "name": "text"}, (RenameColumn("NAME", "name"),)),
        (
            [ID, ("NAME", "bigint")],
            {"id": "bigint", "name": "text"},
            (RenameColumn("NAME", "name"), AlterType("name", "bigint", "text")),
        ),
        (
            [ID, ("NAME", "text"), ("Name", "text")],
            {"id": "bigint", "name": "text"},
            (AddColumn("name", "text"), Comment("NAME", MARK, is_gone=True), Comment("Name", MARK, is_gone=True)),
        ),
        ([ID, NAME], {"id": "bigint"}, (Comment("name", MARK, is_gone=True),)),
        ([ID, (*NAME, False, "ours")], {"id": "bigint"}, (Comment("name", f"{MARK}; ours", is_gone=True),)),
        ([ID, (*NAME, False, "dropped at the source on 2025-12-31; ours")], {"id": "bigint"}, ()),
        (
            [ID, (*NAME, False, "dropped at the source on 2025-12-31; ours")],
            {"id": "bigint", "name": "text"},
            (Comment("name", "ours", is_gone=False),),
        ),
        (
            [ID, (*NAME, False, "dropped at the source on 2025-12-31")],
            {"id": "bigint", "name": "text"},
            (Comment("name", None, is_gone=False),),
        ),
        ([ID, ("_sdc_sequence", "bigint")], {"id": "bigint"}, ()),
    ],
)
def test_columns(columns, wanted, steps):
    """Added, renamed by case, widened, marked and unmarked; a comment of someone's own is kept."""
    assert plan(columns, wanted) == steps


def test_metadata_is_added_to_a_table_that_lacks_it():
    """As after add_record_metadata was turned on."""
    assert [step.column for step in plan([ID], {"id": "bigint"}, metadata=METADATA)] == list(METADATA)


def test_dropped_where_the_settings_say_so():
    """With the comment at hand, in case a view keeps the column."""
    assert plan([ID, NAME], {"id": "bigint"}, drops=True) == (DropColumn("name", MARK),)


@pytest.mark.parametrize(
    ("key", "new_key", "steps"),
    [
        (("id", "name"), ("name", "id"), ()),
        (("id",), ("name",), (ReplaceKey("patient_pkey", ("name",), ("id",)),)),
        (("id",), ("id", "name"), (ReplaceKey("patient_pkey", ("id", "name"), ()),)),
        (("id",), (), (ReplaceKey("patient_pkey", (), ("id",)),)),
        ((), ("id",), (ReplaceKey(None, ("id",), ()),)),
    ],
)
def test_keys(key, new_key, steps):
    """The order of a key's columns is no change: stock has them in the table's order."""
    assert plan([ID, NAME], {"id": "bigint", "name": "text"}, key=key, new_key=new_key) == steps


def test_a_key_column_in_another_case_is_the_same_key():
    """The rename keeps the constraint."""
    assert plan([("ID", "bigint")], {"id": "bigint"}, key=("ID",)) == (RenameColumn("ID", "id"),)
