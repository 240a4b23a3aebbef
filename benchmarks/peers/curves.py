"""What grows, and what should not: the cost of a dispatch over nodes and over the length of the log, of a drained job
over how many wait, and latency over load."""

from __future__ import annotations

import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler
from streamsched.server.embedded import EmbeddedServer

from ..harness.load import PAYLOAD, Ground, Speech, live_again
from ..harness.plots import Curve, Plot
from ..harness.server import Server
from .board import Board
from .running import Adapter, Failed
from .workload import Round, Size

PLOTS = (
    Plot("nodes", "One dispatch over the nodes in the pool", "nodes", "p50, µs"),
    Plot("waiting", "One drained job over the jobs that wait", "waiting jobs", "µs per job"),
    Plot("log", "One dispatch over the length of the log", "entries of the log", "p50, µs"),
    Plot("load_p50", "Enqueue to start over load, half of the jobs", "jobs/s", "p50, ms"),
    Plot("load_p99", "Enqueue to start over load, all but one in a hundred", "jobs/s", "p99, ms"),
)

NODES = (10, 100, 200, 1_000, 10_000, 100_000)
LOG = (1_000, 10_000, 100_000, 1_000_000)
WAITING = (1_000, 10_000, 100_000)
RATES = (100, 200, 500, 1_000, 2_000, 4_000, 8_000, 16_000)
TAKEN = 1_000
"""Jobs taken off the backlog of each size."""
TURN = 15
"""Calls of one before it is the other's turn: behind every walk of a large pool, no cache holds anything of ours."""
DISPATCH = Path(__file__).parent / "direct" / "dispatch.lua"
WALK = 5_000_000
"""Nodes that the direct script may look at in one measurement: a walk of 100 000 takes some 65 ms."""


def up_to(sizes: tuple[int, ...], quick: bool) -> tuple[int, ...]:
    """All sizes, or what a minute allows."""
    return tuple(size for size in sizes if not quick or size <= 1_000)


async def _pool_of(redis: Redis, size: int) -> str:
    """Lay out the state of the direct script; returns the key of the pool."""
    pool = f"pool:of-{size}"
    for start in range(0, size, 1000):
        async with redis.pipeline(transaction=False) as pipe:
            for n in range(start, min(start + 1000, size)):
                pipe.hset(f"node:{size}-{n}", mapping={"online": "true", "jobs": 0})
                pipe.sadd(pool, f"{size}-{n}")
            await pipe.execute()
    return pool


async def _microseconds(call: object) -> float:
    began = time.perf_counter()
    await call  # type: ignore[misc]
    return (time.perf_counter() - began) * 1e6


def _request(n: int) -> DispatchRequest:
    # a session for each job: the direct script knows none, so ours must not profit from one
    return DispatchRequest(session_id=f"session-{n}", src_lang="zh", tgt_lang="en", payload_json=PAYLOAD)


async def over_nodes(process: EmbeddedServer, quick: bool) -> Curve:
    """p50 of ``dispatch_task`` and of a script that walks the pool, in µs; some calls of one, some of the other."""
    curve: Curve = {"streamsched": [], "direct Lua": []}
    redis = Redis.from_url(process.url, decode_responses=True, protocol=2)
    script = await redis.script_load(DISPATCH.read_text())
    for size in up_to(NODES, quick):
        ground = Ground(redis)
        await ground.fleet(size, ("en-zh",))
        pool = await _pool_of(redis, size)
        ours: list[float] = []
        direct: list[float] = []
        async with Scheduler.connect(process.url, ground.keys.namespace) as scheduler:
            count = max(30, min(2000, WALK // size) // (10 if quick else 1))
            for first in range(0, count, TURN):
                numbers = range(first, min(first + TURN, count))
                ours += [await _microseconds(scheduler.dispatch_task(_request(n))) for n in numbers]
                walks = (redis.evalsha(script, 1, pool, f"{size}:{n}", PAYLOAD) for n in numbers)
                direct += [await _microseconds(walk) for walk in walks]
        curve["streamsched"].append((size, statistics.median(ours)))
        curve["direct Lua"].append((size, statistics.median(direct)))
        await redis.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
    await redis.aclose()
    return curve


async def over_log(process: EmbeddedServer, quick: bool) -> Curve:
    """p50 of ``dispatch_task`` in µs behind logs of some length, whose jobs have ended and left the state."""
    points: list[tuple[float, float]] = []
    redis = Redis.from_url(process.url, decode_responses=True, protocol=2)
    for length in up_to(LOG, quick):
        ground = Ground(redis)
        await live_again(ground, Speech(length), length)
        async with AsyncExitStack() as stack:
            scheduler = await stack.enter_async_context(Scheduler.connect(process.url, ground.keys.namespace))
            took = [await _microseconds(scheduler.dispatch_task(_request(n))) for n in range(200 if quick else 2000)]
        points.append((length, statistics.median(took)))
        await redis.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
    await redis.aclose()
    return {"streamsched": points}


def over_waiting(adapters: list[Adapter], server: Server, quick: bool) -> Curve:
    """Wall time in µs of each of the first jobs that one process takes off a backlog."""
    curve: Curve = {}
    for adapter in adapters:
        points = curve.setdefault(adapter.peer.name, [])
        for size in up_to(WAITING, quick):
            try:
                points.append((size, _taking(Round(adapter, server, Size()), size) * 1e6))
            except Failed:
                break  # what it could not hold ends its curve
    return {name: points for name, points in curve.items() if points}


def _taking(turn: Round, size: int) -> float:
    """Seconds for each of the first jobs of a backlog of some size."""
    taken = min(TAKEN, size)
    turn.fill(turn.adapter, "plain", size)
    with Board(size) as board, turn.adapter.working(board, "plain") as workers:
        board.open_gate()
        workers.wait_for_starts(taken)
        return board.span_s(taken) / (taken - 1)


def over_load(adapters: list[Adapter], server: Server, quick: bool) -> dict[str, Curve]:
    """p50 and p99 from enqueue to start in ms at rising rates, until a peer no longer keeps up."""
    curves: dict[str, Curve] = {"p50": {}, "p99": {}}
    for adapter in adapters:
        turn = Round(replace(adapter, workers=1), server, Size())
        for rate in up_to(RATES, quick):
            server.wipe()
            try:
                with Board(int(rate * (0.5 if quick else 3))) as board, adapter.working(board, "plain") as workers:
                    board.open_gate()
                    p50, p99, reached = turn.paced(workers, board, rate)
            except Failed:
                break
            if reached < 0.95 * rate:
                break
            curves["p50"].setdefault(adapter.peer.name, []).append((rate, p50))
            curves["p99"].setdefault(adapter.peer.name, []).append((rate, p99))
            if p50 > 100:
                break
    return curves
