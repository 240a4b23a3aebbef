"""What is gone for good leaves the state: offline nodes, their inboxes, pools without a member, revoked sources."""

from __future__ import annotations

import pytest

from streamsched.contract.events import (
    NodeHeartbeat,
    NodeOffline,
    NodeRegistered,
    NodeRetired,
    PoolPaused,
    PoolResumed,
    SchedulerConfigured,
    SourceRevoked,
)

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3_600_000


async def keys_of(ledger: Ledger, *words: str) -> list[str]:
    """The keys of the partition that hold one of some words."""
    prefix = ledger.keys.prefix
    found = [name.removeprefix(prefix) async for name in ledger.redis.scan_iter(match=prefix + "*", count=1000)]
    return sorted(name for name in found if any(word in name for word in words))


async def leave(ledger: Ledger, *node_ids: str) -> None:
    await ledger.append(*(NodeOffline(node_id=node_id) for node_id in node_ids))


async def test_a_node_that_is_offline_for_a_day_is_retired_with_all_that_is_its_own(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node("n1", "de-en-fr")
    await ledger.submit("j1", src="de", tgt="en")
    await ledger.tell("completed", status="finished")
    await leave(ledger, "n1")
    await ledger.pass_time(DAY_MS - 1)
    assert (await ledger.info())["online"] == "false"
    await ledger.pass_time(1)
    assert (await ledger.last("node.retired"))["node_id"] == "n1"
    assert await keys_of(ledger, "n1", "node", "online", "mailboxes", "lost") == []
    assert (await ledger.hash("counters"))["nodes"] == "0"
    await ledger.pass_time(DAY_MS)
    assert (await ledger.last("pool.retired"))["pool_id"] == "de-en-fr"
    assert await keys_of(ledger, "pool", "lang:", "serving:", "set:", "open", "gone") == []


async def test_a_node_that_came_back_in_time_is_not_retired(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node("n1")
    await leave(ledger, "n1")
    await ledger.pass_time(DAY_MS - 1)
    await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=0))
    await ledger.pass_time(DAY_MS)
    assert (await ledger.info())["online"] == "true"


async def test_a_retired_node_that_beats_is_unknown_and_registers_as_a_new_one(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.append(["type", "node.cordoned", "node_id", "n1"], NodeOffline(node_id="n1"))
    assert (await ledger.answer(NodeRetired(node_id="n1")))[0] == ""
    assert (await ledger.answer(NodeHeartbeat(node_id="n1", online=True)))[0] == "UNKNOWN_NODE"
    await ledger.node("n1")
    assert (await ledger.info())["cordoned"] == "false"
    await ledger.submit("j1")
    assert await ledger.held() == {"j1"}
    assert [told["job_id"] for told in await ledger.inbox()] == ["j1"]


async def test_a_node_that_is_online_or_holds_jobs_is_not_retired(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit("j1")
    code, detail = await ledger.answer(NodeRetired(node_id="n1"))
    assert (code, "is online: stop it" in detail) == ("NODE_IN_USE", True)
    answers = await ledger.append(NodeOffline(node_id="n1"), NodeRetired(node_id="n1"))
    assert answers[1][0] == "NODE_IN_USE"
    assert "holds 1 jobs" in answers[1][1]
    assert (await ledger.answer(NodeRetired(node_id="n1")))[0] == "", "its job waits for another node by then"
    assert (await ledger.job())["status"] == "created"


async def test_with_a_retention_of_zero_nodes_and_pools_stay(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(node_retention_ms=0))
    await ledger.node("n1")
    await leave(ledger, "n1")
    await ledger.pass_time(365 * DAY_MS)
    assert (await ledger.info())["online"] == "false"


async def test_an_inbox_stays_while_another_node_reads_it(ledger: Ledger) -> None:
    await ledger.node("n1", mailbox="gateway")
    await ledger.node("n2", mailbox="gateway")
    for n in range(4):
        await ledger.submit(f"j{n}")
    await leave(ledger, "n1")
    await ledger.append(NodeRetired(node_id="n1"))
    assert await ledger.inbox("gateway")
    await leave(ledger, "n2")
    await ledger.append(NodeRetired(node_id="n2"))
    assert await keys_of(ledger, "inbox:") == []


async def test_an_inbox_that_its_node_has_changed_for_another_expires_unless_it_is_taken_again(ledger: Ledger) -> None:
    await ledger.node("n1", mailbox="old")
    await ledger.submit("j1")
    old = ledger.keys.inbox("old")
    assert await ledger.redis.ttl(old) == -1
    await ledger.node("n1", mailbox="new")
    assert await ledger.redis.ttl(old) > 0
    await ledger.node("n1", mailbox="old")
    assert await ledger.redis.ttl(old) == -1


async def test_a_pool_that_was_paused_keeps_its_pause_without_members(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node("n1")
    await ledger.append(PoolPaused(pool_id="en-zh"), NodeOffline(node_id="n1"))
    await ledger.pass_time(3 * DAY_MS)
    assert await keys_of(ledger, "node:info") == []
    await ledger.node("n1")
    await ledger.submit("j1")
    assert await ledger.held() == set()
    await leave(ledger, "n1")
    await ledger.append(NodeRetired(node_id="n1"), PoolResumed(pool_id="en-zh"))
    await ledger.pass_time(DAY_MS)
    assert await keys_of(ledger, "pool") == []


async def test_a_pool_that_its_last_node_left_is_retired_unless_a_node_joins(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=0))
    await ledger.node("n1", "de-en", "fr-en")
    await ledger.node("n1", "en-zh")
    await ledger.node("n2", "fr-en")
    await ledger.pass_time(DAY_MS)
    assert [fact["pool_id"] for fact in await ledger.facts("pool.retired")] == ["de-en"]
    assert await ledger.redis.smembers(ledger.keys("pools")) == {"en-zh", "fr-en"}


async def test_many_nodes_are_retired_a_bounded_number_a_call(ledger: Ledger) -> None:
    await ledger.freeze()
    for n in range(20):
        await ledger.append(NodeRegistered(node_id=f"n{n}", cap_json="{}"), NodeOffline(node_id=f"n{n}"))
    await ledger.redis.hset(ledger.keys("meta"), "last_call_ts", str(await ledger.now() + DAY_MS))
    assert (await ledger.call(batch=7))[0] == 1
    assert len(await ledger.facts("node.retired")) == 7
    await ledger.advance()
    assert len(await ledger.facts("node.retired")) == 20


RELEASE = ("session.released", "session_id", "s1")


async def test_a_source_that_is_revoked_for_a_day_is_retired_with_its_ingress(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web")
    await ledger.say("web", *RELEASE)
    await ledger.append(SourceRevoked(source="web"))
    await ledger.pass_time(DAY_MS - 1)
    assert await keys_of(ledger, "web") == ["in:web", "source:web"]
    await ledger.pass_time(1)
    assert await keys_of(ledger, "web", "gone") == []
    assert (await ledger.answer(SourceRevoked(source="web")))[0] == "UNKNOWN_SOURCE"


async def test_a_source_that_is_admitted_again_in_time_stays(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web")
    await ledger.append(SourceRevoked(source="web"))
    await ledger.admit("web")
    await ledger.pass_time(2 * DAY_MS)
    assert await keys_of(ledger, "source:") == ["source:web"]


async def test_an_entry_of_a_retired_source_is_not_taken_in_again_when_it_is_admitted_again(ledger: Ledger) -> None:
    await ledger.admit("web")
    old = await ledger.say("web", *RELEASE)
    await ledger.take_in("web")
    await ledger.freeze()
    await ledger.append(SourceRevoked(source="web"))
    await ledger.pass_time(DAY_MS)
    await ledger.admit("web")
    await ledger.say("web", *RELEASE, entry_id=old)
    await ledger.say("web", *RELEASE)
    await ledger.take_in("web")
    taken = [fact["source_id"] for fact in await ledger.facts("session.released") if "source" in fact]
    assert len(taken) == 2
    assert taken[0] == old != taken[1]


async def test_a_letter_of_a_retired_source_is_not_retried_with_the_rights_of_an_operator(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node("n1")
    await ledger.admit("web")
    await ledger.say("web", "node.cordoned", "node_id", "n1")
    await ledger.take_in("web")
    (letter,) = await ledger.dead()
    assert letter["code"] == "NOT_PERMITTED"
    await ledger.append(SourceRevoked(source="web"))
    await ledger.pass_time(DAY_MS)
    about = ["source", "web", "source_id", letter["source_id"], "retry_of", (await ledger.letter_ids())[0]]
    assert (await ledger.answer(["type", "node.cordoned", "node_id", "n1", *about]))[0] == "UNKNOWN_SOURCE"
    assert "cordon_reason" not in await ledger.info()
