"""What a node says is wrong with it: until a beat says nothing, and at no cost to a beat that says nothing."""

from __future__ import annotations

import pytest

from streamsched.contract.events import NodeHeartbeat, NodeOffline
from streamsched.state.overview import read_overview
from streamsched.state.troubles import read_troubles

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

WELL = {"type": "node.heartbeat", "node_id": "n1", "online": "true"}
ILL = {**WELL, "trouble": "the inbox cannot be read: 嗯"}


async def troubles(ledger: Ledger) -> dict[str, str]:
    found, total = await read_troubles(ledger.redis, ledger.keys, 10)
    assert len(found) == total
    said = {one.node_id: one.trouble for one in found}
    assert said.get("n1") == (await ledger.info()).get("trouble")
    assert (await ledger.hash("meta")).get("troubled") == ("true" if said else None)
    return said


@pytest.mark.parametrize("stream", ["heartbeats", "events"])
async def test_a_trouble_stays_until_a_beat_says_nothing_of_it(ledger: Ledger, stream: str) -> None:
    await ledger.node()
    assert await troubles(ledger) == {}
    for beat, expected in ((ILL, ILL["trouble"]), ({**ILL, "trouble": "worse"}, "worse"), (WELL, None), (WELL, None)):
        await ledger.add(beat, stream)
        await ledger.advance()
        if expected is None:  # a beat on the log leaves the note to the next one on the stream
            await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        assert (await troubles(ledger)).get("n1") == expected
    assert (await ledger.info())["open"] == "true"


@pytest.mark.parametrize(("beats", "expected"), [((ILL, WELL), None), ((WELL, ILL), ILL["trouble"])])
async def test_of_beats_that_are_read_together_the_last_one_counts(
    ledger: Ledger, beats: tuple[dict[str, str], ...], expected: str | None
) -> None:
    await ledger.node()
    for beat in beats:
        await ledger.add(beat, "heartbeats")
    await ledger.advance()
    assert (await troubles(ledger)).get("n1") == expected


async def test_the_trouble_of_one_node_is_not_that_of_another(ledger: Ledger) -> None:
    for node_id in ("n1", "n2"):
        await ledger.node(node_id)
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, trouble="x"))
    await ledger.append(NodeHeartbeat(node_id="n2", online=True, trouble="y"))
    await ledger.append(NodeHeartbeat(node_id="n2", online=True))
    assert await troubles(ledger) == {"n1": "x"}
    assert (await read_overview(ledger.redis, ledger.keys)).nodes[0].trouble == "x"


async def test_a_node_that_registers_or_goes_has_no_trouble(ledger: Ledger) -> None:
    await ledger.node()
    for leaving in (NodeOffline(node_id="n1"), NodeHeartbeat(node_id="n1", online=False, trouble="still"), None):
        await ledger.append(NodeHeartbeat(node_id="n1", online=True, trouble="x"))
        if leaving:
            await ledger.append(leaving)
        else:
            await ledger.node()
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        assert await troubles(ledger) == {}


async def test_a_node_behind_an_ingress_says_what_is_wrong_with_it(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.admit("gate", "n1")
    await ledger.say("gate", "node.heartbeat", "node_id", "n1", "online", "true", "trouble", "x")
    await ledger.take_in("gate")
    assert await troubles(ledger) == {"n1": "x"}
    await ledger.say("gate", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.take_in("gate")
    assert await troubles(ledger) == {}


async def test_a_beat_that_says_nothing_costs_what_it_cost_before_a_node_was_in_trouble(ledger: Ledger) -> None:
    async def cost_of_a_beat() -> dict[str, int]:
        await ledger.redis.config_resetstat()
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        stats = await ledger.redis.info("commandstats")
        asked = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_eval", "cmdstat_evalsha"}
        return {name: stats[name]["calls"] for name in stats if name not in asked}

    await ledger.node()
    before = await cost_of_a_beat()
    assert before["cmdstat_smismember"] == 1, "who is online"
    assert not {"cmdstat_hdel", "cmdstat_srem", "cmdstat_exists"} & before.keys()
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, trouble="x"))
    assert (await cost_of_a_beat())["cmdstat_smismember"] == 2
    assert await cost_of_a_beat() == before


async def test_a_trouble_that_is_no_text_of_the_contract_is_refused(ledger: Ledger) -> None:
    await ledger.node()
    code, detail = (await ledger.answer(NodeHeartbeat(node_id="n1", online=True, trouble="x" * 4097)))[:2]
    assert (code, detail) == ("INVALID_FIELD", "trouble has 4097 bytes: keep it within 4096")
    assert await troubles(ledger) == {}
