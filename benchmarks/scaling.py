"""What an event costs the server in a small state and in a large one, and how long a single call of a script takes.

Nothing may cost more where there is more of anything, but for a logarithm. So for each thing that grows there are two
partitions on one server, of which only one grows. At each size both do the same work in turn, and what is compared is
the CPU time that the server spent on it, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import statistics
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from streamsched.events import Event, JobStarted, JobSubmitted, NodeRegistered

from .bench import PAIRS, PAYLOAD, POOLS, RESULT, Bench, Figure, Ground, beat, completion
from .growth import finish_all, last_id, many_pools, register, say_often, steady, write
from .peers.curves import Curve
from .peers.plots import Plot, draw

PLOTS = Path(__file__).parent / "plots"
WORK = 1_000
"""Jobs, beats and registrations of one measurement."""

BEND = 1.5
"""The most that an event may cost in the largest state, against the smallest. A million is 20 doublings, of which a
balanced tree passes each once; and what does not fit into the processor's cache is fetched."""

LONGEST_MS = 40
"""The most that one call may take: 256 events, each with the decision that it brings about."""

Fact = tuple[str, str, str]


class Cost(NamedTuple):
    """What the server spent on folding some events."""

    cpu_us: float
    longest_us: float
    """The longest of the calls."""


@dataclass
class Side:
    """One of two partitions that are compared: its nodes, the pairs its jobs are for, and what its nodes hold."""

    bench: Bench
    ground: Ground
    pairs: tuple[tuple[str, str], ...] = PAIRS
    nodes: list[str] = field(default_factory=list)
    held: deque[Fact] = field(default_factory=deque)
    number: int = 0

    def job(self, n: int) -> Event:
        src, tgt = self.pairs[n % len(self.pairs)]
        return JobSubmitted(session_id=f"session-{n // 5}", src_lang=src, tgt_lang=tgt, payload_json=PAYLOAD)

    async def folded(self, stream: str, events: list[Event]) -> Cost:
        """Append events, and measure what it costs to fold them."""
        await self.ground.fill(stream, events)
        await self.bench.command("SLOWLOG", "RESET")
        before = await cpu_us(self.bench)
        await self.ground.drain()
        spent = await cpu_us(self.bench) - before
        return Cost(spent / len(events), await longest_us(self.bench))

    async def dispatched_behind(self, event_id: str) -> None:
        """Note what nodes were given behind an entry of the log."""
        found: Any = await self.ground.redis.xrange(self.ground.keys("events"), min=f"({event_id}")
        for id, e in found:
            if e["type"] == "job.dispatched":
                self.held.append((e["job_id"], e["node_id"], f"{id}-{e['nonce']}"))

    async def work(self, count: int = WORK) -> dict[str, Cost]:
        """Do one measurement's work; but for what has ended, the state is as large after it as before."""
        before = await last_id(self.ground)
        jobs = [self.job(n) for n in range(self.number, self.number + count)]
        self.number += count
        costs = {"submission, dispatch": await self.folded("events", jobs)}
        await self.dispatched_behind(before)
        # fewer than were submitted while the nodes' windows are narrow: the rest is dispatched as these are completed
        facts = [self.held.popleft() for _ in range(min(count, len(self.held)))]
        before = await last_id(self.ground)
        starts: list[Event] = [JobStarted(job_id=j, node_id=node, attempt=a) for j, node, a in facts]
        costs["start"] = await self.folded("events", starts)
        costs["completion"] = await self.folded("events", [completion(*fact) for fact in facts])
        await self.dispatched_behind(before)
        whole = costs.values()
        costs["whole life of a job"] = Cost(sum(c.cpu_us for c in whole), max(c.longest_us for c in whole))
        nodes = [self.nodes[(self.number + n * 7919) % len(self.nodes)] for n in range(count)]
        costs["heartbeat"] = await self.folded("heartbeats", [beat(node, n) for n, node in enumerate(nodes)])
        costs["registration"] = await self.folded("events", [await self.registration(node) for node in nodes])
        return costs

    async def registration(self, node: str) -> Event:
        """Announce something new, and the same pools as before."""
        pools = str(await self.ground.redis.hget(self.ground.keys.node_info(node), "pool_names_json"))
        self.number += 1
        return NodeRegistered(node_id=node, cap_json=f'{{"version":{self.number}}}', pool_names_json=pools)


Grow = Callable[[Side, int, int], Awaitable[None]]
"""Make something grow from one size to the next."""


@dataclass(frozen=True)
class Dimension:
    """Something that grows."""

    name: str
    sizes: tuple[int, ...]
    """The first is that of the partition that does not grow."""
    grow: Grow
    nodes: int = 100
    """How many there are before anything grows."""
    pairs: tuple[tuple[str, str], ...] = PAIRS


async def more_nodes(side: Side, now: int, size: int) -> None:
    names = [{"name": POOLS[n % len(POOLS)]} for n in range(now, size)]
    side.nodes += await register(side.ground, names, len(side.nodes))


async def more_pools_of_a_pair(side: Side, now: int, size: int) -> None:
    pools = [{"id": n, "name": "en-zh"} for n in range(now, size)]
    side.nodes += await register(side.ground, pools, len(side.nodes))


async def more_pairs(side: Side, now: int, size: int) -> None:
    names = many_pools(size)
    side.nodes += await register(side.ground, [{"name": name} for name in names[now:]], len(side.nodes))
    side.pairs = tuple((name[:2], name[3:]) for name in names)


async def more_pairs_of_which_eight_work(side: Side, now: int, size: int) -> None:
    await more_pairs(side, now, size)
    side.pairs = side.pairs[:8]


async def more_waiting(side: Side, now: int, size: int) -> None:
    ahead = 256 * len(side.nodes)  # what nodes hold unread is no backlog
    job = JobSubmitted(session_id="waiting-#", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD, job_id="waiting-#")
    if not now:
        before = await last_id(side.ground)
        await write(side.ground, job, 1, ahead)
        await side.dispatched_behind(before)
    await write(side.ground, job, now + ahead + 1, size + ahead)


async def more_finished(side: Side, now: int, size: int) -> None:
    job = JobSubmitted(session_id="done-#", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD, job_id="done-#")
    await finish_all(side.ground, job, now + 1, size, RESULT)


async def more_log(side: Side, now: int, size: int) -> None:
    await say_often(side.ground, side.nodes[0], now + 1, size)


DIMENSIONS = (
    Dimension("nodes", (1_000, 10_000, 100_000), more_nodes, nodes=0),
    Dimension("pools of a pair", (10, 100, 1_000, 10_000), more_pools_of_a_pair, nodes=0, pairs=(("en", "zh"),)),
    Dimension("pairs, of which 8 work", (10, 100, 1_000, 10_000), more_pairs_of_which_eight_work, nodes=0),
    Dimension("pairs that work", (1_000, 10_000), more_pairs, nodes=0),
    Dimension("waiting jobs", (1_000, 10_000, 100_000, 1_000_000), more_waiting, nodes=10, pairs=(("en", "zh"),)),
    Dimension("finished jobs", (1_000, 10_000, 100_000, 1_000_000), more_finished),
    Dimension("entries of the log", (10_000, 100_000, 1_000_000, 10_000_000), more_log),
)


async def cpu_us(bench: Bench) -> float:
    """Return the CPU time that the server has used, in µs."""
    about = await bench.redis.info("cpu")
    return float(about["used_cpu_user"] + about["used_cpu_sys"]) * 1e6


async def longest_us(bench: Bench) -> float:
    """Return how long the longest call of one of our scripts took since the log of slow calls was reset, in µs."""
    found = await bench.redis.slowlog_get(-1)
    return max((float(e["duration"]) for e in found if e["command"].startswith(b"EVALSHA")), default=0.0)


async def side_of(bench: Bench, dimension: Dimension) -> Side:
    """Make a partition of the smallest size, whose nodes have earned their full windows."""
    side = Side(bench, Ground(bench.redis), dimension.pairs)
    await steady(side.ground)
    await more_nodes(side, 0, dimension.nodes)
    first = dimension.sizes[0]
    if dimension.nodes:
        await widen(side)
        await dimension.grow(side, 0, first)
    else:
        await dimension.grow(side, 0, first)
        await widen(side)
    return side


async def widen(side: Side) -> None:
    for count in (40, 40, 80, 80, 160, 160, 320, 320, 640, 640):
        await side.work(count)


async def grown(bench: Bench, dimension: Dimension) -> tuple[Curve, list[Figure]]:
    """Measure at each size; returns the curve of each step, and how the last size compares with the first."""
    print(f"  over {dimension.name}", file=sys.stderr, flush=True)
    small, large = await side_of(bench, dimension), await side_of(bench, dimension)
    curve: Curve = {}
    rows: dict[str, Figure] = {}
    now, growing_us = dimension.sizes[0], 0.0
    for size in sorted({now, *(max(now, int(full * bench.scale)) for full in dimension.sizes)}):
        await bench.command("SLOWLOG", "RESET")
        await dimension.grow(large, now, size)
        growing_us, now = max(growing_us, await longest_us(bench)), size
        rows = {}
        spent: dict[str, list[float]] = {}
        for _ in range(bench.rounds):
            before, after = await small.work(), await large.work()
            for step, cost in after.items():
                name = f"{step}: {size:,} {dimension.name}"
                row = rows.setdefault(step, Figure(name, f"x {dimension.sizes[0]:,}", BEND, at_most=True))
                row.values.append(cost.cpu_us / before[step].cpu_us)
                row.note = f"{cost.cpu_us:.1f} µs against {before[step].cpu_us:.1f} in the last round"
                spent.setdefault(step, []).append(cost.cpu_us)
            longest = rows.setdefault(
                "longest", Figure(f"longest call: {size:,} {dimension.name}", "ms", LONGEST_MS, True)
            )
            longest.values.append(max(cost.longest_us for cost in after.values()) / 1000)
            longest.note = f"while it grew {growing_us / 1000:.1f} ms"
        for step, values in spent.items():
            curve.setdefault(step, []).append((size, statistics.median(values)))
    await bench.wipe()
    return curve, list(rows.values())


async def measure(bench: Bench) -> list[Figure]:
    await bench.command("CONFIG", "SET", "slowlog-log-slower-than", 500)
    await bench.command("CONFIG", "SET", "slowlog-max-len", 100_000)
    PLOTS.mkdir(exist_ok=True)
    rows: list[Figure] = []
    for dimension in DIMENSIONS:
        curve, found = await grown(bench, dimension)
        rows += found
        plot = Plot(
            f"over {dimension.name}".replace(" ", "_").replace(",", ""),
            f"An event over {dimension.name}",
            dimension.name,
            "server CPU, µs",
        )
        draw(plot, curve, PLOTS)
    return rows
