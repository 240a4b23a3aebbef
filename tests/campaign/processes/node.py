"""A process that hosts nodes: ``python -m tests.campaign.processes.node URL NAMESPACE FOLDER NAME CONDUCT NODE_ID…``.

``CONDUCT`` is how they behave: ``works``; ``deaf`` beats and does not read its inbox; ``idle`` beats, starts its jobs
and never ends them; ``slow`` takes ten times as long; ``late`` reports each job once its time limit has passed,
regardless of messages meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec

from streamsched.client.requests import CompleteTaskRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import SchedulerError
from streamsched.contract.events import JobStatus
from streamsched.demo.link import Leave, commands
from streamsched.engine.partition import Partition
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.ops import logs

from ..checker.journal import Journal, journalled

HEARTBEAT_MS, GRACE_MS = 400, 500
POOLS = ["en-zh", "de-en"]
LATE_S = 2.6
"""A little longer than ``job_timeout_ms``: the job is somewhere else by then."""


class Work(msgspec.Struct):
    """The payload of a job: how long it takes, how often it fails, and whether it ends the process that runs it."""

    ms: int = 20
    failing: int = 0
    crash: bool = False


async def carry_out(assignment: Assignment, conduct: str) -> str:
    """Simulate a GPU."""
    try:
        work = msgspec.json.decode(assignment.payload_json, type=Work)
    except msgspec.DecodeError:  # a foreign payload
        work = Work()
    if work.crash:
        os._exit(3)
    if conduct in ("idle", "late"):
        await anyio.sleep_forever()
    await anyio.sleep(work.ms / 1000 * (10 if conduct == "slow" else 1))
    if assignment.attempts <= work.failing:
        raise RuntimeError(f"made to fail at attempt {assignment.attempts}")
    return f'{{"by":"{assignment.node_id}"}}'


async def host(scheduler: Scheduler, node_id: str, conduct: str, stopping: anyio.Event) -> None:
    """Run one node until it is to stop."""
    node = Node(scheduler, node_id, pools=POOLS, concurrency=4, heartbeat_ms=HEARTBEAT_MS, grace_ms=GRACE_MS)
    if conduct == "deaf":
        node.pause_inbox()

    async def report_late(assignment: Assignment) -> None:
        await anyio.sleep(LATE_S)
        ended = CompleteTaskRequest(
            job_id=assignment.job_id, node_id=node_id, attempt=assignment.attempt, status=JobStatus.FINISHED
        )
        with suppress(SchedulerError):
            await scheduler.complete_task(ended)

    async def handler(assignment: Assignment) -> str:
        if conduct == "late":
            group.start_soon(report_late, assignment)
        return await carry_out(assignment, conduct)

    async def stop() -> None:
        await stopping.wait()
        node.stop()

    async with node, anyio.create_task_group() as group:
        group.start_soon(stop)
        await node.run(handler)


def with_journal(
    opened: Callable[[], AbstractAsyncContextManager[Partition]], journal: Journal
) -> Callable[[], AbstractAsyncContextManager[Partition]]:
    @asynccontextmanager
    async def open_with_journal() -> AsyncIterator[Partition]:
        async with opened() as partition:
            journalled(partition, journal)
            yield partition

    return open_with_journal


async def main(*arguments: str) -> None:
    """Host nodes until the driver says ``leave`` or is gone."""
    url, namespace, folder, name, conduct, *node_ids = arguments
    stopping = anyio.Event()

    async def listen() -> None:
        async for command in commands():
            if isinstance(command, Leave):
                break
        else:
            os._exit(1)  # the driver has died, and its server dies with it
        stopping.set()

    async with Scheduler.connect(url, namespace, patience_s=20) as scheduler, anyio.create_task_group() as group:
        journalled(scheduler.partition, Journal(Path(folder) / f"{name}.journal"))
        heart: Any = scheduler.own_loop  # heartbeats are appended in a thread, through a partition of its own
        heart._opened = with_journal(heart._opened, Journal(Path(folder) / f"{name}-heart.journal"))
        group.start_soon(listen)
        async with anyio.create_task_group() as nodes:
            for node_id in node_ids:
                nodes.start_soon(host, scheduler, node_id, conduct, stopping)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    logs.configure()
    anyio.run(main, *sys.argv[1:])
