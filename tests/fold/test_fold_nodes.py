"""What each event does to a node: the table of all states and events, then the claims behind it."""

from __future__ import annotations

import json

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
    assert letter["reason"] == "node_id n1 has never registered: append node.registered first"
    assert await ledger.trace() == {"counters": {}}


async def test_registration_shows_in_the_keys_that_operators_look_at(ledger: Ledger) -> None:
    await ledger.append(
        NodeRegistered(
            node_id="n1",
            cap_json='{"services":["ASR"]}',
            pool_names_json='[{"id":1,"name":"en-zh"},{"id":"x","name":"de-fr-it"}]',
        )
    )
    info = await ledger.info()
    assert (info["online"], info["cap_json"], info["cordoned"]) == ("true", '{"services":["ASR"]}', "false")
    assert info["pools"] == "1 x"
    state = await ledger.state(ledger.keys)
    assert state["pool:1:members"] == state["pool:x:members"] == ["n1"]
    pairs = {key: pools for key, pools in state.items() if key.startswith("lang:")}
    both = {"lang:en:zh": ["1"], "lang:zh:en": ["1"]}
    assert pairs == both | {
        f"lang:{src}:{tgt}": ["x"] for src in ("de", "fr", "it") for tgt in ("de", "fr", "it") if src != tgt
    }


async def test_a_node_may_receive_jobs_from_its_registration_on(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(REGISTRATION)
    info = await ledger.info()
    assert info["last_heartbeat_ts"] == info["since_ts"] == str(await ledger.now())
    assert (await ledger.submit(immediate=True, deliver=False))["status"] == "dispatched"
    await ledger.pass_time(29_999)
    assert (await ledger.info())["online"] == "true"
    await ledger.pass_time(1)
    assert (await ledger.info())["online"] == "false"
    assert await ledger.types() == [
        "node.registered",
        "job.submitted",
        "job.dispatched",
        "node.expired",
        "job.exhausted",
    ]


async def test_a_node_that_registers_without_pools_is_online_and_in_none(ledger: Ledger) -> None:
    await ledger.append(NodeRegistered(node_id="n1", cap_json="{}"))
    info = await ledger.info()
    assert (info["online"], info["pools"]) == ("true", "")
    assert await ledger.redis.smembers(ledger.keys("online")) == {"n1"}


@pytest.mark.parametrize("again", [False, True])
async def test_a_beat_that_was_sent_before_a_registration_changes_nothing(ledger: Ledger, again: bool) -> None:
    if again:
        await ledger.append(REGISTRATION)
    gone = {"type": "node.heartbeat", "node_id": "n1", "online": "false"}
    await ledger.redis.xadd(ledger.keys("heartbeats"), gone, id=f"{await ledger.now() - 1000}-0")
    await ledger.add({"type": "node.registered", "node_id": "n1", "cap_json": "[]"})
    await ledger.advance()
    assert (await ledger.info())["online"] == "true"


async def test_a_node_that_expired_is_back_with_the_same_registration_and_keeps_its_jobs_and_its_cordon(
    ledger: Ledger,
) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.add({"type": "node.cordoned", "node_id": "n1"})
    await ledger.pass_time(30_000)
    before = await ledger.info()
    assert before["online"] == "false"
    await ledger.pass_time(5)
    await ledger.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=before["pool_names_json"]))
    info = await ledger.info()
    assert (info["online"], info["cordoned"], info["incarnation"]) == ("true", "true", before["incarnation"])
    assert int(info["since_ts"]) == int(before["since_ts"]) + 5
    await ledger.pass_time(30_000)
    assert (await ledger.info())["online"] == "false"


async def test_registering_again_replaces_the_pools(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh", "de-fr")
    await ledger.node("n1", "de-fr", "es-it")
    assert await ledger.online("en-zh") == set()
    assert await ledger.online("de-fr") == await ledger.online("es-it") == {"n1"}
    state = await ledger.state(ledger.keys)
    assert "pool:en-zh:members" not in state
    assert state["pool:de-fr:members"] == state["pool:es-it:members"] == ["n1"]
    assert (await ledger.submit("j1", immediate=True))["error"].startswith("EMPTY_POOL ")
    assert (await ledger.submit("j2", src="es", tgt="it"))["node_id"] == "n1"


async def test_registering_without_pools_leaves_them_all(ledger: Ledger) -> None:
    await ledger.node("n1", mailbox="gw")
    await ledger.append(NodeRegistered(node_id="n1", cap_json="{}"))
    info = await ledger.info()
    assert (info["pools"], info["online"]) == ("", "true")
    assert not {"pool_names_json", "mailbox"} & info.keys()
    assert await ledger.online() == set()


async def test_a_pool_whose_name_changes_languages_moves_in_the_index(ledger: Ledger) -> None:
    for node_id in ("n1", "n2"):
        await ledger.append(
            NodeRegistered(node_id=node_id, cap_json="{}", pool_names_json='[{"id":1,"name":"en-zh"}]'),
            NodeHeartbeat(node_id=node_id, online=True),
        )
    await ledger.submit("j1", src="de", tgt="fr")
    await ledger.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json='[{"id":1,"name":"de-fr"}]'))
    state = await ledger.state(ledger.keys)
    assert [key for key in state if key.startswith(("lang:", "open:"))].sort() == [
        "lang:de:fr",
        "lang:fr:de",
        "open:de:fr",
        "open:fr:de",
    ].sort()
    assert "lang:en:zh" not in state
    assert "open:en:zh" not in state
    assert (await ledger.job("j1"))["status"] == "dispatched"
    assert (await ledger.submit("j2", immediate=True))["error"].startswith("NO_POOL_FOR_LANG_PAIR ")


async def test_the_same_registration_twice_changes_nothing(ledger: Ledger) -> None:
    await ledger.node("n1", mailbox="gw")
    await ledger.submit()
    before = await ledger.trace()
    pools = '[{"id": "en-zh", "name": "en-zh"}]'
    await ledger.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=pools, mailbox="gw"))
    assert await ledger.trace() == before


@pytest.mark.parametrize(
    "change", [{"cap_json": '{"gpu":2}'}, {"mailbox": "gw"}, {"pool_names_json": '[{"id":2,"name":"en-zh"}]'}]
)
async def test_another_registration_of_the_same_process_keeps_the_node_online(
    ledger: Ledger, change: dict[str, str]
) -> None:
    await ledger.append(REGISTRATION, NodeHeartbeat(node_id="n1", online=True))
    before = await ledger.info()
    given = {"cap_json": REGISTRATION.cap_json, "pool_names_json": REGISTRATION.pool_names_json, **change}
    flat = [text for pair in given.items() for text in pair if text]
    await ledger.append(["type", "node.registered", "node_id", "n1", *flat])
    after = await ledger.info()
    assert after["incarnation"] == before["incarnation"], "it names no other process"
    assert (after["online"], after["open"]) == ("true", "true")
    assert await ledger.online(after["pools"]) == {"n1"}


async def test_a_later_process_supersedes_the_earlier_one_which_is_told(ledger: Ledger) -> None:
    again = {"node_id": "n1", "cap_json": "{}", "pool_names_json": '[{"name":"en-zh"}]', "mailbox": "gw"}
    first = NodeRegistered(**again, incarnation="one")
    await ledger.append(first, first)
    assert await ledger.inbox("gw") == [], "the same process is no other"
    await ledger.append(NodeRegistered(**again | {"mailbox": "other"}, incarnation="two"))
    assert await ledger.inbox("gw") == [{"type": "node.superseded", "node_id": "n1", "incarnation": "two"}]
    assert await ledger.inbox("other") == []
    code, detail = await ledger.answer(NodeHeartbeat(node_id="n1", online=True, incarnation="one"))
    assert (code, "incarnation two" in detail) == ("NODE_SUPERSEDED", True)
    for incarnation in ("two", None):
        assert (await ledger.answer(NodeHeartbeat(node_id="n1", online=True, incarnation=incarnation)))[0] == ""
    await ledger.append(NodeRegistered(**again))
    assert (await ledger.info())["incarnation"] == "two", "who names no incarnation takes nothing over"


async def test_a_pool_without_an_id_is_called_by_its_name_on_every_node(ledger: Ledger) -> None:
    for node_id in ("n1", "n2"):
        await ledger.append(
            NodeRegistered(node_id=node_id, cap_json="{}", pool_names_json='[{"name":"en-zh"}]'),
            NodeHeartbeat(node_id=node_id, online=True),
        )
    assert await ledger.online("en-zh") == {"n1", "n2"}


async def test_a_language_with_a_hyphen_is_listed_beside_the_name(ledger: Ledger) -> None:
    pools = [{"id": 1, "name": "zh-Hant-pt-BR", "languages": ["zh-Hant", "pt-BR"]}]
    await ledger.append(
        NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=json.dumps(pools)),
        NodeHeartbeat(node_id="n1", online=True),
    )
    assert (await ledger.submit(src="pt-BR", tgt="zh-Hant"))["node_id"] == "n1"


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
    reply = await script("advance")(ledger.redis, **ledger.streams(), prefix=ledger.keys.prefix, batch=1, nonce="5eed")
    assert reply[0] == 1, "the call ends between the two"
    await ledger.advance()
    assert await ledger.held() == {"j1"}
    assert await ledger.redis.exists(ledger.keys("lost")) == 0
    assert await ledger.facts("job.requeued") == []
