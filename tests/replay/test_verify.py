"""A running partition is proved to hold what its log says; what was written past the log is found and named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.client.requests import SubmitRequest
from streamsched.contract.errors import ScratchIsLive
from streamsched.contract.keys import Keys
from streamsched.history.history import History, open_history
from streamsched.replay.scratch import Scratch, open_scratch
from streamsched.replay.verify import Difference, Verifier
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.live import running
from ..support.processes import END_S, Cli, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose state is falsified, so that no refold ends the test."""
    return Ledger(redis, keys)


@pytest.fixture
async def history(server: EmbeddedServer, keys: Keys) -> AsyncIterator[History]:
    async with open_history(server.url, keys) as opened:
        yield opened


@pytest.fixture
async def scratch(keys: Keys) -> AsyncIterator[Scratch]:
    async with open_scratch(keys) as opened:
        yield opened


async def story(log: Ledger) -> None:
    await log.node("n1", "en-zh", "de-en")
    for n in range(3):
        await log.submit(f"j{n}")
    await log.tell("completed", "j0", status="finished")
    await log.submit("waits", src="xx", tgt="yy")
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()


async def verified(log: Ledger, history: History, scratch: Scratch) -> Difference | None:
    verifier = Verifier(log.redis, history, scratch)
    found = await verifier.check()
    return await verifier.part(*found) if found else None


async def test_a_true_state_is_found_true_and_stays_so(log: Ledger, history: History, scratch: Scratch) -> None:
    await story(log)
    verifier = Verifier(log.redis, history, scratch)
    assert await verifier.check() is None
    assert verifier.compared > 20
    await log.tell("completed", "j1", status="finished")
    assert await verifier.check() is None
    assert scratch.watermark == (await log.hash("meta"))["watermark"]


FALSIFIED: dict[str, tuple[str, ...]] = {
    "a field of a job": ("HSET", "job:j1", "status", "finished"),
    "a field added": ("HSET", "node:info:n1", "colour", "red"),
    "a counter": ("HINCRBY", "counters", "finished", "1"),
    "a member added to a set": ("SADD", "pool:en-zh:online", "ghost"),
    "a member taken from a set": ("SREM", "pool:en-zh:members", "n1"),
    "a score": ("ZADD", "waiting:xx:yy", "77", "waits"),
    "a member of a sorted set": ("ZREM", "timers", "j1"),
    "an element of a list": ("LSET", "ended", "0", "0 j9"),
    "a key deleted": ("DEL", "session:s1"),
    "a key added": ("SADD", "pool:ghost:members", "n9"),
    "a key of another type": ("SET", "job:j2", "x"),
}


@pytest.mark.parametrize("what", FALSIFIED)
async def test_a_key_written_past_the_log_is_named(what: str, log: Ledger, history: History, scratch: Scratch) -> None:
    await story(log)
    command, name, *rest = FALSIFIED[what]
    await log.redis.execute_command(command, log.keys.prefix + name, *rest)
    found = await verified(log, history, scratch)
    assert found is not None
    assert found.key == log.keys.prefix + name
    assert found.live != found.folded


async def test_a_write_that_was_lost_is_traced_to_the_event_that_made_it(
    log: Ledger, history: History, scratch: Scratch
) -> None:
    await story(log)
    before = await log.hash("job", "j1")
    await log.tell("started", "j1")
    event = (await log.redis.xrevrange(log.keys("events"), count=1))[0]
    await log.submit("later")
    await log.redis.delete(log.keys.job("j1"))
    await log.redis.hset(log.keys.job("j1"), mapping=before)
    found = await verified(log, history, scratch)
    assert found is not None
    assert not found.never_agreed
    assert (found.event_id, found.event["type"]) == (event[0], "job.started")


async def test_a_value_that_no_event_gave_is_said_to_be_so_with_the_last_event_that_wrote_the_key(
    log: Ledger, history: History, scratch: Scratch
) -> None:
    await story(log)
    await log.redis.hset(log.keys.job("j0"), "status", "dreamt")
    found = await verified(log, history, scratch)
    assert found is not None
    assert found.never_agreed
    assert (found.event["type"], found.event["job_id"]) == ("job.completed", "j0")


async def test_large_sets_are_compared_member_by_member(
    log: Ledger, history: History, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamsched.replay.verify.MEMBERS", 2)
    await story(log)
    for n in range(6):
        await log.node(f"m{n}")
        await log.submit(f"w{n}", src="xx", tgt="yy")
    assert await Verifier(log.redis, history, scratch).check() is None
    await log.redis.srem(log.keys("pool_members", "en-zh"), "m3")
    await log.redis.sadd(log.keys("pool_members", "en-zh"), "ghost")
    found = await Verifier(log.redis, history, scratch).check()
    assert found is not None
    assert found[0].live == ["ghost"]


async def test_a_partition_at_work_is_verified_without_a_pause(
    server: EmbeddedServer, keys: Keys, redis: Redis, history: History, scratch: Scratch
) -> None:
    log = Ledger(redis, keys)
    await log.node()
    async with running(server, keys) as scheduler, anyio.create_task_group() as group:

        async def produce() -> None:
            n = 0
            while True:
                n += 1
                request: Any = SubmitRequest(
                    job_id=f"p{n}", session_id=f"s{n % 7}", src_lang="zh", tgt_lang="en", payload_json="{}"
                )
                await scheduler.submit(request)
                if n % 3 == 0:
                    await scheduler.cancel(f"p{n - 1}", None)

        group.start_soon(produce)
        verifier, seen = Verifier(redis, history, scratch), set()
        for _ in range(5):
            assert await verifier.check() is None
            seen.add(scratch.watermark)
        assert len(seen) == 5, "the log must grow meanwhile, or this proves nothing"
        group.cancel_scope.cancel()


async def test_the_live_server_is_refused_as_a_scratch(redis: Redis, server: EmbeddedServer, keys: Keys) -> None:
    with pytest.raises(ScratchIsLive, match="is the server of the live partition"):
        async with open_scratch(keys, server.url, live=redis):
            pass


async def test_a_scratch_server_that_holds_keys_is_refused_and_left_alone(
    log: Ledger, server: EmbeddedServer, keys: Keys
) -> None:
    await story(log)
    with pytest.raises(ScratchIsLive, match="holds keys already"):
        async with open_scratch(keys, server.url):
            pass
    assert await log.job("j0")


async def test_a_watch_goes_on_proving_until_it_finds_a_difference(cli: Cli) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    await story(log)
    watch = cli.start("verify", "--watch", "--interval", "0.1")
    eventually(lambda: cli.output(watch).count("state == fold(log)") >= 2)
    await log.submit("later")
    folded = int(await log.redis.hget(cli.keys("meta"), "folded") or 0)
    eventually(lambda: f"{folded} events up to" in cli.output(watch))
    await redis.hset(cli.keys.job("j0"), "error", "written past the log")
    assert watch.wait(END_S) == 1
    assert f"{cli.keys.job('j0')} differs" in cli.output(watch)
    await redis.aclose()


async def test_the_command_proves_and_finds(cli: Cli) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    await story(log)
    true = cli.run("verify", "--json")
    assert (true.code, json.loads(true.out)["equal"], true.err) == (0, True, "")
    assert cli.run("verify", "--scratch", cli.url).err.startswith("streamsched: SCRATCH_IS_LIVE")
    await redis.hset(cli.keys.job("j0"), "error", "\x1b[31mred")
    wrong = cli.run("verify")
    assert wrong.code == 1
    assert f"{cli.keys.job('j0')} differs" in wrong.out
    assert "\x1b" not in wrong.out
    assert "job.completed" in wrong.out
    await redis.aclose()
