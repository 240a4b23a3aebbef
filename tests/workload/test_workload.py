"""The generator follows the figures it names, and gives the same work for the same seed."""

from __future__ import annotations

import statistics
from collections import Counter
from functools import cache
from itertools import islice, pairwise, takewhile

import pytest

from streamsched.workload.fleet import lone_pairs, plan_fleet
from streamsched.workload.generator import (
    BURST_EVERY_S,
    BURST_MEAN,
    PAIRS,
    SESSION_SIZES,
    SESSIONS_PER_S,
    TOKENS_OUT,
    Request,
    arrivals,
    requests,
)
from streamsched.workload.traces import Arrival, Pair

HOURS = 4


@cache
def hours() -> list[Arrival]:
    return list(takewhile(lambda arrival: arrival.at_ms < HOURS * 3_600_000, arrivals(seed=7)))


def conversations() -> list[Arrival]:
    return [arrival for arrival in hours() if arrival.session_id.startswith("s")]


def test_the_same_seed_gives_the_same_work_and_another_seed_other_work() -> None:
    def work(seed: int) -> list[Request]:
        return list(islice(requests(arrivals(seed), seed=seed), 500))

    assert work(1) == work(1)
    assert work(1) != work(2)


def test_arrivals_come_in_order_from_the_start_on() -> None:
    times = [arrival.at_ms for arrival in hours()]
    assert times == sorted(times)
    assert 0 <= times[0] < 5000


def test_the_rates_are_those_of_mooncake_and_of_azures_bursts() -> None:
    seconds = HOURS * 3600
    assert len(conversations()) / seconds == pytest.approx(5719 / 1800, rel=0.05)
    bursts = len(hours()) - len(conversations())
    assert bursts / seconds == pytest.approx(BURST_MEAN / BURST_EVERY_S, rel=0.1)


def test_sessions_start_as_often_and_are_as_long_as_published() -> None:
    first_seen = Counter(arrival.session_id for arrival in conversations())
    started_late = {a.session_id for a in conversations() if a.at_ms < 1_800_000}  # some began before the start
    whole = [size for session, size in first_seen.items() if session not in started_late]
    assert len(whole) / (HOURS * 3600 - 1800) == pytest.approx(SESSIONS_PER_S, rel=0.05)
    assert sum(size == 1 for size in whole) / len(whole) == pytest.approx(
        SESSION_SIZES[0] / sum(SESSION_SIZES), abs=0.03
    )


def test_conversations_are_burstier_than_poisson_and_the_bursts_burstier_still() -> None:
    def dispersion(found: list[Arrival]) -> float:
        windows = Counter(int(arrival.at_ms // 10_000) for arrival in found)
        counts = [windows[n] for n in range(HOURS * 360)]
        return statistics.variance(counts) / statistics.mean(counts)

    assert dispersion(conversations()) > 1.15
    assert dispersion(hours()) > 4


def test_tokens_have_the_published_median() -> None:
    assert statistics.median(a.tokens_out for a in conversations()) == pytest.approx(TOKENS_OUT[10], rel=0.05)


def test_pairs_are_asked_for_in_proportion_to_their_weight() -> None:
    seen = Counter(frozenset((request.src_lang, request.tgt_lang)) for request in requests(hours()))
    total = sum(pair.weight for pair in PAIRS)
    for pair in PAIRS[:3]:
        share = seen[frozenset((pair.source, pair.target))] / sum(seen.values())
        assert share == pytest.approx(pair.weight / total, rel=0.1)
    assert len(seen) == len(PAIRS)


def test_the_sides_of_a_session_take_turns_in_one_pair() -> None:
    turns: dict[str, list[tuple[str, str]]] = {}
    for request in requests(conversations()):
        turns.setdefault(request.session_id, []).append((request.src_lang, request.tgt_lang))
    longest = max(turns.values(), key=len)
    assert len(longest) > 5
    assert all(here == there[::-1] for here, there in pairwise(longest))


def test_few_jobs_fail_once_and_fewer_always() -> None:
    fates = Counter(request.failing_attempts for request in requests(hours()))
    assert fates[1] / fates.total() == pytest.approx(0.01, abs=0.003)
    assert 0 < fates[1000] < fates[1]


@pytest.mark.parametrize("nodes", [2, 8, 40])
def test_a_fleet_serves_every_pair_and_every_node_serves_one(nodes: int) -> None:
    fleet = plan_fleet(PAIRS, nodes)
    assert len({plan.node_id for plan in fleet}) == nodes
    assert all(plan.pairs and plan.concurrency >= 1 for plan in fleet)
    assert {pair for plan in fleet for pair in plan.pairs} == set(PAIRS)


def test_popular_pairs_are_held_widely_and_rare_ones_by_a_single_node() -> None:
    fleet = plan_fleet(PAIRS)
    holders = Counter(pair for plan in fleet for pair in plan.pairs)
    assert holders[PAIRS[0]] == max(holders.values()) > 8
    assert set(lone_pairs(fleet)) == set(PAIRS[-4:])
    assert plan_fleet(PAIRS) == fleet


def test_a_pool_lists_its_languages_because_a_code_may_hold_a_hyphen() -> None:
    (plan,) = plan_fleet([Pair("be-tarask", "ru", 1.0)], nodes=1)
    assert plan.pools == [{"name": "be-tarask-ru", "languages": ["be-tarask", "ru"]}]
