"""How large a table counts as, and what follows: the strategy and the size of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from tap_opendental.discovery.table_config import Strategy, TableConfig

SizeClass = Literal["small", "medium", "large", "huge"]

SIZE_CLASSES: tuple[SizeClass, ...] = get_args(SizeClass)
# Upper borders of small, medium and large, in MB of 1,048,576 bytes, data and indexes.
_BORDERS = (1.0, 100.0, 1024.0)
_BORDER_MARGIN = 0.10
_ESTIMATE_MARGIN = 0.25
# Below these a change of 25% says nothing: 40 rows that become 60, 16 kB that become 32.
_FEW_ROWS, _FEW_MEGABYTES = 1_000, 1.0

_STRATEGIES: dict[SizeClass, Strategy] = {
    "small": "full_table",
    "medium": "incremental",
    "large": "chunked_incremental",
    "huge": "streaming_incremental",
}
# Rows a page: usually, and where rows change often (shorter reads, fewer writers that wait).
_BATCH_SIZES: dict[SizeClass, tuple[int, int]] = {
    "small": (5000, 5000),
    "medium": (3000, 2000),
    "large": (2000, 1000),
    "huge": (1000, 500),
}


def choose_strategy(size_class: SizeClass, *, has_key: bool) -> Strategy:
    """Full table under 1 MB or without a safe key; else incremental, in chunks from 100 MB, in files from 1 GB."""
    return _STRATEGIES[size_class] if has_key else "full_table"


def choose_batch_size(size_class: SizeClass, *, frequent: bool) -> int:
    """Rows a page, from 5,000 down to 500."""
    return _BATCH_SIZES[size_class][frequent]


def choose_size_class(megabytes: float, previous: SizeClass | None = None) -> SizeClass:
    """Class of a size; the previous one is left only when its border is passed by 10%."""
    fresh = SIZE_CLASSES[sum(megabytes >= border for border in _BORDERS)]
    if previous is None or previous == fresh:
        return fresh
    margin = 1 - _BORDER_MARGIN if SIZE_CLASSES.index(fresh) < SIZE_CLASSES.index(previous) else 1 + _BORDER_MARGIN
    return SIZE_CLASSES[sum(megabytes >= border * margin for border in _BORDERS)]


def infer_size_class(previous: TableConfig, *, frequent: bool) -> SizeClass:
    """Which class an earlier tables.yml stands for: an incremental strategy says it, else the size of its pages.

    What a person overrode says nothing of the size; then the last estimate does.
    """
    for name, strategy in _STRATEGIES.items():
        stated = previous.is_incremental and "extraction_strategy" not in previous.overrides
        if stated and previous.extraction_strategy == strategy:
            return name
    for name, sizes in _BATCH_SIZES.items():
        if previous.batch_size == sizes[frequent] and "batch_size" not in previous.overrides:
            return name
    return choose_size_class(previous.estimated_size_mb)


def settle_rows(measured: int, previous: int | None) -> int:
    """Keep the earlier estimate unless the table has left it by more than 25%, and by more than 1,000 rows."""
    return measured if previous is None or _has_left(measured, previous, _FEW_ROWS) else previous


def settle_megabytes(measured: float, previous: float | None) -> float:
    """Keep the earlier estimate unless the table has left it by more than 25%, and by more than 1 MB."""
    settled = measured if previous is None or _has_left(measured, previous, _FEW_MEGABYTES) else previous
    return round(settled, 1)


def _has_left(measured: float, previous: float, few: float) -> bool:
    return abs(measured - previous) > max(_ESTIMATE_MARGIN * previous, few)
