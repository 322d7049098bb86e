"""Names for targets that are not ours."""

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.names import rename_all, safe_name

SAFE = re.compile(r"[A-Za-z0-9_]{1,63}")
HOSTILE = [
    *("", " ", "-", '"', "'", "%", "%s", "%(x)s", "`", "\\", "\0", "\n", "log\n", ".", ";DROP TABLE x", "</script>"),
    *("a-log", "b-log", "a.b", "a:b", "a b", "é" * 63, "表", "😀", "\ud800", "\u0131", "\u017f", "\u212a"),
    *("x" * 64, "x" * 63 + "y", "_sdc_table_version", "_SDC_Table_Version", "ctid", "XMIN", "tableoid"),
]
# Few letters, so that names meet: in their first 54 characters, but for case, and with what others are renamed to.
NAMES = st.one_of(
    st.sampled_from(HOSTILE), st.text("aA-", max_size=2), st.text("aA-", min_size=62, max_size=65), st.text()
)


def test_the_names_of_open_dental_stay():
    """No table and no column of Open Dental is renamed: what people know stays."""
    for name, known in load_knowledge().tables.items():
        columns = [column.name for column in known.table.columns]
        assert rename_all(columns) == {column: column for column in columns}, name
    tables = list(load_knowledge().tables)
    assert len(tables) > 400
    assert rename_all(tables) == {table: table for table in tables}


@pytest.mark.parametrize("name", ["a", "A", "1a", "_", "_sdc", "select", "oid", "x" * 63])
def test_a_safe_name_stays(name):
    """Letters, digits and underscores of ASCII, 63 at most, are left alone, reserved words of SQL among them."""
    assert safe_name(name) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_any_other_name_becomes_safe_and_keeps_its_mark(name):
    """Its other characters are underscores, and 8 digits of its SHA-256 tell it from its like."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    assert SAFE.fullmatch(safe_name(name))
    assert safe_name(name) == re.sub("[^A-Za-z0-9_]", "_", name)[:54] + "_" + digest


def test_a_renamed_name_is_the_same_tomorrow():
    """The name is a promise to whoever reads the table: it does not depend on the run, the process or its company."""
    assert safe_name("naïve 表") == "na_ve___bb271e6f"
    assert rename_all(["other", "naïve 表"])["naïve 表"] == "na_ve___bb271e6f"


def test_what_a_target_would_mix_up_stays_apart():
    """Stock target-postgres drops what precedes a hyphen in a stream's name, and most others drop case."""
    assert len(set(rename_all(["log", "a-log", "b-log"]).values())) == 3
    assert rename_all(["recall", "Recall", "RECALL"])["recall"] == "recall"
    assert rename_all(["Recall", "RECALL"]) == {"RECALL": "RECALL", "Recall": "Recall_71e2046e"}
    assert len({safe.lower() for safe in rename_all(["recall", "Recall", "RECALL"]).values()}) == 3


def test_a_name_that_looks_like_a_renamed_one_keeps_its_own():
    """Somebody's table may have the very name that another would get, and the next one that it would get then."""
    names = ["a-b"]
    for _ in range(5):
        names.append(rename_all(names)["a-b"])
    renamed = rename_all(names)
    assert [renamed[name] for name in names[1:]] == names[1:]
    assert len(set(renamed.values())) == len(names) == 6


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(NAMES, max_size=12), st.randoms(use_true_random=False))
def test_any_set_of_names_becomes_as_many_safe_names(names, chance):
    """As many names come out as went in, safe, apart even without case, the same ones in any order given."""
    renamed = rename_all(names)
    assert set(renamed) == set(names)
    assert all(SAFE.fullmatch(safe) for safe in renamed.values())
    assert len({safe.lower() for safe in renamed.values()}) == len(set(names))
    chance.shuffle(names)
    assert rename_all(names) == renamed
