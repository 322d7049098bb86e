"""Pages on a real server: every row once, whatever the key, the engine, the page size, the index, and the kills."""

import itertools
import json
from dataclasses import replace

import pytest
from tests.integration.conftest import config_of

from tap_opendental.connector import SourceAddress
from tap_opendental.discovery.model import Column
from tap_opendental.extraction.pages import Bounds, PagePlan, Place, read_pages
from tap_opendental.source import Source
from tap_opendental.types import is_keyed_by_number

KEYS = {
    "number": ("Num bigint NOT NULL", ("Num",), [(n,) for n in (-5, 0, 1, 2, 3, 7, 2**62)]),
    "unsigned": ("Num bigint unsigned NOT NULL", ("Num",), [(n,) for n in (0, 1, 2**63, 2**64 - 1)]),
    "decimal": ("Num decimal(20,5) NOT NULL", ("Num",), [(n,) for n in ("-1.5", "0.00001", "1.00000", "99999.99999")]),
    "binary": ("Num varbinary(9) NOT NULL", ("Num",), [(n,) for n in (b"", b"\0", b"%s", b"'", b"\xff\xfe")]),
    "moment": ("Num datetime NOT NULL", ("Num",), [(n,) for n in ("0000-00-00", "0001-01-01", "2024-02-29 23:59:59")]),
    "text": (
        "Num varchar(30) COLLATE utf8mb3_general_ci NOT NULL",
        ("Num",),
        [(n,) for n in ("", "a", "B", "c%", "it's", "back\\slash", "漢", "z")],
    ),
    "float": ("Num float NOT NULL", ("Num",), [(n,) for n in (-1.5, 0.1, 1.1, 16777216, 16777218, 3e38)]),
    "enum": ("Num enum('z','b','a','') NOT NULL", ("Num",), [(n,) for n in ("z", "b", "a", "")]),
    "set": ("Num set('z','b','a') NOT NULL", ("Num",), [(n,) for n in ("", "z", "b", "z,b", "a", "b,a")]),
    "bit": ("Num bit(10) NOT NULL", ("Num",), [(n,) for n in (0, 1, 127, 128, 255, 256, 1023)]),
    "long bit": ("Num bit(64) NOT NULL", ("Num",), [(n,) for n in (0, 1, 2**63, 2**64 - 1)]),
    "composite": (
        "A varchar(9) NOT NULL, `b``%s` int NOT NULL, C date NOT NULL",
        ("A", "b`%s", "C"),
        list(itertools.product(("", "x", "Y"), (-1, 0, 3), ("0000-00-00", "2024-01-01"))),
    ),
    "by number": (
        "E enum('z','b','a') NOT NULL, F float NOT NULL, B bit(10) NOT NULL, Num int NOT NULL",
        ("E", "F", "B", "Num"),
        list(itertools.product(("z", "b", "a"), (0.1, 16777218), (1, 256), (1, 2))),
    ),
}


@pytest.fixture
def source(mariadb_database):
    """The tap's connection, to a database of the test's own."""
    place = Source(SourceAddress(**config_of(mariadb_database.engine.url)))
    yield place
    place.close()


@pytest.mark.parametrize("engine", ["MyISAM", "InnoDB"])
@pytest.mark.parametrize("kind", KEYS)
def test_every_row_is_read_once(mariadb_database, source, kind, engine):
    """Full and incremental reading find each row exactly once with pages of 1, 2, 3 and 100 rows.

    Cut short behind any page, a walk goes on from the state's text, and finds the rest exactly once. All rows are of
    one moment, and then without any, so that the walks by the cursor's index come through all their stages.
    """
    plan, expected = fill(mariadb_database, source, kind, engine)
    for rows, each in itertools.product((1, 2, 3, 100), every_way(plan)):
        assert sorted(read_all(source, each, rows), key=repr) == expected
    for each in every_way(plan):
        read_in_two(source, each, expected)
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE `page%%s` SET Stamp = NULL")
    places = read_in_two(source, every_way(plan)[1], expected)
    assert {place.stage for place in places} == {"changed", "unset"}


def read_in_two(source, plan, expected):
    """Read up to each page, and what is behind it by another walk; the places in between."""
    pages = list(itertools.islice(read_pages(reader(source, 2), plan), 100))
    for position, page in enumerate(pages):
        if page.place.after is None:  # nothing to go on from: such a walk begins again
            continue
        before = [row for earlier in pages[: position + 1] for row in values_of(plan, earlier)]
        place = Place.from_state(json.loads(json.dumps(page.place.to_state())))
        assert sorted(before + read_all(source, plan, 3, place), key=repr) == expected
    return [page.place for page in pages]


def test_keys_by_their_text_would_lose_rows(mariadb_database, source):
    """The control: an ENUM key continued from its text, as other keys are, misses rows; the test above would see it."""
    definition, key, values = KEYS["enum"]
    create(mariadb_database, definition, key, values, "MyISAM")
    found = read_all(source, PagePlan("page%s", ("`Num`",), key), 1)
    assert len(set(found)) < len(values)


@pytest.mark.parametrize("indexed", [False, True])
def test_only_changed_rows_and_those_without_a_cursor(mariadb_database, source, indexed):
    """From a bookmark on: rows at it, after it, and rows whose cursor is NULL or zero; not the row before it."""
    create(mariadb_database, "Num int NOT NULL", ("Num",), [(n,) for n in range(5)], "MyISAM")
    stamps = ("'2024-01-01'", "'2024-01-02'", "'2024-01-02 00:00:01'", "NULL", "'0000-00-00'")
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        for number, stamp in enumerate(stamps):
            connection.exec_driver_sql(f"UPDATE `page%%s` SET Stamp = {stamp} WHERE Num = {number}")
    plan = PagePlan("page%s", ("`Num`",), ("Num",), "Stamp", "2024-01-02 00:00:00", cursor_indexed=indexed)
    assert sorted(read_all(source, plan, 2)) == [(1,), (2,), (3,), (4,)]


def create(database, definition, key, values, engine):
    """Create the table with a hostile name and fill it."""
    names = ", ".join("`" + name.replace("`", "``").replace("%", "%%") + "`" for name in key)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql(
            f"CREATE TABLE `page%%s` ({definition.replace('%', '%%')}, Stamp timestamp NULL DEFAULT '2024-01-01', "
            f"PRIMARY KEY ({names}), KEY (Stamp)) ENGINE={engine} CHARACTER SET utf8mb3"
        )
        marks = ", ".join(["%s"] * len(key))
        connection.exec_driver_sql(f"INSERT INTO `page%%s` ({names}) VALUES ({marks})", values)


def fill(database, source, kind, engine):
    """Create the table of a kind of key; the plan that reads its key, and the values that it must find, in order."""
    definition, key, values = KEYS[kind]
    create(database, definition, key, values, engine)
    types = dict(zip(key, (part.partition(" ")[2] for part in definition.split(", ")), strict=True))
    quoted = tuple(
        # the text of a FLOAT is cut, so two rows would look alike
        f"`{name.replace('`', '``').replace('%', '%%')}`{'+0e0' if types[name].startswith('float') else ''}"
        for name in key
    )
    by_number = frozenset(name for name in key if is_keyed_by_number(Column(name=name, type=types[name])))
    plan = PagePlan("page%s", quoted, key, "Stamp", keyed_by_number=by_number)
    expected = source.fetch((f"SELECT {', '.join(quoted)} FROM `page%%s`", {}))
    assert len(set(expected)) == len(values)
    return plan, sorted(expected, key=repr)


def every_way(plan):
    """The plan as a full table, by an index of the cursor, and in ranges of the key."""
    since = replace(plan, since="2000-01-01 00:00:00")
    return [plan, replace(since, cursor_indexed=True), since]


def reader(source, rows):
    """Reads every page at the first try, and goes for so many rows."""
    return lambda ask: ask(source.fetch, Bounds(rows))


def values_of(plan, page):
    """The rows of a page without the key that ends them."""
    return [tuple(row[: len(plan.expressions)]) for row in page.rows]


def read_all(source, plan, rows, start=None):
    """All rows of all pages; far more pages than rows mean that the reading went in circles."""
    pages = list(itertools.islice(read_pages(reader(source, rows), plan, start), 100))
    assert len(pages) < 100
    return [row for page in pages for row in values_of(plan, page)]
