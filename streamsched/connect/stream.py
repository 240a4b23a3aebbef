"""Follow a stream of the server through restarts and failovers."""

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
from .read_size import ReadSize

log = structlog.get_logger(__name__)


async def read_stream(
    url: str,
    key: str,
    last_id: str,
    longest_ms: int = 1000,
    size: ReadSize | None = None,
    trouble: Callable[[str], None] = lambda problem: None,
) -> AsyncGenerator[list[tuple[str, dict[str, str]]] | None]:
    """Follow a stream after ``last_id``, over its own connection, until the reader stops.

    No failure ends it: it waits out a server that is away, a rotated password, a withdrawn right, and a foreign key in
    place of the stream.

    Args:
        url: the server.
        key: the stream.
        last_id: the id to read behind.
        longest_ms: how long a read blocks; 1000 by default.
        size: how many entries a read asks for; at most :data:`LIMITS` ``window`` by default.
        trouble: called with the error text when a read fails, and with an empty text when a read succeeds again.

    Yields the new entries in order; an empty list when ``longest_ms`` passed without any; ``None`` after each connect:
    entries read before it may be gone. If the stream lost its end, reading continues where it differs. An entry may
    come twice: a reader that meets a new primary without it goes back, and a sentinel may then name the old one again.
    """
    redis = connect(url)
    size = size or ReadSize(LIMITS["window"])
    backoff, made = Backoff(), 0
    read: deque[str] = deque(maxlen=LIMITS["window"])
    try:
        while True:
            try:
                same = made > 0 and not backoff.failures
                reply: Any = None
                if same:
                    reply = await redis.xread({key: last_id}, count=size.ask(), block=block_ms(redis, longest_ms))
                    same = connections_made(redis) == made
                if not same:
                    last_id = await resume_point(redis, key, last_id, read)
            except (RedisError, OSError) as problem:
                if not backoff.failures:
                    (log.info if is_away(problem) else log.error)(
                        "a stream cannot be read", stream=key, problem=str(problem)
                    )
                trouble(str(problem))
                size.cut_off()
                await drop_idle_connections(redis)  # retry a refused login with a new connection
                await backoff.wait()
                continue
            if backoff.failures:
                trouble("")
            backoff.reset()
            made = connections_made(redis)
            if not same:
                yield None  # the caller must read again: its data must be newer than a request made now
                continue
            entries = reply[0][1] if reply else []
            if entries:
                size.took(len(entries), sum(len(text) for _, fields in entries for text in fields.values()))
                last_id = entries[-1][0]
                read.extend(entry_id for entry_id, _ in entries)
            yield entries
    finally:
        with anyio.CancelScope(shield=True):
            await redis.aclose()


async def resume_point(redis: Any, key: str, last_id: str, read: deque[str]) -> str:
    """Return the id to read after, following an outage: ``last_id``, or the last id in ``read`` that still exists.
    Another server may have less of the stream and a clock that is behind; its new entries would be missed."""
    try:
        about = await redis.xinfo_stream(key)
    except ResponseError as problem:
        if "no such key" in str(problem):
            return "0-0"
        raise
    if position(last_id) <= position(about["last-generated-id"]):
        return last_id
    for entry_id in reversed(read):
        if await redis.xrange(key, entry_id, entry_id):
            return entry_id
    return "0-0"
