"""A node process with a handler that does nothing: ``python -m benchmarks.harness.node_process URL KEYS…``.

It says ``ready`` once it is connected, begins with the first line on stdin, and answers every further one with what
became of the jobs since the one before. A payload that says when it was sent (``t``, ns of the machine's own clock,
which all processes share) tells how long its job waited for its start. It ends where stdin does.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from contextlib import suppress

from streamsched.client.scheduler import Scheduler
from streamsched.node.node import Node
from streamsched.node.task import Assignment

from .load import CONCURRENCY


class Tally:
    """What became of jobs since it was last read."""

    def __init__(self) -> None:
        self.jobs = 0
        self.waits_ms: list[float] = []

    async def handle(self, task: Assignment) -> None:
        """Do nothing, and note it."""
        self.jobs += 1
        sent = json.loads(task.payload_json).get("t")
        if sent:
            self.waits_ms.append((time.monotonic_ns() - sent) / 1e6)

    def read(self) -> str:
        """Print the figures, and start over."""
        said: dict[str, float] = {"jobs": self.jobs}
        if len(self.waits_ms) > 1:
            cuts = statistics.quantiles(self.waits_ms, n=100, method="inclusive")
            said |= {"p50_ms": cuts[49], "p99_ms": cuts[98]}
        self.jobs, self.waits_ms = 0, []
        return json.dumps(said)


async def main(url: str, namespace: str, partition: str) -> None:
    """Serve the pool ``en-zh`` of a partition."""

    async def line() -> str:
        return await asyncio.to_thread(sys.stdin.readline)

    tally = Tally()
    async with Scheduler.connect(url, namespace, int(partition)) as scheduler:
        print("ready", flush=True)
        if not await line():
            return
        async with Node(scheduler, f"node-{partition}", pools=["en-zh"], concurrency=CONCURRENCY) as node:
            running = asyncio.create_task(node.run(tally.handle))
            while await line():
                print(tally.read(), flush=True)
            node.stop()
            await running


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
