"""What pages cost on a real server, by its own counters: each goes over as many rows as it may hold, and sorts nothing.

So a walk is linear in the rows that it reads, however many of them are of one moment or of none. Each control asks for
one page of the same table as the tap once did, or as the server would read it if it were not told how.
"""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from tests.integration.conftest import config_of

from tap_opendental.connector import SourceAddress
from tap_opendental.extraction import pages
from tap_opendental.extraction.pages import Bounds, PagePlan, range_statement, read_pages
from tap_opendental.source import Source

ROWS, PAGE = 40_000, 1_000
# A page begins with a look at its index, and InnoDB prefetches up to four rows beyond it.
LIMIT = PAGE + 10
ENGINES = ("MyISAM", "InnoDB")
UNANALYSED = "InnoDB STATS_AUTO_RECALC=0"
INDEXES = {"moment": "KEY s (Stamp)", "moment, key": "KEY s (Stamp, Num)", "moment, other": "KEY s (Stamp, Other)"}
CROWDED = "2024-06-01 03:00:00"
COUNTERS = (
    "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%%' OR Variable_name LIKE 'Sort_r%%' "
    "OR Variable_name IN ('Sort_scan', 'Handler_icp_attempts')"
)


@dataclass
class Meter:
    """A source whose statements are counted: how many rows or entries of an index each went over, and if it sorted."""

    source: Source
    gone_over: list[int] = field(default_factory=list)
    sorted: list[bool] = field(default_factory=list)
    so_far: Counter[str] = field(default_factory=Counter)

    def fetch(self, statement):
        """Run a statement."""
        rows = self.source.fetch(statement)
        now = self._count()
        spent, self.so_far = now - self.so_far, now
        # Conditions that InnoDB decides in the index are no reads of it.
        reads = sum(number for name, number in spent.items() if name.startswith("Handler_read"))
        self.gone_over.append(max(reads, spent["Handler_icp_attempts"]))
        self.sorted.append(any(name.startswith("Sort") for name in spent))
        return rows

    def _count(self):
        return Counter({name: int(number) for name, number in self.source.fetch((COUNTERS, {}))})

    def walk(self, plan, rows=PAGE, crowd=0):
        """First values of all rows, in order."""
        return sorted(
            row[0] for page in read_pages(lambda ask: ask(self.fetch, Bounds(rows, crowd)), plan) for row in page.rows
        )

    def cost(self, statement):
        """How many rows a single statement goes over."""
        self.fetch(statement)
        return self.gone_over[-1]


@pytest.fixture
def meter(mariadb_database):
    """The tap's connection, to a database of the test's own."""
    source = Source(SourceAddress(**config_of(mariadb_database.engine.url)))
    yield Meter(source)
    source.close()


def fill(database, columns, values):
    """Create table visit and fill it by a SELECT of the sequence's numbers; unanalysed, the server deems it empty."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql(f"CREATE TABLE visit ({columns}")
        connection.exec_driver_sql(f"INSERT INTO visit SELECT {values} FROM seq_1_to_{ROWS}".replace("%", "%%"))
        if UNANALYSED not in columns:
            connection.exec_driver_sql("ANALYZE TABLE visit")  # InnoDB would do it at a moment of its own


PLAN = PagePlan("visit", ("`Num`", "`Note`"), ("Num",), "Stamp", "2024-01-01 00:00:00", cursor_indexed=True)


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_crowded_moment_costs_one_pass_over_the_table(mariadb_database, meter, engine, index):
    """Of 40,000 rows, 24,000 are of one moment, others are before it, after it, too old or without one: linear.

    The control: in the order of moment and key, as the tap once read, a page in the middle goes over half of them.
    """
    stamp = "ELT(1 + seq % 10, '2020-01-01', '2024-01-02' + INTERVAL seq SECOND, '2024-07-01' + INTERVAL seq SECOND)"
    fill(
        mariadb_database,
        f"Num int PRIMARY KEY, Other int NOT NULL, Note char(100) NOT NULL, Stamp timestamp NULL, {INDEXES[index]}"
        f") ENGINE={engine}",
        f"seq, seq % 7, 'n', IF(seq % 10 = 3, NULL, IFNULL({stamp}, '{CROWDED}'))",
    )
    assert meter.walk(PLAN) == [number for number in range(1, ROWS + 1) if number % 10]
    assert max(meter.gone_over) <= LIMIT
    assert not any(meter.sorted)
    # Each slice and range twice, once by its index alone; and the page of the index that shows the moment as crowded.
    assert sum(meter.gone_over) <= 2 * (ROWS // 10 + ROWS) + PAGE + 20 * len(meter.gone_over)
    once = (
        "SELECT Note FROM visit WHERE (Stamp >= %(since)s) AND (Stamp >= %(a1)s AND (Stamp > %(a1)s OR (Num > %(a0)s)))"
        f" ORDER BY Stamp, Num LIMIT {PAGE}"
    )
    assert meter.cost((once, {"since": PLAN.since, "a1": CROWDED, "a0": ROWS // 2})) > 10 * PAGE


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crowd_that_fits_a_grown_page_costs_its_own_rows(mariadb_database, meter, engine):
    """Of 40,000 rows, 2,500 were changed at one moment: read by the index, since the server would be fast enough.

    The control: a walk whose pages may not be larger goes over the whole table for them.
    """
    crowd = 2_500
    fill(
        mariadb_database,
        f"Num int PRIMARY KEY, Note char(100) NOT NULL, Stamp timestamp NOT NULL, KEY s (Stamp)) ENGINE={engine}",
        f"seq, 'n', IF(seq % {ROWS // crowd} = 0, '{CROWDED}', '2020-01-01')",
    )
    expected = [number for number in range(1, ROWS + 1) if number % (ROWS // crowd) == 0]
    assert meter.walk(PLAN, crowd=4 * PAGE) == expected
    # the crowd's rows and its entries of the index, and twice those of a small page, which showed the crowd
    assert sum(meter.gone_over) <= 2 * crowd + 2 * PAGE + 20 * len(meter.gone_over)
    meter.gone_over.clear()
    assert meter.walk(PLAN) == expected
    assert sum(meter.gone_over) > ROWS


@pytest.mark.parametrize("engine", [*ENGINES, UNANALYSED])
@pytest.mark.parametrize("empty", ["NULL", "'0000-00-00'"])
def test_rows_without_a_moment_cost_one_pass_over_the_table(mariadb_database, meter, monkeypatch, engine, empty):
    """Of 40,000 rows, 24,000 are without one: they are found in ranges of the key, each of which is read alone.

    The control: not told to go by the key, the server goes over all of them for each range, of a table that has grown
    since it was analysed.
    """
    null = "NULL" if empty == "NULL" else "NOT NULL"
    fill(
        mariadb_database,
        f"Num int PRIMARY KEY, Note char(100) NOT NULL, Stamp timestamp {null}, KEY s (Stamp)) ENGINE={engine}",
        f"seq, 'n', IF(seq % 5 < 3, {empty}, '2020-01-01')",
    )
    assert meter.walk(PLAN) == [number for number in range(1, ROWS + 1) if number % 5 < 3]
    assert max(meter.gone_over) <= LIMIT
    assert not any(meter.sorted)
    assert sum(meter.gone_over) <= 2 * ROWS + 20 * len(meter.gone_over)
    monkeypatch.setattr(pages, "_IN_KEY_ORDER", "")
    cost = meter.cost(range_statement(PLAN, pages._UNSET, (ROWS // 2,), (ROWS // 2 + PAGE,)))
    assert (cost > 10 * PAGE) == (engine == UNANALYSED)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_that_begins_with_a_crowded_column_is_read_once(mariadb_database, meter, engine):
    """Of a key of three columns, the first two make six groups of 6,667: pages and ranges begin inside them.

    The control: the comparison that only the first column makes a range of goes again over the pages before.
    """
    fill(
        mariadb_database,
        "A int, B int, Num int, Note char(100) NOT NULL, Stamp timestamp NULL, PRIMARY KEY (A, B, Num)"
        f") ENGINE={engine}",
        "seq % 3, seq % 2, seq, 'n', '2024-06-01'",
    )
    by_key = PagePlan("visit", ("`Num`", "`Note`"), ("A", "B", "Num"), "Stamp")
    for since in (None, "2024-01-01"):
        meter.gone_over.clear()
        assert meter.walk(PagePlan(**{**vars(by_key), "since": since})) == [*range(1, ROWS + 1)]
        assert max(meter.gone_over) <= LIMIT
    assert not any(meter.sorted)
    once = (
        "SELECT Note FROM visit WHERE (A >= 1 AND (A > 1 OR (B >= 1 AND (B > 1 OR (Num > 25000)))))"
        f" ORDER BY A, B, Num LIMIT {PAGE}"
    )
    assert meter.cost((once, {})) > 5 * PAGE


def test_a_large_page_is_not_sorted(mariadb_database, meter, monkeypatch):
    """The first page of a MyISAM table, a third of it: in the order of the key. The control: the server would sort."""
    fill(mariadb_database, "Num int PRIMARY KEY, Note char(100) NOT NULL) ENGINE=MyISAM", "seq, 'n'")
    plan = PagePlan("visit", ("`Num`", "`Note`"), ("Num",))
    assert meter.walk(plan, ROWS // 3) == [*range(1, ROWS + 1)]
    assert not any(meter.sorted)
    monkeypatch.setattr(pages, "_IN_KEY_ORDER", "")
    meter.walk(plan, ROWS // 3)
    assert any(meter.sorted)
