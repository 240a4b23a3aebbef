"""How long ``dispatch_task`` takes, against a bare PING on the same connection, and with 100 000 nodes in the pool."""

from __future__ import annotations

import statistics
import time

from streamsched.events import JobSubmitted

from .bench import PAYLOAD, Bench, Figure, Ground

SMALL, LARGE = 10, 100_000


async def one(ground: Ground, n: int) -> float:
    """Microseconds of one submission that is dispatched at once and not delivered."""
    event = JobSubmitted(
        job_id=f"j{n}", session_id=f"session-{n // 5}", src_lang="zh", tgt_lang="en", payload_json=PAYLOAD,
        immediate=True, deliver=False,
    )  # fmt: skip
    start = time.perf_counter()
    answer = await ground.append(event)
    took = time.perf_counter() - start
    assert answer[3] == "dispatched", answer
    return took * 1e6


async def measure(bench: Bench) -> list[Figure]:
    small, large = Ground(bench.redis), Ground(bench.redis)
    large_size = bench.size(LARGE)
    await small.fleet(SMALL, ("en-zh",))
    await large.fleet(large_size, ("en-zh",))
    per_ping = Figure("dispatch p50 / PING p50", "x", 2.5, at_most=True)
    growth = Figure(f"dispatch p50 at {large_size:,} nodes / at {SMALL}", "x", 1.3, at_most=True)
    n = 0
    for _ in range(bench.rounds):
        pings, few, many = [], [], []
        for _ in range(bench.size(1500)):
            start = time.perf_counter()
            await bench.redis.ping()
            pings.append((time.perf_counter() - start) * 1e6)
            few.append(await one(small, n))
            many.append(await one(large, n))
            n += 1
        ping, at_few, at_many = statistics.median(pings), statistics.median(few), statistics.median(many)
        per_ping.values.append(at_few / ping)
        growth.values.append(at_many / at_few)
        per_ping.note = f"{at_few:.0f} µs against {ping:.0f} µs in the last round"
        growth.note = f"{at_many:.0f} µs against {at_few:.0f} µs in the last round"
    await bench.redis.flushall()
    return [per_ping, growth]
