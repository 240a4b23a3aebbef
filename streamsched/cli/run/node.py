"""``streamsched node``: a node that runs a program for each job."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import anyio
import anyio.abc
import structlog
import typer

from ...client.scheduler import Scheduler
from ...console.stop_signals import stop_signals
from ...console.terminal import INTERRUPTED, OK, UsageProblem
from ...node.node import Node
from ...node.program import Program
from ...ops import logs
from .. import completion
from ..options import SERVICE_PATIENCE_S, LogFormat, Source, Target, command

log = structlog.get_logger(__name__)

MERCY_S = 10.0
"""Time after the grace period to hand back jobs; then the node exits without a farewell."""


@command("streamsched node n1 --pools en-zh,en-ja --exec './translate --fast' --concurrency 4")
async def node(
    target: Target,
    node_id: Annotated[
        str,
        typer.Argument(help="Name of the node, the same after a restart.", autocompletion=completion.nodes),
    ],
    exec_: Annotated[str, typer.Option("--exec", metavar="CMD", help="Program to run for each job, without a shell.")],
    pools: Annotated[str | None, typer.Option(help="Pools, by languages: en-zh,en-ja.")] = None,
    pools_json: Annotated[
        str | None, typer.Option(help='The same as JSON, for codes with hyphens: [{"name": …, "languages": […]}].')
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs at the same time.")] = 1,
    heartbeat_ms: Annotated[int, typer.Option(min=10, help="Time between two heartbeats.")] = 5000,
    grace_ms: Annotated[int, typer.Option(min=0, help="How long running jobs may continue after SIGTERM.")] = 30_000,
    cap_json: Annotated[str, typer.Option(help="Capabilities of the node, as JSON.")] = "{}",
    source: Source = None,
    log_format: LogFormat = None,
) -> int:
    """Run jobs with a program of your own. Payload on stdin, result from stdout; any exit code but 0 fails the attempt
    with the end of stderr. The environment holds STREAMSCHED_JOB_ID, _SRC_LANG, _TGT_LANG, _SESSION_ID and _ATTEMPT.

    A job that is cancelled ends its program. On SIGTERM or Ctrl-C, running jobs finish and the rest is handed back; a
    second signal hands back all."""
    logs.configure(log_format)
    listed, program = pools_of(pools, pools_json), program_of(exec_)
    async with target.scheduler(SERVICE_PATIENCE_S, source) as scheduler:
        one = Node(
            scheduler,
            node_id,
            pools=listed,
            cap_json=cap_json,
            concurrency=concurrency,
            heartbeat_ms=heartbeat_ms,
            grace_ms=grace_ms,
        )
        return await serve(scheduler, one, program, grace_ms / 1000)


def pools_of(names: str | None, listed: str | None) -> list[str | dict[str, Any]]:
    """Read the pools from ``--pools`` and ``--pools-json``.

    Raises:
        UsageProblem: neither is given, or the JSON is not a list of objects.
    """
    pools: list[str | dict[str, Any]] = [name.strip() for name in (names or "").split(",") if name.strip()]
    if listed is not None:
        try:
            entries = json.loads(listed)
        except ValueError as problem:
            raise UsageProblem(f"--pools-json is not JSON: {problem}") from None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UsageProblem('--pools-json is not a list of objects: give [{"name": "zh-Hant-en", "languages": […]}]')
        pools += entries
    if not pools:
        raise UsageProblem("no pools: give --pools en-zh,en-ja, or --pools-json for codes with hyphens")
    return pools


def program_of(command: str) -> Program:
    """Read the program from ``--exec``.

    Raises:
        UsageProblem: it is empty, badly quoted, or names a program that does not exist.
    """
    try:
        return Program(command)
    except ValueError as problem:
        raise UsageProblem(f"--exec: {problem}") from None


async def serve(scheduler: Scheduler, node: Node, program: Program, grace_s: float) -> int:
    """Run jobs until SIGTERM or Ctrl-C; then finish the running jobs and hand back the rest. A second signal stops the
    running jobs and hands them back as well. Returns the exit code.

    Raises:
        InvalidField: a pool or ``cap_json`` is malformed.
        ServerUnreachable: the server did not answer at the start; a later outage is waited out.
    """
    async with anyio.create_task_group() as beside:
        with anyio.CancelScope() as working:
            await beside.start(_obey_signals, node, working, grace_s)
            async with node:
                scheduler.partition.patience_s = math.inf  # from now on, wait out any outage
                log.info("node ready", node_id=node.node_id, concurrency=node.concurrency)
                await node.run(program.run)
                scheduler.partition.patience_s = MERCY_S
        log.info("node stopped", node_id=node.node_id)
        beside.cancel_scope.cancel()
    return INTERRUPTED if working.cancelled_caught else OK


async def _obey_signals(
    node: Node, working: anyio.CancelScope, grace_s: float, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with stop_signals() as signals:
        task_status.started()
        stopping = False
        async for number in signals:
            if stopping:
                log.warning("ending at once", node_id=node.node_id, running=len(node.tasks))
                working.cancel()
                return
            stopping = True
            log.info("stopping", node_id=node.node_id, signal=number.name, running=len(node.tasks))
            working.deadline = anyio.current_time() + grace_s + MERCY_S
            node.stop()
