"""Typed, read-only views of the folded state: what an operator asks about. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from .connection import role_in
from .events import LIMITS
from .keys import Keys
from .letters import count_letters
from .pauses import PauseView, read_pauses
from .speakers import SourceView, read_sources
from .waiting import PairView, read_pairs, waiting_pairs

LIMIT = 50
"""Rows of each kind that an overview holds unless told otherwise."""

SORTABLE = 20_000
"""Up to this many names are read whole and sorted; of more, whichever come first are shown."""

CAUSES = ("waiting", "memory", "lag")
"""What there can be too much of."""

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


class PartitionView(msgspec.Struct, kw_only=True):
    """Where one partition stands."""

    namespace: str
    partition: int
    condition: str
    """``ok``, ``rebuilding``, ``halted``, or ``gap``."""
    trouble: str
    """What is wrong and what to do; empty if nothing is."""
    watermark: str
    """Id of the last folded event; ``0-0`` before the first."""
    folded: int
    """Events of the log folded so far."""
    log_length: int
    lag: int | None
    """Events not folded yet, as the consumer group says; ``None`` if the server cannot tell."""
    heartbeats_lag: int | None
    workers: int | None
    """Consumers of the group that were there within the last few seconds; ``None`` on a replica, which is not told.
    A server older than 7.2 sees only those that an event woke: there it is 1 as long as somebody calls."""
    last_call_ts: int | None
    """When the scheduler last acted, ms since the epoch."""
    dead_letters: int
    """All there are, those seen to among them."""
    open_letters: int
    """Those that nobody has retried or dropped."""
    letters_by_code: dict[str, int]
    overload: dict[str, int]
    """What there is too much of, ``waiting`` jobs or ``memory``, with the time since when, ms since the epoch."""
    shed: int
    """Submissions turned away for it so far, those of this moment that no fact tells yet."""
    """All by the code under which they were refused; those of a version that did not count yet are missing."""
    now_ts: int
    """The server's clock at the time of reading, ms since the epoch."""


class NodeView(msgspec.Struct, kw_only=True):
    """One node."""

    node_id: str
    online: bool
    accepting: bool
    open: bool
    """Whether it may receive a job now."""
    why_closed: str
    """Why not; empty if it may."""
    cordoned: bool
    cordon_reason: str
    held: int
    """Jobs in its hands."""
    pools: list[str]
    mailbox: str
    last_heartbeat_ts: int | None
    """ms since the epoch; ``None`` before the first."""
    cap_json: str
    load_json: str


class PoolView(msgspec.Struct, kw_only=True):
    """One pool."""

    pool_id: str
    name: str
    languages: list[str]
    members: int
    open: int
    """Members that may receive a job now."""
    paused: bool
    """Whether an operator keeps new jobs away from it."""


class JobView(msgspec.Struct, kw_only=True):
    """One job. Times are ms since the epoch, ``None`` where it has not come that far."""

    job_id: str
    status: str
    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    node_id: str = ""
    pool_id: str = ""
    attempt: str = ""
    attempts: int = 0
    priority: int = 0
    cause: str = ""
    """Why it last went back to waiting."""
    created_ts: int | None = None
    dispatched_ts: int | None = None
    started_ts: int | None = None
    finished_ts: int | None = None
    deadline_ts: int | None = None
    not_before_ts: int | None = None
    result_json: str | None = None
    error: str | None = None


class Overview(msgspec.Struct, kw_only=True):
    """A partition at a glance, bounded whatever its size. Read key after key: not one moment of it."""

    partition: PartitionView
    counters: dict[str, int]
    nodes: list[NodeView]
    nodes_total: int
    nodes_online: int
    pools: list[PoolView]
    pools_total: int
    paused: list[PauseView]
    """Pools and pairs that an operator keeps new jobs away from, as many as are listed of each kind."""
    paused_total: int
    sources: list[SourceView]
    """Those who may speak through an ingress."""
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
    nodes, nodes_total = await _names(redis, keys("nodes"), limit)
    pools, pools_total = await _names(redis, keys("pools"), limit)
    sources, sources_total = await _names(redis, keys("sources"), limit)
    pairs, complete = await waiting_pairs(redis, keys, counters["waiting"])
    paused = list((await read_pauses(redis, keys)).values())
    ranked = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    return Overview(
        partition=partition,
        counters=counters,
        nodes=await read_nodes(redis, keys, nodes),
        nodes_total=nodes_total,
        nodes_online=await redis.zcard(keys("expiry")),
        pools=await _read_pools(redis, keys, pools),
        pools_total=pools_total,
        paused=paused[:limit],
        paused_total=len(paused),
        sources=await read_sources(redis, keys, sources),
        sources_total=sources_total,
        waiting=await read_pairs(redis, keys, ranked[:limit]),
        waiting_pairs_total=len(pairs),
        waiting_pairs_complete=complete,
        delayed=max(0, counters["waiting"] - sum(pairs.values())) if complete else 0,
    )


async def read_node(redis: Redis, keys: Keys, node_id: str) -> NodeView | None:
    """Read one node; ``None`` if it has never registered."""
    found = await read_nodes(redis, keys, [node_id])
    return found[0] if found else None


async def read_job(redis: Redis, keys: Keys, job_id: str) -> JobView | None:
    """Read one job; ``None`` if there is none of this id, or its retention is over."""
    fields = await redis.hgetall(keys.job(job_id))
    if not fields:
        return None
    present = {name: text for name, text in fields.items() if text != ""}
    return msgspec.convert({**present, "job_id": job_id}, JobView, strict=False)


async def read_nodes(redis: Redis, keys: Keys, node_ids: Iterable[str]) -> list[NodeView]:
    """Read several nodes in one round trip; those that never registered are left out."""
    wanted = list(node_ids)
    async with redis.pipeline(transaction=False) as pipe:
        for node_id in wanted:
            pipe.hgetall(keys.node_info(node_id))
            pipe.scard(keys("node_jobs", node_id))
        replies = await pipe.execute()
    pairs = zip(wanted, zip(replies[::2], replies[1::2], strict=True), strict=True)
    return [_node(node_id, info, held) for node_id, (info, held) in pairs if info]


def _node(node_id: str, info: dict[str, str], held: int) -> NodeView:
    beat = info.get("last_heartbeat_ts")
    node = NodeView(
        node_id=node_id,
        online=info.get("online") == "true",
        accepting=info.get("accepting") == "true",
        open=info.get("open") == "true",
        why_closed="",
        cordoned=info.get("cordoned") == "true",
        cordon_reason=info.get("cordon_reason", "") if info.get("cordoned") == "true" else "",
        held=held,
        pools=info.get("pools", "").split(),
        mailbox=info.get("mailbox", node_id),
        last_heartbeat_ts=int(beat) if beat else None,
        cap_json=info.get("cap_json", ""),
        load_json=info.get("load_json", ""),
    )
    if not node.open:
        if not node.online:
            node.why_closed = "offline"
        elif node.cordoned:
            node.why_closed = f"cordoned: {node.cordon_reason}" if node.cordon_reason else "cordoned"
        else:
            node.why_closed = "full" if node.accepting else "not accepting"
    return node


async def read_partition(redis: Any, keys: Keys) -> PartitionView:
    """Read where a partition stands.

    Raises:
        RedisError: the server is away.
    """
    meta = await redis.hgetall(keys("meta"))
    seconds, micros = await redis.time()
    length, added = 0, 0
    if await redis.exists(keys("events")):
        about = await redis.xinfo_stream(keys("events"))
        length, added = about["length"], about["entries-added"]
    lag = await _lag(redis, keys("events"))
    folded = int(meta.get("folded", 0))
    condition, trouble = "ok", ""
    if "rebuilding" in meta:
        condition, trouble = "rebuilding", "calls succeed again as soon as the state is whole; a worker sees to it"
    elif meta.get("begin") != meta.get("done"):
        torn = f"a call was torn at {meta.get('begin')}"
        condition, trouble = "halted", f"{meta.get('halted', torn)}; a running worker rebuilds the state from its log"
    elif folded > added or (length < added and await _unread(redis, keys, meta) < added - folded):
        lost = "more events were folded than the log took in" if folded > added else "unfolded entries are missing"
        condition, trouble = "gap", f"{lost}: restore the log, then `streamsched rebuild`"
    letters = await count_letters(redis, keys)
    now_ts = seconds * 1000 + micros // 1000
    last_call_ts = int(meta["last_call_ts"]) if "last_call_ts" in meta else None
    return PartitionView(
        namespace=keys.namespace,
        partition=keys.partition,
        condition=condition,
        trouble=trouble,
        watermark=meta.get("watermark", "0-0"),
        folded=folded,
        log_length=length,
        # before the first advance there is no group, and nothing has been read
        lag=lag if folded else added,
        heartbeats_lag=await _lag(redis, keys("heartbeats")),
        workers=await _workers(redis, keys, now_ts - last_call_ts if last_call_ts else None),
        last_call_ts=last_call_ts,
        dead_letters=letters.all,
        open_letters=letters.open,
        letters_by_code=letters.by_code,
        overload=_overload(meta.get("overload", "")),
        shed=shed_so_far(meta.get("shed")),
        now_ts=now_ts,
    )


def shed_so_far(text: str | None) -> int:
    """Read how many submissions the overload under way has turned away, as the scripts write it."""
    return sum(count for cause, count in msgspec.json.decode(text or "{}").items() if cause in CAUSES)


def _overload(text: str) -> dict[str, int]:
    """Read ``memory=1 waiting=2``, as the scripts write it."""
    return {cause: int(since_ts) for cause, _, since_ts in (word.partition("=") for word in text.split())}


async def _unread(redis: Any, keys: Keys, meta: dict[str, str]) -> int:
    """Count the entries behind the watermark, as far as it takes to see whether some are missing."""
    entries = await redis.xrange(keys("events"), min="(" + meta.get("watermark", "0-0"), count=1000)
    return len(entries) if len(entries) < 1000 else 2**53


async def _groups(redis: Any, stream: str) -> list[dict[str, Any]]:
    try:
        return [group for group in await redis.xinfo_groups(stream) if group["name"] == "fold"]
    except ResponseError as problem:
        if "no such key" in str(problem):
            return []
        raise


async def _lag(redis: Any, stream: str) -> int | None:
    groups = await _groups(redis, stream)
    lag: int | None = groups[0].get("lag") if groups else await redis.xlen(stream)
    return lag


async def _workers(redis: Any, keys: Keys, quiet_ms: int | None) -> int | None:
    """Count the consumers that blocked on the log lately; a killed one stays listed, with its idle time growing."""
    hello = await redis.execute_command("HELLO")
    if role_in(hello) != "master":
        return None
    if not await _groups(redis, keys("events")):
        return 0
    lately_ms = 5 * LIMITS["sleep_ms"]
    consumers = await redis.xinfo_consumers(keys("events"), "fold")
    seen = sum(int(consumer["idle"]) < lately_ms for consumer in consumers)
    # before 7.2 a consumer is seen when it gets something, and not when it asks
    asks_unseen = tuple(map(int, str(hello[hello.index("version") + 1]).split(".")[:2])) < (7, 2)
    return max(seen, 1) if asks_unseen and quiet_ms is not None and quiet_ms < lately_ms else seen


async def _names(redis: Any, key: str, limit: int) -> tuple[list[str], int]:
    """Read at most ``limit`` members of a set, the first by name unless it is huge, and how many there are."""
    total = await redis.scard(key)
    if total <= SORTABLE:
        return sorted(await redis.smembers(key))[:limit], total
    some: list[str] = []
    async for name in redis.sscan_iter(key, count=1000):
        some.append(name)
        if len(some) >= limit:
            break
    return sorted(some), total


async def _read_pools(redis: Any, keys: Keys, pool_ids: list[str]) -> list[PoolView]:
    async with redis.pipeline(transaction=False) as pipe:
        for pool_id in pool_ids:
            pipe.hgetall(keys("pool_info", pool_id))
            pipe.scard(keys("pool_members", pool_id))
            pipe.scard(keys("pool_online", pool_id))
        replies = await pipe.execute()
    return [
        PoolView(
            pool_id=pool_id,
            name=replies[3 * n].get("name", ""),
            languages=replies[3 * n].get("languages", "").split(),
            members=replies[3 * n + 1],
            open=replies[3 * n + 2],
            paused="paused" in replies[3 * n],
        )
        for n, pool_id in enumerate(pool_ids)
    ]
