"""Two processes with one node id: the later one is the node, and the earlier one stops and says so.

Found with 139 attempts, of which 109 ran in both.

Reports of the kind: calypr/funnel #432, apache/airflow #58591 (two workers under one id).
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from streamsched import Keys, Node, NodeSuperseded, Scheduler, SubmitRequest
from streamsched.server.embedded import EmbeddedServer

from ..support.live import facts, running, until
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio

WITHIN_S = 40

NODE = """
import os, sys, anyio
from streamsched import Node, NodeSuperseded, Scheduler

async def handler(job):
    os.write(1, f"ran {job.attempt}\\n".encode())
    await anyio.sleep(0.2)
    return job.payload_json

async def main():
    async with Scheduler.connect(sys.argv[1], sys.argv[2]) as scheduler:
        try:
            async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=200, concurrency=4) as node:
                await node.run(handler)
        except NodeSuperseded as problem:
            os.write(1, f"superseded {problem}\\n".encode())

anyio.run(main)
"""


@pytest.fixture
async def scheduler(server: EmbeddedServer, keys: Keys) -> AsyncIterator[Scheduler]:
    async with running(server, keys) as scheduler:
        yield scheduler


async def node_process(url: str, namespace: str, out: Path) -> None:
    command = [sys.executable, "-c", NODE, url, namespace]
    with out.open("w") as stdout:
        await anyio.run_process(command, stdout=stdout, stderr=subprocess.DEVNULL, check=False)


def ran(out: Path) -> set[str]:
    return {line for line in out.read_text().splitlines() if line.startswith("ran ")} if out.exists() else set()


async def test_of_two_processes_the_later_one_is_the_node_and_no_attempt_runs_in_both(
    scheduler: Scheduler, server: EmbeddedServer, keys: Keys, tmp_path: Path
) -> None:
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    async with anyio.create_task_group() as group:
        group.start_soon(node_process, server.url, keys.namespace, earlier)
        jobs = [
            await scheduler.submit(
                SubmitRequest(job_id=f"j{n}", session_id=f"s{n}", src_lang="en", tgt_lang="zh", payload_json="{}")
            )
            for n in range(100)
        ]

        async def first_runs() -> bool:
            return len(ran(earlier)) > 10

        await until(first_runs, WITHIN_S)
        group.start_soon(node_process, server.url, keys.namespace, later)
        for job in jobs:
            assert (await job.result(timeout=WITHIN_S)).status == "finished"

        async def first_said_so() -> bool:
            return "superseded NODE_SUPERSEDED" in earlier.read_text()

        await until(first_said_so, WITHIN_S)
        assert await scheduler.partition.redis.hget(keys.node_info("n1"), "online") == "true"
        group.cancel_scope.cancel()
    assert ran(earlier)
    assert ran(later)
    assert ran(earlier) & ran(later) == set()
    assert "node.offline" not in {e["type"] for e in await facts(scheduler)}, "the earlier one says no goodbye"


async def test_a_process_that_misses_the_entry_in_its_inbox_is_told_at_its_next_beat(
    scheduler: Scheduler, keys: Keys
) -> None:
    taken: Counter[str] = Counter()

    async def take(name: str, node: Node) -> None:
        async for task in node:
            taken[name] += 1
            await task.complete()

    async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=200) as earlier:
        earlier.pause_inbox()
        async with (
            Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=200) as later,
            anyio.create_task_group() as group,
        ):
            group.start_soon(take, "later", later)
            with anyio.fail_after(WITHIN_S), pytest.raises(NodeSuperseded, match="n1"):
                await take("earlier", earlier)
            request = SubmitRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="{}")
            assert (await (await scheduler.submit(request)).result(timeout=WITHIN_S)).status == "finished"
            later.stop()
    assert taken == {"later": 1}


def test_the_command_ends_and_says_why(cli: Cli) -> None:
    node = ("node", "n1", "--pools", "en-zh", "--exec", "cat")
    cli.start("worker")
    earlier = cli.start(*node)
    eventually(lambda: "node ready" in cli.output(earlier))
    cli.start(*node)
    assert earlier.wait(WITHIN_S) == 1
    assert "NODE_SUPERSEDED: another process has registered as node n1" in cli.output(earlier)
