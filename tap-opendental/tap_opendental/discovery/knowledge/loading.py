"""The knowledge file: read once per process, turned into values."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from tap_opendental.discovery.knowledge.values import Knowledge, KnownColumn, KnownTable
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table

FILE_NAME = "opendental-24.3.json"

_Facts = dict[str, Any]
_Enums = dict[str, tuple[str, ...]]


@cache
def load_knowledge() -> Knowledge:
    """Return what is known of Open Dental."""
    return parse_knowledge(read_knowledge_file())


def read_knowledge_file() -> str:
    """Return the data file's text, from wherever the package is installed."""
    return files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")


def parse_knowledge(text: str) -> Knowledge:
    """Turn the data file's text into values."""
    facts = json.loads(text)
    enums = {name: tuple(values) for name, values in facts["enums"].items()}
    return Knowledge(
        version=facts["version"],
        tables={table["name"].lower(): _known_table(table, enums) for table in facts["tables"]},
    )


def _known_table(facts: _Facts, enums: _Enums) -> KnownTable:
    return KnownTable(
        table=_table(facts),
        columns={column["name"]: _known_column(column, enums) for column in facts["columns"]},
        change_tracking=facts.get("change_tracking", "none"),
        change_column=facts.get("change_column"),
        hard_deletes=facts.get("hard_deletes", False),
        typical_rows=facts.get("typical_rows"),
        typical_megabytes=facts.get("typical_megabytes"),
        role=facts.get("role"),
        core=facts.get("core", False),
    )


def _known_column(facts: _Facts, enums: _Enums) -> KnownColumn:
    enum_name = facts.get("enum_name")
    return KnownColumn(
        name=facts["name"],
        logical=facts.get("logical"),
        enum_name=enum_name,
        enum_values=enums[enum_name] if enum_name else (),
        references=tuple(facts.get("references", ())),
        patient_data=tuple(facts.get("patient_data", ())),
        time_role=facts.get("time_role"),
        secret=facts.get("secret", False),
    )


def _table(facts: _Facts) -> Table:
    return Table(
        name=facts["name"],
        columns=tuple(_column(column) for column in facts["columns"]),
        primary_key=tuple(facts["primary_key"]),
        indexes=tuple(_index(index) for index in facts.get("indexes", ())),
        engine=facts.get("engine", "MyISAM"),
        collation=facts.get("collation", "utf8mb3_general_ci"),
    )


def _column(facts: _Facts) -> Column:
    return Column(
        name=facts["name"],
        type=facts["type"],
        nullable=facts.get("nullable", False),
        default=facts.get("default"),
        on_update=facts.get("on_update"),
        auto_increment=facts.get("auto_increment", False),
        collation=facts.get("collation"),
    )


def _index(facts: _Facts) -> Index:
    return Index(
        name=facts["name"],
        columns=tuple(_index_column(column) for column in facts["columns"]),
        unique=facts.get("unique", False),
    )


def _index_column(facts: str | list[Any]) -> IndexColumn:
    """``"FName"`` is the whole column, ``["FName", 10]`` its first ten characters."""
    return IndexColumn(facts) if isinstance(facts, str) else IndexColumn(*facts)
