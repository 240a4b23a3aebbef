"""Where a partition stands: ok, rebuilding, halted, with a gap in its log, or without the log that it had."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.exceptions import ResponseError

from ..connect.about import identify
from ..contract.errors import LogWiped
from ..contract.keys import Keys
from ..contract.kinds import LIMITS
from ..engine.members import read_members, too_old, upgrade_words
from .jobs import Pin, read_pin
from .letters import count_letters
from .server import clock_words, eviction_words, read_eviction

UNREAD = 16
"""Entries read at once to count those that are not folded: each may hold a megabyte."""

CAUSES = ("waiting", "memory", "lag")
"""What there can be too much of."""


class PartitionView(msgspec.Struct, kw_only=True):
    """Where one partition stands."""

    namespace: str
    partition: int
    condition: str
    """``ok``, ``rebuilding``, ``halted``, ``gap``, or ``wiped``."""
    trouble: str
    """The fault and its remedy; empty if there is none."""
    watermark: str
    """Id of the last folded event; ``0-0`` before the first."""
    folded: int
    """Events of the log folded so far."""
    log_length: int
    lag: int | None
    """Events not folded yet, as the consumer group says; ``None`` if the server cannot tell."""
    heartbeats_lag: int | None
    workers: int | None
    """Consumers of the group that were active in the last few seconds; ``None`` on a replica, which does not know, and
    on a server that tells neither by ``HELLO`` nor by ``INFO`` which it is. A server older than 7.2 sees only those
    that an event woke: there it is 1 as long as calls are made."""
    last_call_ts: int | None
    """When the scheduler last acted, ms since the epoch."""
    dead_letters: int
    """All letters, including handled ones."""
    open_letters: int
    """Letters neither retried nor dropped."""
    lost_letters: int
    """Letters about heartbeats and ingresses that went because there were more than ``max_letters``."""
    letters_by_code: dict[str, int]
    overload: dict[str, int]
    """What there is too much of, ``waiting`` jobs or ``memory``, with the time since when, ms since the epoch."""
    shed: int
    """Submissions refused for overload so far, including those that no fact records yet."""
    """All by the code under which they were refused; those of a version that did not count yet are missing."""
    eviction: str | None
    """The policy by which the server evicts keys; empty if it evicts none, ``None`` if the user may not ask."""
    clock_ahead_ms: int
    """How far the scheduler's time is ahead of the server's clock, which was set back, ms."""
    pin: Pin | None
    """The job at which the archiver stops trimming the log; ``None`` if none does, or none trims."""
    fold_version: int
    """The version by which the log is folded."""
    members_too_old: list[str]
    """Workers, nodes and clients that make calls and cannot fold the newest version that another can."""
    warnings: list[str]
    """What is not as it should be and stops nothing yet, each with its remedy."""
    now_ts: int
    """The server's clock at the time of reading, ms since the epoch."""


def lost_log(lost: str, found: str | None) -> str:
    """Say that a log was lost that no archive holds, as far as the fleet knew."""
    return (
        f"the log that began at {lost} is gone with its jobs: the server was flushed or replaced. No archive of it was "
        f"known, so the fleet goes on with the one that began at {found or 'no event yet'}. `streamsched rebuild "
        "--forget` accepts that, `--from ARCHIVE --replace` restores it"
    )


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
    elif "wiped" in meta:
        condition, trouble = "wiped", LogWiped.of(meta["wiped"], meta.get("log")).detail
    elif "lost" in meta:
        condition, trouble = "wiped", lost_log(meta["lost"], meta.get("log"))
    elif folded > added or (length < added and await _unread(redis, keys, meta) < added - folded):
        lost = "more events were folded than the log took in" if folded > added else "unfolded entries are missing"
        condition, trouble = "gap", f"{lost}: restore the log, then `streamsched rebuild`"
    letters = await count_letters(redis, keys)
    now_ts = seconds * 1000 + micros // 1000
    last_call_ts = int(meta["last_call_ts"]) if "last_call_ts" in meta else None
    eviction, pin = await read_eviction(redis), await read_pin(redis, keys, meta)
    ahead_ms = max(0, (last_call_ts or 0) - now_ts)
    fold_version, members = int(meta.get("fold_version", 1)), await read_members(redis, keys, now_ts)
    warnings = [eviction_words(eviction), clock_words(ahead_ms), pin.words(now_ts) if pin else ""]
    warnings.append(upgrade_words(fold_version, members))
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
        lost_letters=letters.lost,
        letters_by_code=letters.by_code,
        overload=_overload(meta.get("overload", "")),
        shed=shed_so_far(meta.get("shed")),
        eviction=eviction,
        clock_ahead_ms=ahead_ms,
        pin=pin,
        fold_version=fold_version,
        members_too_old=too_old(members),
        warnings=[words for words in warnings if words],
        now_ts=now_ts,
    )


def shed_so_far(text: str | None) -> int:
    """Read how many submissions the current overload has refused, as the scripts write it."""
    return sum(count for cause, count in msgspec.json.decode(text or "{}").items() if cause in CAUSES)


def _overload(text: str) -> dict[str, int]:
    """Read ``memory=1 waiting=2``, as the scripts write it."""
    return {cause: int(since_ts) for cause, _, since_ts in (word.partition("=") for word in text.split())}


async def _unread(redis: Any, keys: Keys, meta: dict[str, str]) -> int:
    """Count the entries behind the watermark, as far as it takes to see whether some are missing."""
    after, count = str(meta.get("watermark", "0-0")), 0
    while count < 1000:
        page = await redis.xrange(keys("events"), min=f"({after}", count=UNREAD)
        count += len(page)
        if len(page) < UNREAD:
            return count
        after = page[-1][0]
    return 2**53


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
    server = await identify(redis)
    if server.role != "master":
        return None
    if not await _groups(redis, keys("events")):
        return 0
    lately_ms = 5 * LIMITS["sleep_ms"]
    consumers = await redis.xinfo_consumers(keys("events"), "fold")
    seen = sum(int(consumer["idle"]) < lately_ms for consumer in consumers)
    # before 7.2 a consumer is seen when it gets something, and not when it asks
    return max(seen, 1) if server.is_before(7, 2) and quiet_ms is not None and quiet_ms < lately_ms else seen
