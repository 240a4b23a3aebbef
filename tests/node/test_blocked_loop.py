"""A handler that blocks the node's event loop past ``heartbeat_timeout_ms``: the node lives, and says what is wrong.

Found with a handler that calls `time.sleep`: the node expired, and its job ran a second time beside the first.

Reports of the kind: repowise-dev/repowise #2120, featurebyte/featurebyte #2310.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from streamsched import Keys, Node, Scheduler, SubmitRequest
from streamsched.contract.events import SchedulerConfigured
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.nodes import read_node

from ..support.live import facts, running, until

pytestmark = pytest.mark.anyio

BLOCKING = """
import os, sys, time, anyio
from streamsched import Node, Scheduler

async def handler(job):
    os.write(1, f"ran {job.job_id}\\n".encode())
    time.sleep(float(sys.argv[3]))
    return "1"

async def main():
    async with Scheduler.connect(sys.argv[1], sys.argv[2]) as scheduler:
        async with Node(scheduler, "blocked", pools=["en-zh"], heartbeat_ms=100, concurrency=4) as node:
            await node.run(handler)

anyio.run(main)
"""

ABANDONED = """
import asyncio, sys
from streamsched import Node, Scheduler

async def main(entered):
    async with Scheduler.connect(sys.argv[1], sys.argv[2]) as scheduler:
        async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=100):
            entered.set()
            await asyncio.sleep(3600)

async def start():
    entered = asyncio.Event()
    asyncio.get_running_loop().main = asyncio.create_task(main(entered))
    await entered.wait()

loop = asyncio.new_event_loop()
loop.run_until_complete(start())
"""


@pytest.fixture
async def scheduler(server: EmbeddedServer, keys: Keys) -> AsyncIterator[Scheduler]:
    async with running(server, keys) as scheduler:
        yield scheduler


def work(job_id: str) -> SubmitRequest:
    return SubmitRequest(session_id=job_id, src_lang="en", tgt_lang="zh", payload_json="1", job_id=job_id)


def heart_threads() -> int:
    return sum(thread.name == "streamsched" for thread in threading.enumerate())


async def test_a_node_whose_handler_blocks_it_past_the_timeout_keeps_its_job_and_gets_no_other(
    server: EmbeddedServer, keys: Keys, scheduler: Scheduler, tmp_path: Path
) -> None:
    async def shown(trouble: str, is_open: bool) -> bool:
        node = await read_node(scheduler.partition.redis, keys, "blocked")
        return node is not None and trouble in node.trouble and node.open == is_open

    async def handler(_: object) -> str:
        return "2"

    await scheduler.append(SchedulerConfigured(heartbeat_timeout_ms=1000))
    with (tmp_path / "out").open("w+") as out:
        process = await anyio.open_process(
            [sys.executable, "-c", BLOCKING, server.url, keys.namespace, "3"], stdout=out
        )
        try:
            await until(lambda: shown("", is_open=True))
            first = await scheduler.submit(work("first"))
            await until(lambda: shown("the event loop has been blocked for", is_open=False))
            async with (
                Scheduler.connect(server.url, keys.namespace) as own,
                Node(own, "other", pools=["en-zh"], heartbeat_ms=100) as other,
                anyio.create_task_group() as group,
            ):
                group.start_soon(other.run, handler)
                results = [await (await scheduler.submit(work(f"job {n}"))).result(20) for n in range(8)]
                assert {result.node_id for result in results} == {"other"}
                assert (await first.result(20)).node_id == "blocked"
                other.stop()
            await until(lambda: shown("", is_open=True))  # nothing but a beat opens it again
            out.seek(0)
            assert [line for line in out.read().splitlines() if line.startswith("ran ")] == ["ran first"]
        finally:
            process.terminate()
            await process.wait()
    assert not [fact for fact in await facts(scheduler) if fact["type"] in ("node.expired", "job.requeued")]


@pytest.mark.parametrize("way", ["at its end", "by an exception", "by a cancellation"])
async def test_the_thread_of_the_heart_ends_with_the_last_node_that_uses_it(
    server: EmbeddedServer, keys: Keys, scheduler: Scheduler, way: str
) -> None:
    before = heart_threads()
    with anyio.CancelScope() as scope:
        try:
            async with (
                Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=50),
                Node(scheduler, "n2", pools=["en-zh"], heartbeat_ms=50),
            ):
                assert heart_threads() == before + 1
                if way == "by an exception":
                    raise LookupError
                if way == "by a cancellation":
                    scope.cancel()
                    await anyio.sleep_forever()
        except LookupError:
            pass
    assert heart_threads() == before
    for node_id in ("n1", "n2"):
        node = await read_node(scheduler.partition.redis, keys, node_id)
        assert node is not None
        assert not node.online


async def test_a_program_that_abandons_its_event_loop_ends_all_the_same(
    server: EmbeddedServer, keys: Keys, scheduler: Scheduler
) -> None:
    with anyio.fail_after(20):
        await anyio.run_process([sys.executable, "-c", ABANDONED, server.url, keys.namespace], check=False)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process")
async def test_a_forked_process_does_not_beat(server: EmbeddedServer, keys: Keys, scheduler: Scheduler) -> None:
    counted = multiprocessing.get_context("fork").SimpleQueue()
    async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=50):
        child = multiprocessing.get_context("fork").Process(target=lambda: counted.put(heart_threads()))
        child.start()
        child.join()
        assert counted.get() == 0
