"""A quarter of an hour at half of the capacity, as an operator runs it: ``python -m benchmarks.soak [--minutes 15]``.

Server, worker, archiver that trims, node, producer: each a process of its own. Jobs leave the state soon after they
ended and the log is trimmed behind its archive, so nothing that lives on may grow: what is looked at each minute is the
memory of each process and how long jobs wait for their node.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil
from rich.console import Console
from rich.table import Table

from streamsched.client import Scheduler, SubmitRequest
from streamsched.embedded import EmbeddedServer
from streamsched.events import SchedulerConfigured
from streamsched.node import Assignment, Node

from .bench import PAYLOAD, Figure
from .peers.plots import Plot, draw

PLOTS = Path(__file__).parent / "plots"
NAMESPACE = "soak"
RETENTION_MS = 60_000
TICK_S = 0.02
"""Between two handings-in of the producer."""
FILLING = 20_000
"""Jobs by which the capacity is measured."""
FLAT = 1.1
"""The most that the last third may have more of anything than the second one."""

MEASURES = ("server MiB", "worker MiB", "archiver MiB", "node MiB", "p50 ms", "p99 ms")


async def serve(url: str) -> None:
    """Carry out jobs; prints a line a second with how many there were and how long they waited, in ms."""
    waits: list[float] = []

    async def handler(task: Assignment) -> None:
        sent_ms = float(json.loads(task.payload_json)["sent_ms"])
        waits.append(time.time() * 1000 - sent_ms)

    async def tell() -> None:
        while True:
            await anyio.sleep(1)
            print(json.dumps(waits), flush=True)
            waits.clear()

    async with Scheduler.connect(url, NAMESPACE) as scheduler, anyio.create_task_group() as group:
        group.start_soon(tell)
        async with Node(scheduler, "node-1", pools=["en-zh"], concurrency=256) as node:
            await node.run(handler)


def request(n: int) -> SubmitRequest:
    """A job that says when it was handed in; five to a session."""
    payload = json.dumps({"sent_ms": time.time() * 1000, **json.loads(PAYLOAD)})
    return SubmitRequest(session_id=f"s{n // 5}", src_lang="en", tgt_lang="zh", payload_json=payload)


class Soak:
    """One run."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self.waits: list[float] = []
        self.arrived = 0
        self.rate = 0.0
        self.rows: list[dict[str, float]] = []
        self.processes: dict[str, psutil.Process] = {}

    def start(self, stack: ExitStack, name: str, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a process that is ended with the stack."""
        process = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL, text=True, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        self.processes[name] = psutil.Process(process.pid)
        return process

    async def run(self) -> None:
        """Measure the capacity, then hand in half of it each second, for as long as was asked."""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server = stack.enter_context(EmbeddedServer(Path(folder) / "data", append_only=True))
            self.processes["server"] = psutil.Process(server.pid)
            common = ("--url", server.url, "--namespace", NAMESPACE)
            self.start(stack, "worker", "streamsched", "worker", *common, stdout=subprocess.DEVNULL)
            kept = ("--to", f"{folder}/kept", "--trim", "--yes", "--max-age", "10")
            self.start(stack, "archiver", "streamsched", "archive", *kept, *common, stdout=subprocess.DEVNULL)
            node = self.start(stack, "node", "benchmarks.soak", "--serve", server.url, stdout=subprocess.PIPE)
            async with Scheduler.connect(server.url, NAMESPACE) as scheduler, anyio.create_task_group() as group:
                await scheduler.append(SchedulerConfigured(retention_ms=RETENTION_MS))
                group.start_soon(self._listen, node)
                await self._find_capacity(scheduler)
                group.start_soon(self._hand_in, scheduler)
                began = time.monotonic()
                while time.monotonic() - began < self.minutes * 60:
                    self.waits.clear()
                    await anyio.sleep(60)
                    self._note((time.monotonic() - began) / 60)
                node.kill()
                group.cancel_scope.cancel()

    async def _listen(self, node: subprocess.Popen[str]) -> None:
        assert node.stdout is not None
        while line := await anyio.to_thread.run_sync(node.stdout.readline, abandon_on_cancel=True):
            waits = json.loads(line)
            self.arrived += len(waits)
            self.waits += waits

    async def _find_capacity(self, scheduler: Scheduler) -> None:
        began = time.monotonic()
        for start in range(0, FILLING, 1000):
            await scheduler.submit_many([request(n) for n in range(start, start + 1000)], reply=False)
        while self.arrived < FILLING:
            await anyio.sleep(0.1)
        self.rate = FILLING / (time.monotonic() - began) / 2
        print(f"half of the capacity: {self.rate:,.0f} jobs/s", file=sys.stderr, flush=True)

    async def _hand_in(self, scheduler: Scheduler) -> None:
        began, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) * self.rate) - sent
            if due:
                await scheduler.submit_many([request(FILLING + sent + n) for n in range(due)], reply=False)
                sent += due
            await anyio.sleep(TICK_S)

    def _note(self, minute: float) -> None:
        waits = statistics.quantiles(self.waits, n=100) if len(self.waits) > 1 else [float("nan")] * 99
        row = {f"{name} MiB": one.memory_info().rss / 2**20 for name, one in self.processes.items()}
        row |= {"minute": minute, "p50 ms": waits[49], "p99 ms": waits[98], "jobs/s": len(self.waits) / 60}
        self.rows.append(row)
        print(" ".join(f"{name} {value:.1f}" for name, value in row.items()), file=sys.stderr, flush=True)

    def figures(self) -> list[Figure]:
        """How the last third compares with the second; the first is for whatever fills up once."""
        third = max(1, len(self.rows) // 3)
        rows = []
        for name in MEASURES:
            values = [row[name] for row in self.rows]
            before, after = statistics.median(values[-2 * third : -third] or values), statistics.median(values[-third:])
            figure = Figure(f"{name}, last third against the second", "x", FLAT, True, [after / before])
            figure.note = f"{after:.1f} against {before:.1f}"
            rows.append(figure)
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen each minute there")
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return
    soak = Soak(given.minutes)
    asyncio.run(soak.run())
    table = Table("figure", "x", "reached", "note")
    for one in soak.figures():
        table.add_row(one.name, f"{one.median:.2f}", "yes" if one.reached else "NO", one.note)
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps({"jobs_s": soak.rate, "minutes": soak.rows}, indent=1) + "\n")
    PLOTS.mkdir(exist_ok=True)
    curve = {name: [(row["minute"], row[name]) for row in soak.rows] for name in MEASURES}
    draw(Plot("soak", "At half of the capacity", "minutes", "MiB, ms", ("linear", "log")), curve, PLOTS)


if __name__ == "__main__":
    main()
