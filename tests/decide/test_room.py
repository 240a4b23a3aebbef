"""The room that a node says it has: how many assignments it would take beside the jobs that it has begun."""

from __future__ import annotations

import pytest

from streamsched.contract.events import JobCancelled, NodeHeartbeat, NodeOffline, NodeRegistered

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


async def beat(ledger: Ledger, room: int, accepting: bool | None = None) -> None:
    await ledger.pass_time(1)
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, room=room, accepting=accepting))


async def backlog(ledger: Ledger, count: int = 12) -> None:
    for n in range(count):
        await ledger.submit(f"j{n}", session_id=f"s{n}")


async def given(ledger: Ledger) -> int:
    return len(await ledger.held())


async def test_a_node_gets_no_more_than_it_says_it_has_room_for(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=3)
    await backlog(ledger)
    assert await given(ledger) == 3
    await ledger.tell("started", "j0", room="2")
    assert await given(ledger) == 3, "j0 is begun, and the two others fill the room"
    await ledger.tell("completed", "j0", status="finished", room="3")
    assert await given(ledger) == 3
    assert (await ledger.info())["room"] == "3"


async def test_a_node_with_more_room_than_the_first_window_is_filled_at_once(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=11)
    await backlog(ledger)
    assert await given(ledger) == 11


async def test_room_without_end_is_bounded_by_what_an_inbox_may_hold_unread(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=1_000_000)
    await backlog(ledger, 260)
    assert await given(ledger) == 256


async def test_the_scheduler_counts_on_between_two_words_of_a_node(ledger: Ledger) -> None:
    """A node that says its room with its beats alone is never given more than it can begin."""
    await ledger.node()
    await beat(ledger, room=2)
    await backlog(ledger)
    await ledger.tell("started", "j0")
    await ledger.tell("started", "j1")
    assert (await given(ledger), (await ledger.info())["room"]) == (2, "0")
    await ledger.tell("completed", "j0", status="finished")
    assert await given(ledger) == 2
    await ledger.append(JobCancelled(job_id="j1"))
    assert (await given(ledger), (await ledger.info())["room"]) == (2, "2")


async def test_a_job_that_its_caller_delivers_takes_room_at_once(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=1)
    await ledger.submit("j1", immediate=True, deliver=False)
    refused = await ledger.submit("j2", immediate=True, deliver=False)
    assert refused["status"] == "refused"
    await ledger.tell("completed", "j1", status="finished")
    assert (await ledger.submit("j3", immediate=True, deliver=False))["status"] == "dispatched"


async def test_a_beat_older_than_what_the_log_says_of_the_room_changes_nothing(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    now = await ledger.now() + 10
    stale = {"type": "node.heartbeat", "node_id": "n1", "online": "true", "room": "9"}
    await ledger.redis.xadd(ledger.keys("heartbeats"), stale, id=f"{now}-0")
    started = {"type": "job.started", "job_id": "j1", "node_id": "n1", "attempt": (await ledger.job())["attempt"]}
    await ledger.redis.xadd(ledger.keys("events"), started | {"room": "1"}, id=f"{now + 5}-0")
    await ledger.advance()
    assert (await ledger.info())["room"] == "1"
    assert await ledger.facts("node.reported") == []


async def test_a_beat_that_repeats_the_room_writes_no_fact(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=4)
    await beat(ledger, room=4)
    await beat(ledger, room=4, accepting=True)
    assert [fact["room"] for fact in await ledger.facts("node.reported")] == ["4"]


async def test_its_own_word_ends_what_was_learnt_from_a_decline(ledger: Ledger) -> None:
    await ledger.node()
    await backlog(ledger, 2)
    await ledger.tell("started", "j0")
    await ledger.tell("declined", "j1", reason="full")
    assert "full_at" in await ledger.info()
    await beat(ledger, room=1)
    assert "full_at" not in await ledger.info()
    assert await given(ledger) == 2


async def test_a_node_that_declines_as_full_with_its_room_is_given_that_much(ledger: Ledger) -> None:
    await ledger.node()
    await backlog(ledger, 4)
    await ledger.tell("declined", "j0", reason="full", room="3")
    info = await ledger.info()
    assert ("full_at" in info, info["room"]) == (False, "3")


async def test_a_node_that_comes_back_has_no_room_from_before(ledger: Ledger) -> None:
    await ledger.node()
    await beat(ledger, room=0)
    await ledger.append(NodeOffline(node_id="n1"))
    await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    assert "room" not in await ledger.info()
    await backlog(ledger)
    assert await given(ledger) == 8


async def test_a_new_process_of_a_node_is_given_one_job_until_it_says_its_room(ledger: Ledger) -> None:
    await ledger.node(incarnation="i1")
    await beat(ledger, room=8)
    again = NodeRegistered(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]', incarnation="i2")
    await ledger.append(again)
    await backlog(ledger)
    assert await given(ledger) == 1
    await beat(ledger, room=4)
    assert await given(ledger) == 4
