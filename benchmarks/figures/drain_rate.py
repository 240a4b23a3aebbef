"""How fast one Node process with a handler that does nothing works off a backlog: all that a job costs, but the job.

The jobs wait in the log before the node comes. No worker runs: what the node appends brings about the next dispatch.
"""

from __future__ import annotations

import time

import anyio

from streamsched.client.scheduler import Scheduler
from streamsched.node.node import Node
from streamsched.node.task import Assignment

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import CONCURRENCY, Ground, submission

PAIRS_OF_ONE = 8  # every eighth job of the generator is of the first pair
JOBS = 10_000


async def drain(bench: Bench) -> float:
    """Jobs/s from the node's first word to the last completion."""
    ground, count, done = Ground(bench.redis), bench.size(JOBS), 0
    await ground.fill("events", [submission(n * PAIRS_OF_ONE, None) for n in range(count)])

    async def handler(task: Assignment) -> None:
        nonlocal done
        done += 1
        if done == count:
            node.stop()

    async with Scheduler.connect(bench.server.url, ground.keys.namespace) as scheduler:
        start = time.perf_counter()
        async with Node(scheduler, "node-1", pools=["en-zh"], concurrency=CONCURRENCY) as node:
            with anyio.fail_after(120):
                await node.run(handler)
            took = time.perf_counter() - start
    finished = await bench.command("HGET", ground.keys("counters"), "finished")
    assert int(finished) == count, f"{finished} of {count} jobs finished"
    return count / took


async def measure(bench: Bench) -> list[Figure]:
    figure = Figure("one Node process drains a backlog", "x XADD")
    for _ in range(min(bench.rounds, 3)):
        base, rate = bench.xadd_rate(submission(1, None)), await drain(bench)
        figure.values.append(rate / base)
        figure.note = f"{rate:,.0f} no-op jobs/s against {base:,.0f}/s in the last round, concurrency {CONCURRENCY}"
        await bench.wipe()
    return [figure]
