"""How long ``dispatch_task`` takes, against a bare PING on the same connection, and with 100 000 nodes in the pool."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import PAYLOAD, Ground

SMALL, LARGE = 10, 100_000


async def one(scheduler: Scheduler, n: int) -> float:
    """Microseconds of one job that is dispatched at once and delivered by its caller; five jobs to a session."""
    request = DispatchRequest(session_id=f"session-{n // 5}", src_lang="zh", tgt_lang="en", payload_json=PAYLOAD)
    start = time.perf_counter()
    await scheduler.dispatch_task(request)
    return (time.perf_counter() - start) * 1e6


@asynccontextmanager
async def in_pools_of(bench: Bench, *sizes: int) -> AsyncIterator[list[Scheduler]]:
    """Yield for each size a scheduler of a partition with one pool of so many nodes."""
    async with AsyncExitStack() as stack:
        schedulers = []
        for size in sizes:
            ground = Ground(bench.redis)
            await ground.fleet(size, ("en-zh",))
            connect = Scheduler.connect(bench.server.url, ground.keys.namespace)
            schedulers.append(await stack.enter_async_context(connect))
        yield schedulers


async def measure(bench: Bench) -> list[Figure]:
    large_size = bench.size(LARGE)
    per_ping = Figure("dispatch_task p50 / PING p50", "x", 2.5, at_most=True)
    growth = Figure(f"dispatch_task p50 at {large_size:,} nodes / at {SMALL}", "x", 1.3, at_most=True)
    async with in_pools_of(bench, SMALL, large_size) as (small, large):
        redis, n = small.partition.redis, 0
        for _ in range(bench.rounds):
            pings, few, many = [], [], []
            for _ in range(bench.size(1500)):
                start = time.perf_counter()
                await redis.ping()
                pings.append((time.perf_counter() - start) * 1e6)
                few.append(await one(small, n))
                many.append(await one(large, n))
                n += 1
            ping, at_few, at_many = statistics.median(pings), statistics.median(few), statistics.median(many)
            per_ping.values.append(at_few / ping)
            growth.values.append(at_many / at_few)
            per_ping.note = f"{at_few:.0f} µs against {ping:.0f} µs in the last round"
            growth.note = f"{at_many:.0f} µs against {at_few:.0f} µs in the last round"
    await bench.wipe()
    return [per_ping, growth]
