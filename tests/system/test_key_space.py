"""Nothing grows for ever: after thousands of short lives the keys are those of the beginning."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.contract.keys import GROUP, KEYS, Keys
from streamsched.replay.rebuild import refold
from streamsched.replay.values import difference, read_state
from streamsched.worker.consumers import remove_gone

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

LIVES, TOGETHER = 2000, 100
DAY_MS = 24 * 3_600_000
SIZES = {"hash": "hlen", "set": "scard", "zset": "zcard", "list": "llen", "stream": "xlen"}
FAMILIES = {name: re.compile(re.escape(key.shape).replace("%s", ".+")) for name, key in KEYS.items()}


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log is too long for the checks of the `ledger` fixture."""
    return Ledger(redis, keys)


async def key_space(log: Ledger) -> dict[str, tuple[int, int]]:
    """How many keys there are of each family, and what they hold together; the log is left out."""
    redis: Any = log.redis
    keys, sizes = Counter[str](), Counter[str]()
    async for key in redis.scan_iter(match=log.keys.prefix + "*", count=1000):
        name = key.removeprefix(log.keys.prefix)
        families = [family for family, shape in FAMILIES.items() if shape.fullmatch(name)]
        assert families, f"{name} is in no reference"
        if families[0] != "events":
            keys[families[0]] += 1
            sizes[families[0]] += await getattr(redis, SIZES[await redis.type(key)])(key)
    consumers = sum(group["consumers"] for group in await redis.xinfo_groups(log.keys("events")))
    return {family: (keys[family], sizes[family]) for family in keys} | {"consumers": (consumers, 0)}


async def live(log: Ledger, lives: range) -> None:
    """Let nodes come, each with a source, a pool and a job of its own, and go; and let as many workers be killed."""
    born, dying, sources = [], [], [f"source-{n}" for n in lives]
    for n, source in zip(lives, sources, strict=True):
        pools = json.dumps([{"name": f"a{n}-b{n}", "languages": [f"a{n}", f"b{n}"]}])
        about = ["src_lang", f"a{n}", "tgt_lang", f"b{n}", "payload_json", "{}"]
        born += [
            ["type", "source.admitted", "source", source, "role", "producer"],
            ["type", "node.registered", "node_id", f"n{n}", "cap_json", "{}", "pool_names_json", pools],
            ["type", "job.submitted", "job_id", f"j{n}", "session_id", f"s{n}", *about],
        ]
        dying += [
            ["type", "job.completed", "job_id", f"j{n}", "node_id", f"n{n}", "status", "finished"],
            ["type", "node.offline", "node_id", f"n{n}"],
            ["type", "source.revoked", "source", source],
        ]
        await log.say(source, "session.released", "session_id", "s")
        await log.redis.xgroup_createconsumer(log.keys("events"), GROUP, f"worker-{n}")
    answers = await log.append(*born, batch=1000)
    await log.advance()
    await log.take_in(*sources)
    answers += await log.append(*dying, batch=1000)
    assert {answer[0] for answer in answers} == {""}


async def end(log: Ledger) -> None:
    """Let as much time pass as anything is kept."""
    for _ in range(3):
        await log.pass_time(DAY_MS)
    await remove_gone(log.redis, log.keys, gone_ms=0)


async def begin(log: Ledger, **configured: str) -> dict[str, tuple[int, int]]:
    """A partition that has seen everything once."""
    await log.redis.xgroup_create(log.keys("heartbeats"), GROUP, mkstream=True)
    await log.freeze()
    settings = ["heartbeat_timeout_ms", "0", *(part for pair in configured.items() for part in pair)]
    await log.append(["type", "scheduler.configured", *settings])
    await live(log, range(1))
    await end(log)
    return await key_space(log)


async def test_after_thousands_of_short_lives_the_keys_are_those_of_the_beginning(log: Ledger) -> None:
    beginning = await begin(log)
    for first in range(1, LIVES, TOGETHER):
        await live(log, range(first, first + TOGETHER))
    full = await key_space(log)
    for family in (
        "node_info",
        "inbox",
        "pool_info",
        "lang",
        "serving",
        "source",
        "ingress",
        "job",
        "session",
        "consumers",
    ):
        assert full[family][0] >= LIVES, family
    await end(log)
    assert await key_space(log) == beginning
    scratch = Keys(log.keys.namespace + "-scratch")
    await refold(log.redis, log.keys, scratch)
    assert difference(await read_state(log.redis, log.keys), await read_state(log.redis, scratch)) == {}


async def test_what_is_never_retired_stays_in_the_keys(log: Ledger) -> None:
    beginning = await begin(log, node_retention_ms="0")
    await live(log, range(1, TOGETHER))
    await end(log)
    grown = {family for family, sizes in (await key_space(log)).items() if sizes > beginning.get(family, (0, 0))}
    assert {"nodes", "node_info", "inbox", "mailboxes", "pools", "pool_info", "lang", "source", "gone"} <= grown
