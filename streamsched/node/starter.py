"""Starts jobs on a node and reports the starts."""

from __future__ import annotations

import asyncio

import anyio
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from redis.exceptions import RedisError

from ..contract.errors import AlreadyTerminal, NodeMismatch, SchedulerError, StaleAttempt, UnknownJob
from ..contract.events import JobStarted
from ..contract.wire import to_wire
from ..engine.replies import Answer
from .held import Held
from .reports import LEAVING
from .task import Assignment, Task

log = structlog.get_logger(__name__)

UNTOLD_S = 0.002
"""A job that is over sooner needs no event for its begin: its end says how long it ran."""

MARGIN_MS = 1000
"""An assignment that has less time left to be begun may be about to go elsewhere."""

MOVED_ON = (AlreadyTerminal, NodeMismatch, StaleAttempt, UnknownJob)
"""How the scheduler says that a job is here no more."""


class JobStarter:
    """Begins jobs as they arrive.

    A job begins at once, and its report is sent in parallel: waiting for the answer would cost every job a round
    trip. If the answer says that the node no longer holds the job, the job is stopped. Three kinds of job wait for the
    answer. A job read after a reconnect: a failover may deliver a job that is no longer this node's. A job read late:
    it may have moved to another node. A job that an earlier node did not finish: it may have crashed that node's
    process, so this attempt must be counted before it runs, or the job would crash one node after another.
    """

    def __init__(self, held: Held, begun: MemoryObjectSendStream[Task], beside: anyio.abc.TaskGroup) -> None:
        self._held, self._begun, self._beside = held, begun, beside
        self._caught_up = False

    def begin(self, taken: list[Task], last: bool) -> None:
        """Begin what came in one reading of the inbox, but for what is taken back further behind.

        Args:
            taken: the jobs.
            last: whether the inbox held no more.
        """
        now_ts = self._held.reports.scheduler.partition.now_ts()
        sure: list[Task] = []
        unsure: list[Task] = []
        for task in taken:
            if task.revoked is None:
                (sure if self._caught_up and _is_sure(task.assignment, now_ts) else unsure).append(task)
        for task in sure:
            self._hand_over(task)
        if sure:
            self._beside.start_soon(self._tell, sure)
        if unsure:
            self._beside.start_soon(self._begin_once_noted, unsure)
        self._caught_up = self._caught_up or last

    def reconnected(self) -> None:
        """The inbox is read over a new connection."""
        self._caught_up = False

    async def _tell(self, tasks: list[Task]) -> None:
        await anyio.sleep(UNTOLD_S)
        for task, answer in self._say_started([task for task in tasks if self._is_here(task)]):
            try:
                await answer
            except MOVED_ON as problem:
                if self._is_here(task):
                    log.info("begun in vain", job_id=task.assignment.job_id, problem=str(problem))
                    task.revoke(problem.code)
                    self._held.ended(task)
            except (SchedulerError, RedisError, OSError) as problem:  # its end will tell
                log.warning("start not reported", job_id=task.assignment.job_id, problem=str(problem))

    async def _begin_once_noted(self, tasks: list[Task]) -> None:
        for task, answer in self._say_started(tasks):
            try:
                await answer
            except (SchedulerError, RedisError, OSError) as problem:
                log.info("assignment dropped", job_id=task.assignment.job_id, problem=str(problem))
                self._held.ended(task)
                continue
            if task.revoked is not None:
                continue
            if self._held.reports.leaving:
                await task.hand_back(LEAVING, begun=False)
                continue
            self._hand_over(task)

    def _hand_over(self, task: Task) -> None:
        self._held.note_begun(task.assignment.attempt)
        self._begun.send_nowait(task)

    def _say_started(self, tasks: list[Task]) -> list[tuple[Task, asyncio.Future[Answer]]]:
        said: list[tuple[Task, asyncio.Future[Answer]]] = []
        for task in tasks:
            a = task.assignment
            self._held.note_reported(task)
            started = JobStarted(job_id=a.job_id, node_id=a.node_id, attempt=a.attempt, room=self._held.room_to_say)
            said.append((task, self._held.reports.scheduler.partition.append_soon(to_wire(started))))
        return said

    def _is_here(self, task: Task) -> bool:
        return task.revoked is None and self._held.tasks.get(task.assignment.job_id) is task


def _is_sure(assignment: Assignment, now_ts: float | None) -> bool:
    """Tell whether a job is certainly this node's, and safe to begin before the scheduler has noted it."""
    if assignment.retried or now_ts is None:
        return False
    return assignment.accept_by_ts is None or assignment.accept_by_ts - now_ts > MARGIN_MS
