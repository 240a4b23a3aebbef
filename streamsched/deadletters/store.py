"""Storage of dead letters: on the server, and those trimmed there in an archive."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from ..contract.entries import Entry, before, position
from ..contract.keys import Keys

if TYPE_CHECKING:
    from ..archive.reader import Archive

PAGE = 100
"""Letters per read: each may hold a megabyte."""

END = (2**64, 0)
"""After every position that a letter can have."""

SEGMENTS = 4
"""Segments whose letters are cached: a reader of one letter mostly reads its neighbours too."""


class LetterStore:
    """The dead letters of a partition, as entries of one stream. If both stores hold a letter, the server's is read.

    Args:
        redis: a client that leaves bytes alone.
        keys: the partition.
        archive: its archive, or ``None``.
    """

    def __init__(self, redis: Any, keys: Keys, archive: Archive | None) -> None:
        self.redis, self.archive = redis, archive
        self._stream = keys("dead")
        self._read = lru_cache(SEGMENTS)(self._letters_of)

    async def one(self, letter_id: str) -> list[Entry]:
        """Return the letter with an id, or nothing."""
        if found := _entries(await self.redis.xrange(self._stream, letter_id, letter_id)):
            return found
        return await self._archived(position(letter_id), position(letter_id))

    async def newest(self, up_to: str) -> list[Entry]:
        """Return a page of letters up to ``up_to`` (``+``: the end), the latest first; empty if none is left."""
        if found := _entries(await self.redis.xrevrange(self._stream, up_to, "-", PAGE)):
            return found
        return (await self._archived((0, 0), END if up_to == "+" else position(up_to), latest=True))[::-1]

    async def oldest(self, after: str) -> list[Entry]:
        """Return a page of letters after ``after``, in the order in which they were refused."""
        head = _entries(await self.redis.xrange(self._stream, count=1))
        ms, sequence = position(after)
        if found := await self._archived((ms, sequence + 1), position(before(head[0].id)) if head else END):
            return found
        return _entries(await self.redis.xrange(self._stream, f"({after}", count=PAGE))

    async def last(self) -> str:
        """Return the id of the latest letter; ``0-0`` if there is none."""
        page = await self.newest("+")
        return page[0].id if page else "0-0"

    async def _archived(self, low: tuple[int, int], high: tuple[int, int], latest: bool = False) -> list[Entry]:
        """Return a page of archived letters between two positions: the first ones, or the latest."""
        pieces = self.archive.segments if self.archive is not None else []
        for n in reversed(range(len(pieces))) if latest else range(len(pieces)):
            if position(pieces[n].letters_last) < low or (n and position(pieces[n - 1].letters_last) >= high):
                continue
            letters = await anyio.to_thread.run_sync(self._read, n)
            if inside := [letter for letter in letters if low <= position(letter.id) <= high]:
                return inside[-PAGE:] if latest else inside[:PAGE]
        return []

    def _letters_of(self, n: int) -> list[Entry]:
        assert self.archive is not None
        return self.archive.letters_in(self.archive.segments[n])


def _entries(found: Any) -> list[Entry]:
    return [Entry(letter_id.decode(), flat) for letter_id, flat in found]
