"""Workers take in what sources say, by themselves: on real servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect
from streamsched.contract.events import SourceAdmitted, SourceRevoked, SourceRole
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.engine.replies import Reply
from streamsched.server.embedded import EmbeddedServer
from streamsched.worker.ingester import Ingester
from streamsched.worker.worker import Worker

from ..support.live import facts, running, until

pytestmark = pytest.mark.anyio

SUBMISSION = {
    "type": "job.submitted",
    "session_id": "s1",
    "src_lang": "en",
    "tgt_lang": "zh",
    "payload_json": "{}",
    "job_id": "j1",
}


async def admit(scheduler: Scheduler, *sources: str) -> None:
    admitted = [SourceAdmitted(source=source, role=SourceRole.PRODUCER) for source in sources]
    await asyncio.gather(*(scheduler.append(event) for event in admitted))


async def say(scheduler: Scheduler, source: str) -> None:
    partition = scheduler.partition
    fields: Any = SUBMISSION
    await partition.redis.xadd(partition.keys("ingress", source), fields)


async def submitted(scheduler: Scheduler) -> int:
    return int(await scheduler.partition.redis.hget(scheduler.partition.keys("counters"), "submitted") or 0)


async def test_what_a_source_says_is_taken_in_from_when_it_is_admitted_until_it_is_revoked(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with running(server, keys) as scheduler:
        await say(scheduler, "web")
        await admit(scheduler, "shop")
        await say(scheduler, "shop")
        await until(lambda: _is(submitted(scheduler), 1))
        await admit(scheduler, "web")
        await until(lambda: _is(submitted(scheduler), 2))
        await scheduler.append(SourceRevoked(source="shop"))
        await scheduler.append(SourceRevoked(source="web"))
        await say(scheduler, "shop")
        await admit(scheduler, "late")
        await say(scheduler, "late")
        await until(lambda: _is(submitted(scheduler), 3))
        assert await scheduler.partition.redis.xlen(keys("ingress", "shop")) == 1
        jobs = [fact["job_id"] for fact in await facts(scheduler) if fact["type"] == "job.submitted"]
        assert jobs == ["shop/j1", "web/j1", "late/j1"]


async def _is(number: Any, wanted: int) -> bool:
    return bool(await number == wanted)


async def test_events_of_thousands_of_sources_reach_the_log(server: EmbeddedServer, keys: Keys) -> None:
    sources = [f"source{n}" for n in range(2000)]
    async with running(server, keys) as scheduler:
        for start in range(0, len(sources), 250):
            await admit(scheduler, *sources[start : start + 250])
        async with scheduler.partition.redis.pipeline(transaction=False) as pipe:
            for source in sources:
                pipe.execute_command("XADD", keys("ingress", source), "*", *sum(SUBMISSION.items(), ()))
            await pipe.execute()
        await until(lambda: _is(submitted(scheduler), len(sources)), within_s=90)


async def test_an_ingress_of_another_type_does_not_block_the_other_sources(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler:
        await scheduler.partition.redis.set(keys("ingress", "web"), "x")
        await admit(scheduler, "web", "shop")
        for n in range(1, 4):
            partition = scheduler.partition
            fields: Any = SUBMISSION | {"job_id": f"j{n}"}
            await partition.redis.xadd(keys("ingress", "shop"), fields)
            await until(lambda n=n: _is(submitted(scheduler), n))  # type: ignore[misc]
        limited = [fact for fact in await facts(scheduler) if fact["type"] == "source.limited"]
        assert [(fact["source"], fact["cause"]) for fact in limited] == [("web", "type")]


async def test_what_a_worker_leaves_behind_the_next_one_takes_in(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await admit(scheduler, "web")
        await say(scheduler, "web")
        for n in range(2, 4):
            worker = Worker(server.url, keys)
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run)
                await until(lambda n=n: _is(submitted(scheduler), n - 1))  # type: ignore[misc]
                group.cancel_scope.cancel()
            fields: Any = SUBMISSION | {"job_id": f"j{n}"}
            await scheduler.partition.redis.xadd(keys("ingress", "web"), fields)
        async with anyio.create_task_group() as group:
            group.start_soon(Worker(server.url, keys).run)
            await until(lambda: _is(submitted(scheduler), 3))
            group.cancel_scope.cancel()


async def test_without_a_source_the_ingester_opens_no_connection(tmp_path: Path) -> None:
    keys = Keys("quiet")
    with EmbeddedServer(tmp_path / "server") as server:
        async with running(server, keys) as scheduler:
            before = (await scheduler.partition.advance()).folded
            await scheduler.release_session("s1")
            await until(lambda: _is(_folded(scheduler), before + 1))
            stats: Any = await scheduler.partition.redis.info("commandstats")
            assert "cmdstat_smembers" not in stats
            asked = stats["cmdstat_xread"]["calls"] - stats["cmdstat_evalsha"]["calls"]  # each reads the log
            assert asked <= 2, "its reply stream alone"


async def _folded(scheduler: Scheduler) -> int:
    return (await scheduler.partition.advance()).folded


class Scripted(Partition):
    """Answers each call as instructed, and remembers the names."""

    def __init__(self, redis: Any, keys: Keys, held: list[dict[str, int]]) -> None:
        super().__init__(redis, keys)
        self.named: list[list[str]] = []
        self.at: list[float] = []
        self._held = held

    async def take_in(self, sources: Any, batch: int = 256) -> Reply:
        self.named.append(list(sources))
        self.at.append(anyio.current_time())
        held = self._held.pop(0) if sources and self._held else {}
        return Reply(False, None, 0, 0, "1-1", held)


async def test_a_source_that_has_to_wait_is_not_asked_before_its_time(redis: Any, server: EmbeddedServer) -> None:
    keys = Keys("waits")
    await redis.sadd(keys("sources"), "web")
    await redis.xadd(keys("ingress", "web"), {"type": "x"})
    client = connect(server.url)
    partition = Scripted(client, keys, [{"web": 300}, {}])
    intake = Ingester(server.url, keys, 256)
    intake.heard_of("1-1")
    async with anyio.create_task_group() as group:
        group.start_soon(intake.run, partition)
        await until(lambda: _named(partition, 2))
        group.cancel_scope.cancel()
    first, second, *_ = (at for at, names in zip(partition.at, partition.named, strict=True) if names)
    assert second - first >= 0.299
    await client.aclose()


async def _named(partition: Scripted, times: int) -> bool:
    return sum(map(bool, partition.named)) >= times
