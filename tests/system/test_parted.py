"""A network in halves, sentinels on both: a master that was left alone stops by itself, and one log comes of it."""

from __future__ import annotations

import pytest

from streamsched.contract.errors import ServerCannotReplicate

from ..support.load import outcome
from ..support.servers.parted import KEYS, Halves, lacks, parting

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(bool(lacks()), reason=lacks())
async def test_a_master_without_its_replicas_stops_by_itself_and_nothing_acknowledged_after_that_is_lost() -> None:
    with Halves(needed=1) as halves:
        reported = parting(halves, for_s=3)
        after = await outcome(halves.url(there=False), KEYS)
    refused = next(n for n, ack in enumerate(reported.here) if ack.code == ServerCannotReplicate.code)
    assert reported.lost(reported.here[refused:]) == [], "what came after the first refusal is kept"
    there = [ack for ack in reported.there if ack.at > reported.cut + 1]
    assert there, "the other half went on"
    assert reported.lost(there) == []
    acknowledged = [ack.event_id for ack in (*reported.here, *reported.there) if ack.event_id]
    assert len(set(acknowledged) & reported.log) > 400
    assert after.difference == {}
