"""In which order streams are read: what matters most first, and what others refer to before them (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from tap_opendental.discovery.judgements import Importance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_opendental.discovery.table_config import TableConfig

_RANK = {name: rank for rank, name in enumerate(get_args(Importance))}


def order_tables(configs: Mapping[str, TableConfig]) -> list[str]:
    """Order tables by importance, then each after the tables of its class that it depends on; cycles end somewhere."""
    ranked = sorted(configs, key=lambda name: (_RANK[configs[name].table_importance], name))
    ordered: dict[str, None] = {}
    for name in ranked:
        ordered.update(dict.fromkeys(_with_dependencies(configs, name, {*ordered})))
    return list(ordered)


def _with_dependencies(configs: Mapping[str, TableConfig], name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    for other in configs[name].dependencies:
        if other in configs and configs[other].table_importance == configs[name].table_importance:
            yield from _with_dependencies(configs, other, seen)
    yield name
