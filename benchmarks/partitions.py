"""What one machine carries with 1, 2 and 4 partitions on 1 and 2 servers, each partition drained by its own process.

A partition is as fast as its server's one core and its node's one core let it be. Where there are no more cores than
that, more partitions share them, and what is measured is what sharing costs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import count as numbers

import anyio
import psutil
from redis.asyncio import Redis

from streamsched.client import Scheduler
from streamsched.embedded import EmbeddedServer
from streamsched.events import to_wire
from streamsched.keys import Keys
from streamsched.node import Assignment, Node

from .bench import Bench, Figure, submission
from .draining import CONCURRENCY, PAIRS_OF_ONE

PARTITIONS, SERVERS = (1, 2, 4), (1, 2)
JOBS = 20_000
"""In all, whatever the number of partitions."""

_namespaces = (f"parts{n}" for n in numbers())


async def drain(url: str, namespace: str, partition: int, count: int) -> None:
    """Work off a partition's backlog once told to on stdin; prints when it began and ended, and its CPU time."""
    done = 0

    async def handler(task: Assignment) -> None:
        nonlocal done
        done += 1
        if done == count:
            node.stop()

    async with Scheduler.connect(url, namespace, partition) as scheduler:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        began, cpu = time.time(), time.process_time()
        async with Node(scheduler, f"node-{partition}", pools=["en-zh"], concurrency=CONCURRENCY) as node:
            with anyio.fail_after(120):
                await node.run(handler)
            print(json.dumps([began, time.time(), time.process_time() - cpu]), flush=True)


async def fill(url: str, keys: Keys, count: int) -> None:
    """Let jobs wait in a partition's log."""
    redis = Redis.from_url(url, protocol=2)
    for start in range(0, count, 1000):
        async with redis.pipeline(transaction=False) as pipe:
            for n in range(start, min(start + 1000, count)):
                pipe.execute_command("XADD", keys("events"), "*", *to_wire(submission(n * PAIRS_OF_ONE, None)))
            await pipe.execute()
    await redis.aclose()


def cpu_s(server: EmbeddedServer) -> float:
    """CPU time of a server."""
    times = psutil.Process(server.pid).cpu_times()
    return float(times.user + times.system)


def together(servers: list[EmbeddedServer], partitions: int, jobs: int) -> tuple[float, float, float]:
    """Drain all partitions at once; returns jobs/s in all, and µs of server and of node CPU time for each job."""
    namespace, each = next(_namespaces), jobs // partitions
    nodes = []
    for number in range(partitions):
        url = servers[number % len(servers)].url
        asyncio.run(fill(url, Keys(namespace, number), each))
        command = [sys.executable, "-m", "benchmarks.partitions", url, namespace, str(number), str(each)]
        nodes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        for node in nodes:
            assert node.stdout is not None
            assert node.stdout.readline() == "ready\n"
        before = sum(map(cpu_s, servers))
        for node in nodes:
            assert node.stdin is not None
            node.stdin.write("\n")
            node.stdin.flush()
        told = [json.loads(node.communicate(timeout=150)[0]) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    span = max(end for _, end, _ in told) - min(begin for begin, _, _ in told)
    total = each * partitions
    server_us = (sum(map(cpu_s, servers)) - before) / total * 1e6
    return total / span, server_us, sum(cpu for *_, cpu in told) / total * 1e6


async def measure(bench: Bench) -> list[Figure]:
    return await anyio.to_thread.run_sync(_measure, bench.size(JOBS), min(bench.rounds, 3))


def _measure(jobs: int, rounds: int) -> list[Figure]:
    rows: dict[tuple[int, int], Figure] = {}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # of this thread and what it starts: all cores again
    for _ in range(rounds):
        base = 0.0
        for servers in SERVERS:
            for partitions in PARTITIONS[servers - 1 :]:
                with ExitStack() as stack:  # new servers each time: what one frees in the background disturbs the next
                    running = [stack.enter_context(EmbeddedServer()) for _ in range(servers)]
                    rate, server_us, node_us = together(running, partitions, jobs)
                base = base or rate
                name = f"{partitions} partition(s) on {servers} server(s), drained"
                row = rows.setdefault((servers, partitions), Figure(name, "x 1 on 1"))
                row.values.append(rate / base)
                row.note = (
                    f"{rate:,.0f} jobs/s, of which each took {server_us:.0f} µs of a server, {node_us:.0f} µs of a node"
                )
    return list(rows.values())


if __name__ == "__main__":
    asyncio.run(drain(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
