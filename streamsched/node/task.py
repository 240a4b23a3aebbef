"""A job on a node: its assignment, and the node's reports about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import structlog
from redis.exceptions import RedisError

from ..contract.errors import InvalidField, SchedulerError
from ..contract.events import JobCompleted, JobProgressed, JobStatus
from ..contract.kinds import LIMITS
from .reports import Reports

log = structlog.get_logger(__name__)


class Assignment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job as the scheduler hands it to a node."""

    job_id: str
    node_id: str
    attempt: str
    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    attempts: int
    """1 at the first attempt."""
    accept_by_ts: int | None = None
    """When it goes to another node if it has not been started, ms since the epoch."""
    deadline_ts: int | None = None
    """The job expires if it has not ended by then, ms since the epoch."""
    retried: bool = False
    """It has been to a node before, which did not carry it through."""
    traceparent: str | None = None


class Task:
    """A job that this node runs."""

    def __init__(self, assignment: Assignment, reports: Reports, ended: Callable[[Task], None]) -> None:
        self.assignment = assignment
        self.carrier: asyncio.Task[Any] | None = None
        """The task that :meth:`.node.Node.run` runs it in. It is cancelled as it is: a cancel scope for each job would
        be a fifth of what a node spends on one."""
        self.revoked: str | None = None
        """Why the job was taken away, if it was."""
        self.start_reported = False
        """Whether the start has been reported, or is being reported."""
        self._reports, self._ended = reports, ended
        self._begun = time.monotonic()
        self._scope: anyio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Task {self.job_id} attempt {self.assignment.attempts} on {self.assignment.node_id}>"

    @property
    def job_id(self) -> str:
        """The job."""
        return self.assignment.job_id

    @property
    def session_id(self) -> str:
        """The conversation that it belongs to."""
        return self.assignment.session_id

    @property
    def src_lang(self) -> str:
        """The language to translate from."""
        return self.assignment.src_lang

    @property
    def tgt_lang(self) -> str:
        """The language to translate to."""
        return self.assignment.tgt_lang

    @property
    def payload_json(self) -> str:
        """What its submitter sent."""
        return self.assignment.payload_json

    @property
    def attempts(self) -> int:
        """1 at the first attempt."""
        return self.assignment.attempts

    @property
    def scope(self) -> anyio.CancelScope:
        """Cancelled when the job is taken away: cancelled, expired, or given to another node. For code that iterates
        over a node, and works on the job within it."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
            if self.revoked is not None:
                self._scope.cancel()
        return self._scope

    def revoke(self, reason: str) -> None:
        """Take the job away from the code that runs it."""
        again, self.revoked = self.revoked is not None, reason
        if self._scope is not None:
            self._scope.cancel()
        if self.carrier is not None and not again:
            self.carrier.cancel(reason)

    async def complete(self, result_json: str | None = None) -> None:
        """Report success. A job that was taken away meanwhile stays with its present holder."""
        await self._end(JobStatus.FINISHED, result_json or None, None)

    async def fail(self, error: str) -> None:
        """Report failure; the job is tried again elsewhere while attempts are left."""
        text = error.encode(errors="backslashreplace").decode()[: LIMITS["text"] // 4]
        await self._end(JobStatus.FAILED, None, text or "failed")

    async def progress(self, progress_json: str | None = None) -> None:
        """Report progress, which restarts the job's time limit.

        Raises:
            StaleAttempt, AlreadyTerminal: the job has been taken away.
            InvalidField: ``progress_json`` is not JSON.
        """
        a = self.assignment
        await self._reports.scheduler.append(
            JobProgressed(job_id=a.job_id, node_id=a.node_id, attempt=a.attempt, progress_json=progress_json)
        )

    async def hand_back(self, reason: str, begun: bool = True) -> None:
        """Give the job up unfinished, so that another node runs it. If it has ``begun``, it counts as an attempt."""
        self._ended(self)
        await self._reports.decline(self.assignment.job_id, self.assignment.attempt, reason, begun)

    async def _end(self, status: JobStatus, result_json: str | None, error: str | None) -> None:
        # free the slot before the report: the scheduler may fill it again in the same call
        self._ended(self)
        a = self.assignment
        completed = JobCompleted(
            job_id=a.job_id,
            node_id=a.node_id,
            attempt=a.attempt,
            status=status,
            result_json=result_json,
            error=error,
            room=self._reports.room(),
            ran_ms=None if self.start_reported else int((time.monotonic() - self._begun) * 1000),
        )
        self._reports.ending.add(a.attempt)
        try:
            # until the scheduler has heard it, it believes the job to be here, and nothing else would ever end it
            await self._reports.scheduler.partition.insist(completed, lambda: self._reports.leaving)
        except (SchedulerError, RedisError, OSError) as problem:
            log.warning("a completion was not taken", job_id=a.job_id, attempt=a.attempt, problem=str(problem))
            if isinstance(problem, InvalidField) and status is JobStatus.FINISHED:  # too large, say
                await self._end(JobStatus.FAILED, None, f"its result was refused: {problem.detail}")
        finally:
            self._reports.ending.discard(a.attempt)
