"""Pages on a real server: every row once, whatever the key, the engine, the page size and the index."""

import itertools
from dataclasses import replace

import pytest
from tests.integration.conftest import config_of

from tap_opendental.connector import SourceAddress, create_source_engine
from tap_opendental.discovery.model import Column
from tap_opendental.extraction.pages import PagePlan, read_pages
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
}


@pytest.fixture
def source(mariadb_database):
    """A connection like the tap's, to a database of the test's own."""
    address = SourceAddress(**config_of(mariadb_database.engine.url))
    with create_source_engine(address).connect() as connection:
        yield connection


@pytest.mark.parametrize("engine", ["MyISAM", "InnoDB"])
@pytest.mark.parametrize("kind", KEYS)
def test_every_row_is_read_once(mariadb_database, source, kind, engine):
    """Full and incremental reading find each row exactly once with pages of 1, 2, 3 and 100 rows."""
    definition, key, values = KEYS[kind]
    create(mariadb_database, definition, key, values, engine)
    quoted = tuple(f"`{name.replace('`', '``').replace('%', '%%')}`" for name in key)
    by_number = is_keyed_by_number(Column(name="Num", type=definition.removeprefix("Num ")))
    if kind == "float":
        quoted = ("`Num`+0e0",)  # the text of a FLOAT is cut, so two rows would look alike
    plan = PagePlan("page%s", quoted, key, 1, cursor="Stamp", keyed_by_number=frozenset(["Num"] if by_number else []))
    expected = [tuple(row) for row in source.exec_driver_sql(f"SELECT {', '.join(quoted)} FROM `page%%s`")]
    assert len(set(expected)) == len(values)
    changes = {"since": "2000-01-01 00:00:00"}
    for rows, indexed in itertools.product((1, 2, 3, 100), (False, True)):
        everything = read_all(source, replace(plan, page_rows=rows))
        assert sorted(everything, key=repr) == sorted(expected, key=repr)
        changed = read_all(source, replace(plan, page_rows=rows, cursor_indexed=indexed, **changes))
        assert sorted(changed, key=repr) == sorted(expected, key=repr)


def test_keys_by_their_text_would_lose_rows(mariadb_database, source):
    """The control: an ENUM key continued from its text, as other keys are, misses rows; the test above would see it."""
    definition, key, values = KEYS["enum"]
    create(mariadb_database, definition, key, values, "MyISAM")
    found = read_all(source, PagePlan("page%s", ("`Num`",), key, 1))
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
    plan = PagePlan("page%s", ("`Num`",), ("Num",), 2, "Stamp", "2024-01-02 00:00:00", cursor_indexed=indexed)
    assert sorted(read_all(source, plan)) == [(1,), (2,), (3,), (4,)]


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


def read_all(connection, plan):
    """All rows of all pages; far more pages than rows mean that the reading went in circles."""
    pages = list(itertools.islice(read_pages(connection, plan), 100))
    assert len(pages) < 100
    return [tuple(row) for page in pages for row in page]
