"""What a registration does to a node, its pools and the indexes."""

from __future__ import annotations

import json

import pytest

from streamsched.contract.events import NodeHeartbeat, NodeRegistered

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

REGISTRATION = NodeRegistered(node_id="n1", cap_json='{"gpu":1}', pool_names_json='[{"id":1,"name":"en-zh"}]')


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
    pairs = {key: pools for key, pools in state.items() if key.startswith("serving:")}
    both = {"serving:en:zh": [("en zh", 0)], "serving:zh:en": [("en zh", 0)]}
    assert pairs == both | {
        f"serving:{src}:{tgt}": [("de fr it", 0)]
        for src in ("de", "fr", "it")
        for tgt in ("de", "fr", "it")
        if src != tgt
    }
    assert state["lang:en:zh"] == state["lang:zh:en"] == ["1"]
    assert state["set:en zh:pools"] == state["set:en zh:open"] == ["1"]
    assert state["open"] == ["de fr it", "en zh"]


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
    assert sorted(key for key in state if key.startswith(("lang:", "serving:", "set:", "open"))) == [
        "lang:de:fr",
        "lang:fr:de",
        "open",
        "serving:de:fr",
        "serving:fr:de",
        "set:de fr:open",
        "set:de fr:pools",
    ]
    assert state["open"] == ["de fr"]
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
