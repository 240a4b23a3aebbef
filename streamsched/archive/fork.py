"""Where a log and an archive of it part, as after a failover that lost the log's end, and how to go on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread

from ..contract.entries import Entry, before, position
from ..contract.errors import LogFork
from ..log.live import LiveLog
from .manifest import Segment, sync
from .reader import Archive

TAIL = 1000
"""Entries compared at once, and of an archive's end before it is continued."""


async def compare(live: LiveLog, entries: list[Entry], before: int, remedy: str) -> None:
    """Compare archived entries with those of the log.

    Args:
        live: the log.
        entries: the entries, each right behind the one before it.
        before: how many of the log came before the first of them; it tells what was trimmed from what was lost.
        remedy: what to do about a difference.

    Raises:
        LogFork: they differ; the text names the first id at which they do.
    """
    key = live.keys("events")
    if not await live.redis.exists(key):
        raise LogFork(f"the archive ends at {entries[-1].id}, but there is no log: rebuild it with --from, then go on")
    about = await live.redis.xinfo_stream(key)
    trimmed = about["entries-added"] - about["length"]
    found = await live.redis.xrange(key, min=entries[0].id, max=entries[-1].id)
    log_entries = {entry_id.decode(): flat for entry_id, flat in found}
    for number, entry in enumerate(entries, before + 1):
        flat: Any = log_entries.pop(entry.id, None)
        if flat is None and number > trimmed:
            raise LogFork(f"the archive holds {entry.id}, which the log has lost; {remedy}")
        if flat is not None and flat != entry.flat:
            raise LogFork(f"the archive and the log hold different events under {entry.id}; {remedy}")
    if log_entries:
        raise LogFork(f"the log holds {min(log_entries, key=position)}, which the archive lacks; {remedy}")


async def compare_end(live: LiveLog, archive: Archive) -> None:
    """Compare the end of an archive with the log.

    Raises:
        LogFork: they differ; the text names the first id at which they do, and the remedy.
    """
    if not archive.segments:
        return
    tail = await anyio.to_thread.run_sync(_tail_of, archive, archive.segments[-1])
    await compare(live, tail, archive.before + archive.count - len(tail), remedy(archive))


def remedy(archive: Archive) -> str:
    """Say how to go on from an archive that is not of the log's history any more."""
    return f"go on with another archive, `streamsched archive --to NEW --from {archive.folder}`, and keep this one"


def _tail_of(archive: Archive, piece: Segment) -> list[Entry]:
    tail: list[Entry] = []
    for chunk in archive.read(before(piece.first)):
        tail = (tail + chunk.entries)[-TAIL:]
    return tail


async def shared(live: LiveLog, archive: Archive) -> list[Segment]:
    """Return the segments from the first one on that hold nothing but events of the log.

    Raises:
        ArchiveDamaged: a segment is not what its manifest says.
    """
    for kept in range(len(archive.segments), 0, -1):
        if await _is_of(live, archive, archive.segments[kept - 1]):
            return archive.segments[:kept]
    return []


async def _is_of(live: LiveLog, archive: Archive, piece: Segment) -> bool:
    number = piece.before
    pieces = archive.read(before(piece.first), piece.last, TAIL)
    while (chunk := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
        try:
            await compare(live, chunk.entries, number, "")
        except LogFork:
            return False
        number += len(chunk.entries)
    return True


def copy(archive: Archive, pieces: list[Segment], folder: Path, progress: Callable[[int], None]) -> None:
    """Copy segments, to the platter, into another archive's folder; ``progress`` is told the events copied so far."""
    done = 0
    for piece in pieces:
        part = folder / f"{piece.name}.part"
        shutil.copyfile(archive.path(piece), part)
        sync(part)
        part.rename(folder / piece.name)
        done += piece.events
        progress(done)
    sync(folder)
