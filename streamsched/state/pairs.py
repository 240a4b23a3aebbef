"""The language pairs that jobs wait for."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.keys import Keys

SCAN_CALLS = 500
"""Calls an overview spends on looking for pairs that no pool serves, 1000 keys each."""


class PairView(msgspec.Struct, kw_only=True):
    """A language pair that jobs wait for."""

    src_lang: str
    tgt_lang: str
    waiting: int
    first_job_id: str
    pools: int
    """Pools that serve the pair."""
    open_pools: int
    """Those of them with a node that may receive a job now, and not paused."""
    paused: bool
    """Whether an operator keeps its jobs waiting."""


async def waiting_pairs(redis: Any, keys: Keys, waiting: int) -> tuple[dict[tuple[str, str], int], bool]:
    """Find the pairs that jobs wait for. They have no index of their own, so this walks the keyspace, up to a bound.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
        waiting: how many jobs wait in all; with so many found the walk ends.

    Returns how many wait by pair, and whether none can be missing.
    """
    found: dict[tuple[str, str], int] = {}
    cursor, calls, start = 0, 0, keys("waiting", "", "")[:-1]
    while waiting and sum(found.values()) < waiting:
        cursor, page = await redis.scan(cursor, match=start + "*", count=1000, _type="zset")
        names = [key[len(start) :].split(":") for key in page]
        pairs = [(name[0], name[1]) for name in names if len(name) == 2]
        async with redis.pipeline(transaction=False) as pipe:
            for src, tgt in pairs:
                pipe.zcard(keys("waiting", src, tgt))
            found.update(zip(pairs, await pipe.execute(), strict=True))
        calls += 1
        if cursor == 0:
            break
        if calls == SCAN_CALLS:
            return found, False
    return {pair: count for pair, count in found.items() if count}, True


async def read_pairs(redis: Any, keys: Keys, pairs: list[tuple[str, str]]) -> list[PairView]:
    """Read what there is to say of some pairs, in two round trips."""
    async with redis.pipeline(transaction=False) as pipe:
        for src, tgt in pairs:
            pipe.zcard(keys("waiting", src, tgt))
            pipe.zrange(keys("waiting", src, tgt), 0, 0)
            pipe.hexists(keys("paused"), f"pair {src}:{tgt}")
            pipe.zrange(keys("serving", src, tgt), 0, -1)
        replies = await pipe.execute()
    sets = sorted(set().union(*replies[3::4]))  # of languages: each pool belongs to one
    async with redis.pipeline(transaction=False) as pipe:
        for languages in sets:
            pipe.scard(keys("set_pools", languages))
            pipe.scard(keys("set_open", languages))
        counts = await pipe.execute()
    pools = dict(zip(sets, counts[::2], strict=True))
    open_pools = dict(zip(sets, counts[1::2], strict=True))
    return [
        PairView(
            src_lang=src,
            tgt_lang=tgt,
            waiting=replies[4 * n],
            first_job_id=(replies[4 * n + 1] or [""])[0],
            pools=sum(pools[languages] for languages in replies[4 * n + 3]),
            open_pools=sum(open_pools[languages] for languages in replies[4 * n + 3]),
            paused=bool(replies[4 * n + 2]),
        )
        for n, (src, tgt) in enumerate(pairs)
    ]
