"""The log of a running partition."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from redis.exceptions import ConnectionError, TimeoutError

from ..connect.read_size import ReadSize
from ..contract.entries import Chunk, Entry, position, refusal
from ..contract.errors import LogWiped
from ..contract.keys import Keys

CHUNK = 1000
"""Most entries of a chunk."""

MOST = 128
"""Most entries per read: should they turn out to be large, they fit into memory all the same."""


class Span(msgspec.Struct, frozen=True):
    """The range of a history."""

    first: str
    """Id of its first entry; ``0-0`` if it is empty."""
    last: str
    """Id of its last one."""
    before: int
    """Earlier entries of the log that are missing."""
    count: int
    """Entries held."""

    @property
    def words(self) -> str:
        """The range, for a message."""
        return f"{self.count} events from {self.first} to {self.last}" if self.count else "no event"


def raw_reply(reply: Any, **options: Any) -> Any:
    """Return a reply of the server unchanged; a response callback."""
    return reply


class LiveLog:
    """The folded part of a running partition's log; its connection returns bytes."""

    def __init__(self, redis: Any, keys: Keys) -> None:
        self.redis = redis
        # redis-py turns each entry into a dict, which loses a repeated field
        self.redis.set_response_callback("XRANGE", raw_reply)
        self.keys = keys
        self._sizes = {stream: ReadSize(MOST) for stream in ("events", "dead")}
        self._letters: dict[str, str] = {}
        self._letters_read = "0-0"
        self._behind = "0-0"

    async def watermark(self) -> tuple[str, int]:
        """Return the id of the last folded event, and how many were folded."""
        watermark, folded = await self.redis.hmget(self.keys("meta"), ("watermark", "folded"))
        return (watermark or b"0-0").decode(), int(folded or 0)

    async def check_wiped(self, known: str = "0-0") -> str:
        """Return the id of the first event of the log, ``0-0`` before it is folded.

        Args:
            known: the first event of the log that the caller knows; ``0-0`` (default) for none.

        Raises:
            LogWiped: the server has lost its log, or the one that the caller knows.
        """
        first, wiped = (text and text.decode() for text in await self.redis.hmget(self.keys("meta"), ("log", "wiped")))
        gone = first is None and not await self.redis.exists(self.keys("events"))  # a call may have written meta
        if wiped or (known != "0-0" and (gone or first not in (None, known))):
            raise LogWiped.of(wiped or known, first)
        return first or "0-0"

    async def span(self) -> Span:
        """Return the range of the log up to the watermark."""
        watermark, folded = await self.watermark()
        if not await self.redis.exists(self.keys("events")):
            return Span("0-0", "0-0", 0, 0)
        # one command, and no transaction: a server that is out of memory refuses even to read in one
        about = await self.redis.xinfo_stream(self.keys("events"))
        before = about["entries-added"] - about["length"]
        first = about["first-entry"][0].decode() if about["first-entry"] else None
        if first is None or position(first) > position(watermark):
            return Span("0-0", watermark, before, 0)
        return Span(first, watermark, before, folded - before)

    async def holds(self, entry_id: str) -> bool:
        """Return whether the log holds this entry."""
        return bool(await self.redis.xrange(self.keys("events"), entry_id, entry_id))

    async def chunks(self, after: str, until: str, count: int) -> AsyncIterator[Chunk]:
        """Yield the entries after ``after`` up to ``until``, which must be folded already."""
        while position(after) < position(until):
            entries = await self.page("events", f"({after}", until, count)
            if not entries:
                return
            # read after the entries: a letter is written in the same call that folds its event
            refused = await self.refused(after, entries[-1].id)
            after = entries[-1].id
            yield Chunk(entries, refused)

    async def letters(self, after: str, until: str = "+") -> AsyncIterator[list[Entry]]:
        """Yield the dead letters after ``after`` up to ``until``, ids of their own stream."""
        while letters := await self.page("dead", f"({after}", until, CHUNK):
            after = letters[-1].id
            yield letters

    async def page(self, stream: str, after: str, until: str, count: int) -> list[Entry]:
        """Read the next entries of ``events`` or ``dead``, at most ``count``: fewer where they are large. Empty only if
        there are none.

        Raises:
            RedisError, OSError: the server is away, or closes the connection even at one entry.
        """
        size = self._sizes[stream]
        while True:
            try:
                asked = min(count, size.ask())
                found = await self.redis.xrange(self.keys(stream), min=after, max=until, count=asked)
            except (ConnectionError, TimeoutError):
                if not size.cut_off():
                    raise
                continue
            entries = [Entry(entry_id.decode(), flat) for entry_id, flat in found]
            size.took(len(entries), sum(len(part) for entry in entries for part in entry.flat))
            return entries

    async def refused(self, after: str, until: str) -> dict[str, str]:
        """Return the dead letters about events after ``after`` up to ``until``, by event, with code and reason.

        Letters are in the order of the log, so both are read side by side, in constant memory.
        """
        if position(after) < position(self._behind):  # a new pass
            self._letters, self._letters_read = {}, "0-0"
        self._behind = until
        ahead = any(position(event_id) > position(until) for event_id in self._letters)
        while not ahead and (letters := await self.page("dead", f"({self._letters_read}", "+", CHUNK)):
            self._letters_read = letters[-1].id
            for event_id, why in filter(None, map(refusal, letters)):
                if position(event_id) > position(after):
                    self._letters[event_id] = why
                ahead = ahead or position(event_id) > position(until)
        found = {event_id: why for event_id, why in self._letters.items() if position(event_id) <= position(until)}
        self._letters = {event_id: why for event_id, why in self._letters.items() if event_id not in found}
        return found
