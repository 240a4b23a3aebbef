"""The executing side, against real servers with a worker beside it."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import InvalidField
from streamsched.contract.events import (
    JobStarted,
    NodeCordoned,
    NodeDrained,
    NodeHeartbeat,
    NodeRegistered,
    SchedulerConfigured,
)
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node import Assignment, Handler, Node
from streamsched.server.embedded import EmbeddedServer

from ..support.live import facts, running, until
from ..support.servers.aof import SYNCED

pytestmark = pytest.mark.anyio


def work(n: int = 0, **more: Any) -> SubmitRequest:
    fields = {"session_id": f"s{n}", "src_lang": "en", "tgt_lang": "zh", "payload_json": "{}"} | more
    return SubmitRequest(**fields)


@asynccontextmanager
async def serving(scheduler: Scheduler, handler: Handler, node_id: str = "n1", **more: Any) -> AsyncIterator[Node]:
    """A node that carries out jobs while the block lasts."""
    node = Node(scheduler, node_id, pools=["en-zh"], heartbeat_ms=100, **more)
    async with node, anyio.create_task_group() as group:
        group.start_soon(node.run, handler)
        yield node
        node.stop()


async def status_of(scheduler: Scheduler, job_id: str) -> str:
    return str(await scheduler.partition.redis.hget(scheduler.partition.keys.job(job_id), "status"))


async def has_status(scheduler: Scheduler, job_id: str, status: str) -> bool:
    return await status_of(scheduler, job_id) == status


async def test_a_node_never_runs_more_jobs_than_its_concurrency(server: EmbeddedServer, keys: Keys) -> None:
    at_once, most = 0, 0

    async def handler(assignment: Assignment) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await anyio.sleep(0.005)
        at_once -= 1

    async with running(server, keys) as scheduler, serving(scheduler, handler, concurrency=3):
        jobs = [await scheduler.submit(work(n)) for n in range(40)]
        results = [await job.result(timeout=30) for job in jobs]
        assert {result.status for result in results} == {JobState.FINISHED}
        assert most == 3


async def test_a_plain_function_runs_in_a_thread_while_the_heart_goes_on(server: EmbeddedServer, keys: Keys) -> None:
    def handler(assignment: Assignment) -> dict[str, int]:
        time.sleep(1.0)  # blocks its thread, as a call into a model does
        return {"answer": 42}

    async with running(server, keys) as scheduler, serving(scheduler, handler):
        await scheduler.append(SchedulerConfigured(heartbeat_timeout_ms=500))
        result = await (await scheduler.submit(work())).result(timeout=20)
        assert (result.status, result.result_json) == (JobState.FINISHED, '{"answer":42}')
        assert await scheduler.partition.redis.hget(keys("counters"), "expired_nodes") is None


async def test_an_exception_fails_the_attempt_and_the_job_is_tried_again(server: EmbeddedServer, keys: Keys) -> None:
    tries: list[int] = []

    async def handler(assignment: Assignment) -> str:
        tries.append(assignment.attempts)
        if len(tries) == 1:
            raise RuntimeError("out of luck")
        return '"ok"'

    async with running(server, keys) as scheduler, serving(scheduler, handler):
        await scheduler.append(SchedulerConfigured(retry_backoff_ms=10))
        result = await (await scheduler.submit(work())).result(timeout=20)
        assert (result.status, tries) == (JobState.FINISHED, [1, 2])
        tries.clear()
        once = await (await scheduler.submit(work(max_attempts=1))).result(timeout=20)
        assert (once.status, once.error) == (JobState.FAILED, "RuntimeError: out of luck")


async def test_an_arbiter_declines_with_its_reason(server: EmbeddedServer, keys: Keys) -> None:
    async def handler(assignment: Assignment) -> None:
        return None

    def only_short(assignment: Assignment) -> bool | str:
        return len(assignment.payload_json) < 10 or "too long for this card"

    async with running(server, keys) as scheduler, serving(scheduler, handler, "small", arbiter=only_short):
        job = await scheduler.submit(work(payload_json="x" * 20))
        async with serving(scheduler, handler, "large"):
            assert (await job.result(timeout=20)).node_id == "large"
        reasons = {fact["reason"] for fact in await facts(scheduler) if fact["type"] == "job.declined"}
        assert reasons == {"too long for this card"}


async def test_a_cancelled_job_is_stopped_in_its_handler(server: EmbeddedServer, keys: Keys) -> None:
    started, stopped = anyio.Event(), anyio.Event()

    async def handler(assignment: Assignment) -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async with running(server, keys) as scheduler, serving(scheduler, handler) as node:
        job = await scheduler.submit(work())
        with anyio.fail_after(20):
            await started.wait()
            await scheduler.cancel(job.job_id)
            await stopped.wait()
        assert (await job.result(timeout=20)).status == JobState.CANCELLED
        assert node.tasks == {}


async def test_a_stopping_node_finishes_what_runs_and_hands_back_the_rest(server: EmbeddedServer, keys: Keys) -> None:
    started, go_on = anyio.Event(), anyio.Event()

    async def slow(assignment: Assignment) -> str:
        started.set()
        await go_on.wait()
        return '"first"'

    async def quick(assignment: Assignment) -> str:
        return '"second"'

    async with running(server, keys) as scheduler:
        async with serving(scheduler, slow, "first") as node:
            running_job = await scheduler.submit(work(1))
            with anyio.fail_after(20):
                await started.wait()
            node.stop()
            waiting_job = await scheduler.submit(work(2))
            async with serving(scheduler, quick, "second"):
                assert (await waiting_job.result(timeout=20)).node_id == "second"
                go_on.set()
                assert (await running_job.result(timeout=20)).result_json == '"first"'
        assert await scheduler.partition.redis.hget(keys.node_info("first"), "online") == "false"


async def test_what_outlasts_the_grace_period_goes_to_another_node(server: EmbeddedServer, keys: Keys) -> None:
    started = anyio.Event()

    async def stuck(assignment: Assignment) -> None:
        started.set()
        await anyio.sleep_forever()

    async def quick(assignment: Assignment) -> None:
        return None

    async with running(server, keys) as scheduler:
        async with serving(scheduler, stuck, "first", grace_ms=100):
            job = await scheduler.submit(work())
            with anyio.fail_after(20):
                await started.wait()
        async with serving(scheduler, quick, "second"):
            assert (await job.result(timeout=20)).node_id == "second"


async def test_a_node_works_on_after_a_restart_of_the_server(keys: Keys) -> None:
    async def handler(assignment: Assignment) -> None:
        return None

    with EmbeddedServer(append_only=True, options=SYNCED) as server:
        async with running(server, keys) as scheduler, serving(scheduler, handler):
            assert (await (await scheduler.submit(work(1))).result(20)).status == JobState.FINISHED
            server.kill()
            server.start()
            assert (await (await scheduler.submit(work(2))).result(30)).status == JobState.FINISHED


async def test_a_node_forgotten_by_a_wiped_server_registers_again(keys: Keys) -> None:
    async def handler(assignment: Assignment) -> None:
        return None

    with EmbeddedServer() as server:  # keeps nothing: the restart is a wipe
        async with running(server, keys) as scheduler, serving(scheduler, handler):
            server.kill()
            server.start()

            async def known() -> bool:
                read = partial(scheduler.partition.redis.hget, keys.node_info("n1"), "online")
                return bool(await scheduler.partition.patiently(read) == "true")

            await until(known)
            assert (await (await scheduler.submit(work(2))).result(30)).status == JobState.FINISHED


async def test_a_restarted_node_gives_back_what_it_held_before(server: EmbeddedServer, keys: Keys) -> None:
    async def handler(assignment: Assignment) -> str:
        return f'"attempt {assignment.attempts}"'

    async with running(server, keys) as scheduler:
        # its first life: a process that started a job and then died silently
        await scheduler.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]'))
        await scheduler.append(NodeHeartbeat(node_id="n1", online=True))
        job = await scheduler.submit(work())
        attempt = await scheduler.partition.redis.hget(keys.job(job.job_id), "attempt")
        await scheduler.append(JobStarted(job_id=job.job_id, node_id="n1", attempt=str(attempt)))
        assert await status_of(scheduler, job.job_id) == "running"
        async with serving(scheduler, handler):
            assert (await job.result(timeout=20)).result_json == '"attempt 2"'


async def test_a_node_that_beats_but_does_not_take_its_work_loses_it(server: EmbeddedServer, keys: Keys) -> None:
    ran: list[str] = []

    async def handler(assignment: Assignment) -> None:
        ran.append(assignment.node_id)

    async with running(server, keys) as scheduler, serving(scheduler, handler, "deaf") as deaf:
        await scheduler.append(SchedulerConfigured(accept_timeout_ms=300))
        deaf.pause_inbox()
        job = await scheduler.submit(work())
        async with serving(scheduler, handler, "sound"):
            assert (await job.result(timeout=20)).node_id == "sound"
            deaf.resume_inbox()
            # what it finds in its inbox now has long moved on, and is not carried out a second time
            assert (await (await scheduler.submit(work(2))).result(timeout=20)).status == JobState.FINISHED
        assert ran.count("deaf") + ran.count("sound") == 2
        assert "accept timeout" in {fact.get("cause") for fact in await facts(scheduler)}


async def test_iterating_over_a_node_gives_jobs_that_the_scheduler_soon_knows_to_run(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with running(server, keys) as scheduler, Node(scheduler, "n1", pools=["en-zh"], concurrency=2) as node:
        jobs = [await scheduler.submit(work(n)) for n in range(4)]
        seen = 0
        with anyio.fail_after(20):
            async for task in node:
                await until(partial(has_status, scheduler, task.job_id, "running"))
                await task.progress('{"done":0.5}')
                await task.complete(f'"{task.payload_json}"')
                seen += 1
                if seen == len(jobs):
                    break
        assert [(await job.result(timeout=20)).result_json for job in jobs] == ['"{}"'] * 4


async def test_a_job_that_is_over_at_once_needs_no_event_for_its_begin(server: EmbeddedServer, keys: Keys) -> None:
    async def handler(assignment: Assignment) -> None:
        if assignment.session_id == "s1":
            await anyio.sleep(0.05)

    async with running(server, keys) as scheduler, serving(scheduler, handler, concurrency=2):
        _, brief, long = [await (await scheduler.submit(work(n))).result(20) for n in (3, 0, 1)]
        log = await facts(scheduler)
        outcome = [e["type"] for e in log if e.get("job_id") == brief.job_id]
        assert outcome == ["job.submitted", "job.dispatched", "job.completed"]
        assert "job.started" in [e["type"] for e in log if e.get("job_id") == long.job_id]
        job: Any = await scheduler.partition.redis.hgetall(keys.job(brief.job_id))
        assert int(job["dispatched_ts"]) <= int(job["started_ts"]) <= int(job["finished_ts"])


async def test_a_job_that_turns_out_to_be_elsewhere_is_taken_from_who_began_it(
    server: EmbeddedServer, keys: Keys
) -> None:
    cancelled = anyio.Event()

    async def handler(assignment: Assignment) -> None:
        if assignment.job_id != "gone":
            return
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with running(server, keys) as scheduler, serving(scheduler, handler) as node:
        await (await scheduler.submit(work())).result(20)
        stale: dict[Any, Any] = {
            "job_id": "gone",
            "node_id": "n1",
            "attempt": "9999999999999-1-a",
            "attempts": "1",
            "payload_json": "{}",
        }
        stale |= {"type": "job.assigned", "session_id": "s1", "src_lang": "en", "tgt_lang": "zh"}
        await scheduler.partition.redis.xadd(keys.inbox("n1"), stale)
        with anyio.fail_after(20):
            await cancelled.wait()
        assert not node.tasks


async def test_what_is_read_over_a_new_connection_is_noted_before_it_begins(server: EmbeddedServer, keys: Keys) -> None:
    """A failover may show the node once more what it has worked off."""
    seen: list[str] = []

    async def handler(assignment: Assignment) -> None:
        seen.append(await status_of(scheduler, assignment.job_id))

    async with running(server, keys) as scheduler, serving(scheduler, handler) as node:
        for n in range(2):
            await (await scheduler.submit(work(n))).result(20)
        assert seen[-1] == "dispatched", "otherwise it begins before it is noted"
        node.pause_inbox()
        await scheduler.partition.redis.client_kill_filter(_type="normal", skipme=True)
        job = await scheduler.submit(work(2))
        node.resume_inbox()
        await job.result(20)
        assert seen[-1] == "running"


async def test_a_job_that_a_node_did_not_carry_through_counts_as_tried_before_it_begins_again(
    server: EmbeddedServer, keys: Keys
) -> None:
    """It may be what took that node down."""
    seen: list[str] = []

    async def handler(assignment: Assignment) -> None:
        seen.append(await status_of(scheduler, assignment.job_id))

    async with running(server, keys) as scheduler:
        async with serving(scheduler, handler, "n1", arbiter=lambda assignment: "not here"):
            job = await scheduler.submit(work())
            await until(partial(has_status, scheduler, job.job_id, "created"))
        async with serving(scheduler, handler, "n2"):
            await job.result(20)
    assert seen == ["running"]


@pytest.mark.parametrize("event", [NodeCordoned(node_id="n1", reason="hot"), NodeDrained(node_id="n1", reason="old")])
async def test_a_cordoned_or_drained_node_gets_no_new_job(
    server: EmbeddedServer, keys: Keys, event: NodeCordoned | NodeDrained
) -> None:
    async def handler(assignment: Assignment) -> None:
        return None

    async with running(server, keys) as scheduler, serving(scheduler, handler, "n1"), serving(scheduler, handler, "n2"):
        await scheduler.append(event)
        results = [await (await scheduler.submit(work(n))).result(20) for n in range(6)]
        assert {result.node_id for result in results} == {"n2"}


async def test_a_malformed_pool_stops_a_node_before_it_serves(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        with pytest.raises(InvalidField, match="names one language"):
            async with Node(scheduler, "n1", pools=["en"]):
                pass


@pytest.mark.parametrize("ends", ["completed", "declined"])
async def test_reports_of_a_node_during_an_outage_arrive_after_it(
    server: EmbeddedServer, keys: Keys, ends: str
) -> None:
    """Without that the job would be held for ever: the node beats, and has no time limit to exceed."""
    began, full = anyio.Event(), anyio.Event()

    async def handler(assignment: Assignment) -> str:
        began.set()
        if assignment.attempts == 1:
            await full.wait()
        return "{}"

    async with running(server, keys) as scheduler, serving(scheduler, handler) as node:
        redis: Any = scheduler.partition.redis
        job = await scheduler.submit(work())
        with anyio.fail_after(20):
            await began.wait()
        await redis.config_resetstat()
        await redis.config_set("maxmemory", 1)
        try:
            async with anyio.create_task_group() as group:
                if ends == "completed":
                    full.set()
                else:
                    group.start_soon(node.tasks[job.job_id].hand_back, "too hot")
                await until(lambda: _refuses(redis))
                await redis.config_set("maxmemory", 0)
        finally:
            await redis.config_set("maxmemory", 0)
            full.set()
        assert (await job.result(20)).status is JobState.FINISHED
        assert f"job.{ends}" in [fact["type"] for fact in await facts(scheduler)]


async def _refuses(redis: Any) -> bool:
    """Whether a node's word was among what the server has refused for want of memory."""
    about = await redis.info("errorstats")
    return bool(about.get("errorstat_OOM", {}).get("count", 0) > 5)


async def test_garbage_collections_leave_out_what_a_process_held_when_its_node_entered(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        async with serving(scheduler, lambda assignment: None):
            assert gc.get_freeze_count() > 10_000
        assert gc.get_freeze_count() == 0


async def test_a_handler_whose_job_is_taken_away_may_clean_up(server: EmbeddedServer, keys: Keys) -> None:
    begun, cleaned = anyio.Event(), anyio.Event()

    async def handler(assignment: Assignment) -> None:
        if assignment.job_id == "away":
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                await anyio.sleep(0.01)
                cleaned.set()

    async with running(server, keys) as scheduler, serving(scheduler, handler):
        await scheduler.submit(work(job_id="away"))
        await begun.wait()
        await scheduler.cancel("away")
        with anyio.fail_after(10):
            await cleaned.wait()
            job = await scheduler.submit(work(job_id="next"))
            assert (await job.result()).status == JobState.FINISHED
