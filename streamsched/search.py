"""The log as a list: the latest entries at or before a moment that match a filter, however far back they lie."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from .entries import Chunk, position
from .history import History
from .rows import matches, row_of

READ = 50_000
"""Events that one search reads at most: about half a second."""

FIRST_MS, WIDER = 1000, 4
"""How far back a search looks first, and how much further each time that it found too little."""


class Found(NamedTuple):
    """What a search gave."""

    rows: list[dict[str, Any]]
    """The latest last."""
    behind: str
    """Id behind which everything was searched; ``0-0`` if that is all of it."""


async def latest_rows(history: History, until: str, wanted: str, limit: int) -> Found:
    """Return the last rows up to an event that match a filter.

    Raises:
        ArchiveDamaged, LogGap: see :meth:`History.chunks`.
    """
    span = await history.span()
    end = min(until, span.last, key=position)
    rows: list[dict[str, Any]] = []
    read, width = 0, FIRST_MS
    while read < READ and len(rows) < limit and position(end) >= position(span.first) and span.count:
        begin = f"{max(0, position(end)[0] - width)}-0"
        found: deque[dict[str, Any]] = deque(maxlen=limit - len(rows))
        count = 0
        async for chunk in history.chunks(begin, end):
            count += len(chunk.entries)
            if read and read + count > READ:
                return Found(rows, end)  # a burst: what it holds is the next search's
            found.extend(_matching(chunk, wanted))
        rows[:0] = found
        read, width, end = read + count, width * WIDER, begin
    done = position(end) < position(span.first) or not span.count
    return Found(rows, "0-0" if done else end)


def _matching(chunk: Chunk, wanted: str) -> list[dict[str, Any]]:
    rows = [row_of(entry, chunk.buried.get(entry.id, "")) for entry in chunk.entries]
    return [row for row in rows if matches(row, wanted)] if wanted else rows
