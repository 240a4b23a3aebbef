"""What must hold a while after the last fault: a node that says that it accepts does take a job."""

from __future__ import annotations

from ...model.state import State
from .observations import require


def check_taken(partition: State) -> None:
    """No job may wait while a node of its pair is open. The workers have done all that there is to do now.

    Raises:
        Violation: one waits.
    """
    for job_id, job in partition.jobs.items():
        if job.status != "created" or job.timer or partition.pair_paused(job.pair):
            continue
        for name in partition.pools_of(job.pair):
            pool_is_open = f"pool {name}" not in partition.paused
            able = [node_id for node_id, node in partition.nodes.items() if name in node.pools and node.is_open]
            require(not (pool_is_open and able), f"{job_id} waits, and {able} of {name} say that they accept")
