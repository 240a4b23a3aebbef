"""Follows the log from a given place: every event once it is folded, through restarts of the server."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import anyio
from redis.exceptions import RedisError

from ..connect.client import connections_made
from ..connect.outage import Backoff, block_ms, is_away
from ..connect.stream import resume_point
from ..contract.entries import position
from ..contract.kinds import LIMITS
from ..engine.partition import Partition
from .history import History
from .search import matching_rows

QUIET_MS = 1000
"""Pause between two reads while nothing arrives."""

FOLD_S = 0.01
"""Time a worker needs to fold new events; after each read without progress the pause doubles."""

UNFOLDED_LOOKS = 8
"""Reads of unfolded entries before a note reports them: some three seconds."""


class Note(NamedTuple):
    """A message for the reader, beside the events."""

    text: str


def _trimmed(count: int) -> Note:
    return Note(f"{count} events were trimmed before they could be read")


async def follow(
    partition: Partition, history: History, after: str, wanted: str = "", known: int | None = None
) -> AsyncIterator[list[dict[str, Any]] | Note]:
    """Yield the events after an id as they are folded, as rows, without end; and a note if something is missing.

    Args:
        partition: the live partition, over a connection that decodes.
        history: the history of the same partition, to read from.
        after: an id of the history.
        wanted: a filter, see :func:`matching_rows`; by default every event is yielded.
        known: number of events up to there; ``None`` (default) if unknown.

    Raises:
        ArchiveDamaged, LogGap: see :meth:`History.chunks`.
        RedisError: the server refuses to answer; an outage is waited out.
    """
    read: deque[str] = deque(maxlen=LIMITS["window"])
    redis, events = partition.redis, partition.keys("events")
    backoff, looks, made = Backoff(), 0, connections_made(partition.redis)
    while True:
        try:
            if made != connections_made(redis):
                place = await resume_point(redis, events, after, read)
                if place != after:
                    yield Note(f"the log is not the one that was read: continuing after {place}")
                    after, known = place, None
                made = connections_made(redis)
            if backoff.failures:
                yield Note("the server is back")
                backoff.reset()
            if history.archive is not None and position(after) >= position(history.archive.last):
                # the open archive ends here, while the archiver goes on and the log is trimmed: it would look like a
                # gap
                history = History(history.keys, history.live, None)
            span = await history.span()
            if position(span.last) > position(after):  # during a rebuild the watermark may be behind
                if known is not None and span.before > known:
                    yield _trimmed(span.before - known)
                    known = span.before
                async for chunk in history.chunks(after, span.last):
                    rows = await matching_rows(history, chunk, wanted)
                    after, looks = chunk.entries[-1].id, 0
                    known = None if known is None else known + len(chunk.entries)
                    read.extend(entry.id for entry in chunk.entries)
                    yield rows
                total = span.before + span.count
                if known is not None and total > known:
                    yield _trimmed(total - known)
                known = total
            if await redis.xread({events: after}, count=1, block=block_ms(redis, QUIET_MS)):
                await anyio.sleep(min(QUIET_MS / 1000, FOLD_S * 2**looks))
                looks += 1
                if looks == UNFOLDED_LOOKS:
                    yield Note("no worker folds new events: see `streamsched status`")
        except (RedisError, OSError) as problem:
            if not is_away(problem):
                raise
            if not backoff.failures:
                yield Note(f"the server is away ({problem}); reading on when it is back")
            await backoff.wait()
