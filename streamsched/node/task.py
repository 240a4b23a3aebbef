"""A job in the hands of a node: what it was given, and what it may say of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

import anyio
import msgspec
import structlog

from ..client.scheduler import Scheduler
from ..contract.errors import InvalidField, SchedulerError, ServerUnreachable
from ..contract.events import JobCompleted, JobProgressed, JobStatus
from ..contract.kinds import LIMITS

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
    """When it goes elsewhere if it has not been started, ms since the epoch."""
    deadline_ts: int | None = None
    """When nobody wants its result any more, ms since the epoch."""
    retried: bool = False
    """It has been to a node before, which did not carry it through."""
    traceparent: str | None = None


class Holder(Protocol):
    """The node that holds a job."""

    scheduler: Scheduler
    tasks: dict[str, Task]
    ending: set[str]
    leaving: bool

    def ended(self, job_id: str) -> None:
        """Make room for another job."""

    async def decline(self, job_id: str, attempt: str, reason: str) -> None:
        """Hand a job back."""


class Task:
    """A job this node has begun, in the hands of whoever carries it out."""

    def __init__(self, node: Holder, assignment: Assignment) -> None:
        self.assignment = assignment
        self.carrier: asyncio.Task[Any] | None = None
        """Who carries it out for :meth:`.node.Node.run`. It is cancelled as it is: a scope for each job would be a
        fifth of what a node spends on one."""
        self.revoked: str | None = None
        """Why the job was taken away, if it was."""
        self.told = False
        """Whether the scheduler has been told, or is being told, that it began."""
        self._node = node
        self._begun = time.monotonic()
        self._scope: anyio.CancelScope | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.assignment, name)

    @property
    def scope(self) -> anyio.CancelScope:
        """Cancelled when the job is taken away: cancelled, expired, or given to another node. For whoever iterates over
        a node, and works on the job within it."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
            if self.revoked is not None:
                self._scope.cancel()
        return self._scope

    def revoke(self, reason: str) -> None:
        """Take the job away from whoever carries it out."""
        again, self.revoked = self.revoked is not None, reason
        if self._scope is not None:
            self._scope.cancel()
        if self.carrier is not None and not again:
            self.carrier.cancel(reason)

    async def complete(self, result_json: str | None = None) -> None:
        """Report success. A job that has been taken away meanwhile stays with whoever has it now."""
        await self._end(JobStatus.FINISHED, result_json or None, None)

    async def fail(self, error: str) -> None:
        """Report failure; the job is tried again elsewhere while attempts are left."""
        text = error.encode(errors="backslashreplace").decode()[: LIMITS["text"] // 4]
        await self._end(JobStatus.FAILED, None, text or "failed")

    async def progress(self, progress_json: str | None = None) -> None:
        """Report that the job is getting on, which starts its time limit anew.

        Raises:
            StaleAttempt, AlreadyTerminal: the job has been taken away.
            InvalidField: ``progress_json`` is not JSON.
        """
        a = self.assignment
        await self._node.scheduler.append(
            JobProgressed(job_id=a.job_id, node_id=a.node_id, attempt=a.attempt, progress_json=progress_json)
        )

    async def hand_back(self, reason: str) -> None:
        """Give the job up unfinished, so that another node carries it out."""
        self._node.ended(self.assignment.job_id)
        await self._node.decline(self.assignment.job_id, self.assignment.attempt, reason)

    async def _end(self, status: JobStatus, result_json: str | None, error: str | None) -> None:
        a = self.assignment
        completed = JobCompleted(
            job_id=a.job_id,
            node_id=a.node_id,
            attempt=a.attempt,
            status=status,
            result_json=result_json,
            error=error,
            ran_ms=None if self.told else int((time.monotonic() - self._begun) * 1000),
        )
        # the slot is free before the scheduler hears of it: it may fill it again in the very call that tells it
        self._node.ended(a.job_id)
        self._node.ending.add(a.attempt)
        try:
            # as long as nobody has heard it the job is held here, and nothing else would ever end it
            await self._node.scheduler.partition.insist(completed, lambda: self._node.leaving)
        except SchedulerError as problem:
            if isinstance(problem, ServerUnreachable):
                raise
            log.warning("completion refused", job_id=a.job_id, attempt=a.attempt, code=problem.code, why=problem.detail)
            if isinstance(problem, InvalidField) and status is JobStatus.FINISHED:  # too large, say
                await self._end(JobStatus.FAILED, None, f"its result was refused: {problem.detail}")
        finally:
            self._node.ending.discard(a.attempt)
