"""The report as a person meets it: opened from a file in headless Chromium, clicked, typed into, printed."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.unit.analysis_sample import HOSTILE_NAME, make_hostile_input, make_large_input, make_report_input

from opendental_analyze.report import render_report
from tap_opendental.discovery.judgements import SchemaAnalysis
from tap_opendental.discovery.model import Server

CONTRAST = """(selector) => {
  const lightness = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
  };
  return Math.min(...[...document.querySelectorAll(selector)].map((element) => {
    const sides = [lightness(getComputedStyle(element).color), lightness(ground(element))];
    return (Math.max(...sides) + 0.05) / (Math.min(...sides) + 0.05);
  }));
}"""


@pytest.fixture(scope="module")
def browser():
    """Chromium of this machine; without one the tests fail."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium on PATH: run make browser (scripts/install-browser.sh)"
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=found, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    """The report of the official tables, as a file."""
    return write_report(tmp_path_factory.mktemp("report"), make_report_input())


@pytest.fixture
def open_report(browser, report_file):
    """Open a report: `open_report(path, hash, width=...)`; the test fails on an error, a dialog or any request."""
    contexts, complaints = [], []

    def open_it(path=report_file, address="", *, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url.startswith(path.as_uri()) or complaints.append(request.url))
        page.goto(path.as_uri() + address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def write_report(folder, analysis):
    path = folder / "report.html"
    path.write_text(render_report(analysis), encoding="utf-8")
    return path


def names(page):
    return page.locator("#list tbody th .link").all_inner_texts()


def chosen(page):
    title = page.locator("#details-title")
    return title.inner_text() if title.count() else None


def column(page, number):
    return page.locator(f"#list tbody td:nth-child({number})").all_inner_texts()


def test_the_page_opens_without_an_error_or_a_request(open_report):
    """The summary, the treemap, what changed and the list are there, the largest table first."""
    page = open_report()
    assert page.locator("h1").inner_text() == "opendental"
    assert "424" in page.locator("#tiles").inner_text()
    assert page.locator("#treemap button").first.get_attribute("aria-label") == "securitylog: 912 MB"
    assert names(page)[0] == "securitylog"
    assert page.locator("#details").is_hidden()


def test_every_column_sorts_both_ways(open_report):
    """A header sorts by its column and says so to a screen reader; once more turns the order around."""
    page = open_report()
    for header in page.locator("#list thead th").all():
        header.locator("button").click()
        first, order = header.get_attribute("aria-sort"), names(page)
        header.locator("button").click()
        assert {first, header.get_attribute("aria-sort")} == {"ascending", "descending"}
        assert names(page) != order
        assert page.locator("#list th[aria-sort$=ending]").count() == 1


def test_rows_and_names_come_in_their_order(open_report):
    """Numbers sort as numbers, names as text, and a table without a key comes last in both directions."""
    page = open_report()
    page.get_by_role("button", name="Rows", exact=True).click()
    rows = [int(text.replace(",", "")) for text in column(page, 3)]
    assert all(left >= right for left, right in pairwise(rows))
    page.get_by_role("button", name="Table", exact=True).click()
    assert all(left <= right for left, right in pairwise(names(page)))
    for _ in range(2):
        page.get_by_role("button", name="Replication key", exact=True).click()
        assert column(page, 6)[0] != "none"
        assert column(page, 6)[-1] == "none"


def test_text_and_chips_filter_the_list(open_report):
    """Text finds names and keys, and columns when asked; chips of one kind add up, those of two kinds narrow."""
    page = open_report()
    page.fill("#search", "PROCEDURE")
    assert sorted(names(page)) == ["procedurecode", "procedurelog"]
    page.check("#in-columns")
    assert len(names(page)) > 2
    page.fill("#search", "")
    press(page, "critical")
    assert len(names(page)) == 8
    press(page, "important")
    assert len(names(page)) == 12
    press(page, "changed")
    assert names(page) == ["procedurelog"]
    page.fill("#search", "no such table")
    assert "No table fits" in page.locator("#list").inner_text()
    assert page.locator("#list-count").inner_text() == "0 of 424 tables"


def press(page, key):
    chip = page.locator(f'.chip[data-key="{key}"]')
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"


def test_the_summary_filters_the_list(open_report):
    """A part of the bar of strategies shows the tables of that strategy, and no others."""
    page = open_report()
    page.locator("#tiles").get_by_role("button", name="chunked").click()
    assert set(column(page, 5)) == {"chunked"}


def test_a_problem_and_a_change_are_where_a_person_looks(open_report):
    """What changed, what does not fit, what was left out or is missing is said in words, and leads to the table."""
    page = open_report()
    drift = page.locator("#drift")
    for text in ("batch size: 3,000 → 2,000", "structure changed", "rows: 3,500,000 → 4,740,000 (+35%)", "new table"):
        assert text in drift.inner_text()
    for text in ("DateTimeStamp is gone", "tempschedule_bak_20200424", "zipcode"):
        assert text in drift.inner_text()
    drift.get_by_role("button", name="commlog").click()
    assert "DateTimeStamp is gone" in page.locator("#details .news").inner_text()


def test_a_chosen_table_explains_itself(open_report):
    """The key with its reason, what was turned down and why, the score, the columns' badges and the hash."""
    page = open_report()
    page.locator("#list").get_by_role("button", name="procedurelog").click()
    details = page.locator("#details")
    text = details.inner_text()
    table = next(table for table in make_report_input()["tables"] if table["name"] == "procedurelog")
    for said in (
        table["replication"]["reason"][1:],
        "DateEntryC",
        "insert only",
        "score 100 of 100",
        table["schema_hash"],
    ):
        assert said in text
    assert details.locator(".badge.patient").count() > 0
    assert details.locator(".badge.key").count() > 0
    assert page.locator("#list tr[aria-current]").count() == 1
    assert page.url.endswith("#t=procedurelog")


def test_secrets_are_marked(open_report):
    """A column that is never read says so."""
    page = open_report(address="#t=userod")
    assert page.locator("#details .badge.secret").count() >= 3


def test_the_graph_walks_from_table_to_table(open_report):
    """Neighbours stand on both sides; choosing one walks there, and the browser's back comes back."""
    page = open_report(address="#t=procedurelog")
    incoming = page.locator(".graph .node", has_text="paysplit").bounding_box()
    centre = page.locator(".graph .centre").bounding_box()
    outgoing = page.locator(".graph .node", has_text="patient").bounding_box()
    assert incoming["x"] + incoming["width"] < centre["x"] < centre["x"] + centre["width"] < outgoing["x"]
    page.locator(".graph .node", has_text="patient").click()
    assert chosen(page) == "patient"
    page.go_back()
    assert chosen(page) == "procedurelog"


def test_guessed_references_are_dashed_and_say_how_sure(open_report):
    """A documented reference has a solid line; a guessed one is dashed, with its confidence and column on demand."""
    page = open_report(address="#t=procedurelog")
    guessed = page.locator(".graph .node", has_text="clinic")
    assert "90%" in guessed.inner_text()
    guessed.hover()
    assert "procedurelog.ClinicNum" in page.locator(".graph-caption").inner_text()
    assert page.eval_on_selector(".graph .edge.lit", "(line) => getComputedStyle(line).strokeDasharray") != "none"
    page.locator(".graph .node", has_text="provider").hover()
    assert page.eval_on_selector(".graph .edge.lit", "(line) => getComputedStyle(line).strokeDasharray") == "none"


def test_a_crowded_graph_stays_readable(open_report):
    """At most 24 neighbours a side; the others are counted, and one click lists them all."""
    page = open_report(address="#t=patient")
    assert page.locator(".graph .edges > .edge").count() <= 48
    page.locator(".more-node").click()
    patient = next(table for table in make_report_input()["tables"] if table["name"] == "patient")
    assert page.locator("#references-incoming li:visible").count() == len(patient["referenced_by"])


@pytest.mark.parametrize("address", ["#t=nosuchtable", "#t=%E0%A4%A", "#other", "#t="])
def test_an_address_that_fits_no_table_opens_the_page(open_report, address):
    """A link to a table that is gone, or a broken one, shows the summary and no error."""
    page = open_report(address=address)
    assert page.locator("#list tbody tr").count() > 100
    assert page.locator("#details").is_hidden()


def test_the_keyboard_does_all(open_report):
    """Arrows move in the treemap, Enter chooses, Escape closes; a focus never ends nowhere."""
    page = open_report()
    page.locator("#treemap button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert chosen(page) == "securityloghash"
    page.locator(".graph .node:not(.centre)").first.press("Enter")
    assert chosen(page) == "securitylog"
    assert page.evaluate("document.activeElement.id") == "details-title"
    page.keyboard.press("Escape")
    assert chosen(page) is None
    assert page.evaluate("document.activeElement.textContent") == "securitylog"


def test_areas_are_sizes(open_report):
    """Cells are as large as their tables; switches change what areas and colours mean; what is not drawn is counted."""
    page = open_report()
    area = "(cells) => cells.slice(0, 3).map((cell) => (cell.offsetWidth + 2) * (cell.offsetHeight + 2))"
    first, second, third = page.eval_on_selector_all("#treemap button", area)
    assert first / second == pytest.approx(912 / 435, rel=0.03)
    assert second / third == pytest.approx(435 / 393, rel=0.03)
    small = sum(not table["megabytes"] for table in make_report_input()["tables"])
    assert page.locator("#treemap-note").inner_text().startswith(f"{small} tables below 0.05 MB")
    page.get_by_role("button", name="rows", exact=True).click()
    assert "rows" in page.locator("#treemap button").first.get_attribute("aria-label")
    page.get_by_role("button", name="strategy", exact=True).click()
    assert "tone-chunked_incremental" in page.locator("#treemap button").first.get_attribute("class")


def test_hostile_names_are_text(open_report, tmp_path):
    """Names and reasons made of markup, quotes, percent signs and other directions are shown as they are: inert."""
    analysis = make_hostile_input()
    page = open_report(write_report(tmp_path, analysis))
    assert sorted(names_as_stored(page)) == sorted(table["name"] for table in analysis["tables"])
    for table in analysis["tables"]:
        page.evaluate("(name) => { location.hash = 't=' + encodeURIComponent(name); }", table["name"])
        page.wait_for_function(
            "(name) => document.querySelector('#details-title')?.textContent === name", arg=table["name"]
        )
        page.reload()
        assert page.text_content("#details-title") == table["name"]
        assert HOSTILE_NAME in page.text_content("#details .answer")
    assert page.evaluate("[typeof wasRun, document.images.length, document.scripts.length]") == ["undefined", 0, 2]
    assert page.locator("iframe, object, embed, link, a[href^='javascript']").count() == 0


def names_as_stored(page):
    return page.locator("#list tbody th .link").all_text_contents()


def test_nothing_but_the_script_of_the_page_can_run(browser, tmp_path):
    """The policy holds: a script or a picture that somebody adds to the file is refused."""
    path = write_report(tmp_path, make_report_input())
    added = "<script>window.wasRun = true</script><img src='http://127.0.0.1:9/x' onerror='window.wasRun = true'>"
    path.write_text(path.read_text().replace("</body>", f"{added}</body>"))
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("typeof wasRun") == "undefined"
    assert len([text for text in refused if "Content Security Policy" in text]) >= 2
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_are_readable(open_report, scheme):
    """The page follows the system's scheme, and text keeps a contrast of 4.5 in both."""
    page = open_report(address="#t=procedurelog", color_scheme=scheme)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
    assert light == (scheme == "light")
    for selector in ("main p", ".tile-value", ".muted", ".cell-name", ".link", ".badge", ".pill", ".centre", ".sort"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector


@pytest.mark.parametrize("address", ["", "#t=patient"])
def test_the_page_never_scrolls_sideways(open_report, address):
    """From a phone to a wide screen the page fits; only wide tables scroll, within themselves."""
    page = open_report(address=address)
    for width in (390, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        for selector in ("html", *(["#details"] if address else [])):
            too_wide = "({scrollWidth, clientWidth}) => scrollWidth - clientWidth"
            assert page.eval_on_selector(selector, too_wide) <= 0, (width, selector)


def test_on_a_phone_the_sides_of_the_graph_stand_below_each_other(open_report):
    """At 390 px neighbours keep their names: one column, nodes below the chosen table."""
    page = open_report(address="#t=procedurelog", width=390)
    boxes = [node.bounding_box() for node in page.locator(".graph button.node").all()]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert all(box["width"] > 250 for box in boxes)


def test_five_thousand_tables_open_and_answer(open_report, tmp_path):
    """The page stays light: rows are drawn as they are needed, and the last table is found by typing."""
    page = open_report(write_report(tmp_path, make_large_input(5000)))
    assert page.evaluate("document.querySelectorAll('*').length") < 15_000
    page.fill("#search", "copy04575")
    assert names(page) == ["copy04575"]
    page.fill("#search", "")
    page.locator("button.more").click()
    assert page.locator("#list tbody tr").count() == 5000


def test_a_database_without_tables_opens(open_report, tmp_path):
    """Nothing to show is no error."""
    empty = SchemaAnalysis("empty", Server("10.11", "mariadb"), "24.3", "2026-11-22", ()).to_dict()
    page = open_report(write_report(tmp_path, empty))
    assert "There is no table" in page.locator("#list").inner_text()
    assert "no problem" in page.locator("#drift").inner_text()


def test_a_part_of_a_database_names_its_neighbours(open_report, tmp_path):
    """When only some tables were analysed, the others stand in the graph as names that lead nowhere."""
    analysis = make_report_input()
    analysis["tables"] = [table for table in analysis["tables"] if table["name"] in {"patient", "claim"}]
    page = open_report(write_report(tmp_path, analysis | {"complete": False}), "#t=claim")
    assert page.locator(".graph .node", has_text="claimproc").is_disabled()


def test_what_is_not_known_of_a_reference_is_not_drawn_as_documented(open_report, tmp_path):
    """A reference from a table that was not analysed has a line of its own, and words that say why."""
    analysis = make_report_input()
    analysis["tables"] = [table for table in analysis["tables"] if table["name"] in {"patient", "claim"}]
    page = open_report(write_report(tmp_path, analysis | {"complete": False}), "#t=claim")
    assert "from a table that was not analysed" in page.locator(".graph-key").inner_text()
    tip = page.locator(".graph .node", has_text="claimproc").get_attribute("title")
    assert "claimproc.ClaimNum → claim (its table was not analysed)" in tip
    incoming = analysis["tables"][0]["referenced_by"]
    neighbours = {text.partition(".")[0] for text in incoming} - {"claim", "patient"}
    assert page.locator(".graph .edges > .edge.unknown").count() == len(neighbours)
    page.locator("#references-incoming summary").click()
    assert "not analysed" in page.locator("#references-incoming li", has_text="claimproc").inner_text()


@pytest.mark.parametrize("complete", [True, False])
def test_a_part_of_a_database_is_said_to_be_one(open_report, tmp_path, complete):
    """Who is sent the page knows that the other tables were not asked for."""
    analysis = make_report_input() | {"complete": complete}
    analysis["tables"] = analysis["tables"][:3]
    page = open_report(write_report(tmp_path, analysis))
    said = page.locator("#provenance").inner_text()
    assert ("partial 3 tables only, chosen with --tables" in said) is not complete
    assert "analysed on" in said


def test_a_whole_analysis_has_no_line_for_what_is_not_known(open_report):
    """Every reference has its source there, so the key does not name a third kind."""
    page = open_report(address="#t=claim")
    assert page.locator(".graph .edge.unknown").count() == 0
    assert "not analysed" not in page.locator(".graph-key").inner_text()
    page.locator(".graph .node", has_text="patient").click()
    assert chosen(page) == "patient"


def test_a_first_run_is_one_line(open_report, tmp_path):
    """When every table is new, the page says so once and not once a table."""
    analysis = make_report_input()
    new = ({"table": table["name"], "key": "table", "before": None, "after": "added"} for table in analysis["tables"])
    page = open_report(write_report(tmp_path, analysis | {"changes": list(new)}))
    assert "all 424 tables are new" in page.locator("#drift").inner_text()
    assert page.locator("#drift [data-kind=Changes] li").count() == 1


def test_scrolling_brings_more_rows(open_report):
    """The list is drawn as it is read: at its end come the next rows, until all are there."""
    page = open_report()
    to_the_end = "(list) => list.scrollTo({ top: list.scrollHeight, behavior: 'instant' })"
    page.eval_on_selector("#list", to_the_end)
    expect(page.locator("#list tbody tr")).to_have_count(300)
    page.eval_on_selector("#list", to_the_end)
    expect(page.locator("#list tbody tr")).to_have_count(424)
    assert page.locator("button.more").is_hidden()


def test_printing_shows_every_row(open_report):
    """A print holds all tables, not those that were scrolled to."""
    page = open_report()
    assert page.locator("#list tbody tr").count() < 424
    assert page.pdf().startswith(b"%PDF")
    assert page.locator("#list tbody tr").count() == 424
