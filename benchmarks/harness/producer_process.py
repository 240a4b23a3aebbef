"""A producer as a process of its own: ``python -m benchmarks.harness.producer_process URL NAMESPACE rate|held NUMBER
small|mixed``.

``rate`` sends so many jobs a second, without regard to their outcome; ``held`` sends whenever fewer than so many have
not ended, and so finds how many a second there can be. Payloads are ``small``, or of 200 B to 1 MiB. It ends where
stdin does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Any

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler

TICK_S = 0.01
SMALL = 162  # with the rest a payload of 200 bytes
MIXED = (*[SMALL] * 80, *[20_000] * 15, *[100_000] * 4, 2**20 - 200)
"""Of a hundred jobs: most are words, some are pages, and one holds a minute of sound."""


def request(n: int, size: int) -> SubmitRequest:
    """A job that says when it was sent; five to a session."""
    payload = json.dumps({"t": time.monotonic_ns(), "audio": "x" * size})
    return SubmitRequest(session_id=f"session-{n // 5}", src_lang="en", tgt_lang="zh", payload_json=payload)


async def ended(scheduler: Scheduler) -> int:
    """Ask how many jobs have finished."""
    redis: Any = scheduler.partition.redis
    return int(await redis.hget(scheduler.partition.keys("counters"), "finished") or 0)


async def main(url: str, namespace: str, how: str, number: str, sizes: str) -> None:
    """Send until stdin ends."""
    of = MIXED if sizes == "mixed" else (SMALL,)
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with Scheduler.connect(url, namespace) as scheduler:
        print("ready", flush=True)
        sent, began, before = 0, time.monotonic(), await ended(scheduler)
        while not over.done():
            if how == "rate":
                due = int((time.monotonic() - began) * float(number)) - sent
            else:
                due = int(number) + await ended(scheduler) - before - sent
            if due > 0:
                await scheduler.submit_many(
                    [request(sent + n, of[(sent + n) * 37 % len(of)]) for n in range(due)], reply=False
                )
                sent += due
            await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
