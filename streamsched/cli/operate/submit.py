"""``streamsched submit``: submit one job, and optionally wait for its result."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import msgspec
import typer

from ...client.requests import SubmitRequest
from ...client.results import JobResult
from ...client.scheduler import Scheduler
from ...console.terminal import OK, REFUSED, UsageProblem, as_json, complain, say
from ...console.terminal import as_json as print_json
from ...contract.jobs import JobState
from .. import completion
from ..options import Json, Source, Target, command


@command("streamsched submit --session s1 --src en --tgt zh --wait 'hello'")
async def submit(
    target: Target,
    session: Annotated[
        str, typer.Option(help="The conversation the job belongs to.", autocompletion=completion.sessions)
    ],
    src: Annotated[str, typer.Option(help="Language to translate from.", autocompletion=completion.languages)],
    tgt: Annotated[str, typer.Option(help="Language to translate to.", autocompletion=completion.languages)],
    payload: Annotated[
        str, typer.Argument(metavar="PAYLOAD|-", help="What the node gets; - (default) reads stdin.")
    ] = "-",
    job_id: Annotated[str | None, typer.Option(help="Idempotency key. [default: generated]")] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100, higher first. [default: 0]")] = None,
    deadline_ms: Annotated[
        int | None, typer.Option(min=1, help="From now; a job that has not ended by then expires.")
    ] = None,
    not_before_ms: Annotated[int | None, typer.Option(min=1, help="From now; the job waits until then.")] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Attempts before it fails. [default: configured, 3]")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and print it.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait; implies --wait. [default: for ever]")
    ] = None,
    source: Source = None,
    json: Json = False,
) -> int:
    """Submit a job. Prints its id, or with --wait its result. Exit code 1 if the job was refused or did not finish. A
    trace in TRACEPARENT is passed on with the job."""
    request = SubmitRequest(
        session_id=session,
        src_lang=src,
        tgt_lang=tgt,
        payload_json=payload_of(payload),
        job_id=job_id,
        priority=priority,
        max_attempts=max_attempts,
        traceparent=os.environ.get("TRACEPARENT") or None,
    )
    async with target.scheduler(source=source) as scheduler:
        request = await timed(scheduler, request, deadline_ms, not_before_ms)
        return await hand_in(scheduler, request, wait or timeout is not None, timeout, json)


@command("streamsched cancel s1:4711 --reason 'user left'")
async def cancel(
    target: Target,
    job_id: Annotated[str, typer.Argument(autocompletion=completion.jobs)],
    reason: Annotated[str | None, typer.Option(help="Kept with the job.")] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Cancel a job. A waiting job ends at once; a running job is stopped on its node."""
    async with target.scheduler(source=source) as scheduler:
        await scheduler.cancel(job_id, reason)
    if json:
        as_json({"job_id": job_id, "cancelled": True})
    else:
        say(f"{job_id} cancelled")


def payload_of(given: str) -> str:
    """Return the payload: the given text, or for ``-`` stdin without its final newline.

    Raises:
        UsageProblem: stdin is not UTF-8.
    """
    if given != "-":
        return given
    if sys.stdin.isatty():
        complain("reading the payload from the terminal; end it with Ctrl-D")
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as problem:
        raise UsageProblem(f"the payload on stdin is not UTF-8 ({problem}): encode it as UTF-8") from None


async def timed(
    scheduler: Scheduler, request: SubmitRequest, deadline_ms: int | None, not_before_ms: int | None
) -> SubmitRequest:
    """Convert times from now into times of the server's clock, which the scheduler uses."""
    if deadline_ms is None and not_before_ms is None:
        return request
    time: Any = await scheduler.partition.patiently(scheduler.partition.redis.time)
    now = time[0] * 1000 + time[1] // 1000
    return msgspec.structs.replace(
        request,
        deadline_ts=None if deadline_ms is None else now + deadline_ms,
        not_before_ts=None if not_before_ms is None else now + not_before_ms,
    )


async def hand_in(
    scheduler: Scheduler, request: SubmitRequest, wait: bool, timeout_s: float | None, as_json: bool
) -> int:
    """Submit, optionally wait, and print; returns the exit code.

    Raises:
        SchedulerError: the job was refused, or it did not end in time.
    """
    job = await scheduler.submit(request, reply=wait)
    if not wait:
        if as_json:
            print_json({"job_id": job.job_id})
        else:
            say(job.job_id)
        return OK
    result = await job.result(timeout_s)
    if as_json:
        print_json(result._asdict())
    else:
        _print(result)
    return OK if result.status is JobState.FINISHED else REFUSED


def _print(result: JobResult) -> None:
    if result.status is JobState.FINISHED:
        say(result.result_json)
    else:
        by = f" on {result.node_id}" if result.node_id else ""
        complain(f"job {result.job_id} {result.status}{by}: {result.error or 'no reason given'}")
