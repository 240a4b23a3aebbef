"""The four calls of the original system, as its page states them: requests, answers, keys and fields, by raw reads.

Written from the design page alone: keys are spelled out here, and nothing of ``contract.keys`` is used.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from streamsched import (
    AlreadyTerminal,
    CompleteTaskRequest,
    DispatchRequest,
    EmptyPool,
    HeartbeatRequest,
    JobStatus,
    NoAvailableNode,
    NodeMismatch,
    NoPoolForLangPair,
    RegisterNodeRequest,
    Scheduler,
    StaleAttempt,
    UnknownJob,
    UnknownNode,
)
from streamsched.server.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

P = "scheduler:{0}:"


class System:
    """A connected scheduler on an empty server, and a raw client beside it."""

    def __init__(self, calls: Scheduler, raw: Any) -> None:
        self.calls, self.raw = calls, raw

    async def register(self, node_id: str = "n1", pools: str | None = '[{"id":1,"name":"en-zh"}]') -> None:
        await self.calls.register_node(
            RegisterNodeRequest(node_id=node_id, cap_json='{"services":["ASR","NMT"]}', pool_names_json=pools)
        )

    async def dispatch(self, src: str = "zh", tgt: str = "en", session: str = "s1") -> Any:
        return await self.calls.dispatch_task(
            DispatchRequest(session_id=session, src_lang=src, tgt_lang=tgt, payload_json='{"audio":"…"}')
        )


@pytest.fixture
async def system(binary: Path) -> AsyncIterator[System]:
    with EmbeddedServer(binary=binary) as server:
        raw = Redis.from_url(server.url, decode_responses=True, protocol=2)
        async with Scheduler.connect(server.url) as calls:
            yield System(calls, raw)
        await raw.aclose()


def test_registering_takes_three_fields_and_of_them_the_pools_are_optional() -> None:
    fields = {field.name: field.required for field in msgspec.structs.fields(RegisterNodeRequest)}
    assert fields == {"node_id": True, "cap_json": True, "pool_names_json": False}


def test_a_status_is_one_of_two_words() -> None:
    assert [status.value for status in JobStatus] == ["finished", "failed"]


async def test_a_registered_node_is_online_at_once_and_gets_a_job_without_any_heartbeat(system: System) -> None:
    before = int(time.time() * 1000)
    await system.register()
    info = await system.raw.hgetall(f"{P}node:info:n1")
    assert info["online"] == "true"
    assert info["cap_json"] == '{"services":["ASR","NMT"]}'
    assert before <= int(info["last_heartbeat_ts"]) <= int(time.time() * 1000) + 1000
    assert not {"max_jobs", "pools_json", "current_jobs"} & set(info)
    assert await system.raw.smembers(f"{P}pool:1:members") == {"n1"}
    assert await system.raw.smembers(f"{P}pool:1:online") == {"n1"}
    assert await system.raw.smembers(f"{P}lang:zh:en") == {"1"}
    assert await system.raw.smembers(f"{P}lang:en:zh") == {"1"}
    assert (await system.dispatch()).node_id == "n1"


async def test_a_node_without_pools_is_online_and_in_no_pool(system: System) -> None:
    await system.register("n2", pools=None)
    assert (await system.raw.hgetall(f"{P}node:info:n2"))["online"] == "true"
    assert await system.raw.keys(f"{P}pool:*") == []
    with pytest.raises(NoPoolForLangPair):
        await system.dispatch()


async def test_a_heartbeat_brings_online_takes_offline_and_needs_no_load(system: System) -> None:
    await system.register()
    await system.calls.heartbeat(HeartbeatRequest(node_id="n1", online=False))
    assert (await system.raw.hgetall(f"{P}node:info:n1"))["online"] == "false"
    with pytest.raises(NoAvailableNode):
        await system.dispatch()
    await system.calls.heartbeat(HeartbeatRequest(node_id="n1", online=True, load_json='{"gpu":0.4}'))
    info = await system.raw.hgetall(f"{P}node:info:n1")
    assert (info["online"], info["load_json"]) == ("true", '{"gpu":0.4}')
    assert (await system.dispatch()).node_id == "n1"
    with pytest.raises(UnknownNode):
        await system.calls.heartbeat(HeartbeatRequest(node_id="stranger", online=True))


async def test_a_dispatch_writes_the_job_its_session_and_who_holds_it(system: System) -> None:
    await system.register()
    job = await system.dispatch()
    written = await system.raw.hgetall(f"{P}job:{job.job_id}")
    expected = {
        "status": "dispatched",
        "node_id": "n1",
        "pool_id": "1",
        "session_id": "s1",
        "src_lang": "zh",
        "tgt_lang": "en",
        "payload_json": '{"audio":"…"}',
        "attempt": job.attempt,
    }
    assert {name: written.get(name) for name in expected} == expected
    session = await system.raw.hgetall(f"{P}session:s1")
    assert (session["preferred_pool"], session["last_lang_pair"], session["node_id"]) == ("1", "zh:en", "n1")
    assert await system.raw.smembers(f"{P}node:jobs:n1") == {job.job_id}
    assert await system.raw.exists(f"{P}inbox:n1") == 0  # its caller delivers it
    await system.register("n2")
    assert {(await system.dispatch()).node_id for _ in range(5)} == {"n1"}  # a session stays on its node


async def test_a_dispatch_without_a_node_says_what_is_missing(system: System) -> None:
    with pytest.raises(NoPoolForLangPair) as none:
        await system.dispatch()
    await system.register()
    await system.register(pools='[{"id":2,"name":"de-fr"}]')
    with pytest.raises(EmptyPool) as empty:
        await system.dispatch()
    await system.register()
    await system.calls.heartbeat(HeartbeatRequest(node_id="n1", online=False))
    with pytest.raises(NoAvailableNode) as away:
        await system.dispatch()
    codes = [raised.value.code for raised in (none, empty, away)]
    assert codes == ["NO_POOL_FOR_LANG_PAIR", "EMPTY_POOL", "NO_AVAILABLE_NODE"]
    log = await system.raw.xrange(f"{P}events")
    assert [e["code"] for _, e in log if e["type"] == "job.refused"] == codes  # each is in the log


async def test_only_the_holder_completes_a_job_and_only_once(system: System) -> None:
    await system.register()
    await system.register("n2")
    job = await system.dispatch()

    def end(node_id: str, status: JobStatus = JobStatus.FINISHED, **more: Any) -> CompleteTaskRequest:
        return CompleteTaskRequest(job_id=more.pop("job_id", job.job_id), node_id=node_id, status=status, **more)

    other = "n2" if job.node_id == "n1" else "n1"
    with pytest.raises(UnknownJob):
        await system.calls.complete_task(end("n1", job_id="nothing"))
    with pytest.raises(NodeMismatch) as mismatch:
        await system.calls.complete_task(end(other))
    assert mismatch.value.code == "NODE_MISMATCH"
    with pytest.raises(StaleAttempt):
        await system.calls.complete_task(end(job.node_id, attempt="1-0-old"))
    await system.calls.complete_task(end(job.node_id, result_json='{"text":"hi"}'))
    await system.calls.complete_task(end(job.node_id, result_json='{"text":"hi"}'))  # the same end again
    written = await system.raw.hgetall(f"{P}job:{job.job_id}")
    assert (written["status"], written["result_json"]) == ("finished", '{"text":"hi"}')
    assert await system.raw.smembers(f"{P}node:jobs:{job.node_id}") == set()
    with pytest.raises(AlreadyTerminal):
        await system.calls.complete_task(end(job.node_id, JobStatus.FAILED, error="late"))
