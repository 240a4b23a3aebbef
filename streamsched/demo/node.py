"""A process of the demo that hosts nodes: ``python -m streamsched.demo.node URL NAMESPACE FOLDER``."""

from __future__ import annotations

import os
import sys

import anyio
import msgspec

from ..client.scheduler import Scheduler
from ..node.node import Node
from ..node.task import Assignment
from ..ops import logs
from ..workload.fleet import NodePlan
from .link import Add, Leave, Pause, Remove, Resume, commands

HEARTBEAT_MS = 500
GRACE_MS = 1000
"""How long a leaving node may go on with what it runs; the rest it hands back."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a demo job: how long it takes, and how often it fails."""

    work_ms: float
    failing_attempts: int = 0


async def work(assignment: Assignment) -> str:
    """Simulate a GPU: take the time that the job takes, and fail where the workload says so."""
    task = msgspec.json.decode(assignment.payload_json, type=Work)
    await anyio.sleep(task.work_ms / 1000)
    if assignment.attempts <= task.failing_attempts:
        raise RuntimeError(f"made to fail at attempt {assignment.attempts}")
    return f'{{"by":"{assignment.node_id}"}}'


class Host:
    """The nodes of this process, all over one connection to the scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.nodes: dict[str, Node] = {}

    async def serve(self) -> None:
        """Do what the demo asks for until it says ``leave``; then have every node leave."""
        async with anyio.create_task_group() as group:
            async for command in commands():
                match command:
                    case Add(plan):
                        group.start_soon(self._run, plan)
                    case Remove(node_id) if node_id in self.nodes:
                        self.nodes[node_id].stop()
                    case Pause(node_id) if node_id in self.nodes:
                        self.nodes[node_id].pause_inbox()
                    case Resume(node_id) if node_id in self.nodes:
                        self.nodes[node_id].resume_inbox()
                    case Leave():
                        break
            else:
                os._exit(1)  # the demo has died, and its server dies with it: no server is left to deregister from
            for node in self.nodes.values():
                node.stop()

    async def _run(self, plan: NodePlan) -> None:
        while plan.node_id in self.nodes:  # it will return, but has not left yet
            await anyio.sleep(0.02)
        node = Node(
            self.scheduler,
            plan.node_id,
            pools=plan.pools,
            cap_json=plan.cap_json,
            concurrency=plan.concurrency,
            heartbeat_ms=HEARTBEAT_MS,
            grace_ms=GRACE_MS,
        )
        self.nodes[plan.node_id] = node
        async with node:
            await node.run(work)
        del self.nodes[plan.node_id]


async def main(url: str, namespace: str, folder: str) -> None:
    """Host nodes on the server ``url`` until the demo says ``leave`` or is gone; ``folder`` is of no concern to it."""
    async with Scheduler.connect(url, namespace, patience_s=5) as scheduler:
        await Host(scheduler).serve()


if __name__ == "__main__":
    logs.configure()
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
