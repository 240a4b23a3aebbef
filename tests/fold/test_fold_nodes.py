"""What each event does to a node: the table of all states and events, then the claims behind it."""

from __future__ import annotations

import pytest

from streamsched.contract.events import NodeDrained, NodeHeartbeat, NodeRegistered, SchedulerConfigured
from streamsched.contract.wire import to_wire
from streamsched.engine.script import script

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

BEATS = {
    "beat": {"online": "true"},
    "last beat": {"online": "false"},
    "paused beat": {"online": "true", "accepting": "false"},
    "accepting beat": {"online": "true", "accepting": "true"},
}
EVENTS = (*BEATS, "offline", "cordoned", "uncordoned", "drained", "registered")
TABLE = {
    # O online, P paused (accepts nothing), C cordoned: the state before, then the state behind each event above.
    # A node may receive a job in state O, and in no other.
    "-": ("O", "-", "OP", "O", "-", "C", "-", "C", "O"),
    "O": ("O", "-", "OP", "O", "-", "OC", "O", "OC", "O"),
    "P": ("O", "P", "OP", "O", "P", "PC", "P", "PC", "O"),
    "C": ("OC", "C", "OPC", "OC", "C", "C", "-", "C", "OC"),
    "OP": ("OP", "P", "OP", "O", "P", "OPC", "OP", "OPC", "OP"),
    "OC": ("OC", "C", "OPC", "OC", "C", "OC", "O", "OC", "OC"),
    "PC": ("OC", "PC", "OPC", "OC", "PC", "PC", "P", "PC", "OC"),
    "OPC": ("OPC", "PC", "OPC", "OC", "PC", "OPC", "OP", "OPC", "OPC"),
}
CELLS = [
    (before, event, stream, after)
    for before, row in TABLE.items()
    for event, after in zip(EVENTS, row, strict=True)
    for stream in (("events", "heartbeats") if event in BEATS else ("events",))
]
REGISTRATION = NodeRegistered(node_id="n1", cap_json='{"gpu":1}', pool_names_json='[{"id":1,"name":"en-zh"}]')


async def bring_to(ledger: Ledger, state: str) -> None:
    await ledger.append(REGISTRATION)
    if "P" in state or "O" in state:
        beat = BEATS["paused beat" if "P" in state else "beat"]
        await ledger.add({"type": "node.heartbeat", "node_id": "n1", **beat})
    if "O" not in state:
        await ledger.add({"type": "node.offline", "node_id": "n1"})
    if "C" in state:
        await ledger.add({"type": "node.cordoned", "node_id": "n1"})
    await ledger.advance()


async def happen(ledger: Ledger, event: str, stream: str) -> None:
    if event == "registered":
        await ledger.append(REGISTRATION)
    elif event in BEATS:
        await ledger.add({"type": "node.heartbeat", "node_id": "n1", **BEATS[event]}, stream)
    else:
        await ledger.add({"type": f"node.{event}", "node_id": "n1"})
    await ledger.advance()


async def state_of(ledger: Ledger) -> str:
    info = await ledger.info()
    shown = {"O": info["online"] == "true", "P": info["accepting"] == "false", "C": info["cordoned"] == "true"}
    return "".join(letter for letter, holds in shown.items() if holds) or "-"


@pytest.mark.parametrize(("before", "event", "stream", "after"), CELLS, ids=[f"{b}-{e}-{s}" for b, e, s, _ in CELLS])
async def test_every_state_meets_every_event(ledger: Ledger, before: str, event: str, stream: str, after: str) -> None:
    await bring_to(ledger, before)
    assert await state_of(ledger) == before
    await happen(ledger, event, stream)
    assert await state_of(ledger) == after
    assert await ledger.online("1") == ({"n1"} if after == "O" else set())
    assert await ledger.dead() == []


@pytest.mark.parametrize(
    ("event", "stream"),
    [(event, "events") for event in EVENTS if event != "registered"] + [(event, "heartbeats") for event in BEATS],
)
async def test_a_node_that_never_registered_is_refused(ledger: Ledger, event: str, stream: str) -> None:
    await happen(ledger, event, stream)
    (letter,) = await ledger.dead()
    assert (letter["code"], letter["stream"]) == ("UNKNOWN_NODE", stream)
    assert letter["reason"] == "node_id n1 has never registered, or was retired: append node.registered first"
    assert await ledger.trace() == {"counters": {}}


async def test_the_cordon_keeps_its_reason_until_it_is_lifted(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.append(["type", "node.cordoned", "node_id", "n1", "reason", "new driver"])
    assert (await ledger.info())["cordon_reason"] == "new driver"
    await ledger.append(["type", "node.uncordoned", "node_id", "n1"])
    assert "cordon_reason" not in await ledger.info()


async def test_a_cordoned_node_keeps_its_jobs_and_gets_no_more(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    await ledger.submit("j2")
    assert await ledger.held() == {"j1"}
    await ledger.append(["type", "node.uncordoned", "node_id", "n1"])
    assert await ledger.held() == {"j1", "j2"}


async def test_a_drained_node_gets_a_message_in_its_inbox_and_no_more_jobs(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await ledger.tell("started", "j1")
    await ledger.append(NodeDrained(node_id="n1"))
    await ledger.submit("j2")
    assert (await ledger.inbox())[-1] == {"type": "node.drained", "node_id": "n1"}
    assert await ledger.held() == {"j1"}
    assert (await ledger.info())["cordon_reason"] == "drained"
    assert (await ledger.tell("completed", "j1", status="finished"))[0] == "", "what runs may end"


async def test_beats_stay_out_of_the_log_but_for_what_they_change(ledger: Ledger) -> None:
    await ledger.node()
    for n in range(20):
        await ledger.add(
            {"type": "node.heartbeat", "node_id": "n1", "online": "true", "load_json": f"[{n}]"}, "heartbeats"
        )
    await ledger.advance()
    assert await ledger.types() == ["node.registered"]
    info = await ledger.info()
    assert info["load_json"] == "[19]"
    assert int(info["last_heartbeat_ts"]) >= int(info["since_ts"])


async def test_a_beat_from_before_the_node_went_says_nothing_about_now(ledger: Ledger) -> None:
    await ledger.append(REGISTRATION)
    await ledger.add({"type": "node.heartbeat", "node_id": "n1", "online": "true"})
    await ledger.add({"type": "node.offline", "node_id": "n1"})
    old = f"{await ledger.now() - 1000}-0"
    await ledger.redis.xadd(
        ledger.keys("heartbeats"), {"type": "node.heartbeat", "node_id": "n1", "online": "true"}, id=old
    )
    await ledger.advance()
    assert (await ledger.info())["online"] == "false"


async def test_a_beat_from_before_a_node_that_was_offline_said_that_it_goes_says_nothing_about_now(
    ledger: Ledger,
) -> None:
    now = await ledger.now()
    flat = to_wire(REGISTRATION)
    registration = dict(zip(flat[::2], flat[1::2], strict=True))
    await ledger.redis.xadd(ledger.keys("events"), registration, id=f"{now - 3000}-0")  # it never came online
    beat = {"type": "node.heartbeat", "node_id": "n1", "online": "true"}
    await ledger.redis.xadd(ledger.keys("heartbeats"), beat, id=f"{now - 2000}-0")
    gone = {"type": "node.offline", "node_id": "n1"}
    await ledger.redis.xadd(ledger.keys("events"), gone, id=f"{now - 1000}-0")
    await ledger.advance()
    assert (await ledger.info())["online"] == "false"


async def test_a_beat_counts_while_the_clock_stands_behind_the_log(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(REGISTRATION)
    await ledger.add({"type": "node.heartbeat", "node_id": "n1", "online": "true"})
    await ledger.add({"type": "node.offline", "node_id": "n1"})
    await ledger.advance()
    seconds, _ = await ledger.redis.time()
    beat = {"type": "node.heartbeat", "node_id": "n1", "online": "true"}
    await ledger.redis.xadd(ledger.keys("heartbeats"), beat, id=f"{seconds * 1000 - 50}-0")
    await ledger.advance()
    assert (await ledger.info())["online"] == "true"


async def test_a_silent_node_expires_and_its_jobs_go_elsewhere(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(accept_timeout_ms=0))
    await ledger.node("n1")
    await ledger.submit("j1")
    await ledger.pass_time(20_000)
    await ledger.node("n2")
    await ledger.pass_time(10_001)
    fact = await ledger.last("node.expired")
    info = await ledger.info("n1")
    assert (fact["node_id"], fact["last_heartbeat_ts"]) == ("n1", info["last_heartbeat_ts"])
    assert info["online"] == "false"
    assert await ledger.online() == {"n2"}
    assert (await ledger.job("j1"))["node_id"] == "n2"
    assert (await ledger.last("job.requeued"))["cause"] == "node lost"


async def test_a_node_that_beats_does_not_expire(ledger: Ledger) -> None:
    await ledger.node()
    for _ in range(4):
        await ledger.pass_time(20_000)
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    assert await ledger.types() == ["node.registered"]


async def test_the_heartbeat_timeout_is_configured(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=1_000))
    await ledger.node()
    await ledger.pass_time(999)
    assert (await ledger.info())["online"] == "true"
    await ledger.pass_time(1)
    assert (await ledger.info())["online"] == "false"


async def test_an_expired_node_recovers_with_its_next_beat_and_gets_what_waits(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.pass_time(30_000)
    await ledger.submit()
    assert (await ledger.job())["status"] == "created"
    await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    assert [fact["node_id"] for fact in await ledger.facts("node.recovered")] == ["n1"]
    assert (await ledger.job())["status"] == "dispatched"


async def test_a_node_that_was_full_when_it_left_comes_back_open(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("declined", reason="full")
    assert await ledger.online() == set()
    await ledger.append(NodeHeartbeat(node_id="n1", online=False))
    await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    assert "full_at" not in await ledger.info()
    assert (await ledger.job())["node_id"] == "n1"


async def test_a_node_that_is_back_before_its_jobs_were_taken_away_keeps_them(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.add({"type": "node.offline", "node_id": "n1"})
    await ledger.add({"type": "node.heartbeat", "node_id": "n1", "online": "true"})
    reply = await script("advance")(ledger.redis, **ledger.given(1))
    assert reply[0] == 1, "the call ends between the two"
    await ledger.advance()
    assert await ledger.held() == {"j1"}
    assert await ledger.redis.exists(ledger.keys("lost")) == 0
    assert await ledger.facts("job.requeued") == []


async def test_an_event_of_the_log_is_not_answered_with_the_refusal_of_a_beat_of_the_same_id(ledger: Ledger) -> None:
    ahead = await ledger.now() + 60_000
    keys = ledger.keys
    await ledger.redis.xadd(keys("events"), {"type": "session.released", "session_id": "s"}, id=f"{ahead}-0")
    beat = {"type": "node.heartbeat", "node_id": "nobody", "online": "true"}
    await ledger.redis.xadd(keys("heartbeats"), beat, id=f"{ahead}-1")
    answers = await ledger.append(REGISTRATION, NodeHeartbeat(node_id="n1", online=True))
    assert answers == [["", f"{ahead}-1"], ["", f"{ahead}-2"]]
