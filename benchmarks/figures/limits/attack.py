"""What a source that attacks costs others: the latency of a trusted producer beside it, and the memory that it fills.

Each attack is played on a server of its own, with one worker, by a source of the default limits. The producer
dispatches and completes one job after the other, first alone and then beside the attack.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import anyio
from redis import Redis

from streamsched.client.requests import CompleteTaskRequest, DispatchRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.events import JobStatus, NodeHeartbeat, NodeRegistered, SourceAdmitted, SourceRole
from streamsched.contract.keys import GROUP, Keys
from streamsched.contract.kinds import LIMITS
from streamsched.server.embedded import EmbeddedServer

from ...harness.bench import Bench
from ...harness.figures import Figure
from ...harness.load import PAYLOAD, RESULT
from ...harness.stranger import ATTACKS, NODE, SOURCE

MOST, WARM_S = 2.0, 2.0
"""How often the latency without the attack it may be, and how long the attack goes on before it counts."""
OWN = 3
"""Events of one job of the producer: its submission, its dispatch, its end."""
QUOTA_MIB = 3 * LIMITS["source_bytes"] / 2**20
"""Of payloads of jobs that have not ended, of ended jobs, and of what waits in the ingress: each alone."""


class Played(NamedTuple):
    """What was measured of one attack."""

    alone_us: float
    """p99 of ``dispatch_task`` before it."""
    under_us: float
    filled_mib: float
    """The memory that the server has more than before it, without the log."""
    taken: int
    """Events in the log that are not the producer's."""


@contextmanager
def process(*command: str, **more: Any) -> Iterator[None]:
    """A process that is killed in the end."""
    child = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL, **more)
    try:
        yield
    finally:
        child.kill()
        child.wait()


async def p99_us(scheduler: Scheduler, count: int) -> float:
    """The time of ``dispatch_task`` that one call in a hundred exceeds."""
    found = []
    for n in range(count):
        request = DispatchRequest(session_id=f"s{n // 5}", src_lang="zh", tgt_lang="en", payload_json=PAYLOAD)
        start = time.perf_counter()
        task = await scheduler.dispatch_task(request)
        found.append((time.perf_counter() - start) * 1e6)
        done = CompleteTaskRequest(
            job_id=task.job_id,
            node_id=task.node_id,
            attempt=task.attempt,
            status=JobStatus.FINISHED,
            result_json=RESULT,
        )
        await scheduler.complete_task(done)
    return sorted(found)[int(0.99 * count)]


def held_mib(redis: Any, keys: Keys) -> float:
    """The memory of the server without that of the log, which the archiver trims."""
    log = redis.memory_usage(keys("events"), samples=0) or 0
    return float(redis.info("memory")["used_memory"] - log) / 2**20


async def beside(bench: Bench, kind: str) -> Played:
    """Play one attack."""
    keys, role = Keys(), SourceRole(ATTACKS[kind][0])
    with EmbeddedServer() as server:
        redis: Any = Redis.from_url(server.url)
        async with Scheduler.connect(server.url) as scheduler:
            node_id = NODE if role is SourceRole.NODE else None
            await scheduler.append(SourceAdmitted(source=SOURCE, role=role, node_id=node_id))
            pools = '[{"id":"en-zh","name":"en-zh"}]'
            await scheduler.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=pools))
            await scheduler.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
            with process("streamsched", "worker", env=os.environ | {"STREAMSCHED_URL": server.url}):
                while not redis.exists(keys("events")) or not redis.xinfo_consumers(keys("events"), GROUP):
                    await anyio.sleep(0.05)
                await p99_us(scheduler, 500)  # until all is loaded
                alone = await p99_us(scheduler, bench.size(3000))
                before = held_mib(redis, keys)
                with process("benchmarks.harness.stranger", server.url, kind):
                    await anyio.sleep(WARM_S)
                    taken = redis.xinfo_stream(keys("events"))["entries-added"]
                    under = await p99_us(scheduler, bench.size(3000))
                    after = held_mib(redis, keys)
                    taken = redis.xinfo_stream(keys("events"))["entries-added"] - taken - OWN * bench.size(3000)
        redis.close()
    return Played(alone, under, after - before, taken)


async def measure(bench: Bench) -> list[Figure]:
    rows = []
    for kind in ATTACKS:
        slower = Figure(f"dispatch_task p99 beside {kind} / alone", "x", MOST, at_most=True)
        memory = Figure(f"memory that {kind} fill", "MiB", QUOTA_MIB, at_most=True)
        for _ in range(bench.rounds):
            bench.findings.tell(kind)
            played = await beside(bench, kind)
            slower.values.append(played.under_us / played.alone_us)
            slower.note = f"{played.under_us:.0f} µs against {played.alone_us:.0f} µs in the last round"
            memory.values.append(max(0.0, played.filled_mib))
            memory.note = f"{played.taken:,} events more were folded meanwhile in the last round"
        rows += [slower, memory]
    return rows
