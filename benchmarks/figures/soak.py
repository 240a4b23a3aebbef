"""A long run at half of what the system can do, as an operator runs it: does anything grow, does anything slow down?

A server with an append-only file, a worker, an archiver that trims, a node and a producer, each a process of its own.
An hour of retention would fill the whole run, so finished jobs stay for a fifteenth of it: then what is left must be
flat. The server has a core to itself, all others share the rest.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from streamsched.contract.events import SchedulerConfigured
from streamsched.server.embedded import EmbeddedServer

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import Ground
from ..harness.plots import Curve, Plot
from ..harness.process import Process, running
from ..harness.server import pinned_server

SMALL, MIXED = "small", "mixed"
WINDOWS = 15
"""Into so many parts a run is cut; in one of 15 minutes each is a minute."""
LOOKS = 10
"""How often memory is read in each."""
IN_FLIGHT = 2_000
"""Jobs that have not ended while it is measured how many there can be a second."""
LOOK_S, END_S = 0.05, 60
"""Between two looks at whether these have ended, and how long that may take."""
FLAT, CALM = 1.05, 1.25
"""The most that memory may grow from the second third of the run to the last, and that p99 may."""


@dataclass
class Cast:
    """All running processes, and the readings of each window."""

    redis: Redis
    ground: Ground
    processes: dict[str, Process]
    read: dict[str, list[float]] = field(default_factory=dict)

    def _note(self, name: str, value: float) -> None:
        self.read.setdefault(name, []).append(value)

    async def window(self, seconds: float) -> None:
        """Let it run; what goes up and down with the archive is read several times and its mean noted."""
        node, looks = self.processes["node"], list[dict[str, float]]()
        began = time.monotonic()
        for _ in range(LOOKS):
            await asyncio.sleep(seconds / LOOKS)
            looks.append(await self._look())
        node.tell("and?")
        said = json.loads(await asyncio.to_thread(node.hear))
        self._note("jobs/s", said["jobs"] / (time.monotonic() - began))
        self._note("p50", said.get("p50_ms", 0.0))
        self._note("p99", said.get("p99_ms", 0.0))
        for name in looks[0]:
            self._note(name, statistics.mean(look[name] for look in looks))

    async def _look(self) -> dict[str, float]:
        about = await self.redis.info("memory")
        return {
            "server, used": about["used_memory"] / 2**20,
            "server, RSS": about["used_memory_rss"] / 2**20,
            "log entries": float(await self.redis.xlen(self.ground.keys("events"))),
        } | {f"{name}, RSS": process.rss_mib() for name, process in self.processes.items()}


async def capacity(cast: Cast, url: str, seconds: float, sizes: str) -> float:
    """Return how many jobs a second end while the producer keeps so many of them under way."""
    held = ("held", str(IN_FLIGHT), sizes)
    with running("benchmarks.harness.producer_process", url, cast.ground.keys.namespace, *held):
        await asyncio.sleep(seconds / 4)
        before, began = await _finished(cast), time.monotonic()
        await asyncio.sleep(seconds)
        return (await _finished(cast) - before) / (time.monotonic() - began)


async def all_ended(cast: Cast) -> None:
    """Wait until the jobs by which the capacity was found are out of the way."""
    counters = cast.ground.keys("counters")
    async with asyncio.timeout(END_S):
        while any(int(count or 0) for count in await cast.redis.hmget(counters, ["waiting", "held"])):
            await asyncio.sleep(LOOK_S)


async def _finished(cast: Cast) -> int:
    found = await cast.redis.hget(cast.ground.keys("counters"), "finished")
    return int(found or 0)


def slope(values: list[float]) -> float:
    """Return the median of the last third against that of the second: the first is for what has to fill."""
    third = max(1, len(values) // 3)
    return statistics.median(values[-third:]) / max(1e-9, statistics.median(values[-2 * third : -third] or values))


def of_memory(read: dict[str, list[float]]) -> list[str]:
    """Name what is measured in MiB."""
    return [name for name in read if name.startswith("server") or name.endswith("RSS")]


def figures(read: dict[str, list[float]], rate: float, sizes: str) -> list[Figure]:
    """Say what has become of each; the values are those of the windows, for the slopes there is one."""
    rows = [
        Figure("jobs in the soak", "jobs/s", values=read["jobs/s"], note=f"half of the capacity, {rate:,.0f}"),
        Figure("enqueue to start, p50 of each window", "ms", values=read["p50"]),
        Figure("enqueue to start, p99 of each window", "ms", values=read["p99"]),
    ]
    rows += [Figure(f"memory of {name}", "MiB", values=read[name]) for name in of_memory(read)]
    for name, bound in (("server, used", FLAT), ("worker, RSS", FLAT), ("node, RSS", FLAT), ("p99", CALM)):
        row = Figure(f"{name}: last third against the second", "x second third", bound, at_most=True)
        rows.append(row)
        row.values.append(slope(read[name]))
    if sizes == MIXED:
        for row in rows:
            row.name += ", payloads of 200 B to 1 MiB"
    return rows


def curves(read: dict[str, list[float]], minutes: float) -> dict[Plot, Curve]:
    """What is drawn: memory and latency over the minutes."""
    at = [(n + 1) * minutes / WINDOWS for n in range(WINDOWS)]
    linear = ("linear", "linear")

    def over(name: str) -> list[tuple[float, float]]:
        return list(zip(at, read[name], strict=True))

    return {
        Plot("soak_memory", "Memory over a soak at half capacity", "minutes", "MiB", linear): {
            name: over(name) for name in of_memory(read)
        },
        Plot("soak_latency", "Enqueue to start over a soak at half capacity", "minutes", "ms", linear): {
            name: over(name) for name in ("p50", "p99")
        },
    }


async def soak(bench: Bench, server: EmbeddedServer, folder: Path, sizes: str) -> list[Figure]:
    """Find the capacity, then run at half of it for the minutes that were asked for."""
    redis = Redis.from_url(server.url, decode_responses=True, protocol=2)
    ground = Ground(redis)
    name, tell = ground.keys.namespace, bench.findings.tell
    seconds = bench.minutes * 60 / WINDOWS
    await ground.fill("events", [SchedulerConfigured(retention_ms=int(seconds * 1000))])
    where = ("--url", server.url, "--namespace", name)
    with ExitStack() as stack:
        start = stack.enter_context
        processes = {
            "worker": start(running("streamsched", "worker", *where, talks=False)),
            "archiver": start(
                running(
                    *("streamsched", "archive", *where, "--to", str(folder), "--trim", "--yes"),
                    *("--max-age", f"{max(1, seconds / 4):.0f}"),
                    talks=False,
                )
            ),
            "node": start(running("benchmarks.harness.node_process", server.url, name, "0")),
        }
        processes["node"].tell("begin")
        cast = Cast(redis, ground, processes)
        full = await capacity(cast, server.url, min(20, max(5, seconds)), sizes)
        tell(f"  {full:,.0f} jobs/s at most")
        await all_ended(cast)
        processes["producer"] = start(
            running("benchmarks.harness.producer_process", server.url, name, "rate", str(full / 2), sizes)
        )
        await cast.window(0)  # drop the figures from the capacity measurement
        cast.read.clear()
        for number in range(WINDOWS):
            await cast.window(seconds)
            said = {name: f"{values[-1]:,.1f}" for name, values in cast.read.items()}
            tell(f"  {number + 1} of {WINDOWS}: " + ", ".join(f"{name} {value}" for name, value in said.items()))
            rows = figures(cast.read, full, sizes)
            bench.findings.keep(rows)
        for plot, curve in () if sizes == MIXED else curves(cast.read, bench.minutes).items():
            bench.findings.draw(plot, curve)
    await redis.aclose()
    return rows


async def measure(bench: Bench) -> list[Figure]:
    """A soak on a server of its own, with payloads of 200 bytes."""
    return await _measure(bench, SMALL)


async def measure_mixed(bench: Bench) -> list[Figure]:
    """The same with payloads of 200 B to 1 MiB."""
    return await _measure(bench, MIXED)


async def _measure(bench: Bench, sizes: str) -> list[Figure]:
    options = {"appendonly": "yes", "appendfsync": "everysec"}
    with pinned_server(options=options) as server, tempfile.TemporaryDirectory() as folder:
        return await soak(bench, server, Path(folder) / "archive", sizes)
