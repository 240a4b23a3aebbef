"""Consumers of workers that were killed do not stay in the group for ever."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.contract.keys import GROUP, Keys
from streamsched.engine.partition import Partition
from streamsched.server.embedded import EmbeddedServer
from streamsched.worker import worker as workers
from streamsched.worker.consumers import remove_gone, tidy_consumers

from ..support.live import running, until

pytestmark = pytest.mark.anyio


async def listed(redis: Any, keys: Keys, stream: str = "events") -> list[str]:
    return [consumer["name"] for consumer in await redis.xinfo_consumers(keys(stream), GROUP)]


async def killed(redis: Any, keys: Keys, name: str, noack: bool = True) -> None:
    """Read as a worker does, and never again. Redis 7.0 lists a consumer only once it has received something."""
    for stream in ("events", "heartbeats"):
        await redis.xadd(keys(stream), {"type": "session.released", "session_id": "s1"})
    streams: Any = {keys("events"): ">", keys("heartbeats"): ">"}
    await redis.xreadgroup(GROUP, name, streams, count=1, noack=noack)


@pytest.fixture
async def group(redis: Any, keys: Keys) -> Any:
    """A client of a server on which the group is."""
    for stream in ("events", "heartbeats"):
        await redis.xgroup_create(keys(stream), GROUP, "0-0", mkstream=True)
    return redis


async def test_consumers_that_have_not_read_for_long_are_removed_from_both_streams(group: Any, keys: Keys) -> None:
    for n in range(3):
        await killed(group, keys, f"old-{n}")

    async def idle() -> bool:
        streams = [await group.xinfo_consumers(keys(stream), GROUP) for stream in ("events", "heartbeats")]
        return all(consumer["idle"] >= 1000 for consumers in streams for consumer in consumers)

    await until(idle)
    await killed(group, keys, "young")
    assert await remove_gone(group, keys, gone_ms=1000) == 6
    assert await listed(group, keys) == await listed(group, keys, "heartbeats") == ["young"]


async def test_a_consumer_with_pending_entries_stays(group: Any, keys: Keys) -> None:
    await killed(group, keys, "another-program", noack=False)
    await remove_gone(group, keys, gone_ms=0)
    assert await listed(group, keys) == ["another-program"]


async def test_a_server_without_the_group_is_asked_again_later(redis: Any, keys: Keys) -> None:
    await tidy_consumers().look(Partition(redis, keys))


async def test_a_worker_removes_the_consumer_of_one_that_was_killed(
    group: Redis, keys: Keys, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed(group, keys, "killed")
    monkeypatch.setattr(workers, "tidy_consumers", partial(tidy_consumers, gone_ms=0))
    async with running(server, keys):

        async def alone() -> bool:
            return "killed" not in await listed(group, keys)

        await until(alone)
