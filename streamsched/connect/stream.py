"""Following a stream of the server through its restarts and failovers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError, ResponseError

from ..contract.entries import position
from ..contract.kinds import LIMITS
from .client import connect, connections_made
from .outage import backoff, block_ms, is_away

log = structlog.get_logger(__name__)


async def read_stream(
    url: str, key: str, last_id: str, longest_ms: int = 1000, count: int = LIMITS["window"]
) -> AsyncGenerator[list[tuple[str, dict[str, str]]] | None]:
    """Follow a stream from behind ``last_id``, over a connection of its own, through restarts of the server.

    Yields the new entries in order; an empty list when ``longest_ms`` passed without any; ``None`` after each connect,
    when what the stream once held may be gone. A stream that lost its end is read on where it parts from what was read.
    """
    redis = connect(url)
    attempt, made = 0, 0
    read: deque[str] = deque(maxlen=LIMITS["window"])
    try:
        while True:
            try:
                same = made > 0 and attempt == 0
                reply: Any = None
                if same:
                    reply = await redis.xread({key: last_id}, count=count, block=block_ms(redis, longest_ms))
                    same = connections_made(redis) == made
                if not same:
                    last_id = await resume_point(redis, key, last_id, read)
            except (RedisError, OSError) as problem:
                if not is_away(problem):
                    raise
                if attempt == 0:
                    log.info("server away", stream=key, problem=str(problem))
                await backoff(attempt)
                attempt += 1
                continue
            attempt, made = 0, connections_made(redis)
            if not same:
                yield None  # what was read with it is read once more: it must be younger than what somebody asks now
                continue
            entries = reply[0][1] if reply else []
            if entries:
                last_id = entries[-1][0]
                read.extend(entry_id for entry_id, _ in entries)
            yield entries
    finally:
        with anyio.CancelScope(shield=True):
            await redis.aclose()


async def resume_point(redis: Any, key: str, last_id: str, read: deque[str]) -> str:
    """Return where to read on after an outage: behind ``last_id``, or behind the last of what was ``read`` that is
    still there. Another server may have less of the stream and a clock that is behind: what it adds would then go by
    unseen."""
    try:
        about = await redis.xinfo_stream(key)
    except ResponseError as problem:
        if "no such key" in str(problem):
            return "0-0"
        raise
    if position(last_id) <= position(about["last-generated-id"]):
        return last_id
    held = {entry_id for entry_id, _ in await redis.xrevrange(key, count=read.maxlen)}
    return next((entry_id for entry_id in reversed(read) if entry_id in held), "0-0")
