"""A partition at a glance."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from ..contract.keys import Keys
from .names import names_of
from .nodes import NodeView, read_nodes
from .pairs import PairView, read_pairs, waiting_pairs
from .partition import PartitionView, read_partition
from .pauses import PauseView, read_pauses
from .pools import PoolView, _read_pools
from .sources import SourceView, read_cancelling, read_sources
from .troubles import TroubleView, read_troubles

LIMIT = 50
"""Rows of each kind in an overview, by default."""

COUNTERS = (
    "submitted",
    "waiting",
    "held",
    "dispatched",
    "finished",
    "failed",
    "cancelled",
    "expired",
    "refused",
    "requeued",
    "dead",
    "nodes",
    "expired_nodes",
    "shed",
)
"""Every counter of a partition; one that has never counted is shown as 0."""


class Overview(msgspec.Struct, kw_only=True):
    """A partition at a glance, bounded for any size of the partition. It is read key after key, not at one moment."""

    partition: PartitionView
    counters: dict[str, int]
    nodes: list[NodeView]
    nodes_total: int
    nodes_online: int
    troubles: list[TroubleView]
    """What nodes say is wrong with them, in their last heartbeats."""
    troubles_total: int
    pools: list[PoolView]
    pools_total: int
    paused: list[PauseView]
    """Paused pools and pairs, at most as many as are listed of each kind."""
    paused_total: int
    sources: list[SourceView]
    """Sources that are admitted, and before them revoked ones whose jobs are being cancelled."""
    sources_total: int
    waiting: list[PairView]
    """Pairs with waiting jobs, the longest queue first."""
    waiting_pairs_total: int
    waiting_pairs_complete: bool
    """False if the keyspace was too large to look for pairs that no pool serves."""
    delayed: int
    """Of the waiting jobs those whose time has not come: ``not_before_ts``, or the pause before another try."""


async def read_overview(redis: Redis, keys: Keys, limit: int = LIMIT) -> Overview:
    """Read the state of a partition.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
        limit: nodes, pools and pairs to list; 50 by default. The totals count all.

    Raises:
        RedisError: the server is away.
    """
    partition = await read_partition(redis, keys)
    raw: Any = await redis.hgetall(keys("counters"))
    counters = {name: int(raw.get(name, 0)) for name in (*COUNTERS, *sorted(set(raw) - set(COUNTERS)))}
    nodes, nodes_total = await names_of(redis, keys("nodes"), limit)
    troubles, troubles_total = await read_troubles(redis, keys, limit)
    pools, pools_total = await names_of(redis, keys("pools"), limit)
    sources, sources_total = await names_of(redis, keys("sources"), limit)
    cancelling = await read_cancelling(redis, keys, limit)
    pairs, complete = await waiting_pairs(redis, keys, counters["waiting"])
    paused = list((await read_pauses(redis, keys)).values())
    ranked = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    return Overview(
        partition=partition,
        counters=counters,
        nodes=await read_nodes(redis, keys, nodes),
        nodes_total=nodes_total,
        nodes_online=await redis.zcard(keys("expiry")),
        troubles=troubles,
        troubles_total=troubles_total,
        pools=await _read_pools(redis, keys, pools),
        pools_total=pools_total,
        paused=paused[:limit],
        paused_total=len(paused),
        sources=await read_sources(redis, keys, cancelling + sources),
        sources_total=len(cancelling) + sources_total,
        waiting=await read_pairs(redis, keys, ranked[:limit]),
        waiting_pairs_total=len(pairs),
        waiting_pairs_complete=complete,
        delayed=max(0, counters["waiting"] - sum(pairs.values())) if complete else 0,
    )
