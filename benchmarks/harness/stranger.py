"""A source that says one thing as often as it may: ``python -m benchmarks.harness.stranger URL KIND``. Kill it.

It is admitted with the default limits, and says a little more than its rate lets through, so that something waits.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from redis import Redis

from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS

SOURCE, NODE = "stranger", "strange"
Said = dict[str, str]
PAYLOAD = "x" * 20_000
"""A payload of a usual large size."""
CODES = [f"{a}{b}" for a in "vwxy" for b in "abcdefgh"]
WIDE = "-".join(CODES)


def registration(n: int, pools: int) -> Said:
    listed = [{"id": f"{SOURCE}.{n % 60}.{m}", "name": WIDE} for m in range(pools)]
    about = {"node_id": NODE, "cap_json": "{}", "pool_names_json": json.dumps(listed)}
    return {"type": "node.registered", **about, "incarnation": str(n)}


def beat(n: int, **more: str) -> Said:
    return {"type": "node.heartbeat", "node_id": NODE, "online": "true", **more}


def job(n: int, **more: str) -> Said:
    about = {"session_id": "s", "src_lang": "va", "tgt_lang": "vb", "payload_json": PAYLOAD}
    return {"type": "job.submitted", "job_id": f"j{n}", **about, **more}


ATTACKS: dict[str, tuple[str, Callable[[int], list[Said]]]] = {
    "large beats": ("node", lambda n: [beat(n, ballast="x" * 1_190_000)]),
    "beats that open and close a node of 4 pools of 32 languages": (
        "node",
        lambda n: [registration(0, 4)] if n == 0 else [beat(n, accepting="true" if n % 2 else "false")],
    ),
    "registrations with new pools": ("node", lambda n: [registration(n, 4)]),
    "jobs that no node serves": ("producer", lambda n: [job(n)]),
    "jobs cancelled at once": ("producer", lambda n: [job(n), {"type": "job.cancelled", "job_id": f"j{n}"}]),
    "refused events with reply streams of their own": ("producer", lambda n: [job(n, reply_to=f"r{n}", priority="x")]),
}
"""The role of the source, and what it says n-th."""


def weight(said: Said) -> int:
    """What an event counts against the rate."""
    if said["type"] == "node.registered":
        return LIMITS["source_rate"] // 2
    return 1 + sum(map(len, itertools.chain.from_iterable(said.items()))) // LIMITS["weight"]


def speak(url: str, kind: str) -> None:
    """Say it for as long as this process lives."""
    redis: Any = Redis.from_url(url)
    stream, (_, words) = Keys()("ingress", SOURCE), ATTACKS[kind]
    began, spent = time.monotonic(), 0.0
    for n in itertools.count():
        for said in words(n):
            redis.xadd(stream, said)
            spent += weight(said) / (1.2 * LIMITS["source_rate"])
        time.sleep(max(0.0, began + spent - time.monotonic()))


if __name__ == "__main__":
    speak(*sys.argv[1:])
