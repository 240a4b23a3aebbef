"""``streamsched carry``: repeat the submission of a waiting job behind the tail of the log."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ...console.remedies import with_remedy
from ...console.terminal import OK, REFUSED, as_json, complain, say
from ...contract.errors import SchedulerError
from ...contract.events import JobSubmitted
from ...contract.jobs import ENDED
from ...contract.wire import field_kinds
from ...engine.partition import Partition
from .. import completion
from ..options import Json, Target, command
from .operator_events import flat

Jobs = Annotated[
    list[str], typer.Argument(metavar="JOB...", help="Ids of jobs that have not ended.", autocompletion=completion.jobs)
]


@command("streamsched carry s1:4711")
async def carry(target: Target, jobs: Jobs, json: Json = False) -> int:
    """Let jobs wait without keeping the log from being trimmed. The submission of each is appended again, whole; the
    job keeps its place, its time and its attempts. Exit code 1 if one was refused."""

    code = OK
    async with target.speak(None) as partition:
        for job_id in jobs:
            try:
                event_id = await _carry(partition, job_id)
            except SchedulerError as problem:
                complain(f"{job_id}: {with_remedy(problem.code, problem.detail)}")
                code = REFUSED
                continue
            if not event_id:
                complain(f"{job_id}: no such job, or it has ended: it keeps no log")
                code = REFUSED
            elif json:
                as_json({"job_id": job_id, "id": event_id})
            else:
                say(f"{job_id} carried to {event_id}")
    return code


async def _carry(partition: Partition, job_id: str) -> str:
    """Append a job's submission once more; returns the event's id, empty if there is nothing to carry.

    Raises:
        SchedulerError: it was refused.
    """
    redis: Any = partition.redis
    names = [name.rstrip("?") for name in field_kinds(JobSubmitted) if name.rstrip("?") not in OF_THE_APPEND]
    values = await partition.patiently(lambda: redis.hmget(partition.keys.job(job_id), "submit_id", "status", *names))
    submit_id, status, *found = values
    if submit_id is None or status in ENDED:
        return ""
    told = {name: value for name, value in zip(names, found, strict=True) if value is not None}
    fields = {"job_id": job_id, **told, "carries": submit_id}
    return str((await partition.append_soon(flat("job.submitted", fields, None))).event_id)


OF_THE_APPEND = ("job_id", "request_id", "carries")
"""Fields of a submission that the hash of its job does not hold."""
