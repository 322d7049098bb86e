"""The order of streams: importance first, then what others refer to, and an end to every cycle."""

from typing import get_args

import pytest

from tap_opendental.discovery.judgements import Importance
from tap_opendental.discovery.table_config import TableConfig
from tap_opendental.order import order_tables

IMPORTANCES = get_args(Importance)


def config(importance="standard", *dependencies):
    """A table of that class which refers to others."""
    return TableConfig(table_importance=importance, dependencies=dependencies)


def test_importance_comes_first():
    """What matters most is there even when the rest fails, whatever the names."""
    configs = {f"{9 - rank}": config(importance) for rank, importance in enumerate(IMPORTANCES)}
    assert order_tables(dict(sorted(configs.items()))) == list(configs)


def test_tables_of_a_class_follow_those_that_they_refer_to():
    """Otherwise by name, so that the order is the same each night."""
    configs = {"claim": config("standard", "patient", "zip"), "zip": config(), "patient": config(), "a": config()}
    assert order_tables(configs) == ["a", "patient", "zip", "claim"]
    assert order_tables(dict(reversed(configs.items()))) == ["a", "patient", "zip", "claim"]


def test_a_chain_is_followed_to_its_end():
    """A table follows what its own references need."""
    configs = {"a": config("standard", "b"), "b": config("standard", "c"), "c": config("standard", "d"), "d": config()}
    assert order_tables(configs) == ["d", "c", "b", "a"]


def test_a_reference_does_not_lift_a_table_into_another_class():
    """A critical table does not wait for one that hardly matters."""
    first, *_, last = IMPORTANCES
    assert order_tables({"a": config(last), "b": config(first, "a")}) == ["b", "a"]


def test_references_to_what_is_not_read_are_passed_over():
    """A dependency may be excluded, or gone."""
    assert order_tables({"claim": config("standard", "patient")}) == ["claim"]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ({"a": ("a",)}, ["a"]),
        ({"a": ("b",), "b": ("a",)}, ["b", "a"]),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, ["c", "b", "a"]),
        ({"a": ("b", "d"), "b": ("c",), "c": ("b",), "d": ()}, ["c", "b", "d", "a"]),
    ],
)
def test_a_cycle_ends(references, expected):
    """Tables that refer to each other come next to each other, each once."""
    configs = {name: config("standard", *others) for name, others in references.items()}
    assert order_tables(configs) == expected


def test_every_table_comes_once():
    """Also where many refer to one, and one to many."""
    names = [f"t{number}" for number in range(60)]
    configs = {
        name: config(IMPORTANCES[number % 3], names[number // 2], names[(number * 7) % 60], names[59 - number])
        for number, name in enumerate(names)
    }
    assert sorted(order_tables(configs)) == sorted(names)
    assert order_tables({}) == []
