"""The jobs that a node has in its hands."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ..contract.entries import position
from ..contract.errors import NodeSuperseded
from .reports import Reports
from .task import Assignment, Task

log = structlog.get_logger(__name__)

BEGUN_KEPT = 4096
"""Attempts that a node remembers to have begun, 1 MB: more than an inbox shows again, which holds ``LIMITS["window"]``
unread entries, and as many that were read and not trimmed yet."""


class Held:
    """The jobs of one node, from their assignment to the scheduler's answer to their end.

    Args:
        reports: reports them to the scheduler.
        concurrency: how many the node takes at the same time.
    """

    def __init__(self, reports: Reports, concurrency: int) -> None:
        self.reports, self.concurrency = reports, concurrency
        reports.room = lambda: self.room_to_say
        self.on_superseded: Callable[[], None] = lambda: None
        """Called once when another process has become this node."""
        self.registered_id = ""
        """The event by which this process became the node; empty behind an ingress, which does not learn it."""
        self.tasks: dict[str, Task] = {}
        """Jobs that were taken and have not ended, by id."""
        self._reported = 0  # of these, those whose start has been reported, or is being reported
        self._begun: dict[str, None] = {}  # attempts, the earliest first

    @property
    def room(self) -> int:
        """How many more jobs the node takes."""
        return self.concurrency - len(self.tasks)

    @property
    def room_to_say(self) -> int:
        """How many assignments the node would take beside the jobs whose start it has reported. The scheduler counts
        those that are on their way against it."""
        return 0 if self.reports.leaving else self.concurrency - self._reported

    @property
    def attempts(self) -> set[str]:
        """The attempts that are here."""
        return {task.assignment.attempt for task in self.tasks.values()} | self.reports.ending

    def is_earlier(self, attempt: str) -> bool:
        """Whether an attempt was given to an earlier process of this node, which may be running it still."""
        if not self.registered_id:
            return False
        return position(attempt.rpartition("-")[0]) < position(self.registered_id)

    def note_begun(self, attempt: str) -> None:
        """Remember that an attempt begins here."""
        self._begun[attempt] = None
        if len(self._begun) > BEGUN_KEPT:
            del self._begun[next(iter(self._begun))]

    def has_met(self, assignment: Assignment) -> bool:
        """Whether an assignment was read before, and its attempt has begun here, is to begin, or is being declined.

        After a failover an inbox may show again what was read. The scheduler may take such an attempt for one that is
        in progress: the report of its end may be under way, or lost with the end of the log.
        """
        attempt, task = assignment.attempt, self.tasks.get(assignment.job_id)
        if attempt in self._begun or attempt in self.reports.ending:
            return True
        return task is not None and task.assignment.attempt == attempt

    def take(self, assignment: Assignment) -> Task:
        """Take a job, in place of an earlier attempt of it."""
        if before := self.tasks.get(assignment.job_id):
            self.ended(before)
        task = self.tasks[assignment.job_id] = Task(assignment, self.reports, self.ended)
        return task

    def note_reported(self, task: Task) -> None:
        """The start of a task is being reported."""
        task.start_reported = True
        self._reported += self.tasks.get(task.job_id) is task

    def superseded(self, incarnation: str) -> None:
        """Another process is the node now: take no more jobs, and leave those that are here to it."""
        if self.reports.superseded_by:
            return
        self.reports.superseded_by, self.reports.leaving = incarnation, True
        log.error(
            "another process has registered under the id of this node: this one stops",
            node_id=self.reports.node_id,
            superseded_by=incarnation,
            running=len(self.tasks),
        )
        for task in list(self.tasks.values()):
            task.revoke(NodeSuperseded.code)
            self.ended(task)
        self.on_superseded()

    def ended(self, task: Task) -> None:
        """Make room for another job."""
        if self.tasks.get(task.job_id) is task:
            del self.tasks[task.job_id]
            self._reported -= task.start_reported
