"""The report as text: what is in the page, what is allowed in it, and what never gets out of the block of data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.unit.analysis_sample import make_hostile_input, make_report_input

from opendental_analyze import report
from opendental_analyze.report import render_report
from opendental_analyze.report.page import SCRIPTS

PARTS = Path(report.__file__).parent / "parts"
ANALYZE = Path(report.__file__).parents[2]
DATA = re.compile(r'<script type="application/json" id="analysis">(.*?)</script>', re.DOTALL)


def read_data(page: str):
    return json.loads(DATA.search(page)[1])


def test_the_page_holds_the_whole_analysis():
    """Nothing is dropped or changed on the way into the page: its block of data is the analysis."""
    analysis = make_report_input()
    assert read_data(render_report(analysis)) == json.loads(json.dumps(analysis))


def test_equal_analyses_give_the_same_bytes():
    """Neither the order in which a dictionary was filled nor an earlier rendering shows in the page."""
    analysis = make_report_input()
    turned = dict(reversed(analysis.items()))
    turned["tables"] = [dict(reversed(table.items())) for table in analysis["tables"]]
    assert render_report(turned) == render_report(analysis)


def test_the_page_of_all_official_tables_is_small():
    """424 tables with all columns and reasons stay below 2.5 MB."""
    assert len(render_report(make_report_input()).encode()) < 2_500_000


def test_hostile_text_stays_inside_the_block_of_data():
    """No name and no reason ends the block, opens a comment, or adds an element; all come back as they were."""
    analysis = make_hostile_input()
    page = render_report(analysis)
    assert read_data(page) == json.loads(json.dumps(analysis))
    assert page.count("<script") == page.count("</script>") == 2
    assert not set("<>&").intersection(DATA.search(page)[1])
    assert DATA.search(page)[1].isascii()
    assert "<title>&lt;/script&gt;" in page


def test_a_placeholder_as_a_name_stays_a_name():
    """A table named as one of the template's places is not filled in."""
    analysis = make_report_input() | {"database": "{{data}}"}
    page = render_report(analysis)
    assert "<title>{{data}}: schema analysis</title>" in page
    assert read_data(page)["database"] == "{{data}}"


def test_a_number_that_json_has_not_is_refused():
    """NaN would make a page that opens blank: it is an error here."""
    with pytest.raises(ValueError, match="JSON"):
        render_report(make_report_input() | {"summary": {"megabytes": float("nan")}})


def test_the_policy_allows_this_style_and_this_script_only():
    """default-src is none, no address is allowed, and the two hashes are those of what is in the page."""
    page = render_report(make_report_input())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    assert rules == {
        "default-src": "'none'",
        "script-src": hash_source(script),
        "style-src": hash_source(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_names_no_address():
    """Its own parts name nothing to load: the one address is the name of SVG's namespace."""
    text = "".join(path.read_text() for path in PARTS.iterdir())
    assert re.findall(r"https?://[^\"'\s]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|url\((?!#)|<link|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|\bimport\(", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_text(name):
    """Text becomes text nodes; no script can parse it as HTML or run it."""
    text = (PARTS / name).read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text
    )


def test_the_wheel_holds_every_part_of_the_page(tmp_path):
    """An installed package can render: template, style and scripts are in the wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ANALYZE, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    expected = {"page.html", "page.css", *SCRIPTS}
    assert (
        {Path(name).name for name in names if "/report/parts/" in name} == expected == {p.name for p in PARTS.iterdir()}
    )
