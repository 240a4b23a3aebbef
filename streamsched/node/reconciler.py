"""Compares what a node has with what the scheduler believes it to have, after anything that may have lost a report."""

from __future__ import annotations

import anyio.abc
import structlog
from redis.exceptions import RedisError

from ..connect.client import connections_made
from ..contract.errors import SchedulerError
from .held import Held

log = structlog.get_logger(__name__)

LOST = "lost"
"""Why a job is given back that the scheduler believes to be here, and that is not."""


class Reconciler:
    """Gives back what the scheduler believes this node to hold, and it does not.

    A failover or a crash of the server may have lost what the node said of a job, such as its end: no one would say it
    again. So the node asks after each new connection. What it was running then it asks for once more when that has
    ended: the end may still have gone to a primary that was being replaced.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._running: set[str] = set()  # attempts that were here when the scheduler was last asked
        self._made = 0  # connections at that time
        self.doubtful: dict[str, str] = {}
        """Jobs, with their attempts, that the scheduler believes to be here. They are lost if the inbox, read to its
        end since, did not hold them."""

    @property
    def _connections(self) -> int:
        return connections_made(self._held.reports.scheduler.partition.redis)

    async def read(self, reconnected: bool, all_read: bool, group: anyio.abc.TaskGroup) -> None:
        """The inbox was read.

        Args:
            reconnected: whether over a new connection.
            all_read: whether it held no more.
            group: runs what need not be waited for.
        """
        # the two connections of a node may meet different servers during a failover: a change of either may mean a loss
        changed = reconnected or self._connections != self._made
        if changed or (self._running and not self._running & self._held.attempts):
            await self._ask(changed)
        elif self.doubtful and all_read:
            group.start_soon(self.give_back, self.doubtful, LOST)
            self.doubtful = {}

    async def _ask(self, changed: bool) -> None:
        here = self._held.attempts
        self._made = self._connections
        try:
            believed = await self.believed()
        except (SchedulerError, RedisError, OSError) as problem:
            log.warning("what this node holds is not known", node_id=self._held.reports.node_id, problem=str(problem))
            return
        here |= self._held.attempts
        self._running = here if changed else set()
        self.doubtful = {job_id: attempt for job_id, attempt in believed.items() if attempt not in here}

    async def believed(self) -> dict[str, str]:
        """Return the jobs that the scheduler believes to be here, and their attempts.

        Raises:
            SchedulerError, RedisError: the state could not be read whole within the patience of the partition.
        """
        partition, node_id = self._held.reports.scheduler.partition, self._held.reports.node_id
        keys, tasks = partition.keys, self._held.tasks
        (named,) = await partition.read_state(lambda pipe: pipe.smembers(keys("node_jobs", node_id)))
        if partition.source is not None:  # it may not read jobs: any attempt of a missing job counts
            return {name: tasks[name].assignment.attempt if name in tasks else "" for name in named}
        job_ids = sorted(named)
        if not job_ids:
            return {}
        rows = await partition.read_state(
            *(
                (lambda pipe, job_id=job_id: pipe.hmget(keys.job(job_id), ("node_id", "attempt", "deliver")))
                for job_id in job_ids
            )
        )
        return {
            job_id: attempt
            for job_id, (holder, attempt, deliver) in zip(job_ids, rows, strict=True)
            if holder == node_id and attempt and deliver != "false"  # it may have moved on since it was named
        }

    async def give_back(self, jobs: dict[str, str], reason: str) -> None:
        """Give jobs back, so that other nodes have them at once. Each may have begun in an earlier life of this node,
        or in this one before the server lost its end."""
        for job_id, attempt in jobs.items():
            log.info("given back", job_id=job_id, attempt=attempt, reason=reason)
            await self._held.reports.decline(job_id, attempt, reason, begun=True)
