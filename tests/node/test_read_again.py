"""An inbox that shows an assignment again, as after a failover: one process of a node begins an attempt once.

Found where a failover on a busy machine made a node carry out one of 723 attempts twice.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.client.scheduler import Scheduler
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node import Assignment
from streamsched.server.embedded import EmbeddedServer

from ..support.live import running, until
from .test_node import has_status, serving, work

pytestmark = pytest.mark.anyio


async def read_again(scheduler: Scheduler, job_id: str) -> None:
    """Put an assignment into the inbox once more, as a replica shows it that has lost what the node trimmed."""
    redis: Any = scheduler.partition.redis
    inbox = scheduler.partition.keys.inbox("n1")
    (fields,) = [fields for _, fields in await redis.xrange(inbox) if fields["job_id"] == job_id]
    await redis.xadd(inbox, fields)


async def test_an_assignment_that_is_read_again_while_its_job_runs_does_not_begin_again(
    server: EmbeddedServer, keys: Keys
) -> None:
    begun: list[str] = []
    goes_on = anyio.Event()

    async def handler(assignment: Assignment) -> None:
        begun.append(assignment.job_id)
        if assignment.job_id == "j0":
            await goes_on.wait()

    async with running(server, keys) as scheduler, serving(scheduler, handler, concurrency=3):
        job = await scheduler.submit(work(0, job_id="j0"))
        await until(partial(has_status, scheduler, "j0", "running"))
        await read_again(scheduler, "j0")
        await (await scheduler.submit(work(1, job_id="j1"))).result(20)  # was read behind it
        goes_on.set()
        assert (await job.result(20)).status is JobState.FINISHED
    assert begun == ["j0", "j1"]


async def test_an_assignment_that_is_read_again_while_its_end_is_reported_does_not_begin_again(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    under_way, arrives = anyio.Event(), anyio.Event()

    async def handler(assignment: Assignment) -> None:
        begun.append(assignment.job_id)

    async with (
        running(server, keys) as scheduler,
        Scheduler.connect(server.url, keys.namespace) as of_node,
        serving(of_node, handler, concurrency=3),
    ):
        insist = of_node.partition.insist

        async def late(event: Any, give_up: Any) -> Any:
            if event.job_id == "j0":
                under_way.set()
                await arrives.wait()
            return await insist(event, give_up)

        monkeypatch.setattr(of_node.partition, "insist", late)
        job = await scheduler.submit(work(0, job_id="j0"))
        await under_way.wait()
        await read_again(scheduler, "j0")
        await (await scheduler.submit(work(1, job_id="j1"))).result(20)
        arrives.set()
        assert (await job.result(20)).status is JobState.FINISHED
    assert begun == ["j0", "j1"]


async def test_a_job_whose_end_a_failover_has_lost_runs_again_under_another_attempt(
    server: EmbeddedServer, keys: Keys
) -> None:
    attempts: list[str] = []
    goes_on = anyio.Event()

    async def handler(assignment: Assignment) -> None:
        attempts.append(assignment.attempt)
        await goes_on.wait()

    async with running(server, keys) as scheduler, serving(scheduler, handler):
        job = await scheduler.submit(work(0, job_id="j0"))
        await until(partial(has_status, scheduler, "j0", "running"))
        raw: Any = Redis.from_url(server.url)
        before = {key: await raw.dump(key) async for key in raw.scan_iter(match=f"{keys.prefix}*")}
        goes_on.set()
        assert (await job.result(20)).status is JobState.FINISHED
        async with raw.pipeline(transaction=True) as pipe:  # the server falls back to what a replica had
            for key, value in before.items():
                pipe.restore(key, 0, value, replace=True)
            pipe.delete(*[key async for key in raw.scan_iter(match=f"{keys.prefix}*") if key not in before], "-")
            await pipe.execute()
        await read_again(scheduler, "j0")
        await raw.client_kill_filter(_type="normal", skipme=True)
        await until(partial(has_status, scheduler, "j0", "finished"))
        assert await raw.hget(keys.job("j0"), "attempts") == b"2"
        await raw.aclose()
    assert len(set(attempts)) == len(attempts) == 2
