"""The jobs that a node has in its hands."""

from __future__ import annotations

from .reports import Reports
from .task import Assignment, Task


class Held:
    """The jobs of one node, from their assignment to the scheduler's answer to their end.

    Args:
        reports: reports them to the scheduler.
        concurrency: how many the node takes at the same time.
    """

    def __init__(self, reports: Reports, concurrency: int) -> None:
        self.reports, self.concurrency = reports, concurrency
        self.tasks: dict[str, Task] = {}
        """Jobs that were taken and have not ended, by id."""

    @property
    def room(self) -> int:
        """How many more jobs the node takes."""
        return self.concurrency - len(self.tasks)

    @property
    def attempts(self) -> set[str]:
        """The attempts that are here."""
        return {task.assignment.attempt for task in self.tasks.values()} | self.reports.ending

    def take(self, assignment: Assignment) -> Task:
        """Take a job."""
        task = self.tasks[assignment.job_id] = Task(assignment, self.reports, self.ended)
        return task

    def ended(self, task: Task) -> None:
        """Make room for another job."""
        if self.tasks.get(task.job_id) is task:
            del self.tasks[task.job_id]
