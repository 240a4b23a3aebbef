"""The work, the same for all: what a peer is asked to do in a round, and the figures that come of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from streamsched.contract.keys import Keys

from ..harness.server import Server
from .board import Board
from .catalogue import OURS
from .running import Adapter, Failed, Workers

RATE = 200
"""Jobs/s at which the latency of all is compared."""
SETTLE_S = 0.3
"""After the last start: what a worker still has to write is part of the cost."""
FASTEST = 5000.0
"""No peer is paced faster than this: one producer cannot send much more, one job at a time."""


@dataclass(frozen=True)
class Kind:
    """What a figure is."""

    title: str
    unit: str
    more_is_better: bool = False


FIGURES = {
    "drain": Kind("drain, one process", "jobs/s", True),
    "drain_kept": Kind("drain, one process, results kept", "jobs/s", True),
    "drain_two": Kind("drain, two processes", "jobs/s", True),
    "enqueue": Kind("enqueue, one by one", "jobs/s", True),
    "bulk": Kind("enqueue, in bulk", "jobs/s", True),
    "start_p50": Kind("enqueue to start at 200/s, p50", "ms"),
    "start_p99": Kind("enqueue to start at 200/s, p99", "ms"),
    "half_rate": Kind("half its capacity", "jobs/s", True),
    "half_p50": Kind("enqueue to start at half capacity, p50", "ms"),
    "half_p99": Kind("enqueue to start at half capacity, p99", "ms"),
    "trip_p50": Kind("enqueue to result, p50", "ms"),
    "trip_p99": Kind("enqueue to result, p99", "ms"),
    "server_enqueue": Kind("server CPU per job enqueued in bulk", "µs"),
    "server_drain": Kind("server CPU per job drained", "µs"),
    "server_life": Kind("server CPU per job, enqueued and drained", "µs"),
    "client_enqueue": Kind("client CPU per job enqueued in bulk", "µs"),
    "client_drain": Kind("client CPU per job drained", "µs"),
    "waiting": Kind("server memory per waiting job", "bytes"),
    "held": Kind("server memory per held job", "bytes"),
    "finished": Kind("server memory per finished job, result kept", "bytes"),
    "retained": Kind("the same after its retention: what the log keeps", "bytes"),
    "log": Kind("of which the log", "bytes"),
    "idle_commands": Kind("idle worker, commands", "1/s"),
    "idle_server": Kind("idle worker, server CPU", "%"),
    "idle_client": Kind("idle worker, its own CPU", "%"),
    "twice": Kind("jobs of a backlog that one process started twice", "jobs"),
}


@dataclass(frozen=True)
class Size:
    """How much work a round is."""

    jobs: int = 20_000
    singles: int = 4_000
    paced_s: float = 5.0
    trips: int = 300
    idle_s: float = 5.0

    @classmethod
    def quick(cls) -> Size:
        return cls(jobs=1_000, singles=300, paced_s=1.0, trips=60, idle_s=1.0)


BRIEF = ("bulk", "drain", "trip")
"""The steps that show what another server or persistence costs."""


@dataclass
class Round:
    """One peer's turn: its steps in order, each of which may fail without the others."""

    adapter: Adapter
    server: Server
    size: Size
    figures: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def steps(self) -> dict[str, Callable[[], None]]:
        """The steps that make sense for this peer."""
        peer = self.adapter.peer
        steps = {"enqueue": self.enqueue, "bulk": self.bulk, "drain": self.drain, "pace": self.pace}
        if peer.results:
            steps["trip"] = self.trip
        if peer.optional_results:
            steps["kept"] = self.kept
        if peer.held:
            steps["hold"] = self.hold
        steps["two"] = self.two
        if peer.name == OURS:
            steps["retained"] = self.retained
        return steps

    @property
    def jobs(self) -> int:
        """How many wait where a backlog is drained."""
        return min(self.size.jobs, self.adapter.peer.most)

    def run(self, chosen: tuple[str, ...] | None = None) -> None:
        """Do the chosen steps, or all; what fails is noted."""
        for name, step in self.steps().items():
            if chosen is None or name in chosen:
                try:
                    step()
                except Failed as problem:
                    self.errors[name] = str(problem)

    def note(self, **figures: float) -> None:
        self.figures |= figures

    def enqueue(self) -> None:
        self.server.wipe()
        with Board(self.size.singles) as board:
            said = self.adapter.produce("enqueue", board, "plain", "one", "0", str(self.size.singles))
        self.note(enqueue=said["count"] / said["seconds"])

    def bulk(self) -> None:
        """Fill the queue, which stays for :meth:`drain`."""
        self.server.wipe()
        jobs, before = self.jobs, self.server.read()
        with Board(jobs) as board:
            said = self.adapter.produce("enqueue", board, "plain", "bulk", "0", str(jobs))
        after = self.server.read()
        self.note(
            bulk=said["count"] / said["seconds"],
            server_enqueue=(after.cpu_s - before.cpu_s) / jobs * 1e6,
            client_enqueue=said["cpu_s"] / said["count"] * 1e6,
            waiting=self.server.memory() / jobs,
        )

    def drain(self) -> None:
        if "bulk" not in self.figures:
            raise Failed("there was nothing to drain")
        with Board(self.jobs) as board:
            server_s, client_s = self._drain(self.adapter, board, "plain")
            self.note(
                drain=self.jobs / board.span_s(self.jobs),
                server_drain=server_s / self.jobs * 1e6,
                client_drain=client_s / self.jobs * 1e6,
                server_life=server_s / self.jobs * 1e6 + self.figures["server_enqueue"],
            )
        peer = self.adapter.peer
        if not peer.optional_results:
            self.note(finished=self.server.memory() / self.jobs)
            if peer.results:
                self.note(drain_kept=self.figures["drain"])

    def kept(self) -> None:
        self.fill(self.adapter, "results", self.jobs)
        with Board(self.jobs) as board:
            self._drain(self.adapter, board, "results")
            self.note(
                drain_kept=self.jobs / board.span_s(self.jobs),
                finished=self.server.memory() / self.jobs,
            )

    def retained(self) -> None:
        """The jobs leave the state while others still come. No replies are asked for: those expire."""
        brief = replace(self.adapter.peer, environment={"VARIANT": "brief"})
        adapter = replace(self.adapter, peer=brief)
        self.fill(adapter, "plain", self.jobs)
        with Board(self.jobs) as board:
            self._drain(adapter, board, "plain")
        jobs = self.jobs
        log: Any = self.server.redis.memory_usage(Keys()("events"), samples=0)
        self.note(retained=self.server.memory() / jobs, log=log / jobs)

    def two(self) -> None:
        pair = replace(self.adapter, workers=2)
        self.fill(pair, "plain", self.jobs)
        with Board(self.jobs) as board:
            self._drain(pair, board, "plain")
            self.note(drain_two=self.jobs / board.span_s(self.jobs))

    def hold(self) -> None:
        count = self.adapter.peer.held
        self.fill(self.adapter, "hold", count)
        with Board(count) as board, self.adapter.working(board, "hold") as workers:
            board.open_gate()
            workers.wait_for_starts(count)
            time.sleep(SETTLE_S)
            self.note(held=self.server.memory() / count)

    def pace(self) -> None:
        """Idle first, then work at the common rate, then at half of what this peer can do."""
        self.server.wipe()
        count = int(RATE * self.size.paced_s)
        with Board(count) as board, self.adapter.working(board, "plain") as workers:
            board.open_gate()
            self._idle(workers)
            p50, p99, _ = self.paced(workers, board, RATE)
            self.note(start_p50=p50, start_p99=p99)
        if "drain" not in self.figures or "enqueue" not in self.figures:
            return
        rate = min(self.figures["drain"], self.figures["enqueue"], 2 * FASTEST) / 2
        self.server.wipe()
        with Board(int(rate * self.size.paced_s)) as board, self.adapter.working(board, "plain") as workers:
            board.open_gate()
            p50, p99, _ = self.paced(workers, board, rate)
            self.note(half_rate=rate, half_p50=p50, half_p99=p99)

    def paced(self, workers: Workers, board: Board, rate: float) -> tuple[float, float, float]:
        """Enqueue as many jobs as the board has room for; returns p50 and p99 in ms, and the rate that was reached."""
        said = self.adapter.produce("pace", board, "plain", str(rate), str(board.room))
        workers.wait_for_starts(board.room)
        waits = board.waits_ms(board.room // 10, board.room)
        cuts = statistics.quantiles(waits, n=100, method="inclusive")
        return cuts[49], cuts[98], board.room / said["seconds"]

    def trip(self) -> None:
        self.server.wipe()
        with Board(self.size.trips) as board, self.adapter.working(board, "results") as workers:
            board.open_gate()
            said = self.adapter.produce("roundtrip", board, "results", str(self.size.trips))
            workers.wait_for_starts(self.size.trips)
        cuts = statistics.quantiles(said["ms"], n=100, method="inclusive")
        self.note(trip_p50=cuts[49], trip_p99=cuts[98])

    def fill(self, adapter: Adapter, mode: str, count: int) -> None:
        """Enqueue in bulk on an empty server."""
        self.server.wipe()
        with Board(count) as board:
            adapter.produce("enqueue", board, mode, "bulk", "0", str(count))

    def _drain(self, adapter: Adapter, board: Board, mode: str) -> tuple[float, float]:
        """Let the workers start all jobs of the board; returns the CPU seconds of the server and of the workers.

        Raises:
            Failed: they did not.
        """
        with adapter.working(board, mode) as workers:
            before, cpu = self.server.read(), workers.cpu_s()
            board.open_gate()
            workers.wait_for_starts(board.room)
            time.sleep(SETTLE_S)
            after = self.server.read()
            self.figures["twice"] = max(board.twice, self.figures.get("twice", 0))
            return after.cpu_s - before.cpu_s, workers.cpu_s() - cpu

    def _idle(self, workers: Workers) -> None:
        time.sleep(1)  # let the worker finish its start
        before, cpu, began = self.server.read(), workers.cpu_s(), time.perf_counter()
        time.sleep(self.size.idle_s)
        after, used, took = self.server.read(), workers.cpu_s() - cpu, time.perf_counter() - began
        self.note(
            idle_commands=max(0, after.commands - before.commands - 2) / took,  # two of them ask
            idle_server=(after.cpu_s - before.cpu_s) / took * 100,
            idle_client=used / took * 100,
        )
