"""A history up to a moment, restricted with the index to the parts where some names may occur."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from ...contract.entries import Chunk, Entry, position
from ...contract.keys import Keys
from ...history.history import History
from ...history.rows import SPOKEN
from ...log.live import CHUNK, LiveLog
from .index import Index


class IndexedLog(LiveLog):
    """A live log whose refused events come from the index, as far as it reaches.

    Otherwise a reader of any part of a log first reads all its dead letters.
    """

    def __init__(self, redis: Any, keys: Keys, index: Index) -> None:
        super().__init__(redis, keys)
        self.index = index

    async def refused(self, after: str, until: str) -> dict[str, str]:
        if position(until) <= position(self.index.last):
            return self.index.refused(after, until)
        return await super().refused(after, until)


class FilteredHistory(History):
    """A history up to a moment.

    Args:
        history: the whole of it.
        index: what is known of it.
        until: the last event that is seen.
        names: jobs, nodes or sessions; what speaks of none of them may be passed over. ``None`` (default) sees all.
        spoken: whether fields that may hold parts of a conversation are seen; true by default.
    """

    def __init__(
        self, history: History, index: Index, until: str, names: Collection[str] | None = None, spoken: bool = True
    ) -> None:
        super().__init__(history.keys, history.live, history.archive)
        self.index, self.until, self.names, self.spoken = index, until, names, spoken

    def about(self, names: Collection[str]) -> FilteredHistory:
        """Return the same history seen for some names only."""
        return FilteredHistory(self, self.index, self.until, names, self.spoken)

    async def chunks(self, after: str = "0-0", until: str = "+", count: int = CHUNK) -> AsyncIterator[Chunk]:
        """Yield as :meth:`History.chunks` does, without events after the moment or of other names only."""
        until = self.until if until == "+" else min(until, self.until, key=position)
        stretches = [(after, until)] if self.names is None else self.index.stretches(after, until, self.names)
        for begin, end in stretches:
            async for chunk in super().chunks(begin, end, count):
                yield chunk if self.spoken else _without_spoken(chunk)


def _without_spoken(chunk: Chunk) -> Chunk:
    """Return a chunk without the fields that may hold parts of a conversation."""
    hidden = {name.encode() for name in SPOKEN}
    entries = []
    for entry in chunk.entries:
        pairs = zip(entry.flat[::2], entry.flat[1::2], strict=True)
        entries.append(Entry(entry.id, [part for pair in pairs if pair[0] not in hidden for part in pair]))
    return Chunk(entries, chunk.buried)
