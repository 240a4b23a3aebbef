"""A job that takes its node's process down ends when its attempts are used up, however often the node is restarted.

Found with ``max_attempts=2`` and a supervisor that restarts at once: seven crashes in 40 s and no end, because what a
restarted node gave back did not count as an attempt.

Reports of the kind: sidekiq/sidekiq #4069, activepieces/activepieces #15130, vectorize-io/hindsight #2675 (a job that
kills its worker is delivered for ever).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched import JobState, Keys, Scheduler, SubmitRequest
from streamsched.contract.events import SchedulerConfigured
from streamsched.server.embedded import EmbeddedServer

from ..support.live import facts, running

pytestmark = pytest.mark.anyio

WITHIN_S = 40

NODE = """
import os, sys, anyio
from streamsched import Node, Scheduler

async def handler(job):
    if job.job_id == "crash":
        os.write(1, b"crash\\n")
        os._exit(3)
    await anyio.sleep(0.02)
    return job.payload_json

async def main():
    async with Scheduler.connect(sys.argv[1], sys.argv[2]) as scheduler:
        async with Node(scheduler, sys.argv[3], pools=["en-zh"], heartbeat_ms=200) as node:
            await node.run(handler)

anyio.run(main)
"""


async def supervise(url: str, namespace: str, node_id: str, crashes: Path) -> None:
    """Run a node as a process, and start it again whenever it ends."""
    while True:
        with crashes.open("a") as out:
            command = [sys.executable, "-c", NODE, url, namespace, node_id]
            await anyio.run_process(command, stdout=out, stderr=subprocess.DEVNULL, check=False)


@pytest.fixture
async def scheduler(server: EmbeddedServer, keys: Keys) -> AsyncIterator[Scheduler]:
    async with running(server, keys) as scheduler:
        yield scheduler


def job(job_id: str, **more: Any) -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id=job_id, src_lang="en", tgt_lang="zh", payload_json='"hi"', **more)


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_job_that_takes_its_process_down_ends_after_its_attempts(
    scheduler: Scheduler, server: EmbeddedServer, keys: Keys, tmp_path: Path, nodes: int
) -> None:
    await scheduler.append(SchedulerConfigured(retry_backoff_ms=50))
    crashes = tmp_path / "crashes"
    async with anyio.create_task_group() as group:
        for n in range(nodes):
            group.start_soon(supervise, server.url, keys.namespace, f"n{n}", crashes)
        crash = await scheduler.submit(job("crash", max_attempts=2))
        others = [await scheduler.submit(job(f"j{n}", max_attempts=10)) for n in range(10)]
        result = await crash.result(timeout=WITHIN_S)
        assert (result.status, result.error) == (JobState.FAILED, "declined: node restarted: attempt 2 of 2")
        for other in others:
            assert (await other.result(timeout=WITHIN_S)).status is JobState.FINISHED
        group.cancel_scope.cancel()
    assert crashes.read_text().splitlines().count("crash") == 2
    (end,) = [e for e in await facts(scheduler) if e["type"] == "job.exhausted"]
    named = set(end["nodes"].split("\n"))
    assert named
    assert named <= {f"n{n}" for n in range(nodes)}  # both, unless the other one was not back yet
