"""``streamsched submit``: one job, and its result if somebody waits for it."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from ...client.requests import SubmitRequest
from ...client.results import JobResult, JobState
from ...client.scheduler import Scheduler
from ...console.terminal import OK, REFUSED, UsageProblem, complain, say
from ...console.terminal import as_json as print_json


def payload_of(given: str) -> str:
    """Return the payload: the text given, or for ``-`` what stands on stdin, without the newline at its end.

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
    """Turn times from now on into times of the server's clock, which is the one that counts."""
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
    """Submit, wait if asked to, and print; returns the exit code.

    Raises:
        SchedulerError: the job was refused, or the time was over before it ended.
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
        complain(f"job {result.job_id} {result.status}{by}: {result.error or 'no reason was given'}")
