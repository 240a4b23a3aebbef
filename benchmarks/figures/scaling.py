"""What an event costs the server in a small state and in a large one, and how long a single call of a script takes.

Nothing may cost more where there is more of anything, but for a logarithm. So for each thing that grows there are two
partitions on one server, of which only one grows. At each size both do the same work in turn, the small one before and
behind the large one, and what is compared is what the server spent on it, so that a busy machine disturbs both alike.

How long a call took is the server's own word: its log of slow calls notes every single one above half a millisecond.
``INFO commandstats`` knows the mean alone, and ``LATENCY`` keeps one call a second.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Any, NamedTuple

from streamsched.contract.events import Event, JobStarted, JobSubmitted, NodeRegistered

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.large_states import finish_all, last_id, many_pools, register, say_often, steady, write
from ..harness.load import PAIRS, PAYLOAD, POOLS, RESULT, Ground, beat, completion, dispatched
from ..harness.plots import Curve, Plot

WORK = 1_000
"""Jobs, beats and registrations of one measurement."""

NOISE, SLOPE = 0.1, 1 / 40
"""What an event may cost more, as a part of its cost in the smallest state: anywhere, and for each doubling, where a
balanced tree passes one more node and what does not fit into the processor's cache is fetched."""

AIMED_AT = ("whole job", "heartbeat", "registration")
"""What has a target. The steps of a job have none: where the nodes are full, a dispatch comes behind a completion."""

LONGEST_MS = 40
"""The most that one call may take: 256 events, each with the decision that it brings about."""

SLOW_US, KEPT = 500, 100_000
"""Which calls the server notes, and how many of them."""

Fact = tuple[str, str, str]


class Cost(NamedTuple):
    """What the server spent on an event, in µs."""

    cpu_us: float
    wall_us: float
    longest_us: float
    """The longest of the calls, which fold many events."""


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
        seconds = await self.ground.drain()
        spent = await cpu_us(self.bench) - before
        return Cost(spent / len(events), seconds * 1e6 / len(events), await longest_us(self.bench))

    async def dispatched_behind(self, event_id: str) -> None:
        """Note what nodes were given behind an entry of the log."""
        found: Any = await self.ground.redis.xrange(self.ground.keys("events"), min=f"({event_id}")
        self.held += dispatched(found)

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
        whole = list(costs.values())
        costs["whole job"] = Cost(
            sum(c.cpu_us for c in whole), sum(c.wall_us for c in whole), max(c.longest_us for c in whole)
        )
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
    """Of its figures and of its plot."""
    across: str
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
    if not now:
        pools += pools[:1] * 9  # ten nodes, which can hold the jobs of one measurement
    side.nodes += await register(side.ground, pools, len(side.nodes))


async def more_pairs(side: Side, now: int, size: int) -> None:
    names = many_pools(size)
    side.nodes += await register(side.ground, [{"name": name} for name in names[now:]], len(side.nodes))
    side.pairs = tuple((name[:2], name[3:]) for name in names)


async def more_idle_pairs(side: Side, now: int, size: int) -> None:
    await more_pairs(side, now, size)
    side.pairs = side.pairs[:8]


async def more_waiting(side: Side, now: int, size: int) -> None:
    job = JobSubmitted(session_id="waiting-#", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD, job_id="waiting-#")
    ahead = 0 if now else 256 * len(side.nodes)  # what nodes hold unread is no backlog
    before = await last_id(side.ground)
    await write(side.ground, job, side.number + 1, side.number + size - now + ahead)
    side.number += size - now + ahead
    if not now:
        await side.dispatched_behind(before)


async def more_finished(side: Side, now: int, size: int) -> None:
    job = JobSubmitted(session_id="done-#", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD, job_id="done-#")
    await finish_all(side.ground, job, now + 1, size, RESULT)


async def more_log(side: Side, now: int, size: int) -> None:
    await say_often(side.ground, side.nodes[0], now + 1, size)


TENS = tuple(10**n for n in range(8))
DIMENSIONS = (
    Dimension("nodes", "nodes", TENS[1:6], more_nodes, nodes=0),
    Dimension("pools", "pools of one pair", TENS[0:5], more_pools_of_a_pair, nodes=0, pairs=(("en", "zh"),)),
    Dimension("idle pairs", "pairs, of which 8 have jobs", TENS[1:5], more_idle_pairs, nodes=0),
    Dimension("pairs", "pairs, each of which has jobs", TENS[1:5], more_pairs, nodes=0),
    Dimension("waiting jobs", "waiting jobs", TENS[3:7], more_waiting, nodes=10, pairs=(("en", "zh"),)),
    Dimension("finished jobs", "finished jobs", TENS[3:7], more_finished),
    Dimension("log entries", "entries of the log", TENS[4:8], more_log),
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


class Compared:
    """What was measured at one size, against the smallest."""

    def __init__(self, dimension: Dimension, size: int) -> None:
        self.size = size
        self.text = f"{size:,} {dimension.name}"
        self.unit = f"x {dimension.sizes[0]:,}"
        doublings = log2(size / dimension.sizes[0])
        # the smallest against itself is what noise there is
        self.bound = round(1 + NOISE + SLOPE * doublings, 2) if doublings else None
        self.rows: dict[str, Figure] = {}
        self.spent: dict[str, list[Cost]] = {}

    def add(self, small: Sequence[dict[str, Cost]], large: dict[str, Cost]) -> None:
        """Add a round: the small side's turns, and the large side's between them."""
        for step, cost in large.items():
            base = statistics.mean(turn[step].cpu_us for turn in small)
            target = self.bound if step in AIMED_AT else None
            row = self.rows.setdefault(step, Figure(f"{step}, {self.text}", self.unit, target, at_most=True))
            row.values.append(cost.cpu_us / base)
            costs = self.spent.setdefault(step, [])
            costs.append(cost)
            cpu, wall = (statistics.median(each) for each in ([c.cpu_us for c in costs], [c.wall_us for c in costs]))
            row.note = f"{cpu:.1f} µs of the server's CPU, {wall:.1f} µs in all"
        longest = self.rows.setdefault("longest", Figure(f"longest call, {self.text}", "ms", LONGEST_MS, at_most=True))
        longest.values.append(max(cost.longest_us for cost in large.values()) / 1000)

    def go_on_from(self, before: Compared) -> None:
        """Note what has become of each ratio since the size before: where the curve is flat, that is one."""
        for step in self.spent:
            self.rows[step].note += f"; {self.rows[step].median / before.rows[step].median:.2f} x {before.size:,}"


async def grown(bench: Bench, dimension: Dimension, found: list[Figure]) -> None:
    """Measure at each size, and draw the curve of each step."""
    small, large = await side_of(bench, dimension), await side_of(bench, dimension)
    curve: Curve = {}
    now = dimension.sizes[0]
    smaller: Compared | None = None
    for size in sorted({now, *(max(now, int(full * bench.scale)) for full in dimension.sizes)}):
        bench.findings.tell(f"{size:,} {dimension.across}")
        await bench.command("SLOWLOG", "RESET")
        await dimension.grow(large, now, size)
        growing_us, now = await longest_us(bench), size
        compared = Compared(dimension, size)
        before = await small.work()
        for _ in range(bench.rounds):
            after = await large.work()
            behind = await small.work()
            compared.add((before, behind), after)
            before = behind
        if smaller is not None:
            compared.go_on_from(smaller)
        smaller = compared
        compared.rows["longest"].note = f"{growing_us / 1000:.1f} ms while it grew"
        found += compared.rows.values()
        for step in compared.spent:
            curve.setdefault(step, []).append((size, compared.rows[step].median))
        name, up = f"scale_{dimension.name}".replace(" ", "_"), f"server CPU, against {dimension.sizes[0]:,}"
        plot = Plot(name, f"One event over {dimension.across}", dimension.across, up, ("log", "linear"))
        bench.findings.draw(plot, curve)
        bench.findings.keep(found)
    peak = (await bench.redis.info("memory"))["used_memory_peak"] / 2**30
    bench.findings.tell(f"  at most {peak:.2f} GiB so far")
    await bench.wipe()


async def measure(bench: Bench) -> list[Figure]:
    """All that grows, one after the other."""
    noted = {
        name: (await bench.redis.config_get(name))[name] for name in ("slowlog-log-slower-than", "slowlog-max-len")
    }
    await bench.command("CONFIG", "SET", "slowlog-log-slower-than", SLOW_US, "slowlog-max-len", KEPT)
    found: list[Figure] = []
    for dimension in DIMENSIONS:
        await grown(bench, dimension, found)
    for name, value in noted.items():
        await bench.command("CONFIG", "SET", name, str(value))
    return found
