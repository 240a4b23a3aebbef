"""Dead letters about heartbeats and ingresses are bounded; those that a replay of the log needs stay."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streamsched.console.overview import render
from streamsched.contract.events import SchedulerConfigured
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.engine.script import script
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.letters import count_letters
from streamsched.state.overview import read_overview
from streamsched.worker.letters import drop_letters

from ..support.ledger import Ledger
from ..support.live import running, until

pytestmark = pytest.mark.anyio


async def beats(ledger: Ledger, count: int, **more: str) -> None:
    """Let a node that is not known beat so many times."""
    for _ in range(count):
        await ledger.add({"type": "node.heartbeat", "node_id": "n9", "online": "true", **more}, "heartbeats")
    await ledger.advance()
    await drop_letters(Partition(ledger.redis, ledger.keys))


async def kept(ledger: Ledger) -> list[str]:
    """The streams that the letters are about."""
    return [letter["stream"] for letter in await ledger.dead()]


async def test_letters_about_heartbeats_are_no_more_than_may_be_and_those_about_the_log_stay(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_letters=5))
    for n in range(8):
        await ledger.append(["type", "job.cancelled", "job_id", f"j{n}"])
        await beats(ledger, 3)
    assert await kept(ledger) == ["events"] * 7 + ["heartbeats"] * 2 + ["events"] + ["heartbeats"] * 3
    found = await count_letters(ledger.redis, ledger.keys)
    assert (found.all, found.open, found.lost) == (32, 13, 19)


async def test_they_are_bounded_in_bytes_too(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_letters_bytes=30_000))
    await beats(ledger, 7, note="x" * 9_000)
    assert await kept(ledger) == ["heartbeats"] * 3


async def test_a_bound_that_is_lowered_takes_effect_with_the_next_call(ledger: Ledger) -> None:
    await beats(ledger, 40)
    await ledger.append(SchedulerConfigured(max_letters=3))
    bounded = {"dead": ledger.keys("dead"), "prefix": ledger.keys.prefix, "batch": 8}
    assert await script("drop_letters")(ledger.redis, **bounded) == [8, 1], "a call drops a bounded number"
    assert await drop_letters(Partition(ledger.redis, ledger.keys)) == 29
    assert len(await ledger.dead()) == 3


async def test_counts_of_letters_that_are_not_there_are_put_right(ledger: Ledger) -> None:
    await beats(ledger, 4)
    await ledger.redis.delete(ledger.keys("dead"))
    await ledger.append(SchedulerConfigured(max_letters=3))
    await beats(ledger, 2)
    await beats(ledger, 4)
    assert len(await ledger.dead()) == 3


async def test_a_foreign_key_in_the_place_of_the_counts_stops_no_call(ledger: Ledger) -> None:
    await ledger.redis.set(ledger.keys("dead_others"), "mine")
    await ledger.add({"type": "node.heartbeat", "node_id": "n9", "online": "true"}, "heartbeats")
    await ledger.advance()
    assert await kept(ledger) == ["heartbeats"]


async def test_status_says_that_letters_were_lost(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(max_letters=1))
    await beats(ledger, 3)
    shown = Console(width=200, record=True, file=io.StringIO())
    shown.print(render(await read_overview(ledger.redis, ledger.keys)))
    assert "dead letters 1 of 3" in (text := shown.export_text())
    assert "2 of them lost: there were more than max_letters" in text


async def test_a_worker_drops_them(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler:
        partition = scheduler.partition
        await partition.append(SchedulerConfigured(max_letters=2))
        for _ in range(9):
            await partition.redis.xadd(keys("heartbeats"), {"type": "node.heartbeat", "node_id": "n9"})

        async def few() -> bool:
            lost = await partition.redis.hget(keys("dead_others"), "lost")
            return int(lost or 0) == 7

        await until(few)
