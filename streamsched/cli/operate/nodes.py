"""``streamsched cordon``, ``uncordon``, ``drain`` and ``retire``: which nodes get jobs, and which are forgotten."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import typer

from ...console.terminal import OK, REFUSED, UsageProblem, as_json, complain, say
from ...contract.moments import seconds_of
from ...engine.partition import Partition
from .. import completion
from ..options import Json, Target, command
from .operator_events import Reason, append_each, append_one

Nodes = Annotated[
    list[str],
    typer.Argument(metavar="NODE...", help="Ids of nodes, as `status` shows them.", autocompletion=completion.nodes),
]

NAMED = 20
"""Jobs listed for a node that still holds some at the deadline."""

LOOK_S = 0.25
"""Pause between two reads of the jobs that a draining node holds."""


@command("streamsched cordon gpu-7 --reason 'runs hot'")
async def cordon(target: Target, nodes: Nodes, reason: Reason = None, json: Json = False) -> int:
    """Send no more jobs to nodes. Jobs that they hold continue. Exit code 1 if one was refused."""

    return await append_each(target, [("node.cordoned", {"node_id": node}) for node in nodes], reason, json)


@command("streamsched uncordon gpu-7")
async def uncordon(target: Target, nodes: Nodes, reason: Reason = None, json: Json = False) -> int:
    """Send jobs to nodes again. Ends a cordon or a drain. Exit code 1 if one was refused."""

    return await append_each(target, [("node.uncordoned", {"node_id": node}) for node in nodes], reason, json)


@command("streamsched retire gpu-9 --reason 'sold'")
async def retire(target: Target, nodes: Nodes, reason: Reason = None, json: Json = False) -> int:
    """Forget nodes that are offline and hold no jobs. Their inboxes go, too. Without this command it happens after
    `node_retention_ms`. A node that comes back registers again. Exit code 1 if one was refused."""

    return await append_each(target, [("node.retired", {"node_id": node}) for node in nodes], reason, json)


@command("streamsched drain gpu-7 gpu-8 --at-once 1 --deadline 10m --reason 'new driver'")
async def drain(
    target: Target,
    nodes: Nodes,
    at_once: Annotated[int, typer.Option(min=1, help="Nodes to drain at the same time.")] = 1,
    deadline: Annotated[
        str | None, typer.Option(metavar="AGE", help="Time limit for all nodes: 90s, 10m, 2h. [default: for ever]")
    ] = None,
    reason: Reason = None,
    json: Json = False,
) -> int:
    """Send no more jobs to nodes, and wait until they hold none. A few nodes at a time. Exit code 1 if one was refused,
    or if the deadline passed: then it lists the jobs still held; nodes keep their jobs."""

    within_s = None if deadline is None else seconds_of(deadline)
    if deadline is not None and within_s is None:
        raise UsageProblem(f"--deadline {deadline!r}: give an age such as 90s, 10m or 2h")
    begun: set[str] = set()
    refused: set[str] = set()
    empty: set[str] = set()
    async with target.speak(None) as partition:
        turns = anyio.Semaphore(at_once)

        async def one(node_id: str) -> None:
            async with turns:
                if not await append_one(partition, "node.drained", {"node_id": node_id}, reason, json):
                    refused.add(node_id)
                    return
                begun.add(node_id)
                last = -1
                while (held := await _held(partition, node_id)) > 0:
                    if held != last and not json:
                        say(f"{node_id} holds {held}")
                    last = held
                    await anyio.sleep(LOOK_S)
                empty.add(node_id)
                say_empty(node_id, json)

        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as group:
                for node_id in nodes:
                    group.start_soon(one, node_id)
        for node_id in nodes:
            if node_id not in empty | refused:
                await say_held(partition, node_id, node_id in begun, json)
    return OK if len(empty) == len(set(nodes)) else REFUSED


def say_empty(node_id: str, json: bool) -> None:
    """Report that a node holds no jobs any more."""
    if json:
        as_json({"node_id": node_id, "held": 0})
    else:
        say(f"{node_id} holds nothing")


async def say_held(partition: Partition, node_id: str, begun: bool, json: bool) -> None:
    """Report the jobs that a node still holds at the deadline: their number, and some ids."""
    redis: Any = partition.redis
    key, held = partition.keys("node_jobs", node_id), await _held(partition, node_id)
    _, page = await partition.patiently(lambda: redis.sscan(key, count=NAMED))
    job_ids = sorted(page)[:NAMED]
    if json:
        as_json({"node_id": node_id, "held": held, "job_ids": job_ids, "drained": begun})
    named = "".join(f" {job_id}" for job_id in job_ids) + (" …" if held > len(job_ids) else "")
    state_words = "it gets no more jobs" if begun else "its turn did not come: it still gets jobs"
    what = "drain again with a later --deadline, or `streamsched cancel JOB`"
    complain(f"{node_id} still holds {held}:{named or ' nothing'}; {state_words}: {what}")


async def _held(partition: Partition, node_id: str) -> int:
    redis: Any = partition.redis
    return int(await partition.patiently(lambda: redis.scard(partition.keys("node_jobs", node_id))))
