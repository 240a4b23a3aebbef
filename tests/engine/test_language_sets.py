"""What pools of one set of languages share, and what a pool with many languages costs."""

from __future__ import annotations

import json
import random
from itertools import permutations, product
from string import ascii_lowercase

import pytest

from streamsched.contract.events import Event, NodeHeartbeat, NodeRegistered

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

CODES = [f"{a}{b}{b}" for a, b in product("abcdefghijk", ascii_lowercase)]
MOST_SETS = 256


def registration(node_id: str, *names: str, cap: int = 1) -> NodeRegistered:
    pools = json.dumps([{"name": name} for name in names])
    return NodeRegistered(node_id=node_id, cap_json=f'{{"gpu":{cap}}}', pool_names_json=pools)


async def cost(ledger: Ledger, event: Event | list[str]) -> int:
    """The commands that the server runs for a call with this event."""
    await ledger.redis.config_resetstat()
    assert [answer[0] for answer in await ledger.append(event)] == [""]
    stats = await ledger.redis.info("commandstats")
    return sum(int(about["calls"]) for name, about in stats.items())


async def test_a_beat_that_closes_a_node_costs_the_same_whatever_its_pools_languages(ledger: Ledger) -> None:
    costs = set[tuple[int, int]]()
    for number, languages in enumerate((2, 8, 32)):
        node_id = f"n{number}"
        await ledger.append(registration(node_id, "-".join(CODES[40 * number :][:languages])))
        closes = NodeHeartbeat(node_id=node_id, online=True, accepting=False)
        opens = NodeHeartbeat(node_id=node_id, online=True, accepting=True)
        rounds = [(await cost(ledger, closes), await cost(ledger, opens)) for _ in range(3)]
        costs.add(min(rounds))  # the first call loads a script, and once a second one looks at the server's memory
    assert len(costs) == 1, "the commands of a beat do not grow with the languages"


async def test_opening_a_node_costs_the_same_however_many_of_its_pairs_wait(ledger: Ledger) -> None:
    """Each time eight jobs of eight pairs go to it, as many as it may have in flight."""
    costs = list[int]()
    for number, languages in enumerate((8, 8, 16, 32)):
        node_id, codes = f"n{number}", CODES[40 * number :][:languages]
        await ledger.append(registration(node_id, "-".join(codes)), ["type", "node.cordoned", "node_id", node_id])
        for src, tgt in permutations(codes, 2):
            job = {"job_id": f"{src}-{tgt}", "session_id": src, "src_lang": src, "tgt_lang": tgt, "payload_json": "1"}
            await ledger.add({"type": "job.submitted", **job, "affinity": "none"})
        await ledger.advance()
        costs.append(await cost(ledger, ["type", "node.uncordoned", "node_id", node_id]))
        assert len(await ledger.held(node_id)) == 8
    assert max(costs[1:]) - min(costs[1:]) <= 2, "two: once a second a call looks at the server's memory"


async def test_registering_again_with_the_same_pools_costs_the_same_whatever_their_languages(ledger: Ledger) -> None:
    costs = set[tuple[int, ...]]()
    for number, languages in enumerate((2, 8, 32)):
        name, twin = "-".join(CODES[40 * number :][:languages]), f"twin{number}"
        await ledger.append(registration(f"n{number}", name), registration(twin, name))
        again = [await cost(ledger, registration(twin, name, cap=cap)) for cap in (2, 2, 3, 3)]
        joins = [await cost(ledger, registration(f"third{number}-{n}", name)) for n in range(3)]
        costs.add((min(again[::2]), min(again[1::2]), min(joins)))
    assert len(costs) == 1


async def test_pools_of_the_same_languages_in_another_order_share_a_set(ledger: Ledger) -> None:
    await ledger.append(registration("n1", "zh-en-de", "de-en-zh"), registration("n2", "de-zh"))
    state = await ledger.state(ledger.keys)
    assert state["set:de en zh:pools"] == state["set:de en zh:open"] == ["de-en-zh", "zh-en-de"]
    assert state["serving:de:zh"] == [("de en zh", 0), ("de zh", 0)]
    assert state["lang:de:zh"] == ["de-en-zh", "de-zh", "zh-en-de"]


async def test_a_set_that_comes_into_being_finds_the_jobs_that_wait_already(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh")
    await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    for job_id, src in (("j1", "en"), ("j2", "de")):
        await ledger.submit(job_id, src=src, tgt="zh")
    await ledger.node("n2", "de-en-zh")
    assert [(await ledger.job(job_id))["node_id"] for job_id in ("j1", "j2")] == ["n2", "n2"]


async def test_a_set_that_comes_as_the_last_job_of_its_pair_goes_leaves_nothing_ready(ledger: Ledger) -> None:
    """In one batch: the new set has not seen the job, the old one must not keep it."""
    await ledger.node("n1", "en-zh")
    await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    await ledger.submit("j1", src="en", tgt="zh")
    cancelled = ["type", "job.cancelled", "job_id", "j1"]
    for pools in ("de-en-zh", "en-zh-it"):
        await ledger.append(registration(f"of {pools}", pools), cancelled)
        state = await ledger.state(ledger.keys)
        assert not [name for name in state if name.startswith("set:") and name.endswith(":waiting")]


OWN = CODES[:40]
SHAPES: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "more sets serve the best pair than are read at once": (
        [f"xx-yy-{code}" for code in OWN],
        [("xx", "yy")] * 60 + [("xx", code) for code in OWN] + [("yy", code) for code in OWN],
    ),
    "more pairs are best in a set of their own": (
        [f"{code}-zz" for code in OWN],
        [(code, "zz") for code in OWN] * 3 + [("zz", code) for code in OWN] * 2,
    ),
    "more pairs wait in one set": (["-".join(CODES[:8])] * 30, [*permutations(CODES[:8], 2)] * 4),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_jobs_go_in_their_order_over_all_pairs_and_sets(ledger: Ledger, shape: str) -> None:
    names, pairs = SHAPES[shape]
    dice = random.Random(7)
    dice.shuffle(pairs)
    for number, name in enumerate(names):
        await ledger.append(registration(f"n{number}", name), ["type", "node.cordoned", "node_id", f"n{number}"])
    wanted: list[tuple[int, int, str]] = []
    for number, (src, tgt) in enumerate(pairs):
        priority, job_id = dice.randint(-2, 2), f"j{number}"
        job = {"job_id": job_id, "session_id": job_id, "src_lang": src, "tgt_lang": tgt, "payload_json": "1"}
        await ledger.add({"type": "job.submitted", **job, "priority": str(priority)})
        wanted.append((-priority, number, job_id))
    await ledger.advance()
    for number in range(len(names)):
        await ledger.add({"type": "node.uncordoned", "node_id": f"n{number}"})
    await ledger.advance()
    given = [fact["job_id"] for fact in await ledger.facts("job.dispatched")]
    assert given == [job_id for _, _, job_id in sorted(wanted)]


async def test_a_pair_is_served_by_a_bounded_number_of_sets_of_languages(ledger: Ledger) -> None:
    names = [f"en-zh-{code}" for code in CODES[:MOST_SETS]]
    for number in range(0, MOST_SETS, 32):
        assert (await ledger.answer(registration(f"n{number}", *names[number : number + 32])))[0] == ""
    for other in ("en-zh", "de-zh-en"):
        code, detail = await ledger.answer(registration("other", other))
        assert code == "INVALID_FIELD"
        assert "pool_names_json" in detail
        assert "give the pool the languages of one of them" in detail
    assert (await ledger.answer(registration("other", "de-en")))[0] == ""
    again = NodeRegistered(node_id="again", cap_json="{}", pool_names_json='[{"id":7,"name":"zh-en-aaa"}]')
    assert (await ledger.answer(again))[0] == "", "it joins one of them"
    assert (await ledger.submit(immediate=True))["status"] == "dispatched"
