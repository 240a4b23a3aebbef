"""What every figure needs: a server on its own core, redis-benchmark as the yardstick, fleets and logs to fold."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from streamsched.contract.events import (
    Event,
    JobCompleted,
    JobStarted,
    JobStatus,
    JobSubmitted,
    NodeHeartbeat,
    NodeRegistered,
)
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.engine.loader import script
from streamsched.server.embedded import EmbeddedServer

if TYPE_CHECKING:
    from .findings import Findings

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""What this program may use, as it was when it started."""
REMEDY = "redis-benchmark is not installed: add it (Debian: apt install redis-tools) and run this again"
PAYLOAD = json.dumps({"audio": "x" * 187})  # 200 bytes
POOLS = ("en-zh", "de-en-fr", "es-pt", "en-ja-ko", "de-it")
PAIRS = (("en", "zh"), ("zh", "en"), ("en", "de"), ("fr", "en"), ("es", "pt"), ("ja", "en"), ("ko", "ja"), ("de", "it"))
RESULT = '{"text":"a translated sentence of a usual length"}'
names = (f"bench{n}" for n in itertools.count())


def beat(node: str, n: int = 0) -> Event:
    """A beat with a load that differs from one to the next, as real ones do."""
    return NodeHeartbeat(node_id=node, online=True, load_json=f'{{"gpu":0.{n % 1000:03d},"queued":{n % 7}}}')


def submission(n: int, deliver: bool | None) -> Event:
    """A job of one of eight pairs; five jobs to a session."""
    src, tgt = PAIRS[n % len(PAIRS)]
    session = f"session-{n // 40 * 8 + n % 8}"
    return JobSubmitted(session_id=session, src_lang=src, tgt_lang=tgt, payload_json=PAYLOAD, deliver=deliver)


def completion(job_id: str, node_id: str, attempt: str) -> Event:
    return JobCompleted(job_id=job_id, node_id=node_id, attempt=attempt, status=JobStatus.FINISHED, result_json=RESULT)


def dispatched(entries: list[tuple[str, dict[str, str]]]) -> list[tuple[str, str, str]]:
    """Return job, node and attempt of each dispatch among entries of a log."""
    return [(e["job_id"], e["node_id"], f"{id}-{e['nonce']}") for id, e in entries if e["type"] == "job.dispatched"]


@dataclass
class Figure:
    """One figure: a value a round; ``target`` bounds the median, from below or above; None: reported only."""

    name: str
    unit: str
    target: float | None = None
    at_most: bool = False
    values: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median is on the right side of the target; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.at_most else self.median >= self.target

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "rounds": len(self.values),
            "target": self.target,
            "bound": None if self.target is None else "at most" if self.at_most else "at least",
            "reached": self.reached,
            "note": self.note,
        }


@dataclass
class Bench:
    """A running server, a connection to it, and how much to do."""

    server: EmbeddedServer
    redis: Redis
    rounds: int
    scale: float
    minutes: float
    """How long what is watched over time is watched."""
    findings: Findings

    def size(self, full: int) -> int:
        """A number of events or jobs, less of them in a quick run."""
        return max(500, int(full * self.scale))

    async def command(self, *words: str | int) -> Any:
        """Any command of the server."""
        client: Any = self.redis
        return await client.execute_command(*words)

    async def wipe(self) -> None:
        """Drop everything, and wait until it is gone: what is freed in the background would disturb the next figure."""
        await self.command("FLUSHALL", "SYNC")

    def xadd_rate(self, event: Event) -> float:
        """Entries/s of ``redis-benchmark -P 64 -c 1 XADD`` with the fields of this event, into a stream of its own."""
        return benchmark_rate(self.server.port, self.size(200_000), 64, "XADD", "yardstick", "*", *to_wire(event))


def benchmark_rate(port: int, count: int, pipelined: int, *words: str) -> float:
    """How often a second ``redis-benchmark`` carries a command out, over one connection.

    Raises:
        SystemExit: it is not installed.
    """
    program = shutil.which("redis-benchmark")
    if program is None:
        raise SystemExit(REMEDY)
    options = ["-p", str(port), "-P", str(pipelined), "-c", "1", "-n", str(count), "--csv"]
    done = subprocess.run([program, *options, *words], capture_output=True, text=True, check=True)
    rows = list(csv.reader(done.stdout.splitlines()))
    return float(rows[-1][-7])  # a row ends in the rate and six latencies; the command before it may hold commas


@contextmanager
def pinned_server(core: int = 0, options: dict[str, str] | None = None) -> Iterator[EmbeddedServer]:
    """A server on one core, this program and its children on the others, where the system lets it choose."""
    own = CORES[core % len(CORES)] if len(CORES) > 1 else None
    server = EmbeddedServer(options=options)
    try:
        if own is not None:
            os.sched_setaffinity(0, [own])  # inherited by all threads of the server
        server.start()
    finally:
        if own is not None:
            os.sched_setaffinity(0, [other for other in CORES if other != own])
    try:
        yield server
    finally:
        server.stop()


class Ground:
    """One partition in a namespace of its own, driven through the bare scripts."""

    def __init__(self, redis: Redis, batch: int = 256, keys: Keys | None = None) -> None:
        self.redis, self.batch = redis, batch
        self.keys = keys or Keys(next(names))
        self.streams = {name: self.keys(name) for name in ("events", "heartbeats", "dead")}

    async def fill(self, stream: str, events: list[Event]) -> None:
        """Bare ``XADD`` of all events, pipelined, as producers in any language do it."""
        for start in range(0, len(events), 1000):
            async with self.redis.pipeline(transaction=False) as pipe:
                for event in events[start : start + 1000]:
                    pipe.execute_command("XADD", self.keys(stream), "*", *to_wire(event))
                await pipe.execute()

    async def call(self) -> int:
        """One ``advance``; returns whether there is more to do now."""
        reply: list[int] = await script("advance")(
            self.redis, **self.streams, prefix=self.keys.prefix, batch=self.batch, nonce="5eedba5e"
        )
        return reply[0]

    async def drain(self) -> float:
        """Advance until nothing is left to do now; returns the seconds it took."""
        start = time.perf_counter()
        while await self.call():
            pass
        return time.perf_counter() - start

    async def append(self, event: Event) -> list[Any]:
        """Append one event and advance in one call; returns its answer."""
        flat = to_wire(event)
        reply = await script("append")(
            self.redis,
            **self.streams,
            prefix=self.keys.prefix,
            batch=self.batch,
            nonce="5eedba5e",
            own=json.dumps([flat]),
        )
        answer: list[Any] = reply[2][0]
        return answer

    async def fleet(self, count: int, pools: tuple[str, ...] = POOLS) -> list[str]:
        """Register nodes, spread over the pools, and let each beat once, so that all are online."""
        nodes = [f"node-{n:06d}" for n in range(count)]
        cap = json.dumps({"services": ["ASR", "NMT"]})
        entries = [json.dumps([{"id": i, "name": pool}]) for i, pool in enumerate(pools, 1)]
        registered: list[Event] = [
            NodeRegistered(node_id=node, cap_json=cap, pool_names_json=entries[n % len(pools)])
            for n, node in enumerate(nodes)
        ]
        await self.fill("events", registered)
        await self.drain()
        await self.fill("heartbeats", [NodeHeartbeat(node_id=node, online=True) for node in nodes])
        await self.drain()
        return nodes

    async def lifecycle(self, count: int, deliver: bool) -> tuple[float, float, float]:
        """Submit, dispatch, start and complete jobs; returns the seconds that the last three took."""
        await self.fill("events", [submission(n, None if deliver else False) for n in range(count)])
        dispatching = await self.drain()
        found: Any = await self.redis.xrevrange(self.keys("events"), count=count)
        facts = dispatched(found)
        assert len(facts) == count, f"{count - len(facts)} jobs found no node"
        facts.reverse()
        await self.fill("events", [JobStarted(job_id=j, node_id=node, attempt=attempt) for j, node, attempt in facts])
        starting = await self.drain()
        await self.fill("events", [completion(*fact) for fact in facts])
        completing = await self.drain()
        assert await self.redis.xlen(self.keys("dead")) == 0, "events were refused"
        return dispatching, starting, completing

    async def widen(self) -> None:
        """Let the nodes earn their full windows: 8 unread assignments at first, doubled when all were started."""
        for _ in range(5):
            await self.lifecycle(500, True)
