"""The speed of nodes, learned from what they finish, and the choice of one of the fastest with room."""

from __future__ import annotations

from collections import Counter

import pytest

from streamsched.contract.events import JobSubmitted, NodeHeartbeat, NodeOffline, Policy, SchedulerConfigured

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

MANY = 100


async def join(ledger: Ledger, *nodes: str, room: int = MANY) -> None:
    if not ledger.frozen:
        await ledger.freeze()
    for node_id in nodes:
        await ledger.node(node_id)
    await ledger.pass_time(1)
    await ledger.append(*(NodeHeartbeat(node_id=node_id, online=True, room=room) for node_id in nodes))


def work(job_id: str) -> JobSubmitted:
    return JobSubmitted(job_id=job_id, session_id=job_id, src_lang="zh", tgt_lang="en", payload_json="{}")


async def run(ledger: Ledger, rounds: int, ran_ms: dict[str, int], name: str = "j") -> Counter[str]:
    """Let jobs come six at a time, and each take its node's time; returns how many each node got."""
    got: Counter[str] = Counter()
    for n in range(rounds):
        jobs = [f"{name}{n}.{m}" for m in range(6)]
        await ledger.append(*map(work, jobs))
        await ledger.pass_time(max(ran_ms.values()))
        for job_id in jobs:
            node_id = (await ledger.job(job_id))["node_id"]
            got[node_id] += 1
            await ledger.tell("completed", job_id, status="finished", ran_ms=str(ran_ms[node_id]))
    return got


async def speed(ledger: Ledger, node_id: str) -> int:
    return int((await ledger.info(node_id))["speed"])


async def test_the_faster_node_gets_the_jobs_once_its_speed_is_known(ledger: Ledger) -> None:
    await join(ledger, "fast", "slow")
    ran_ms = {"fast": 50, "slow": 200}
    await run(ledger, 5, ran_ms)
    got = await run(ledger, 10, ran_ms, "k")
    assert got["fast"] >= 57, got
    assert await speed(ledger, "fast") < 1024 < await speed(ledger, "slow")
    choices = [fact["why"] for fact in await ledger.facts("job.dispatched")]
    assert choices.count("expected_finish") > 80


async def test_a_fast_node_without_room_leaves_its_jobs_to_a_slower_one(ledger: Ledger) -> None:
    await join(ledger, "fast", "slow")
    await run(ledger, 5, {"fast": 50, "slow": 200})
    await ledger.append(NodeHeartbeat(node_id="fast", online=True, room=1))
    await ledger.append(*(work(f"k{n}") for n in range(4)))
    assert (len(await ledger.held("fast")), len(await ledger.held("slow"))) == (1, 3)


async def test_of_nodes_that_are_equally_fast_none_is_always_first(ledger: Ledger) -> None:
    nodes = [f"n{n:02d}" for n in range(30)]
    await join(ledger, *nodes)
    await ledger.append(*(work(f"j{n}") for n in range(120)))
    counts = [len(await ledger.held(node_id)) for node_id in nodes]
    assert (sum(counts), max(counts) <= 12, counts.count(0) <= 6) == (120, True, True), counts


async def test_a_node_without_a_word_of_its_room_comes_behind_all_that_have_room(ledger: Ledger) -> None:
    await join(ledger, "says")
    await ledger.node("silent")
    await ledger.append(*(work(f"j{n}") for n in range(20)))
    assert len(await ledger.held("says")) >= 18


async def test_what_was_learned_is_half_forgotten_in_ten_minutes(ledger: Ledger) -> None:
    await join(ledger, "fast", "slow")
    await run(ledger, 8, {"fast": 50, "slow": 200})
    before = await speed(ledger, "fast")
    await ledger.pass_time(3_600_000)
    await join(ledger, "fast")
    await ledger.append(NodeOffline(node_id="slow"))
    await run(ledger, 1, {"fast": 100}, "k")
    assert before < 950 < await speed(ledger, "fast")


async def test_a_failed_job_says_nothing_of_the_speed(ledger: Ledger) -> None:
    await join(ledger, "n1")
    await ledger.submit()
    await ledger.tell("completed", status="failed", ran_ms="1")
    assert "speed" not in await ledger.info()


async def test_the_mean_of_a_pair_goes_with_its_last_pool(ledger: Ledger) -> None:
    await join(ledger, "n1")
    await run(ledger, 1, {"n1": 5})
    assert set(await ledger.hash("run_means")) == {"zh:en"}
    await ledger.node("n1", "de-fr")
    await ledger.append(SchedulerConfigured(node_retention_ms=1))
    await ledger.pass_time(10)
    assert await ledger.hash("run_means") == {}


@pytest.mark.parametrize(("policy", "why"), [(Policy.TWO_CHOICES, "two_choices"), (Policy.RANDOM, "random")])
async def test_another_policy_does_not_look_at_speeds(ledger: Ledger, policy: Policy, why: str) -> None:
    await join(ledger, "n1", "n2")
    await ledger.append(SchedulerConfigured(policy=policy))
    await ledger.append(*(work(f"j{n}") for n in range(10)))
    assert {fact["why"] for fact in await ledger.facts("job.dispatched")} == {why}
