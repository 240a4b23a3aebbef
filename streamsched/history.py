"""The history of a partition as one sequence of entries: from its live log, from an archive, or from both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from .connection import connect, of_partition
from .entries import Chunk, Entry, position, refusal
from .errors import LogGap, OutsideLog
from .keys import Keys
from .partition import open_partition

if TYPE_CHECKING:
    from .archive import Archive

CHUNK = 1000
"""Entries that travel at once: enough to hide the way, little enough to keep memory flat."""


class Span(msgspec.Struct, frozen=True):
    """What a history holds."""

    first: str
    """Id of its first entry; ``0-0`` if it is empty."""
    last: str
    """Id of its last one."""
    before: int
    """Entries of the log that came earlier, and are not held."""
    count: int
    """Entries held."""

    @property
    def words(self) -> str:
        """The range, for a message."""
        return f"{self.count} events from {self.first} to {self.last}" if self.count else "no event"


def as_it_is(reply: Any, **options: Any) -> Any:
    """Leave a reply of the server as it came; a response callback."""
    return reply


class LiveLog:
    """The log of a running partition, as far as it has been folded; read over a connection that leaves bytes alone."""

    def __init__(self, redis: Any, keys: Keys) -> None:
        self.redis = redis
        # redis-py makes a dict of each entry, which loses a field that was sent twice
        self.redis.set_response_callback("XRANGE", as_it_is)
        self.keys = keys
        self._letters: dict[str, str] = {}
        self._letters_read = "0-0"
        self._behind = "0-0"

    async def watermark(self) -> tuple[str, int]:
        """Return the id of the last folded event, and how many were folded."""
        watermark, folded = await self.redis.hmget(self.keys("meta"), ("watermark", "folded"))
        return (watermark or b"0-0").decode(), int(folded or 0)

    async def span(self) -> Span:
        """Return what the log holds up to the watermark."""
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

    async def chunks(self, after: str, until: str, count: int) -> AsyncIterator[Chunk]:
        """Yield what stands behind ``after`` up to ``until``, which must be folded already."""
        while position(after) < position(until):
            found = await self.redis.xrange(self.keys("events"), min=f"({after}", max=until, count=count)
            if not found:
                return
            entries = [Entry(entry_id.decode(), flat) for entry_id, flat in found]
            # read behind the entries: a letter is written in the same step in which its event is folded
            refused = await self.refused(after, entries[-1].id)
            after = entries[-1].id
            yield Chunk(entries, refused)

    async def letters(self, after: str) -> AsyncIterator[list[Entry]]:
        """Yield the dead letters behind ``after``, an id in their own stream."""
        while letters := await self._page_of_letters(after):
            after = letters[-1].id
            yield letters

    async def _page_of_letters(self, after: str) -> list[Entry]:
        found = await self.redis.xrange(self.keys("dead"), min=f"({after}", count=CHUNK)
        return [Entry(letter_id.decode(), flat) for letter_id, flat in found]

    async def refused(self, after: str, until: str) -> dict[str, str]:
        """Return the events behind ``after`` up to ``until`` that became dead letters, each with code and reason.

        Letters about the log stand in its order, so both are read side by side: what is held does not grow with them.
        """
        if position(after) < position(self._behind):  # a walk begins anew
            self._letters, self._letters_read = {}, "0-0"
        self._behind = until
        ahead = any(position(event_id) > position(until) for event_id in self._letters)
        while not ahead and (letters := await self._page_of_letters(self._letters_read)):
            self._letters_read = letters[-1].id
            for event_id, why in filter(None, map(refusal, letters)):
                if position(event_id) > position(after):
                    self._letters[event_id] = why
                ahead = ahead or position(event_id) > position(until)
        found = {event_id: why for event_id, why in self._letters.items() if position(event_id) <= position(until)}
        self._letters = {event_id: why for event_id, why in self._letters.items() if event_id not in found}
        return found


class History:
    """One partition's entries in order, each with whether it was refused when it was new.

    Args:
        live: the log of the running partition, or ``None``.
        archive: its segments, or ``None``. Where both hold an entry, the archive's is read.
    """

    def __init__(self, keys: Keys, live: LiveLog | None, archive: Archive | None) -> None:
        self.keys, self.live, self.archive = keys, live, archive

    async def span(self) -> Span:
        """Return what is held at this moment, live log and archive taken together.

        Raises:
            LogGap: the log begins behind the end of the archive.
        """
        live = await self.live.span() if self.live else Span("0-0", "0-0", 0, 0)
        kept = self.archive
        if kept is None or not kept.count:
            return live
        end = kept.before + kept.count
        if live.count and live.before > end:
            raise LogGap(
                f"the archive ends at {kept.last}, the log begins at {live.first}: {live.before - end} events between "
                "them are missing; give the archive that holds them"
            )
        if live.before + live.count <= end:
            return Span(kept.first, kept.last, kept.before, kept.count)
        return Span(kept.first, live.last, kept.before, live.before + live.count - kept.before)

    async def whole(self, after: str = "0-0") -> Span:
        """Return :meth:`span`, and make sure that nothing is missing behind ``after``.

        Raises:
            LogGap: the first entries are neither in the log nor in the archive; the text says what would mend it.
        """
        span = await self.span()
        if span.before and after == "0-0":
            held = f"what is held begins at {span.first}" if span.count else "nothing behind them is held"
            raise LogGap(f"the log's first {span.before} events were trimmed; {held}: {await self.remedy()}")
        return span

    async def remedy(self) -> str:
        """Say which archive holds what the log does not."""
        known = await self.live.redis.hget(self.keys("meta"), "archive") if self.live else None
        if known:
            return f"they were archived to {known.decode(errors='backslashreplace')}: give that with --archive"
        return "give the archive that holds them with --archive"

    async def held(self) -> str:
        """Say what there is, and where else to look for what it does not hold."""
        span = await self.span()
        if span.before:
            return f"{span.words}, {span.before} came before: {await self.remedy()}"
        elsewhere = "if another one is meant, give its --namespace, --partition or --url"
        return f"{span.words} of {self.keys.prefix[:-1]}: {elsewhere}"

    async def chunks(self, after: str = "0-0", until: str = "+", count: int = CHUNK) -> AsyncIterator[Chunk]:
        """Yield every folded entry behind ``after`` up to ``until`` (``+``: to the end), at most ``count`` at a time.

        Raises:
            ArchiveDamaged: a segment is not what its manifest says.
            LogGap: entries between archive and log are missing.
        """
        span = await self.span()
        until = span.last if until == "+" or position(until) > position(span.last) else until
        if self.archive is not None and position(after) < position(self.archive.last):
            pieces = self.archive.read(after, until, count)
            # in a thread: to decompress a segment takes long enough to starve whoever shares the loop
            while (chunk := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                yield chunk
            after = self.archive.last
        if self.live is not None:
            async for chunk in self.live.chunks(after, until, count):
                yield chunk

    def about(self, names: Collection[str]) -> History:
        """Return this history for a reader who asks for some jobs, nodes or sessions: it may leave out what speaks of
        none of them. This one leaves out nothing."""
        return self

    async def id_at(self, moment: str) -> str:
        """Return the id of the last entry at or before a moment: an id, or a time as ISO 8601 or ms since the epoch.

        Raises:
            OutsideLog: it lies outside the history, or is neither an id nor a time.
        """
        span = await self.span()
        wanted = bound(moment)
        if not span.count or wanted < position(span.first) or position(span.last)[0] < wanted[0]:
            raise OutsideLog(f"{moment!r} lies outside the history, which holds {await self.held()}")
        exact = f"{wanted[0]}-{wanted[1]}"
        return exact if wanted < position(span.last) else span.last


def bound(moment: str) -> tuple[int, int]:
    """Return the highest position that still belongs to a moment: an id, ms since the epoch, or a time as ISO 8601.

    Raises:
        OutsideLog: it is none of them.
    """
    from datetime import datetime

    head, dash, tail = moment.partition("-")
    if head.isdecimal() and (not dash or tail.isdecimal()):
        return int(head), int(tail) if dash else 2**64 - 1
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        raise OutsideLog(
            f"{moment!r} is neither an id nor a time: give 1700000000000-0, 1700000000000 (ms) or 2026-01-31T09:30:00Z"
        ) from None
    return int(when.astimezone().timestamp() * 1000), 2**64 - 1


@asynccontextmanager
async def open_history(
    url: str | None, keys: Keys, archive: Path | None = None, patience_s: float = 5.0
) -> AsyncIterator[History]:
    """Open the history of a partition.

    Args:
        url: the server of the live log; ``None`` leaves it out.
        keys: the partition.
        archive: folder of an archive; ``None`` (default) leaves it out.
        patience_s: how long to try to reach the server; 5 by default.

    Raises:
        ArchiveDamaged: the archive is not readable, or of another partition.
        ServerUnreachable, ServerTooOld: see :func:`open_partition`.
    """
    kept = None
    if archive is not None:
        from .archive import Archive  # here, because the extra that reads Parquet may be missing

        kept = Archive.open(archive, keys)
    if url is None:
        yield History(keys, None, kept)
        return
    async with open_partition(url, keys, patience_s):
        raw = connect(of_partition(url, keys.partition), decode=False)
    try:
        yield History(keys, LiveLog(raw, keys), kept)
    finally:
        with anyio.CancelScope(shield=True):
            await raw.aclose()
