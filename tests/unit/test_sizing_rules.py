"""Sizes: classes, strategies and pages as documented, and nothing that wavers from one night to the next."""

import pytest

from tap_opendental.discovery.rules.sizing import (
    SIZE_CLASSES,
    choose_batch_size,
    choose_size_class,
    choose_strategy,
    infer_size_class,
    settle_megabytes,
    settle_rows,
)
from tap_opendental.discovery.table_config import TableConfig


@pytest.mark.parametrize(
    ("megabytes", "size_class", "strategy", "rows"),
    [
        (0.0, "small", "full_table", (5000, 5000)),
        (0.99, "small", "full_table", (5000, 5000)),
        (1.0, "medium", "incremental", (3000, 2000)),
        (99.9, "medium", "incremental", (3000, 2000)),
        (100.0, "large", "chunked_incremental", (2000, 1000)),
        (1023.9, "large", "chunked_incremental", (2000, 1000)),
        (1024.0, "huge", "streaming_incremental", (1000, 500)),
    ],
)
def test_each_size_has_its_strategy_and_page(megabytes, size_class, strategy, rows):
    """The borders are 1 MB, 100 MB and 1 GB; frequent updates make shorter pages."""
    found = choose_size_class(megabytes)
    assert found == size_class
    assert choose_strategy(found, has_key=True) == strategy
    assert choose_strategy(found, has_key=False) == "full_table"
    assert (choose_batch_size(found, frequent=False), choose_batch_size(found, frequent=True)) == rows


@pytest.mark.parametrize(
    ("before", "megabytes", "after"),
    [
        ("medium", 109.9, "medium"), ("medium", 110.1, "large"),
        ("large", 90.1, "large"), ("large", 89.9, "medium"),
        ("small", 1.09, "small"), ("small", 1.11, "medium"), ("medium", 0.91, "medium"), ("medium", 0.89, "small"),
        ("small", 5000.0, "huge"), ("huge", 0.1, "small"),
    ],
)  # fmt: skip
def test_a_class_is_left_only_when_its_border_is_passed_by_a_tenth(before, megabytes, after):
    """A table at a border keeps its strategy, in both directions; a leap goes through at once."""
    assert choose_size_class(megabytes, before) == after
    assert choose_size_class(megabytes, after) == after


@pytest.mark.parametrize("size_class", SIZE_CLASSES)
@pytest.mark.parametrize("frequent", [False, True])
@pytest.mark.parametrize("has_key", [False, True])
def test_the_class_can_be_read_back_from_a_configuration(size_class, frequent, has_key):
    """tables.yml does not name the class: strategy and page say it."""
    config = TableConfig(
        extraction_strategy=choose_strategy(size_class, has_key=has_key),
        batch_size=choose_batch_size(size_class, frequent=frequent),
    )
    assert infer_size_class(config, frequent=frequent) == size_class


def test_an_odd_page_size_falls_back_to_the_estimate():
    """A person's batch_size says nothing of the class; the last estimate does."""
    assert infer_size_class(TableConfig(batch_size=77, estimated_size_mb=150.0), frequent=False) == "large"
    overridden = TableConfig(
        batch_size=2000,
        extraction_strategy="streaming_incremental",
        estimated_size_mb=0.9,
        overrides={"batch_size": 2000, "extraction_strategy": "streaming_incremental"},
    )
    assert infer_size_class(overridden, frequent=False) == "small"


@pytest.mark.parametrize(
    ("measured", "previous", "settled"),
    [(10_000, None, 10_000), (12_500, 10_000, 10_000), (12_501, 10_000, 12_501), (7_499, 10_000, 7_499),
     (60, 40, 40), (1_000, 0, 0), (1_001, 0, 1_001)],
)  # fmt: skip
def test_rows_are_rewritten_only_when_they_left_the_old_value(measured, previous, settled):
    """By more than 25%, and by more than a thousand rows: 40 rows that become 60 say nothing."""
    assert settle_rows(measured, previous) == settled


@pytest.mark.parametrize(
    ("measured", "previous", "settled"),
    [(3.14, None, 3.1), (12.4, 10.0, 10.0), (12.6, 10.0, 12.6), (0.9, 0.1, 0.1), (1.2, 0.1, 1.2)],
)
def test_megabytes_are_rewritten_only_when_they_left_the_old_value(measured, previous, settled):
    """By more than 25%, and by more than 1 MB; in tenths."""
    assert settle_megabytes(measured, previous) == settled
