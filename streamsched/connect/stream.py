"""Following a stream of the server through its restarts and failovers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError, ResponseError

from ..contract.entries import position
from ..contract.kinds import LIMITS
from .client import connect, connections_made
from .outage import Backoff, block_ms, drop_idle_connections, is_away

log = structlog.get_logger(__name__)


async def read_stream(
    url: str,
    key: str,
    last_id: str,
    longest_ms: int = 1000,
    count: int = LIMITS["window"],
    trouble: Callable[[str], None] = lambda problem: None,
) -> AsyncGenerator[list[tuple[str, dict[str, str]]] | None]:
    """Follow a stream from behind ``last_id``, over a connection of its own, for as long as its reader lives.

    No failure ends it: a server that is away, a password that is rotated, a right that is taken away and a foreign key
    in the place of the stream are waited out.

    Args:
        url: the server.
        key: the stream.
        last_id: the id to read behind.
        longest_ms: how long a read blocks; 1000 by default.
        count: entries of one read.
        trouble: called with what is wrong when a read fails, and with an empty text once one succeeds again.

    Yields the new entries in order; an empty list when ``longest_ms`` passed without any; ``None`` after each connect,
    when what the stream once held may be gone. A stream that lost its end is read on where it parts from what was read.
    """
    redis = connect(url)
    backoff, made = Backoff(), 0
    read: deque[str] = deque(maxlen=LIMITS["window"])
    try:
        while True:
            try:
                same = made > 0 and not backoff.failures
                reply: Any = None
                if same:
                    reply = await redis.xread({key: last_id}, count=count, block=block_ms(redis, longest_ms))
                    same = connections_made(redis) == made
                if not same:
                    last_id = await resume_point(redis, key, last_id, read)
            except (RedisError, OSError) as problem:
                if not backoff.failures:
                    (log.info if is_away(problem) else log.error)(
                        "a stream cannot be read", stream=key, problem=str(problem)
                    )
                trouble(str(problem))
                await drop_idle_connections(redis)  # a login that was refused is tried again with a new connection
                await backoff.wait()
                continue
            if backoff.failures:
                trouble("")
            backoff.reset()
            made = connections_made(redis)
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
