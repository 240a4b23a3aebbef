"""Values that a scrape reads from a partition: a fixed number of commands for any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..connect.about import info_of
from ..contract.entries import position
from ..contract.errors import ERRORS
from ..contract.jobs import ENDED
from ..contract.keys import Keys
from ..state.node_table import CORDONED, FULL, OFFLINE, OPEN, UNWILLING, NodeTable
from ..state.pairs import read_pairs
from ..state.partition import CAUSES, read_partition, shed_so_far
from .follower import OTHER

SHOWN = 50
"""Language pairs that have a series of their own."""

CONDITIONS = ("ok", "rebuilding", "halted", "gap", "wiped")

STATES = {OPEN: "open", FULL: "full", UNWILLING: "not_accepting", CORDONED: "cordoned", OFFLINE: "offline"}
"""States of a node; each node is in one, the last that applies."""

COUNTED = {
    "jobs_submitted": "submitted",
    "jobs_dispatched": "dispatched",
    "jobs_requeued": "requeued",
    "jobs_waiting": "waiting",
    "jobs_held": "held",
    "nodes_expired": "expired_nodes",
    "source_limits": "sources_limited",
    "source_entries_dropped": "sources_dropped",
}
"""Counters of the state; a rebuild reproduces them."""

QUANTILES = {"p50": "0.5", "p99": "0.99", "p99.9": "0.999"}


class Sample(NamedTuple):
    """One value of one metric."""

    name: str
    """As in the catalogue, without ``streamsched_``."""
    value: float
    labels: tuple[str, ...] = ()


async def read(redis: Any, keys: Keys, pairs: list[tuple[str, str]]) -> list[Sample]:
    """Read a partition.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
        pairs: the language pairs that jobs may wait for.

    Raises:
        RedisError: the server is away.
    """
    return [
        *await _partition(redis, keys),
        *await _counters(redis, keys),
        *await _pairs(redis, keys, pairs),
        *await _scripts(redis),
    ]


async def _partition(redis: Any, keys: Keys) -> list[Sample]:
    p = await read_partition(redis, keys)
    samples = [Sample("partition_condition", p.condition == condition, (condition,)) for condition in CONDITIONS]
    samples += [Sample("overload", cause in p.overload, (cause,)) for cause in CAUSES]
    # every code from 0 on: of a series that begins at 1, no rate sees the first
    by_code = dict.fromkeys(sorted(ERRORS), 0) | p.letters_by_code
    samples += [Sample("dead_letters", count, (code,)) for code, count in by_code.items()]
    known = {
        "lag_events": p.lag,
        "heartbeats_lag_events": p.heartbeats_lag,
        "workers": p.workers,
        "last_call_timestamp_seconds": p.last_call_ts and p.last_call_ts / 1000,
        "log_length_events": p.log_length,
        "log_events_folded": p.folded,
        "dead_letters_open": p.open_letters,
        "eviction": None if p.eviction is None else p.eviction != "",
        "clock_ahead_seconds": p.clock_ahead_ms / 1000,
        "members_too_old": len(p.members_too_old),
        "log_pinned_seconds": (p.now_ts - p.pin.since_ts) / 1000 if p.pin else 0,
    }
    samples += [Sample(name, value) for name, value in known.items() if value is not None]
    archived = await redis.hget(keys("meta"), "archived")
    if archived:
        samples.append(Sample("archive_behind_seconds", max(0, _ms(p.watermark) - _ms(archived)) / 1000))
    return samples


async def _counters(redis: Any, keys: Keys) -> list[Sample]:
    # no transaction: a server that is out of memory refuses even to read in one
    async with redis.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys("counters"))
        pipe.hget(keys("meta"), "shed")  # moves into the counter when the overload ends: both are read side by side
        pipe.scard(keys("nodes"))
        pipe.scard(keys("online"))
        pipe.scard(keys("troubled"))
        pipe.scard(keys("sources"))
        counters, shed, nodes, online, troubled, sources = await pipe.execute()
    return [
        *(Sample(name, int(counters.get(counter, 0))) for name, counter in COUNTED.items()),
        *(Sample("jobs_ended", int(counters.get(status, 0)), (status,)) for status in sorted(ENDED)),
        Sample("submissions_shed", int(counters.get("shed", 0)) + shed_so_far(shed)),
        Sample("nodes_registered", nodes),
        Sample("nodes_online", online),
        Sample("nodes_in_trouble", troubled),
        Sample("sources", sources),
    ]


async def _pairs(redis: Any, keys: Keys, pairs: list[tuple[str, str]]) -> list[Sample]:
    async with redis.pipeline(transaction=False) as pipe:
        for src, tgt in pairs:
            pipe.zcard(keys("waiting", src, tgt))
        waiting = {pair: count for pair, count in zip(pairs, await pipe.execute(), strict=True) if count}
    longest = sorted(waiting, key=lambda pair: (-waiting[pair], pair))[:SHOWN]
    samples = []
    for view in await read_pairs(redis, keys, longest):
        labels = view.src_lang, view.tgt_lang
        samples.append(Sample("pair_jobs_waiting", view.waiting, labels))
        samples.append(Sample("pair_open_pools", view.open_pools, labels))
    others = sum(waiting.values()) - sum(waiting[pair] for pair in longest)
    return [*samples, Sample("pair_jobs_waiting", others, (OTHER, OTHER))]


async def _scripts(redis: Any) -> list[Sample]:
    info = await info_of(redis, "commandstats", "latencystats")
    if info is None:
        return []
    calls = info.get("cmdstat_evalsha", {"usec": 0, "calls": 0})
    took = info.get("latency_percentiles_usec_evalsha", {})
    return [
        Sample("script_seconds_sum", calls["usec"] / 1e6),
        Sample("script_seconds_count", calls["calls"]),
        *(Sample("script_seconds", took[p] / 1e6, (q,)) for p, q in QUANTILES.items() if p in took),
    ]


def of_nodes(table: NodeTable) -> Iterator[Sample]:
    """Count the nodes by state."""
    for health, state in STATES.items():
        yield Sample("nodes", table.totals[health], (state,))


def _ms(entry_id: str) -> int:
    return position(entry_id)[0]
