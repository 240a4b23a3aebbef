"""Submits the demo's work on time, and keeps a journal of the replies."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import anyio
import msgspec

from ..client.requests import SubmitRequest
from ..client.scheduler import Scheduler
from ..contract.errors import SchedulerError
from ..workload.generator import Request
from .node import Work
from .report import Journal


class Producer:
    """One client process with many sessions: submits through ``Scheduler.submit``, awaits every ``job.result()``.

    Args:
        scheduler: where to submit.
        speed: how many times faster than the workload's own time; arrivals and work are both scaled.
    """

    def __init__(self, scheduler: Scheduler, speed: float) -> None:
        self.scheduler, self.speed = scheduler, speed
        self.journal = Journal()
        self.under_way = 0
        """Submissions that are not answered, and jobs whose result is awaited."""

    async def submit_all(self, requests: Iterable[Request], seconds: float) -> None:
        """Submit each request at its time for ``seconds``, and return once every job has an outcome.

        Cancel it to give up waiting; the journal stays.
        """
        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            for request in requests:
                due_s = request.at_ms / 1000 / self.speed
                if due_s >= seconds:
                    break
                await anyio.sleep_until(start + due_s)
                self.under_way += 1
                group.start_soon(self._submit, request)

    async def _submit(self, request: Request) -> None:
        work = Work(work_ms=math.ceil(request.work_ms / self.speed), failing_attempts=request.failing_attempts)
        started = time.perf_counter()
        try:
            job = await self.scheduler.submit(
                SubmitRequest(
                    session_id=request.session_id,
                    src_lang=request.src_lang,
                    tgt_lang=request.tgt_lang,
                    payload_json=msgspec.json.encode(work).decode(),
                )
            )
            self.journal.accepted[job.job_id] = (time.perf_counter() - started) * 1000
            self.journal.outcomes[job.job_id] = await job.result()
        except SchedulerError as problem:
            self.journal.refused[problem.code] = self.journal.refused.get(problem.code, 0) + 1
        finally:
            self.under_way -= 1
