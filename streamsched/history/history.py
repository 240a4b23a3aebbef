"""The history of a partition as one sequence of entries: from the live log, an archive, or both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ..connect.client import connect
from ..connect.url import of_partition
from ..contract.entries import Chunk, position
from ..contract.errors import LogGap, OutsideLog
from ..contract.keys import Keys
from ..contract.moments import bound, is_relative
from ..engine.partition import open_partition

if TYPE_CHECKING:
    from ..archive.reader import Archive
from ..log.live import CHUNK, LiveLog, Span


class History:
    """One partition's entries in order. Each entry says whether it was refused.

    Args:
        live: the log of the running partition, or ``None``.
        archive: its segments, or ``None``. If both hold an entry, the archive's is read.
    """

    def __init__(self, keys: Keys, live: LiveLog | None, archive: Archive | None) -> None:
        self.keys, self.live, self.archive = keys, live, archive

    async def span(self) -> Span:
        """Return the range that live log and archive hold together now.

        Raises:
            LogGap: the log begins after the end of the archive.
            LogWiped: the archive is of another log, which the server has lost.
        """
        if self.live and self.archive:
            await self.live.check_wiped(self.archive.log)
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
        """Return :meth:`span`, after checking that nothing is missing after ``after``.

        Raises:
            LogGap: the first entries are neither in the log nor in the archive; the text says the remedy.
            LogWiped: the server has lost the log.
        """
        if self.live:
            await self.live.check_wiped()
        span = await self.span()
        if span.before and after == "0-0":
            held = f"the history starts at {span.first}" if span.count else "the history is empty"
            raise LogGap(f"the log's first {span.before} events were trimmed; {held}: {await self.remedy()}")
        return span

    async def remedy(self) -> str:
        """Return which archive holds the entries that the log lacks."""
        known = await self.live.redis.hget(self.keys("meta"), "archive") if self.live else None
        if known:
            return f"they were archived to {known.decode(errors='backslashreplace')}: give that with --archive"
        return "give the archive that holds them with --archive"

    async def held(self) -> str:
        """Return the range, and where to look for the rest."""
        span = await self.span()
        if span.before:
            return f"{span.words}, {span.before} came before: {await self.remedy()}"
        elsewhere = "if another one is meant, give its --namespace, --partition or --url"
        return f"{span.words} of {self.keys.prefix[:-1]}: {elsewhere}"

    async def chunks(self, after: str = "0-0", until: str = "+", count: int = CHUNK) -> AsyncIterator[Chunk]:
        """Yield every folded entry after ``after`` up to ``until`` (``+``: to the end), at most ``count`` at a time.

        Raises:
            ArchiveDamaged: a segment does not match its manifest.
            LogGap: entries between archive and log are missing.
        """
        span = await self.span()
        until = span.last if until == "+" or position(until) > position(span.last) else until
        if self.archive is not None and position(after) < position(self.archive.last):
            pieces = self.archive.read(after, until, count)
            # in a thread: decompressing a segment would block the event loop
            while (chunk := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                yield chunk
            after = self.archive.last
        if self.live is not None:
            async for chunk in self.live.chunks(after, until, count):
                yield chunk

    def about(self, names: Collection[str]) -> History:
        """Return this history for a reader of some jobs, nodes or sessions: a subclass may leave out events that name
        none of them. This one leaves out nothing."""
        return self

    async def id_at(self, moment: str) -> str:
        """Return the id of the last entry at or before a moment: an id, or a time as ISO 8601 or ms since the epoch.

        Raises:
            OutsideLog: the moment lies outside the history, or is neither an id nor a time.
        """
        span = await self.span()
        wanted = bound(moment)
        if span.count and is_relative(moment):
            wanted = min(wanted, position(span.last))
        if not span.count or wanted < position(span.first) or position(span.last)[0] < wanted[0]:
            raise OutsideLog(f"{moment!r} lies outside the history, which holds {await self.held()}")
        exact = f"{wanted[0]}-{wanted[1]}"
        return exact if wanted < position(span.last) else span.last


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
        ArchiveDamaged: the archive is not readable, or belongs to another partition.
        ServerUnreachable, ServerTooOld: see :func:`open_partition`.
    """
    kept = None
    if archive is not None:
        from ..archive.reader import Archive  # imported here, because the Parquet extra may be missing

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
