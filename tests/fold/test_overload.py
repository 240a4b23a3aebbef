"""Overload: submissions are refused with a retry delay, and recorded; nothing else is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.client.requests import DispatchRequest, SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import Overloaded
from streamsched.contract.events import JobSubmitted, NodeCordoned, NodeHeartbeat, SchedulerConfigured
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.replay.rebuild import rebuild
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.live import running
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

SERVED: dict[str, Any] = {"session_id": "s1", "src_lang": "en", "tgt_lang": "zh", "payload_json": "{}"}
UNSERVED: dict[str, Any] = {"session_id": "s1", "src_lang": "xx", "tgt_lang": "yy", "payload_json": "{}"}


def job(n: int | str, **more: Any) -> JobSubmitted:
    return JobSubmitted(job_id=f"j{n}", **UNSERVED, **more)


async def submit(ledger: Ledger, *numbers: int, **more: Any) -> list[str]:
    """Submit jobs without a pool, in one call; returns the codes."""
    return [answer[0] for answer in await ledger.append(*(job(n, **more) for n in numbers))]


async def add(ledger: Ledger, *numbers: int, **more: str) -> None:
    for n in numbers:
        await ledger.add({"type": "job.submitted", "job_id": f"j{n}", **UNSERVED, **more})
    await ledger.advance()


async def cancel(ledger: Ledger, *numbers: int) -> None:
    await ledger.append(*(["type", "job.cancelled", "job_id", f"j{n}"] for n in numbers))


async def outcome(ledger: Ledger) -> list[tuple[str, str, str]]:
    """What the log says of an overload: cause, amount, and at its end, how many submissions were shed."""
    entries = await ledger.redis.xrange(ledger.keys("events"))
    facts = [fields for _, fields in entries if fields["type"] in ("scheduler.overloaded", "scheduler.relieved")]
    return [(fact["cause"], fact.get("measured", ""), fact.get("shed", "")) for fact in facts]


def retry_after(detail: str) -> int:
    found = re.search(r"retry_after_ms=(\d+)$", detail)
    assert found, detail
    return int(found[1])


# --- jobs that wait


async def test_a_raw_submission_beyond_the_bound_is_a_dead_letter_that_says_when_to_come_back(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=3))
    await add(ledger, *range(5))
    assert [(letter["job_id"], letter["code"]) for letter in await ledger.dead()] == [
        ("j3", "OVERLOADED"),
        ("j4", "OVERLOADED"),
    ]
    reason = (await ledger.dead())[0]["reason"]
    assert "3 jobs wait, as many as max_waiting allows: come back later" in reason
    assert retry_after(reason) == 1000
    await cancel(ledger, 0)
    assert await outcome(ledger) == [("waiting", "3", ""), ("waiting", "", "2")]


async def test_a_submission_is_refused_before_anything_is_written(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(max_waiting=3))
    assert await submit(ledger, 0, 1, 2, 3, 4) == ["", "", "", "OVERLOADED", "OVERLOADED"]
    length = await ledger.redis.xlen(ledger.keys("events"))
    for later, pause in ((0, 1000), (1_500, 1_500), (30_000, 31_500), (90_000, 60_000)):
        await ledger.pass_time(later)
        (answer,) = await ledger.append(job(5))
        assert (answer[0], retry_after(answer[1])) == ("OVERLOADED", pause), "as long again as it has lasted"
    assert await ledger.redis.xlen(ledger.keys("events")) == length
    assert await ledger.dead() == []
    await cancel(ledger, 0)
    assert await outcome(ledger) == [("waiting", "3", ""), ("waiting", "", "6")]
    assert (await ledger.hash("counters"))["shed"] == "6"
    assert await submit(ledger, 5) == [""]


async def test_it_is_over_a_tenth_below_the_bound_so_that_it_does_not_flap(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=20))
    assert set(await submit(ledger, *range(20))) == {""}
    await cancel(ledger, 0)
    assert await submit(ledger, 20) == ["OVERLOADED"]
    await add(ledger, 21)
    assert [letter["code"] for letter in await ledger.dead()] == ["OVERLOADED"]
    await cancel(ledger, 1)
    assert await submit(ledger, 20) == [""]
    assert await outcome(ledger) == [("waiting", "20", ""), ("waiting", "", "2")]


async def test_what_was_turned_away_within_one_call_is_recorded_although_it_is_over_at_its_end(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=2))
    await ledger.node()
    jobs = [JobSubmitted(**UNSERVED | {"src_lang": "zh", "tgt_lang": "en"}, job_id=f"j{n}") for n in range(3)]
    assert [answer[0] for answer in await ledger.append(*jobs)] == ["", "", "OVERLOADED"]
    assert await outcome(ledger) == [("waiting", "0", ""), ("waiting", "", "1")]


async def test_what_does_not_wait_and_what_is_there_already_is_not_turned_away(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=2))
    await submit(ledger, 0, 1)
    assert await submit(ledger, 0, 2) == ["", "OVERLOADED"], "refused again like the first time"
    unnamed = JobSubmitted(**UNSERVED, request_id="r1")
    assert [answer[0] for answer in await ledger.append(unnamed, JobSubmitted(**UNSERVED))] == ["OVERLOADED"] * 2
    assert await submit(ledger, 3, immediate=True) == [""]
    await add(ledger, 4, immediate="true")
    assert {(await ledger.job(f"j{n}"))["status"] for n in (3, 4)} == {"refused"}
    await ledger.node()
    assert (await ledger.answer(NodeCordoned(node_id="n1")))[0] == ""
    assert await ledger.dead() == []


async def test_a_letter_of_too_much_is_retried_when_there_is_room(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=1))
    await add(ledger, 0, 1)
    (letter,) = await ledger.letter_ids()
    fields = {"type": "job.submitted", "job_id": "j1", **UNSERVED, "retry_of": letter}
    again = [part for pair in fields.items() for part in pair]
    assert (await ledger.answer(again))[0] == "OVERLOADED"
    await cancel(ledger, 0)
    assert (await ledger.answer(again))[0] == ""
    assert (await ledger.job("j1"))["status"] == "created"


async def test_a_rebuild_knows_that_there_was_too_much(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_waiting=20))
    await submit(ledger, *range(20))
    await cancel(ledger, 0)
    await rebuild(ledger.redis, ledger.keys)
    assert await submit(ledger, 20) == ["OVERLOADED"]
    await cancel(ledger, 1)
    assert await outcome(ledger) == [("waiting", "20", ""), ("waiting", "", "1")]


# --- a fold that is behind


async def test_a_caller_behind_a_long_log_is_turned_away_at_once_and_its_beat_goes_through(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_lag=20))
    await ledger.node()
    for n in range(50):
        await ledger.add({"type": "session.released", "session_id": f"s{n}"})
    own = [job(1), NodeCordoned(node_id="n1"), NodeHeartbeat(node_id="n1", online=True), job(2)]
    answers: Any = await ledger.append(*own, batch=10)
    assert [(answer[0], answer[1]) for answer in answers] == [(1, "OVERLOADED"), (3, ""), (4, "OVERLOADED")]
    assert "40 events are not folded yet, more than max_lag" in answers[0][2]
    answers = await ledger.append(*own[:2], batch=15)
    assert [answer[:2] for answer in answers] == [[1, "OVERLOADED"]]
    assert await ledger.append(*own[:2], batch=15) == [], "few enough to wait for"
    assert (await ledger.info())["cordoned"] == "false"
    await ledger.advance(batch=10)
    assert await outcome(ledger) == [("lag", "40", ""), ("lag", "", "3")]
    assert await ledger.redis.xlen(ledger.keys("heartbeats")) == 2


async def test_a_client_behind_a_long_log_hears_of_it_while_the_others_wait(redis: Redis, keys: Keys) -> None:
    ledger, partition = Ledger(redis, keys), Partition(redis, keys, patience_s=20)
    await ledger.append(SchedulerConfigured(max_lag=300))
    await ledger.node()
    async with ledger.redis.pipeline(transaction=False) as pipe:
        for n in range(2000):
            pipe.xadd(keys("events"), {"type": "session.released", "session_id": f"s{n}"})
        await pipe.execute()
    order: list[str] = []

    async def shed() -> None:
        with pytest.raises(Overloaded) as problem:
            await partition.append(job(1))
        assert problem.value.retry_after_ms == 1000
        order.append("shed")

    async def wait() -> None:
        await partition.append(NodeCordoned(node_id="n1"))
        order.append("folded")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(shed)
    assert order == ["shed", "folded"]
    assert (await ledger.info())["cordoned"] == "true"
    await partition.append(job(1))
    assert [fact[0::2] for fact in await outcome(ledger)] == [("lag", ""), ("lag", "1")]
    await ledger.check()


# --- memory


@asynccontextmanager
async def full(redis: Any, percent: int) -> AsyncIterator[None]:
    """A server whose memory is this full."""
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", used * 100 // percent)
    try:
        yield
    finally:
        await redis.config_set("maxmemory", 0)


async def look_again(ledger: Ledger) -> None:
    """Let the second pass after which a worker asks again, and let it ask."""
    await ledger.redis.hset(ledger.keys("meta"), "memory_ts", 0)
    await ledger.advance()


async def test_memory_that_is_nearly_full_turns_submissions_away_and_nothing_else(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("held")
    await ledger.submit("taken")
    async with full(ledger.redis, 95):
        await look_again(ledger)
        (answer,) = await ledger.append(job(1))
        assert answer[0] == "OVERLOADED"
        assert "the server's memory is nearly full (shed_memory_percent 90)" in answer[1]
        assert await submit(ledger, 2, immediate=True) == ["OVERLOADED"]
        assert (await ledger.tell("started", "held"))[0] == ""
        assert (await ledger.tell("completed", "held", status="finished"))[0] == ""
        assert (await ledger.tell("declined", "taken"))[0] == ""
        assert (await ledger.answer(NodeHeartbeat(node_id="n1", online=True)))[0] == ""
        await add(ledger, 3)
        assert (await ledger.job("j3"))["status"] == "created", "it is in the log already: a letter would be as large"
        assert (await outcome(ledger))[0][0] == "memory"
        assert int((await outcome(ledger))[0][1]) >= 90
    async with full(ledger.redis, 85):
        await look_again(ledger)
        assert await submit(ledger, 1) == ["OVERLOADED"], "not yet a tenth below"
    await look_again(ledger)
    assert (await outcome(ledger))[1:] == [("memory", "", "3")], "a worker notices that it is over"
    assert await submit(ledger, 1) == [""]


async def test_memory_is_looked_at_once_a_second_however_often_workers_call(ledger: Ledger) -> None:
    await ledger.redis.config_resetstat()
    for n in range(50):
        await submit(ledger, n)
        await ledger.advance()
    seconds = int(await ledger.now()) - int((await ledger.redis.xrange(ledger.keys("events"), count=1))[0][0][:13])
    looks = (await ledger.redis.info("commandstats"))["cmdstat_info"]["calls"]
    assert looks <= 1 + seconds // 1000 + 1


async def test_a_client_that_may_not_ask_for_the_memory_is_served_all_the_same(
    ledger: Ledger, server: EmbeddedServer
) -> None:
    await ledger.redis.execute_command("ACL", "SETUSER", "unasked", "on", ">word", "~*", "&*", "+@all", "-info")
    try:
        url = server.url.replace("//", "//unasked:word@")
        async with Redis.from_url(url, decode_responses=True, protocol=2) as redis:
            assert await submit(Ledger(redis, ledger.keys), 1) == [""]
            await Ledger(redis, ledger.keys).advance()
            assert "memory_ts" not in await ledger.hash("meta"), "it is left to those who may"
    finally:
        await ledger.redis.execute_command("ACL", "DELUSER", "unasked")


# --- the client and the command line


async def test_the_calls_of_the_client_raise_it_with_a_time_to_come_back(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.append(SchedulerConfigured(max_waiting=1))
        await scheduler.submit(SubmitRequest(**UNSERVED))
        with pytest.raises(Overloaded, match="max_waiting") as problem:
            await scheduler.submit(SubmitRequest(**UNSERVED))
        assert problem.value.retry_after_ms >= 1000
        assert Overloaded("something else").retry_after_ms == 1000
        async with full(scheduler.partition.redis, 95):
            await scheduler.partition.redis.hset(keys("meta"), "memory_ts", 0)
            await scheduler.partition.advance()
            with pytest.raises(Overloaded, match="memory"):
                await scheduler.dispatch_task(DispatchRequest(**UNSERVED))


def test_the_command_line_says_that_there_is_too_much_and_since_when(cli: Cli) -> None:
    cli.run("append", "scheduler.configured", "max_waiting=1")
    submit = ("submit", "--session", "s", "--src", "xx", "--tgt", "yy", "hello")
    assert cli.run(*submit).code == 0
    refused = cli.run(*submit)
    assert refused.code == 1
    assert "OVERLOADED: 1 jobs wait, as many as max_waiting allows: come back later, retry_after_ms=" in refused.err
    shown = cli.run("status").out
    assert re.search(r"overloaded: too many jobs wait for [\d.]+ s; 1 submissions were refused", shown), shown


# --- ten times as much as usual


async def test_a_burst_costs_time_but_no_job_and_no_node(server: EmbeddedServer, keys: Keys) -> None:
    """Raw submissions by the thousand, while nodes beat and work, and a client goes on."""
    burst, own, turned_away = 12_000, 30, 0

    async def work(assignment: Assignment) -> None:
        return None

    async def go_on(scheduler: Scheduler) -> None:
        nonlocal turned_away
        for n in range(own):
            while True:
                try:
                    await scheduler.submit(SubmitRequest(**SERVED, job_id=f"own{n}"))
                    break
                except Overloaded:
                    turned_away += 1
                    await anyio.sleep(0.05)

    async with running(server, keys) as scheduler, anyio.create_task_group() as group:
        await scheduler.append(SchedulerConfigured(heartbeat_timeout_ms=8_000, accept_timeout_ms=8_000, max_lag=500))
        nodes = [Node(scheduler, f"n{n}", pools=["en-zh"], concurrency=64, heartbeat_ms=300) for n in range(2)]
        redis: Any = scheduler.partition.redis
        async with nodes[0], nodes[1]:
            for node in nodes:
                group.start_soon(node.run, work)
            group.start_soon(go_on, scheduler)
            async with Redis.from_url(server.url) as producer:
                await flood(producer, keys, burst)
            with anyio.fail_after(100):
                while int(await redis.hget(keys("counters"), JobState.FINISHED) or 0) < burst + own:
                    await anyio.sleep(0.05)
            for node in nodes:
                node.stop()
        entries = [fields for _, fields in await redis.xrange(keys("events"))]
        kinds = Counter(fields["type"] for fields in entries)
        assert kinds["node.expired"] == 0
        assert kinds["job.completed"] == burst + own
        assert sum(int(fields["shed"]) for fields in entries if fields["type"] == "scheduler.relieved") == turned_away
        assert kinds["scheduler.overloaded"] == kinds["scheduler.relieved"]
        refused = {fields["type"] for _, fields in await redis.xrange(keys("dead"))}
        assert not refused & {"job.submitted", "job.completed"}


async def flood(producer: Redis, keys: Keys, count: int) -> None:
    """Submit as fast as the server takes it; in small pipelines, for the nodes beat in this very process."""
    for start in range(0, count, 200):
        async with producer.pipeline(transaction=False) as pipe:
            for n in range(start, min(count, start + 200)):
                fields: dict[Any, Any] = {"type": "job.submitted", "job_id": f"j{n}", **SERVED}
                pipe.xadd(keys("events"), fields)
            await pipe.execute()
