"""The reports of a node about its jobs."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from ..client.scheduler import Scheduler
from ..contract.config import FULL
from ..contract.errors import SchedulerError
from ..contract.events import JobDeclined

log = structlog.get_logger(__name__)

LEAVING = "node leaving"
"""Why a node that stops gives its jobs back."""


class Reports:
    """The reports of one node, each repeated until the scheduler has judged it.

    Args:
        scheduler: the connection of the node.
        node_id: its name.
    """

    def __init__(self, scheduler: Scheduler, node_id: str) -> None:
        self.scheduler, self.node_id = scheduler, node_id
        self.room: Callable[[], int | None] = lambda: None
        """How many assignments the node would take, as each report about a job says; ``None`` says nothing."""
        self.ending: set[str] = set()
        """Attempts whose end is on its way to the scheduler."""
        self.leaving = False
        """Whether the node is to end: then a report that cannot be sent is given up."""
        self.superseded_by = ""
        """The incarnation of a later process under the same id: nothing more may be said for the node."""

    async def decline(self, job_id: str, attempt: str, reason: str, begun: bool = False) -> None:
        """Give an assignment back. If it has moved on, nothing happens; if the report does not arrive before the node
        has left, its timeouts find out. One that may have ``begun`` counts as an attempt.
        """
        declined = JobDeclined(
            job_id=job_id,
            node_id=self.node_id,
            attempt=attempt or None,
            reason=reason,
            begun=begun or None,
            room=None if reason == FULL else self.room(),  # an arbiter has its own idea of room
        )
        self.ending.add(attempt)
        try:
            await self.scheduler.partition.insist(declined, lambda: self.leaving)
        except (SchedulerError, RedisError, OSError) as problem:
            log.info("a job was not given back", job_id=job_id, attempt=attempt, problem=str(problem))
        finally:
            self.ending.discard(attempt)
