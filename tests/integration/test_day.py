"""A day at the practice, judged by a comparison of every row before and after."""

import json
from dataclasses import dataclass, field

import pytest

from opendental_analyze.sandbox.day import play_day
from opendental_analyze.sandbox.day.merge import patient_references
from opendental_analyze.sandbox.day.unseen import DELETED
from opendental_analyze.sandbox.practice import fill_practice
from opendental_analyze.sandbox.source import create_source
from opendental_analyze.sandbox.throw_away import mariadb_database
from tap_opendental.discovery.knowledge import load_knowledge
from target_opendental_replica.statements import quote

KNOWLEDGE = load_knowledge()
PATIENTS = 30
APPEND_ONLY = {name for name, table in KNOWLEDGE.tables.items() if table.change_tracking == "append_only"}


def fill(database, storage):
    official = {name: known.table for name, known in KNOWLEDGE.tables.items()}
    create_source(database.engine, official, database=database.name, storage=storage, progress=lambda *_: None)
    fill_practice(
        database.engine,
        knowledge=KNOWLEDGE,
        database=database.name,
        patients=PATIENTS,
        seed=5,
        progress=lambda *_: None,
    )


@dataclass(frozen=True)
class Snapshot:
    """Every row of a table by its key, as {column: value}; a table without a key has its rows under their numbers."""

    key: tuple[str, ...]
    stamps: tuple[str, ...]
    columns: tuple[str, ...]
    rows: dict[tuple, dict] = field(repr=False)


def read_all(database):
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")
        described = connection.exec_driver_sql(
            "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_KEY, EXTRA FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"
        ).all()
        tables = {}
        for name, column, key, extra in described:
            facts = tables.setdefault(name, ([], [], []))
            for place, holds in enumerate((key == "PRI", "on update" in extra.lower(), True)):
                facts[place].extend([column] * holds)
        return {name: read_table(connection, name, *map(tuple, facts)) for name, facts in tables.items()}


def read_table(connection, name, key, stamps, columns):
    found = connection.exec_driver_sql(f"SELECT * FROM {quote(name)}").all()
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    keyed = {tuple(row[column] for column in key) or (number,): row for number, row in enumerate(rows)}
    return Snapshot(key, stamps, columns, keyed)


@dataclass(frozen=True)
class Difference:
    """Keys of the rows that came, went and changed, and of those that changed while their timestamp stood still."""

    inserted: set
    deleted: set
    changed: set
    unmoved: set


def compare(before, after):
    """Compare the columns that both have: an added column is told apart."""
    both = before.rows.keys() & after.rows.keys()
    changed = {key for key in both if any(before.rows[key][name] != after.rows[key][name] for name in before.columns)}
    unmoved = {key for key in changed if all(before.rows[key][name] == after.rows[key][name] for name in before.stamps)}
    return Difference(after.rows.keys() - both, before.rows.keys() - both, changed, unmoved)


@dataclass(frozen=True)
class Played:
    """A day as it was told, and what a comparison of all rows found."""

    day: dict
    before: dict
    after: dict
    found: dict


def play(database, seed):
    before = read_all(database)
    day = play_day(database.engine, database=database.name, seed=seed)
    after = read_all(database)
    found = {name: compare(before[name], after[name]) for name in before}
    assert before.keys() == after.keys()
    return Played(json.loads(json.dumps(day)), before, after, found)


@pytest.fixture(scope="module", params=["MyISAM", "mixed"])
def days(sandbox, request):
    """Two days in a row, the second from another seed."""
    with mariadb_database(sandbox.state) as database:
        fill(database, request.param)
        yield [play(database, 1), play(database, 2)]


def expected(played, names, rewritten):
    """Lists as the day tells them, made of what the comparison found."""
    lists = {
        name: {
            "key": list(played.before[name].key),
            "deleted": sorted(map(list, played.found[name].deleted)),
            "rewritten": sorted(map(list, getattr(played.found[name], rewritten))),
        }
        for name in names
    }
    return {name: facts for name, facts in lists.items() if facts["deleted"] or facts["rewritten"]}


def test_invisible_rows_are_told_exactly(days):
    """In incremental tables every row that went, or changed under a still timestamp, is listed; no other is."""
    for played in days:
        incremental = [name for name, table in played.before.items() if table.key and table.stamps]
        found = expected(played, incremental, "unmoved")
        assert played.day["invisible"] == found
        assert sum(len(facts["rewritten"]) for facts in found.values()) >= 5
        assert sum(len(facts["deleted"]) for facts in found.values()) >= 15


def test_rewritten_rows_of_append_only_tables_are_told_exactly(days):
    """In append-only tables, every row that changed behind the key is listed, and no other."""
    for played in days:
        found = expected(played, APPEND_ONLY, "changed")
        assert played.day["invisible_append_only"] == found
        assert {"procnote", "securitylog"} <= found.keys()


def test_counts_are_what_a_comparison_finds(days):
    """Rows inserted, updated and deleted, table by table: no table more, no table less."""
    for played in days:
        found = {
            name: {"inserted": len(rows.inserted), "updated": len(rows.changed), "deleted": len(rows.deleted)}
            for name, rows in played.found.items()
        }
        assert played.day["tables"] == {name: counts for name, counts in found.items() if any(counts.values())}


def test_the_upgrade_adds_columns_and_touches_a_table_in_one_second(days):
    """Columns are added under new names each day, with the default that is told; all recalls move in one second."""
    for played in days:
        for name, added in played.day["added_columns"].items():
            old, new = played.before[name], played.after[name]
            assert list(new.columns[len(old.columns) :]) == [column["name"] for column in added]
        assert any(played.before[name].stamps and name != "recall" for name in played.day["added_columns"])
        assert len({row["DateTStamp"] for row in played.after["recall"].rows.values()}) == 1


def test_hundreds_of_rows_share_a_second(days):
    """One mailing writes its rows in a single second; the merge of a patient may move a few of them to a later one."""
    for played in days:
        stamps = [played.after["commlog"].rows[key]["DateTStamp"] for key in played.found["commlog"].inserted]
        assert max(map(stamps.count, stamps)) >= 200


def test_one_appointment_is_far_in_the_future(days):
    """An event time is no change time: one of today's appointments is for the next year's spring or autumn."""
    for played in days:
        table = played.after["appointment"]
        new = [table.rows[key] for key in played.found["appointment"].inserted]
        assert max((row["AptDateTime"] - row["DateTStamp"]).days for row in new) > 150


def test_procedures_are_completed_in_place(days):
    """Treatment-planned procedures become complete under the key that they had."""
    for played in days:
        table, found = played.before["procedurelog"], played.found["procedurelog"]
        done = [
            key
            for key in found.changed
            if (table.rows[key]["ProcStatus"], played.after["procedurelog"].rows[key]["ProcStatus"]) == (1, 2)
        ]
        assert len(done) >= 6


def test_a_merged_patient_is_referred_to_nowhere(days):
    """After a merge no documented reference holds the old key, in tables with and without a timestamp."""
    for played in days:
        patients = played.found["patient"].changed
        archived = [
            key[0]
            for key in patients
            if (played.before["patient"].rows[key]["PatStatus"], played.after["patient"].rows[key]["PatStatus"])
            == (0, 3)
        ]
        assert len(archived) == 1
        holders = set()
        for name, column, condition in patient_references(KNOWLEDGE):
            rows = played.after[name].rows.values()
            holds = [
                row for row in rows if row[column] == archived[0] and (condition == "TRUE" or row["ObjectType"] == 1)
            ]
            holders |= {(name, column)} if holds else set()
        assert holders == {("patientlink", "PatNumFrom")}


def test_deletes_reach_tables_of_both_kinds(days):
    """Rows are deleted from tables with and without a self-updating column."""
    for played in days:
        deleted = {name for name, rows in played.found.items() if rows.deleted}
        assert {name for name, _ in DELETED} <= deleted
        assert {bool(played.before[name].stamps) for name in deleted} == {True, False}


def test_leftovers_stay_as_they_were(days):
    """Tables that are not the application's own are not touched."""
    for played in days:
        for name in played.found.keys() - KNOWLEDGE.tables.keys():
            assert played.before[name].rows == played.after[name].rows


@pytest.fixture(scope="module")
def again(sandbox):
    """The first of the two days, played on another database with the same practice."""
    with mariadb_database(sandbox.state) as database:
        fill(database, "MyISAM")
        return dict(play_day(database.engine, database=database.name, seed=1))


def test_the_same_seed_plays_the_same_day(days, again):
    """On equal practices a seed makes the same choices, whatever the clock and the storage engine say."""
    first = days[0].day
    assert first["started_at"] != again["started_at"]
    times = {"started_at": None, "finished_at": None}
    assert first | times == again | times
