"""What one machine carries with 1, 2 and 4 partitions on 1 and 2 servers.

A server uses one core. ``folded`` has nothing beside the servers: jobs are submitted, dispatched without delivery and
completed by one caller that only waits, so that is what cores bring. ``drained`` has a node process each,
as in earnest: where servers and nodes are more than there are cores they share them, and it shows what sharing costs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any, NamedTuple

import psutil
from redis.asyncio import Redis

from streamsched.contract.events import Event
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import Ground, completion, dispatched, names, submission
from ..harness.machine import CORES
from ..harness.process import cpu_s, running
from ..harness.server import pinned_server
from .drain_rate import PAIRS_OF_ONE

LAYOUTS = ((1, 1), (2, 1), (4, 1), (2, 2), (4, 2))
"""Partitions, and the servers they are on."""
JOBS = 20_000
"""In total, for any number of partitions."""
LOOK_S = 0.01
LONGEST_S = 150


class Spent(NamedTuple):
    """What jobs took."""

    rate: float
    """Jobs/s of all partitions."""
    server_us: float
    """CPU time of the servers for each job."""
    node_us: float
    """The same of the node processes."""


class Layout:
    """Partitions on running servers."""

    def __init__(self, partitions: int, servers: list[EmbeddedServer], clients: list[Redis]) -> None:
        namespace = next(names)
        self.servers = servers
        self.rest = CORES[len(servers) :] or CORES
        """The cores of all but the servers; all cores if the servers use every one."""
        self.grounds = [Ground(clients[n % len(clients)], keys=Keys(namespace, n)) for n in range(partitions)]
        self.urls = [servers[n % len(servers)].url for n in range(partitions)]

    def cpu_s(self) -> float:
        """Return the CPU time of all servers."""
        return sum(cpu_s(psutil.Process(server.pid)) for server in self.servers)

    async def drain(self) -> float:
        """Advance all partitions at the same time, until none has more to do; returns the seconds it took."""
        began = time.perf_counter()
        await asyncio.gather(*(ground.drain() for ground in self.grounds))
        return time.perf_counter() - began

    async def folded(self, jobs: int) -> Spent:
        """Let jobs live from submission to completion, on 100 nodes in each partition."""
        each = jobs // len(self.grounds)
        for ground in self.grounds:
            await ground.fleet(100)
            await ground.fill("events", [submission(n, False) for n in range(each)])
        before, seconds = self.cpu_s(), await self.drain()
        spent = self.cpu_s() - before
        for ground in self.grounds:
            found: Any = await ground.redis.xrevrange(ground.keys("events"), count=each)
            ended: list[Event] = [completion(*fact) for fact in reversed(dispatched(found))]
            await ground.fill("events", ended)
        before = self.cpu_s()
        seconds += await self.drain()
        spent += self.cpu_s() - before
        assert await self.finished() == each * len(self.grounds), "some jobs have not ended"
        return Spent(each * len(self.grounds) / seconds, spent / (each * len(self.grounds)) * 1e6, 0.0)

    async def drained(self, jobs: int) -> Spent:
        """Let a node process for each partition work off its backlog."""
        each = jobs // len(self.grounds)
        for ground in self.grounds:
            await ground.fill("events", [submission(n * PAIRS_OF_ONE, None) for n in range(each)])
        with ExitStack() as stack:
            nodes = []
            for url, ground in zip(self.urls, self.grounds, strict=True):
                words = ("benchmarks.harness.node_process", url, ground.keys.namespace, str(ground.keys.partition))
                nodes.append(stack.enter_context(running(*words, cores=self.rest)))
            before, of_nodes, began = self.cpu_s(), sum(node.cpu_s() for node in nodes), time.perf_counter()
            for node in nodes:
                node.tell("begin")
            async with asyncio.timeout(LONGEST_S):
                while await self.finished() < each * len(self.grounds):
                    await asyncio.sleep(LOOK_S)
            seconds, server_s = time.perf_counter() - began, self.cpu_s() - before
            node_s = sum(node.cpu_s() for node in nodes) - of_nodes
        count = each * len(self.grounds)
        return Spent(count / seconds, server_s / count * 1e6, node_s / count * 1e6)

    async def finished(self) -> int:
        """Return how many jobs have ended."""
        counts = [await ground.redis.hget(ground.keys("counters"), "finished") for ground in self.grounds]
        return sum(int(count or 0) for count in counts)


@asynccontextmanager
async def laid_out(partitions: int, servers: int) -> AsyncIterator[Layout]:
    """Start the servers, each on a core of its own while there are any, and keep this program off them if it can be."""
    async with AsyncExitStack() as stack:
        # new ones each time: what one frees in the background would disturb the next figure
        started = [stack.enter_context(pinned_server(core)) for core in range(servers)]
        clients = []
        for server in started:
            clients.append(Redis.from_url(server.url, decode_responses=True, protocol=2))
            stack.push_async_callback(clients[-1].aclose)
        layout = Layout(partitions, started, clients)
        if CORES:
            os.sched_setaffinity(0, layout.rest)
            stack.callback(os.sched_setaffinity, 0, CORES[1:] or CORES)
        yield layout


def noted(rows: dict[str, Figure], how: str, name: str, spent: Spent, base: Spent) -> None:
    """Add a round to a figure."""
    figure = rows.setdefault(f"{name}, {how}", Figure(f"{name}, {how}", "x 1 on 1"))
    figure.values.append(spent.rate / base.rate)
    of_core = f"{spent.server_us:.0f} µs of a server each, so {1e6 / spent.server_us:,.0f}/s of its core"
    figure.note = f"{spent.rate:,.0f} jobs/s, {of_core}"
    if spent.node_us:
        figure.note += f"; {spent.node_us:.0f} µs of a node"


async def measure(bench: Bench) -> list[Figure]:
    """Every layout in turn, round for round, against one partition on one server."""
    rows: dict[str, Figure] = {}
    jobs = bench.size(JOBS)
    for _ in range(min(bench.rounds, 3)):
        base: dict[str, Spent] = {}
        for partitions, servers in LAYOUTS:
            name = f"{partitions} partition(s) on {servers} server(s)"
            async with laid_out(partitions, servers) as layout:
                spent = {"folded": await layout.folded(jobs)}
            async with laid_out(partitions, servers) as layout:
                spent["drained"] = await layout.drained(jobs)
            for how, one in spent.items():
                noted(rows, how, name, one, base.setdefault(how, one))
                bench.findings.tell(f"  {name}, {how}: {one.rate:,.0f} jobs/s")
            bench.findings.keep(list(rows.values()))
    return sorted(rows.values(), key=lambda row: row.name.rpartition(", ")[2])
