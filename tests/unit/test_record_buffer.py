"""RECORD messages as a batch: what the target writes for the mark of a deleted row."""

from __future__ import annotations

import pytest

from target_opendental_replica.records import RecordBuffer
from target_opendental_replica.stream_facts import DELETED_AT, Field, StreamFacts

FACTS = StreamFacts("visit", (Field("id", {"type": ["integer"]}),), ("id",))


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2026-01-02T05:00:00+05:00", "2026-01-02T00:00:00"),
        ("2026-01-01T20:30:00.25-04:30", "2026-01-02T01:00:00.250000"),
        ("2026-01-02T05:00:00Z", "2026-01-02T05:00:00"),
        ("2026-01-02 05:00:00", "2026-01-02 05:00:00"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
        ("deleted", "deleted"),
    ],
)
def test_the_moment_of_a_deletion_is_in_utc(sent, written):
    """As any other moment: both dialects would leave out the offset. What is no moment is the dialect's to judge."""
    buffer = RecordBuffer(FACTS, {"id": str})
    record = {"id": 1, DELETED_AT: sent}
    buffer.add({"record": record}, record, 1)
    batch = buffer.take()
    assert batch is not None
    assert batch.open().read().decode() == f'"id","{DELETED_AT}"\n1,"{written}"\n'
