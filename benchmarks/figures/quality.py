"""How well nodes are chosen: the response of jobs against a computed central queue that knows every speed.

Real nodes run jobs that sleep for their size divided by the node's speed. The reference is computed for the same
arrivals: one queue, which hands each job to the fastest free slot. It has no messages to wait for, so no real scheduler
reaches 1.
"""

from __future__ import annotations

import heapq
import random
import statistics
import subprocess
import sys
from collections import deque
from functools import partial
from math import log
from time import perf_counter

import anyio

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.events import Policy, SchedulerConfigured
from streamsched.node import Assignment, Node
from streamsched.server.embedded import EmbeddedServer

from ..harness.bench import Bench
from ..harness.figures import Figure

SLOTS = 4
MEAN_S, SPREAD = 0.4, 0.8
"""Of the sizes, which are lognormal: the run time at speed 1, and the standard deviation of its logarithm."""
FLEETS = {
    "20 nodes, speeds 0.5 to 4": [0.5 * 8 ** (n / 19) for n in range(20)],
    "20 equal nodes": [1.0] * 20,
}
LOADS = (0.5, 0.7, 0.9)
LEARNING = 0.2
"""The share of the jobs, the first, that are left out: the speeds are not known yet."""
TARGET = 1.15


def arrivals(fleet: list[float], load: float, count: int, seed: int) -> list[tuple[float, float]]:
    """Return when each job comes, in s, and its size."""
    chance = random.Random(seed)
    rate, at, found = load * sum(fleet) * SLOTS / MEAN_S, 0.0, []
    for _ in range(count):
        at += chance.expovariate(rate)
        found.append((at, chance.lognormvariate(log(MEAN_S) - SPREAD**2 / 2, SPREAD)))
    return found


def central_queue(fleet: list[float], jobs: list[tuple[float, float]]) -> list[float]:
    """Return the response of each job, in s, where the fastest free slot takes the first of one queue."""
    free = [(-speed, slot) for speed in fleet for slot in range(SLOTS)]
    heapq.heapify(free)
    busy: list[tuple[float, tuple[float, int]]] = []
    waiting: deque[int] = deque()
    response = [0.0] * len(jobs)

    def begin(job: int, now: float) -> None:
        slot = heapq.heappop(free)
        end = now + jobs[job][1] / -slot[0]
        heapq.heappush(busy, (end, slot))
        response[job] = end - jobs[job][0]

    def end_one() -> None:
        ended, slot = heapq.heappop(busy)
        heapq.heappush(free, slot)
        if waiting:
            begin(waiting.popleft(), ended)

    for job, (at, _) in enumerate(jobs):
        while busy and busy[0][0] <= at:
            end_one()
        if free:
            begin(job, at)
        else:
            waiting.append(job)
    while waiting:
        end_one()
    return response


async def sleep_for(speed: float, assignment: Assignment) -> None:
    await anyio.sleep(float(assignment.payload_json) / speed)


async def responses(fleet: list[float], jobs: list[tuple[float, float]], policy: Policy) -> list[float]:
    """Return the response of each job, in s, on real nodes with this policy."""
    found = [0.0] * len(jobs)

    async def submit(scheduler: Scheduler, job: int) -> None:
        began = perf_counter()
        request = SubmitRequest(session_id=f"s{job}", src_lang="en", tgt_lang="zh", payload_json=f"{jobs[job][1]:.6f}")
        await (await scheduler.submit(request)).result(timeout=120)
        found[job] = perf_counter() - began

    with EmbeddedServer() as server:
        command = [sys.executable, "-m", "streamsched", "worker", "--url", server.url]
        worker = await anyio.open_process(command, stdout=None, stderr=subprocess.DEVNULL)
        try:
            async with Scheduler.connect(server.url) as scheduler, anyio.create_task_group() as running:
                await scheduler.append(SchedulerConfigured(policy=policy))
                nodes = [Node(scheduler, f"n{n}", pools=["en-zh"], concurrency=SLOTS) for n in range(len(fleet))]
                for node, speed in zip(nodes, fleet, strict=True):
                    await node.__aenter__()
                    running.start_soon(node.run, partial(sleep_for, speed))
                async with anyio.create_task_group() as submitting:
                    began = perf_counter()
                    for job, (at, _) in enumerate(jobs):
                        if (ahead := began + at - perf_counter()) > 0:
                            await anyio.sleep(ahead)
                        submitting.start_soon(submit, scheduler, job)
                for node in nodes:
                    node.stop()
                    await node.__aexit__(None, None, None)
        finally:
            worker.terminate()
            await worker.wait()
    return found


def mean_and_p99(found: list[float]) -> tuple[float, float]:
    learned = sorted(found[int(len(found) * LEARNING) :])
    return statistics.fmean(learned), learned[int(len(learned) * 0.99)]


async def measure(bench: Bench) -> list[Figure]:
    rows: list[Figure] = []
    loads = LOADS if bench.scale == 1 else LOADS[1:2]
    for name, fleet in FLEETS.items():
        for load in loads:
            ratios: dict[Policy, list[tuple[float, float]]] = {policy: [] for policy in Policy}
            for seed in range(bench.rounds):
                jobs = arrivals(fleet, load, int(4000 * bench.scale), seed)
                ideal = mean_and_p99(central_queue(fleet, jobs))
                for policy in Policy:
                    bench.findings.tell(f"{name}, load {load}, {policy}, round {seed + 1}")
                    real = mean_and_p99(await responses(fleet, jobs, policy))
                    ratios[policy].append((real[0] / ideal[0], real[1] / ideal[1]))
            others = [policy for policy in Policy if policy is not Policy.EXPECTED_FINISH]
            for place, what in enumerate(("mean", "p99")):
                note = ", ".join(f"{one}: {statistics.median(r[place] for r in ratios[one]):.2f}" for one in others)
                values = [ratio[place] for ratio in ratios[Policy.EXPECTED_FINISH]]
                about = f"{what} response, {name}, load {load}"
                rows.append(Figure(about, "x of a central queue", TARGET, True, values, note))
    return rows
