"""What things cost in CPU time, against the barest of their kind: what other processes on the machine disturb least.

The guard compares these. An event stands against an ``XADD`` of a submission, a lone call against a ``PING``, a node's
job against what its process spends on appending an entry.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from streamsched.client.scheduler import Scheduler

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.large_states import register, steady
from ..harness.load import POOLS, Ground, submission
from . import dispatch_latency, drain_rate
from .scaling import Side, cpu_us, widen

CALLS = 5_000
ENTRIES = 100_000


class Spent(NamedTuple):
    """CPU time of each, in µs."""

    server: float
    client: float


async def spent(bench: Bench, count: int, work: Callable[[], Awaitable[object]]) -> Spent:
    """Measure what a number of things cost the server and this process."""
    server, client = await cpu_us(bench), time.process_time()
    await work()
    client = time.process_time() - client
    return Spent((await cpu_us(bench) - server) / count, client / count * 1e6)


async def append(bench: Bench, count: int) -> Spent:
    """Add entries to a log without a worker."""
    ground = Ground(bench.redis)
    events = [submission(n, None) for n in range(count)]
    floor = await spent(bench, count, lambda: ground.fill("events", events))
    await bench.redis.delete(ground.keys("events"))
    return floor


async def usual_side(bench: Bench) -> Side:
    """A hundred nodes in five pools that have earned their full windows."""
    side = Side(bench, Ground(bench.redis))
    await steady(side.ground)
    side.nodes = await register(side.ground, [{"name": POOLS[n % len(POOLS)]} for n in range(100)], 0)
    await widen(side)
    return side


async def measure(bench: Bench) -> list[Figure]:
    """All of it, round for round."""
    rows: dict[str, Figure] = {}

    def note(name: str, unit: str, cost: float, base: float) -> None:
        row = rows.setdefault(name, Figure(name, unit, at_most=True))
        row.values.append(cost / base)
        row.note = f"{cost:.1f} µs against {base:.1f} µs in the last round"

    many, calls = bench.size(dispatch_latency.LARGE), bench.size(CALLS)
    async with dispatch_latency.in_pools_of(bench, dispatch_latency.SMALL, many) as schedulers:
        side, sent = await usual_side(bench), 0

        async def pings() -> None:
            for _ in range(calls):
                await bench.command("PING")

        async def dispatches(scheduler: Scheduler) -> None:
            for n in range(sent, sent + calls):
                await dispatch_latency.one(scheduler, n)

        for _ in range(bench.rounds):
            floor = await append(bench, bench.size(ENTRIES))
            for step, cost in (await side.work()).items():
                note(f"server CPU: {step}", "x XADD", cost.cpu_us, floor.server)
            ping = await spent(bench, calls, pings)
            few, large = [await spent(bench, calls, partial(dispatches, scheduler)) for scheduler in schedulers]
            sent += calls
            note("server CPU: dispatch_task", "x PING", few.server, ping.server)
            note("client CPU: dispatch_task", "x PING", few.client, ping.client)
            note(
                f"server CPU: dispatch_task at {many:,} nodes", f"x {dispatch_latency.SMALL}", large.server, few.server
            )
            drained = await spent(bench, bench.size(drain_rate.JOBS), lambda: drain_rate.drain(bench))
            note("server CPU: job appended and drained", "x XADD", drained.server, floor.server)
            note("client CPU: job appended and drained", "x XADD", drained.client, floor.client)
    await bench.wipe()
    return list(rows.values())
