"""The four calls, ``submit`` and results, against real servers."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from streamsched.client.requests import (
    CompleteTaskRequest,
    DispatchRequest,
    HeartbeatRequest,
    RegisterNodeRequest,
    SubmitRequest,
)
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import (
    AlreadyTerminal,
    EmptyPool,
    InvalidField,
    JobConflict,
    NoAvailableNode,
    NodeMismatch,
    NoPoolForLangPair,
    ResultTimeout,
    ServerUnreachable,
    StaleAttempt,
    UnknownJob,
)
from streamsched.contract.events import JobStatus, SchedulerConfigured
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.server.embedded import EmbeddedServer

from ..support.live import running, until
from ..support.servers.aof import SYNCED

pytestmark = pytest.mark.anyio


def register(node_id: str = "n1", pools: str = '[{"id":1,"name":"en-zh"}]') -> RegisterNodeRequest:
    return RegisterNodeRequest(node_id=node_id, cap_json='{"services":["ASR"]}', pool_names_json=pools)


def dispatch(**more: Any) -> DispatchRequest:
    return DispatchRequest(**{"session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"} | more)


def submit(**more: Any) -> SubmitRequest:
    return SubmitRequest(**{"session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"} | more)


async def online(scheduler: Scheduler, node_id: str = "n1", pools: str = '[{"id":1,"name":"en-zh"}]') -> None:
    await scheduler.register_node(register(node_id, pools))
    await scheduler.heartbeat(HeartbeatRequest(node_id=node_id, online=True))


async def test_the_four_calls_leave_the_state_an_operator_expects(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:  # no worker: each call advances by itself
        redis = scheduler.partition.redis
        await online(scheduler)
        await scheduler.heartbeat(HeartbeatRequest(node_id="n1", online=True, load_json='{"gpu":0.5}'))
        node = await redis.hgetall(keys.node_info("n1"))
        assert node["online"] == "true"
        assert node["cap_json"] == '{"services":["ASR"]}'
        assert node["load_json"] == '{"gpu":0.5}'
        assert int(node["last_heartbeat_ts"]) > 0
        assert not {"max_jobs", "pools_json", "current_jobs"} & set(node)
        assert await redis.smembers(keys("pool_members", "1")) == {"n1"}
        assert await redis.smembers(keys("pool_online", "1")) == {"n1"}
        assert await redis.smembers(keys("set_pools", "en zh")) == {"1"}

        job = await scheduler.dispatch_task(dispatch())
        assert job.node_id == "n1"
        stored = await redis.hgetall(keys.job(job.job_id))
        expected = {"status": "dispatched", "node_id": "n1", "pool_id": "1", "session_id": "s1", "src_lang": "zh"}
        assert expected.items() <= stored.items()
        session = await redis.hgetall(keys("session", "s1"))
        assert (session["preferred_pool"], session["last_lang_pair"], session["node_id"]) == ("1", "zh:en", "n1")
        assert await redis.smembers(keys("node_jobs", "n1")) == {job.job_id}

        done = CompleteTaskRequest(job_id=job.job_id, node_id="n1", status=JobStatus.FINISHED, result_json='"hi"')
        await scheduler.complete_task(done)
        await scheduler.complete_task(done)  # the second report of the same end changes nothing
        assert (await redis.hgetall(keys.job(job.job_id)))["status"] == "finished"
        assert await redis.exists(keys("node_jobs", "n1")) == 0


async def test_dispatch_says_what_is_missing(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        with pytest.raises(NoPoolForLangPair):
            await scheduler.dispatch_task(dispatch())
        await scheduler.register_node(register())
        assert (await scheduler.dispatch_task(dispatch())).node_id == "n1"
        await scheduler.heartbeat(HeartbeatRequest(node_id="n1", online=False))
        with pytest.raises(NoAvailableNode):
            await scheduler.dispatch_task(dispatch())
        await scheduler.register_node(RegisterNodeRequest(node_id="n1", cap_json="{}"))
        with pytest.raises(EmptyPool):
            await scheduler.dispatch_task(dispatch())


async def test_completions_are_refused_with_their_reason(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await online(scheduler)
        job = await scheduler.dispatch_task(dispatch())

        async def complete(**more: Any) -> None:
            fields = {"job_id": job.job_id, "node_id": "n1", "status": JobStatus.FINISHED} | more
            await scheduler.complete_task(CompleteTaskRequest(**fields))

        with pytest.raises(UnknownJob):
            await complete(job_id="nobody")
        with pytest.raises(NodeMismatch, match="n1 does"):
            await complete(node_id="n2")
        with pytest.raises(StaleAttempt):
            await complete(attempt="0-0-feed")
        await complete(attempt=job.attempt)
        with pytest.raises(AlreadyTerminal):
            await complete(status=JobStatus.FAILED)


@pytest.mark.parametrize("field", ["max_jobs", "pools_json", "current_jobs"])
def test_registration_has_no_room_for_what_the_arbiter_decides(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json="[]", **{field: "1"})


def test_a_status_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="Finished"):
        JobStatus("Finished")


async def test_a_submission_repeated_with_other_content_is_refused(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.submit(submit(job_id="j1"))
        await scheduler.submit(submit(job_id="j1"))
        with pytest.raises(JobConflict, match="payload_json"):
            await scheduler.submit(submit(job_id="j1", payload_json='{"other":1}'))
        assert await scheduler.partition.redis.hget(keys("counters"), "submitted") == "1"


async def test_a_huge_payload_is_refused_before_it_travels(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        with pytest.raises(InvalidField, match="payload_json has 1048577 bytes"):
            await scheduler.submit(submit(payload_json="x" * 1_048_577))
        assert await scheduler.partition.redis.exists(keys("events")) == 0


async def test_appends_of_the_same_moment_travel_in_one_call(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.submit(submit())
        redis = scheduler.partition.redis

        async def calls() -> int:
            return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])

        before = await calls()
        async with anyio.create_task_group() as group:
            for n in range(100):
                group.start_soon(scheduler.submit, submit(session_id=f"s{n}"))
        assert await calls() - before <= 2
        assert await redis.hget(keys("counters"), "submitted") == "101"


async def test_a_result_comes_back_through_the_reply_stream(server: EmbeddedServer, keys: Keys) -> None:
    async def shout(assignment: Assignment) -> str:
        return assignment.payload_json.upper()

    async with (
        running(server, keys) as scheduler,
        Node(scheduler, "n1", pools=["en-zh"]) as node,
        anyio.create_task_group() as group,
    ):
        group.start_soon(node.run, shout)
        job = await scheduler.submit(submit(payload_json='"quiet"'))
        result = await job.result(timeout=20)
        assert (result.status, result.node_id, result.result_json) == (JobState.FINISHED, "n1", '"QUIET"')
        assert await job.result(timeout=20) == result
        again = await scheduler.submit(submit(payload_json='"quiet"', job_id=job.job_id))
        assert (await again.result(timeout=20)).result_json == '"QUIET"'
        node.stop()


async def test_waiting_for_a_result_ends_when_the_caller_said(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        job = await scheduler.submit(submit())
        with pytest.raises(ResultTimeout):
            await job.result(timeout=0.05)


async def test_a_result_survives_a_restart_of_the_server(keys: Keys) -> None:
    with EmbeddedServer(append_only=True, options=SYNCED) as server:
        async with running(server, keys) as scheduler:
            await online(scheduler)
            job = await scheduler.submit(submit())

            async def held() -> bool:
                return bool(await scheduler.partition.redis.exists(keys("node_jobs", "n1")))

            await until(held)
            server.kill()
            server.start()
            await scheduler.complete_task(
                CompleteTaskRequest(job_id=job.job_id, node_id="n1", status=JobStatus.FINISHED, result_json='"ok"')
            )
            assert (await job.result(timeout=20)).result_json == '"ok"'


async def test_a_result_is_found_although_its_reply_was_lost(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await online(scheduler)
        job = await scheduler.submit(submit(), reply=False)
        node_id = await scheduler.partition.redis.hget(keys.job(job.job_id), "node_id")
        await scheduler.complete_task(
            CompleteTaskRequest(job_id=job.job_id, node_id=str(node_id), status=JobStatus.FAILED, error="no")
        )
        await scheduler.cancel(job.job_id)
        assert (await job.result(timeout=20)).status == JobState.CANCELLED


async def test_the_submitter_learns_of_a_cancelled_job(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        job = await scheduler.submit(submit())
        await scheduler.cancel(job.job_id, reason="changed my mind")
        result = await job.result(timeout=20)
        assert (result.status, result.error) == (JobState.CANCELLED, "changed my mind")


async def test_an_absent_server_is_named_after_the_patience_is_over() -> None:
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1\b"):
        async with Scheduler.connect("redis://127.0.0.1:1", patience_s=0.2):
            pass


@pytest.mark.parametrize(("wait_ms", "unread"), [(200, 1), (60_000, 0)], ids=["short", "long"])
async def test_a_timer_shorter_than_the_workers_sleep_leaves_an_entry_to_wake_one(
    server: EmbeddedServer, keys: Keys, wait_ms: int, unread: int
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        redis = scheduler.partition.redis
        await scheduler.append(SchedulerConfigured(max_attempts=4))
        now_ts = (await scheduler.partition.advance()).now_ts  # from here the worker that called would sleep a second
        await scheduler.submit(submit(not_before_ts=now_ts + wait_ms))
        groups: Any = await redis.xinfo_groups(keys("events"))
        assert groups[0]["lag"] == unread
        await scheduler.partition.advance()
        groups = await redis.xinfo_groups(keys("events"))
        assert groups[0]["lag"] == 0
