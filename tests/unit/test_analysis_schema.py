"""docs/analysis.schema.json describes analysis.json: what is written fits, and what is wrong does not."""

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator
from tests.analyses import analyse, analysis_of, content_of

from tap_opendental.discovery import judgements
from tap_opendental.discovery.judgements import Candidate, Change, LeftOut, Problem
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.discovery.table_config import ColumnOverride, ConversionRule, Strategy, TableConfig

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs/analysis.schema.json").read_text())
MAPS = {("kinds",), ("column_overrides",), ("overrides",), ("reasons",), ("strategies",)}
VALIDATOR = Draft202012Validator(SCHEMA)


def whole():
    """An analysis in which every list and mapping holds something."""
    key, name = Column("Id", "bigint(20)", nullable=False), Column("Name", "varchar(50)")
    indexes = (Index("Name", (IndexColumn("Name", 10),)),)
    config = {
        "column_overrides": {"Name": ColumnOverride("decimal_round", 2)},
        "overrides": {"batch_size": 10, "reason": "as the test says"},
        "dependencies": ("patient",),
    }
    tables = [analyse(Table("clinicnote", (key, name), ("Id",), indexes), **config)]
    tables.append(analyse(load_knowledge().tables["recall"].table))
    content = content_of(
        tables,
        left_out=(LeftOut("broken", "it cannot be opened"),),
        missing=("fee",),
        problems=(Problem("fee", "batch_size", "use 5"),),
        changes=(Change("fee", "table", None, "added"),),
    )
    content["tables"][1]["replication"]["candidates"] = [Candidate("DateTStamp", "safe", "moves").to_dict()]
    return content


def places(value, path=()):
    """Paths of all objects, at any depth."""
    if isinstance(value, dict):
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from places(item, (*path, step))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def test_the_schema_is_one_itself():
    """Draft 2020-12, as its first line says."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_an_analysis_of_all_of_open_dental_fits():
    """424 tables, and one analysis in which nothing is empty."""
    assert list(VALIDATOR.iter_errors(analysis_of())) == []
    assert list(VALIDATOR.iter_errors(whole())) == []


@pytest.mark.parametrize("path", [p for p in places(whole()) if p[-1:] != ("column_overrides",)], ids=str)
def test_no_object_takes_an_unknown_key(path):
    """A misspelled or new key fails at every place but in column_overrides, which is keyed by names of columns."""
    content = whole()
    at(content, path)["unheard_of"] = 1
    assert not VALIDATOR.is_valid(content)


@pytest.mark.parametrize("path", [p for p in places(whole()) if p[-1:] not in MAPS], ids=str)
def test_no_object_lacks_a_key(path):
    """Whoever reads the file may rely on every key; maps of names are free to be shorter."""
    for key in at(whole(), path):
        content = whole()
        del at(content, path)[key]
        assert not VALIDATOR.is_valid(content), key


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("analysis_version",), "2"),
        (("analyzed_on",), "yesterday"),
        (("tables", 0, "schema_hash"), "abc"),
        (("tables", 0, "rows"), -1),
        (("tables", 0, "rows"), "12"),
        (("tables", 0, "megabytes"), None),
        (("tables", 0, "importance", "importance"), "vital"),
        (("tables", 0, "importance", "score"), 101),
        (("tables", 0, "configuration", "extraction_strategy"), "magic"),
        (("tables", 0, "configuration", "batch_size"), 0),
        (("tables", 0, "configuration", "monitoring", "max_extraction_time_minutes"), 4),
        (("tables", 1, "references", 0, "confidence"), 1.5),
        (("tables", 1, "columns", 1, "patient_data"), ["hobby"]),
        (("tables", 1, "columns", 1, "kinds"), {"money": "it is"}),
        (("tables", 1, "replication", "candidates", 0, "verdict"), "perhaps"),
        (("server", "flavour"), "oracle"),
    ],
    ids=str,
)
def test_wrong_values_do_not_fit(path, value):
    """Vocabularies are closed, numbers have their bounds."""
    content = copy.deepcopy(whole())
    at(content, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(content)


def definition(name):
    return SCHEMA["$defs"][name]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (definition("importance"), judgements.Importance),
        (definition("strategy"), Strategy),
        (definition("usage")["properties"]["update_frequency"], judgements.UpdateFrequency),
        (definition("reference")["properties"]["source"], judgements.ReferenceSource),
        (definition("replication")["properties"]["method"], judgements.Method),
        (
            definition("replication")["properties"]["candidates"]["items"]["properties"]["verdict"],
            judgements.Verdict,
        ),
        (definition("column")["properties"]["kinds"]["propertyNames"], judgements.ColumnKind),
        (
            definition("configuration")["properties"]["column_overrides"]["additionalProperties"]["properties"][
                "conversion_rule"
            ],
            ConversionRule,
        ),
    ],
)
def test_vocabularies_are_those_of_the_code(found, words):
    """A new word in the code is a new word here."""
    assert set(found["enum"]) == set(get_args(words))


def test_keys_of_a_configuration_are_those_of_the_code():
    """Reasons and overrides are told by these."""
    assert set(definition("configuration_key")["enum"]) == {field.name for field in fields(TableConfig)} - {"overrides"}


def test_classes_of_patient_data_are_those_of_the_knowledge():
    """A new class of the knowledge is a new word here."""
    known = {
        name
        for table in load_knowledge().tables.values()
        for column in table.columns.values()
        for name in column.patient_data
    }
    assert set(definition("column")["properties"]["patient_data"]["items"]["enum"]) == known


def test_every_value_is_described():
    """A person who reads the schema alone learns what each key holds; numbers say their unit or range."""
    silent = {"name", "table", "column", "to_table", "to_column", "key", "$ref"}
    for path in places(SCHEMA):
        node = at(SCHEMA, path)
        for name, entry in node["properties"].items() if path[-1:] != ("properties",) and "properties" in node else ():
            assert "description" in entry or "$ref" in entry or name in silent, (path, name)


GOLDEN = sorted((Path(__file__).resolve().parents[1] / "schemas").glob("*/analysis.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_analyses_of_real_servers_fit(path):
    """The golden folders were analysed from a server; they count missing official tables instead of naming them."""
    assert list(VALIDATOR.iter_errors(json.loads(path.read_text()) | {"missing": []})) == []


def test_there_are_golden_analyses():
    """The test above tests something."""
    assert GOLDEN
