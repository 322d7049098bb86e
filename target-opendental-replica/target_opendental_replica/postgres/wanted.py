"""What a stream needs of its table (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_opendental_replica.errors import ConfigError, SchemaRefusedError
from target_opendental_replica.postgres.model import METADATA, Wanted
from target_opendental_replica.postgres.names import check
from target_opendental_replica.postgres.types import choose_type

if TYPE_CHECKING:
    from target_opendental_replica.stream_facts import StreamFacts


def choose_wanted(facts: StreamFacts, *, adds_metadata: bool) -> Wanted:
    """Return the columns and the key of a stream's table, as stock has them.

    `_sdc_` properties of a tap are left out: stock writes its own over them. Raises ConfigError for values that are not
    portable, IdentifierError for a name that PostgreSQL cannot hold, SchemaRefusedError for a key that is not sent.
    """
    where = f"stream {facts.stream!r}"
    if facts.is_exact:
        raise ConfigError(f"{where}: the tap's setting values: exact is for the replica; take it away for postgresql")
    source = {
        check(each.name, f"{where}, property"): choose_type(each.schema)
        for each in facts.fields
        if each.name not in METADATA
    }
    if missing := [name for name in facts.key if name not in source]:
        raise SchemaRefusedError(f"{where}: key property {missing[0]!r} is not among its properties")
    key = tuple(name for name in source if name in facts.key)
    return Wanted(source, key, dict(METADATA) if adds_metadata else {})
