"""The summary of an analysis: one screen, aligned, the same words with and without colour, whatever the names."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.unit.analysis_sample import HOSTILE_NAME, make_analysis

from opendental_analyze.explain.summary import render_plain, render_summary
from opendental_analyze.terminal import printable
from tap_opendental.discovery.judgements import Change
from tap_opendental.discovery.table_config import Monitoring

SCREEN_LINES, SCREEN_COLUMNS = 40, 100


@pytest.fixture(scope="module")
def analysis():
    """All official tables, with changes, a problem, a table left out and one not seen."""
    return make_analysis()


def plain(analysis, *, first=False, width=SCREEN_COLUMNS):
    return render_plain(render_summary(analysis, first=first, width=width))


def row(text, label):
    """The line that a label starts."""
    return next(line for line in text.splitlines() if line.startswith(label))


def crowd(analysis):
    """The same with as much to say as there can be, under names that are long, wide or hostile."""
    changes = tuple(
        Change(f"{name}{number}", key, ["a" * 70], "表" * 70)
        for number in range(40)
        for name, key in ((HOSTILE_NAME, "dependencies"), ("表" * 60, "batch_size"), ("n" * 64, "table"))
    )
    problems = tuple(replace(analysis.problems[0], table="表" * 60, message="word " * 90) for _ in range(30))
    left_out = tuple(replace(analysis.left_out[0], table=HOSTILE_NAME, reason="why " * 90) for _ in range(30))
    missing = tuple(table.table.name for table in analysis.tables)
    return replace(analysis, changes=changes, problems=problems, left_out=left_out, missing=missing, probed=True)


@pytest.mark.parametrize("dress", [lambda analysis: analysis, crowd])
def test_it_fits_on_one_screen(analysis, dress):
    """At most 40 lines of at most 100 columns, also when everything is wrong and names are wide."""
    lines = plain(dress(analysis)).splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(cell_len, lines)) <= SCREEN_COLUMNS


def test_a_narrow_terminal_gets_narrow_lines(analysis):
    """Below 100 columns the two tables stand one above the other, and nothing is wider than asked."""
    lines = plain(crowd(analysis), width=72).splitlines()
    assert max(map(cell_len, lines)) <= 72
    assert row("\n".join(lines), "Importance").split() == ["Importance", "tables", "rows", "MB"]


def test_numbers_stand_under_their_heads(analysis):
    """Counts of classes and strategies are right-aligned below their heads, with thousands separators."""
    lines = plain(analysis).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Importance"))
    ends = [
        at for at, (one, other) in enumerate(zip(lines[at], lines[at][1:] + " ", strict=True)) if one != " " == other
    ]
    for line in lines[at + 1 : at + 5]:
        for end in ends[1:4] + ends[6:]:
            assert line[end].isdigit(), line
            assert not line[end + 1 : end + 2].strip(), line


def test_classes_and_strategies_add_up(analysis):
    """Each table is counted in one class and in one strategy: both columns sum up to all tables, rows and MB."""
    lines = plain(analysis, width=80).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Importance"))
    for first, last in ((at + 1, at + 6), (at + 8, at + 12)):
        numbers = [[float(cell.replace(",", "")) for cell in line.split()[1:]] for line in lines[first:last]]
        tables, rows, megabytes = map(sum, zip(*numbers, strict=True))
        assert tables == len(analysis.tables)
        assert rows == sum(table.size.rows for table in analysis.tables)
        assert megabytes == pytest.approx(sum(table.size.megabytes for table in analysis.tables), abs=0.3)


def test_the_head_counts_everything(analysis):
    """Tables, empty ones, columns, rows and MB, and the server and date that they are of."""
    title, totals = plain(analysis).splitlines()[:2]
    assert title == "Database opendental  2026-11-22, MariaDB 10.11.14, knowledge of Open Dental 24.3"
    assert totals.startswith("424 tables (210 empty)   4,429 columns   19,807,600 rows   3,884.9 MB")


def test_an_estimate_is_called_one(analysis):
    """One table whose rows the server only estimates makes the sum an estimate."""
    first = analysis.tables[0]
    guessed = replace(first, size=replace(first.size, exact=False))
    assert "   19,807,600 rows" in plain(analysis)
    assert "   about 19,807,600 rows" in plain(replace(analysis, tables=(guessed, *analysis.tables[1:])))


def test_keys_traps_monitoring_and_overrides_are_counted(analysis):
    """67 columns that update themselves and 7 append-only keys; the traps; who alerts; what a person set."""
    text = plain(analysis)
    assert "67 self-updating columns (48 without an index), 7 append-only primary keys" in row(text, "Replication keys")
    assert "none for 350 tables" in text
    traps = analysis.summarize()["traps"]
    assert f"{traps['event_time']} event times, {traps['insert_only']} insert-only times" in row(text, "Traps avoided")
    assert row(text, "Monitoring").endswith("12 tables alert on failure, a limit of 5 minutes each")
    assert row(text, "Overrides").endswith("1 value that a person set, in 1 table")


def test_monitoring_shows_the_span_of_its_limits(analysis):
    """Limits that differ are shown from the shortest to the longest."""
    *others, last = analysis.tables
    slow = replace(last, config=replace(last.config, monitoring=Monitoring(True, 180)))  # noqa: FBT003
    text = plain(replace(analysis, tables=(*others, slow)))
    assert row(text, "Monitoring").endswith("13 tables alert on failure, limits of 5 to 180 minutes")


def test_changes_say_what_came_went_and_moved(analysis):
    """Counts first, then tables that came and went, then values before and after."""
    text = plain(analysis)
    assert row(text, "Changes").endswith("1 new table, 1 table gone, 2 tables changed (structure 1, batch_size 1, ...)")
    indented = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    assert [line for line in indented if line[0] in "+-~"] == [
        "+ orthochartlog",
        "- etrans835attach",
        "~ procedurelog  structure",
        "~ procedurelog  batch_size 3,000 -> 2,000",
        "~ securitylog  estimated_rows 3,500,000 -> 4,740,000",
    ]


def test_a_first_analysis_has_no_changes(analysis):
    """Without a tables.yml before it, 424 new tables are no news."""
    assert "this is the first tables.yml here" in row(plain(analysis, first=True), "Changes")
    assert "none since the last tables.yml" in row(plain(replace(analysis, changes=())), "Changes")


def test_what_does_not_fit_is_counted(analysis):
    """A list that is cut says how many more there are: shown and counted ones are all."""
    changes = tuple(Change(f"t{number}", "table", None, "added") for number in range(1234))
    text = plain(replace(analysis, changes=changes))
    shown = sum(line.strip().startswith("+ ") for line in text.splitlines())
    assert f"... and {1234 - shown:,} more" in text
    assert shown > 0


def test_problems_and_tables_left_out_are_named_with_the_fix(analysis):
    """An override that no longer fits and a table that cannot be read are in the summary, with what to do."""
    words = " ".join(plain(analysis).split())
    assert "Problems 1 problem in tables.yml commlog, overrides.incremental_column: column DateTimeStamp" in words
    assert "name another one" in words
    assert "Left out 1 table that could not be analysed tempschedule_bak_20200424: no SELECT on it: GRANT" in words
    assert "zipcode" in words


def test_nothing_wrong_is_said_too(analysis):
    """A clean analysis says so in three lines."""
    text = plain(replace(analysis, problems=(), left_out=(), missing=()))
    assert row(text, "Problems").split() == ["Problems", "none"]
    assert row(text, "Left out").split() == ["Left", "out", "none"]
    assert row(text, "Not seen").endswith("none of the official tables")


def test_an_empty_analysis_is_rendered(analysis):
    """No table at all makes zeros, not an error."""
    assert "0 tables (0 empty)" in plain(replace(analysis, tables=()), first=True)


def test_a_terminal_shows_the_same_words(analysis):
    """Colour adds nothing but colour: what a terminal prints, its codes taken away, is summary.txt."""
    lines = render_summary(crowd(analysis), first=False)
    console = Console(file=io.StringIO(), force_terminal=True, record=True, width=SCREEN_COLUMNS, highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)
    assert "\x1b[" in console.file.getvalue()
    printed = "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())
    assert printed == render_plain(lines)


@pytest.mark.parametrize("char", ["\x1b", "\n", "\r", "\x07", "\u202e", "\u2028", "\x9b"])
def test_no_name_commands_the_terminal(analysis, char):
    """A table's name with an escape, a line break or a change of direction is shown escaped."""
    name = f"a{char}[31mb"
    changes = (Change(name, "batch_size", 1, char),)
    problems = (replace(analysis.problems[0], table=name, message=char),)
    left_out = (replace(analysis.left_out[0], table=name, reason=char),)
    dressed = replace(analysis, database=name, changes=changes, problems=problems, left_out=left_out, missing=(name,))
    text = plain(dressed)
    assert printable(name) in text
    assert len(text.splitlines()) == len(plain(replace(dressed, database="a")).splitlines())
    assert all(each.isprintable() or each == "\n" for each in text)
