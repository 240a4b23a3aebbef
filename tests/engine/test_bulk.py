"""Many jobs handed in at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import InvalidField, Overloaded, UnknownJob
from streamsched.contract.events import SchedulerConfigured
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.engine.batch import BATCH
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.server.embedded import EmbeddedServer

from ..support.live import facts, running, until

pytestmark = pytest.mark.anyio

MANY = 3 * BATCH + 7


def work(n: int, **more: Any) -> SubmitRequest:
    fields = {"job_id": f"j{n}", "session_id": f"s{n}", "src_lang": "en", "tgt_lang": "zh", "payload_json": f"[{n}]"}
    return SubmitRequest(**fields | more)


async def submitted(scheduler: Scheduler) -> list[str]:
    return [event["job_id"] for event in await facts(scheduler) if event["type"] == "job.submitted"]


async def folded(scheduler: Scheduler) -> int:
    return int(await scheduler.partition.redis.hget(scheduler.partition.keys("counters"), "submitted") or 0)


async def test_many_jobs_are_in_the_log_in_order_and_each_gets_its_outcome(server: EmbeddedServer, keys: Keys) -> None:
    async def handler(assignment: Assignment) -> str:
        return assignment.payload_json

    async with (
        running(server, keys) as scheduler,
        Node(scheduler, "n1", pools=["en-zh"], concurrency=64) as node,
        anyio.create_task_group() as group,
    ):
        group.start_soon(node.run, handler)
        jobs = await scheduler.submit_many(work(n) for n in range(MANY))
        assert await submitted(scheduler) == [f"j{n}" for n in range(MANY)]
        assert [(await job.result(30)).result_json for job in jobs] == [f"[{n}]" for n in range(MANY)]
        node.stop()


async def test_a_producer_that_expects_no_reply_remembers_nothing_of_its_jobs(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        for n in range(3):
            await scheduler.submit_many([work(n)], reply=False)
            await scheduler.submit(work(n + 10), reply=False)
        assert not any(vars(scheduler.results)[name] for name in ("_waiting", "_accepted", "_in_log"))


async def test_handing_in_again_has_no_second_effect(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler:
        for _ in range(2):
            await scheduler.submit_many((work(n) for n in range(5)), reply=False)

        async def all_told() -> bool:
            return await scheduler.partition.redis.hget(keys("meta"), "folded") == "10"

        await until(all_told)
        assert await folded(scheduler) == 5
        assert await scheduler.partition.redis.xlen(keys("dead")) == 0


async def test_a_wait_for_a_refused_job_ends_with_unknown_job(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamsched.client.results.LOOK_S", 0.05)
    async with running(server, keys) as scheduler:
        good, bad = await scheduler.submit_many([work(1), work(2, tgt_lang="en")])
        with pytest.raises(UnknownJob):
            await bad.result(20)
        await scheduler.cancel(good.job_id)
        assert (await good.result(20)).status == JobState.CANCELLED


async def test_where_one_cannot_be_sent_none_is(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler:
        with pytest.raises(InvalidField, match="payload_json has"):
            await scheduler.submit_many([work(1), work(2, payload_json="x" * 2**21)])
        assert await scheduler.submit_many([]) == []
        assert await submitted(scheduler) == []


async def test_a_text_without_a_form_in_utf8_is_named_and_leaves_no_call_behind(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with running(server, keys) as scheduler:
        with pytest.raises(InvalidField, match=r"job\.submitted: a field is not UTF-8"):
            await scheduler.submit_many([*(work(n) for n in range(BATCH + 1)), work(BATCH + 1, payload_json="\udc80")])
        assert await submitted(scheduler) == [f"j{n}" for n in range(BATCH)], "the batch before it had gone out"


async def test_a_log_far_ahead_of_its_fold_refuses_submissions_and_records_it_afterwards(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:  # no worker: nothing is folded
        await scheduler.append(SchedulerConfigured(max_lag=10))
        await scheduler.submit_many((work(n) for n in range(11)), reply=False)
        with pytest.raises(Overloaded, match="11 events are not folded yet") as problem:
            await scheduler.submit_many((work(n) for n in range(11, 14)), reply=False)
        assert problem.value.retry_after_ms >= 1000
        assert len(await submitted(scheduler)) == 11
        await until(partial(advanced, scheduler))
        outcome = [event for event in await facts(scheduler) if event["type"].startswith("scheduler.")]
        assert [event["type"] for event in outcome[1:]] == ["scheduler.overloaded", "scheduler.relieved"]
        assert (outcome[-1]["cause"], outcome[-1]["shed"]) == ("lag", "3")


@pytest.mark.parametrize(
    ("broken", "mend"),
    [
        ({"rebuilding": "fold", "folded": "1"}, {"folded": "21"}),
        ({"begin": "1-1", "folded": "1"}, {"folded": "21"}),
    ],
)
async def test_what_is_handed_in_over_a_state_that_is_not_whole_waits_and_is_not_shed(
    server: EmbeddedServer, keys: Keys, broken: dict[Any, Any], mend: dict[Any, Any]
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.append(SchedulerConfigured(max_lag=10))
        for n in range(20):
            await scheduler.submit(work(n), reply=False)
        redis, meta = scheduler.partition.redis, keys("meta")
        done = {"begin": str(await redis.hget(meta, "done"))}
        await redis.hset(meta, mapping=broken)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(scheduler.submit_many, [work(20)], reply=False))
            await anyio.sleep(0.3)
            assert len(await submitted(scheduler)) == 20, "a state that is being folded again says nothing of the lag"
            await redis.hdel(meta, "rebuilding")
            await redis.hset(meta, mapping=mend | done)
        assert len(await submitted(scheduler)) == 21
        assert "shed" not in await redis.hgetall(meta)


async def advanced(scheduler: Scheduler) -> bool:
    return not (await scheduler.partition.advance()).more


async def test_a_nearly_full_server_refuses_submissions(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.partition.redis.hset(keys("meta"), "overload", "memory=1700000000000")
        with pytest.raises(Overloaded, match="memory is nearly full"):
            await scheduler.submit_many([work(1)], reply=False)
        assert await submitted(scheduler) == []


async def test_a_source_hands_in_through_its_ingress(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace, source="app") as scheduler:
        await scheduler.submit_many((work(n) for n in range(3)), reply=False)
        assert await scheduler.partition.redis.xlen(keys("ingress", "app")) == 3
