"""A server that evicts keys of the state under memory pressure.

Reports of the kind: sidekiq/sidekiq #2883, rq/rq #1280 and taskforcesh/bullmq #2215.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from streamsched import Keys, Scheduler, SubmitRequest
from streamsched.replay.values import read_state
from streamsched.server.embedded import EmbeddedServer

from ..support.live import running, until

pytestmark = pytest.mark.anyio


def job(job_id: str) -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id=job_id, src_lang="en", tgt_lang="zh", payload_json='"hi"')


async def jobs_of(redis: Any, keys: Keys) -> dict[str, Any]:
    return {name: value for name, value in (await read_state(redis, keys)).items() if name.startswith("job:")}


async def has_jobs(redis: Any, keys: Keys, wanted: dict[str, Any]) -> bool:
    return await jobs_of(redis, keys) == wanted


@asynccontextmanager
async def evicting(server: EmbeddedServer, keys: Keys, jobs: int) -> AsyncIterator[tuple[Scheduler, dict[str, Any]]]:
    """A scheduler whose server has just evicted some of its waiting jobs, and what they were."""
    # what is used least goes first: jobs, and hardly ever the log or the partition's own hash, which each call uses
    for _ in range(5):
        with EmbeddedServer(binary=server.binary, options={"maxmemory-policy": "allkeys-lfu"}) as full:
            async with running(full, keys) as scheduler:
                redis: Any = scheduler.partition.redis
                for n in range(jobs):
                    await scheduler.submit(job(f"j{n}"))
                before = await jobs_of(redis, keys)
                await redis.config_set("maxmemory-samples", 64)
                await redis.config_set("maxmemory", (await redis.info("memory"))["used_memory"] - 20_000)
                await redis.set("other", "x" * 1000)
                await redis.config_set("maxmemory", 0)
                if await redis.exists(keys("events"), keys("meta")) == 2:
                    yield scheduler, before
                    return
    pytest.fail("the log itself was evicted each time")


async def test_evicted_keys_halt_the_partition_until_the_state_is_folded_again(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with evicting(server, keys, 300) as (scheduler, before):
        await until(partial(has_jobs, scheduler.partition.redis, keys, before), 30)


async def test_no_event_is_refused_for_a_key_that_the_server_has_evicted(server: EmbeddedServer, keys: Keys) -> None:
    async with evicting(server, keys, 300) as (scheduler, before):
        redis: Any = scheduler.partition.redis
        for name in before:  # at once, and long before the next look at the memory is due
            await scheduler.cancel(name.removeprefix("job:"))
        assert await redis.xlen(keys("dead")) == 0
        await redis.config_set("maxmemory-policy", "noeviction")
        await until(partial(looks_no_more, redis, keys), 10)


async def looks_no_more(redis: Any, keys: Keys) -> bool:
    return await redis.hget(keys("meta"), "evicts") is None
