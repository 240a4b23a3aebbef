"""The typed views of the state: what they tell of nodes, jobs and queues, and that they stay bounded."""

from __future__ import annotations

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.contract.events import JobSubmitted, NodeCordoned, NodeHeartbeat, NodeOffline
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer
from streamsched.state import names
from streamsched.state import pairs as waiting
from streamsched.state.jobs import read_job
from streamsched.state.nodes import read_node
from streamsched.state.overview import read_overview
from streamsched.state.partition import read_partition
from streamsched.worker.worker import Worker

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_an_unused_partition_is_shown_as_empty(redis: Redis, keys: Keys) -> None:
    overview = await read_overview(redis, keys)
    assert (overview.partition.condition, overview.partition.lag, overview.partition.workers) == ("ok", 0, 0)
    assert set(overview.counters.values()) == {0}
    assert (overview.nodes, overview.pools, overview.waiting) == ([], [], [])
    assert not await redis.exists(keys("events"))  # looking at it has made nothing


async def test_what_is_not_there_is_none(redis: Redis, keys: Keys) -> None:
    assert await read_node(redis, keys, "n1") is None
    assert await read_job(redis, keys, "j1") is None


async def test_a_worker_that_no_event_has_woken_is_counted(server: EmbeddedServer, redis: Redis, keys: Keys) -> None:
    worker = Worker(server.url, keys)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        while not await redis.exists(keys("heartbeats")):  # until it has joined the group, and waits
            await anyio.sleep(0.01)
        assert (await read_partition(redis, keys)).workers == 1
        worker.stop()
    await redis.hset(keys("meta"), "last_call_ts", "1000")
    assert (await read_partition(redis, keys)).workers == 0


async def test_a_node_is_shown_with_the_reason_why_it_gets_no_job(ledger: Ledger) -> None:
    async def why() -> str:
        node = await read_node(ledger.redis, ledger.keys, "n1")
        assert node is not None
        assert node.open == (node.why_closed == "")
        return node.why_closed

    await ledger.node("n1")
    assert await why() == ""
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, accepting=False))
    assert await why() == "not accepting"
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
    for n in range(8):
        await ledger.submit(f"j{n}")
    assert await why() == "full"
    await ledger.append(NodeCordoned(node_id="n1", reason="hot"))
    assert await why() == "cordoned: hot"
    await ledger.append(NodeOffline(node_id="n1"))
    assert await why() == "offline"


async def test_a_job_is_shown_from_its_submission_to_its_end(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit("j1", priority=7)
    job = await read_job(ledger.redis, ledger.keys, "j1")
    assert job is not None
    assert (job.status, job.node_id, job.pool_id, job.attempts, job.priority) == ("dispatched", "n1", "en-zh", 1, 7)
    assert (job.started_ts, job.finished_ts, job.result_json) == (None, None, None)
    await ledger.tell("started")
    await ledger.tell("completed", status="finished", result_json='{"text":"hm"}')
    job = await read_job(ledger.redis, ledger.keys, "j1")
    assert job is not None
    assert (job.status, job.result_json, job.error) == ("finished", '{"text":"hm"}', None)
    assert job.created_ts is not None
    assert job.finished_ts is not None
    assert job.created_ts <= job.finished_ts


async def test_pairs_are_ranked_by_what_waits_and_jobs_ahead_of_their_time_are_counted_apart(ledger: Ledger) -> None:
    for n in range(3):
        await ledger.submit(f"a{n}", src="en", tgt="ja")
    await ledger.submit("b", src="zh", tgt="en")
    await ledger.append(
        JobSubmitted(
            session_id="s", src_lang="zh", tgt_lang="en", payload_json="x", not_before_ts=await ledger.now() + 60_000
        )
    )
    overview = await read_overview(ledger.redis, ledger.keys)
    assert [(p.src_lang, p.tgt_lang, p.waiting, p.first_job_id) for p in overview.waiting] == [
        ("en", "ja", 3, "a0"),
        ("zh", "en", 1, "b"),
    ]
    assert (overview.counters["waiting"], overview.delayed) == (5, 1)


async def test_of_many_nodes_pools_and_pairs_some_are_listed_and_all_are_counted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        await ledger.node(f"n{n:02}", f"a{chr(97 + n)}-b{chr(97 + n)}")
        await ledger.submit(f"j{n}", src=f"x{n:02}", tgt="y")
    overview = await read_overview(ledger.redis, ledger.keys, limit=4)
    assert [node.node_id for node in overview.nodes] == ["n00", "n01", "n02", "n03"]
    assert [pool.pool_id for pool in overview.pools] == ["aa-ba", "ab-bb", "ac-bc", "ad-bd"]
    assert len(overview.waiting) == 4
    assert (overview.nodes_total, overview.nodes_online, overview.pools_total) == (20, 20, 20)
    assert (overview.waiting_pairs_total, overview.waiting_pairs_complete) == (20, True)
    # a set too large to be read whole still gives as many rows
    monkeypatch.setattr(names, "SORTABLE", 10)
    overview = await read_overview(ledger.redis, ledger.keys, limit=4)
    assert (len(overview.nodes), len(overview.pools)) == (4, 4)
    # and a keyspace too large to be walked is said to be one
    monkeypatch.setattr(waiting, "SCAN_CALLS", 1)
    for n in range(3000):
        await ledger.redis.zadd(f"{ledger.keys.namespace}-other:{n}", {"x": 1})
    overview = await read_overview(ledger.redis, ledger.keys, limit=4)
    assert not overview.waiting_pairs_complete


async def test_a_rebuild_under_way_is_shown(redis: Redis, keys: Keys) -> None:
    await redis.hset(keys("meta"), "rebuilding", "fold")
    assert (await read_overview(redis, keys)).partition.condition == "rebuilding"
