"""The log as it grows, from some place on: every event once it is folded, through restarts of the server."""

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
"""Between two looks while nothing comes."""

FOLD_S = 0.01
"""What a worker needs to fold what came; whoever takes longer is asked half as often each time."""

UNFOLDED_LOOKS = 8
"""After how many looks at entries that nobody has folded this is told: some three seconds."""


class Note(NamedTuple):
    """What whoever reads the events must know besides."""

    text: str


def _trimmed(count: int) -> Note:
    return Note(f"{count} events were trimmed before they could be read")


async def follow(
    partition: Partition, history: History, after: str, wanted: str = "", known: int | None = None
) -> AsyncIterator[list[dict[str, Any]] | Note]:
    """Yield the events behind an id as they are folded, as rows, without end; and a note where something is missing.

    Args:
        partition: the live partition, over a connection that decodes.
        history: the same partition's, from which is read.
        after: an id of the history.
        wanted: a filter, see :func:`matching_rows`; by default every event is yielded.
        known: how many events the log has had up to there; ``None`` (default) if nobody has counted them.

    Raises:
        ArchiveDamaged, LogGap: see :meth:`History.chunks`.
        RedisError: the server refuses to answer; while it is away this waits.
    """
    read: deque[str] = deque(maxlen=LIMITS["window"])
    redis, events = partition.redis, partition.keys("events")
    backoff, looks, made = Backoff(), 0, connections_made(partition.redis)
    while True:
        try:
            if made != connections_made(redis):
                place = await resume_point(redis, events, after, read)
                if place != after:
                    yield Note(f"the log is not the one that was read: reading on behind {place}")
                    after, known = place, None
                made = connections_made(redis)
            if backoff.failures:
                yield Note("the server is back")
                backoff.reset()
            if history.archive is not None and position(after) >= position(history.archive.last):
                # what was opened of it ends here, while the archiver carries the log on: a gap would seem to open
                history = History(history.keys, history.live, None)
            span = await history.span()
            if position(span.last) > position(after):  # a state that is being rebuilt has not come this far
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
                    yield Note("there are events that nobody has folded: see `streamsched status`")
        except (RedisError, OSError) as problem:
            if not is_away(problem):
                raise
            if not backoff.failures:
                yield Note(f"the server is away ({problem}); reading on when it is back")
            await backoff.wait()
