"""Gives a lost log up."""

from __future__ import annotations

from typing import Any

from ..contract.keys import Keys


async def forget(redis: Any, keys: Keys) -> str | None:
    """Go on with the log that the server holds now, without the lost one; returns the first event of the lost one, or
    ``None`` if none is lost."""
    gone: str | None
    gone = next(filter(None, await redis.hmget(keys("meta"), ("wiped", "lost"))), None)
    if gone is not None:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hset(keys("meta"), "forgotten", gone)
            pipe.hdel(keys("meta"), "wiped", "lost")
            await pipe.execute()
    return gone
