"""Restores a state from an archive, on a server that has lost its log or whose log was trimmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread

from ..archive.fork import remedy
from ..archive.reader import Archive
from ..archive.snapshot import nearest
from ..contract.entries import Chunk, parts, position
from ..contract.entries import before as previous
from ..contract.errors import ArchiveDamaged, LogFork, LogGap, PartitionRebuilding
from ..contract.keys import Keys
from ..engine.script import script
from ..log.live import LiveLog
from .letters import put_letters_back
from .rebuild import empty, fold_log
from .scratch import packed
from .snapshot import load

CHUNK = 1000


async def restore(
    redis: Any,
    live: LiveLog,
    archive: Archive,
    progress: Callable[[int], None] = lambda folded: None,
    replace: bool = False,
) -> int:
    """Drop the state of a partition, fold its archive, then the log after it; returns the number of events folded.

    The archived events do not return to the log: it continues after the end of the archive, as if it had been trimmed
    there. Live calls are refused with ``REBUILDING`` until the state is whole. If the caller is killed, the partition
    stays marked, and the next call continues.

    Args:
        redis: a client of the server, which may be empty.
        live: the log on the server, through a client that does not decode.
        archive: its archive, from the first event on.
        progress: called with the number of events folded so far.
        replace: take the place of a log that began without the archive's events; its own events are kept behind them.

    Raises:
        ArchiveDamaged: a segment does not match its manifest.
        LogGap: events between archive and log, or before the archive, are missing; nothing was dropped.
        LogWiped: the log is another one than that of the archive; nothing was dropped.
        LogFork: the log has continued without the archive's events; nothing was dropped, and the text holds the remedy.
        PartitionRebuilding: another caller rebuilds it.
        PartitionHalted: an event cannot be folded; the text says which.
    """
    keys = live.keys
    if not archive.segments:
        raise ArchiveDamaged(f"{archive.folder} holds no event: give the archive that holds the events")
    if archive.before:
        raise LogGap(
            f"the archive begins at {archive.first}, after {archive.before} events of the log: give the archive "
            "that holds them"
        )
    wanted = ("rebuilding", "rebuild_from", "adopted", "watermark", "begin", "done")
    phase, source, adopted, watermark, begin, done = await redis.hmget(keys("meta"), wanted)
    if phase is None or source is None or (phase != "fold" and adopted != archive.last):
        await anyio.to_thread.run_sync(_check_all, archive)
        await _prepare(redis, keys, archive, replace)
        phase = "drop"
    elif begin != done or (phase == "archive" and watermark is None):
        await redis.hset(keys("meta"), "rebuilding", "drop")  # a call was torn, or a snapshot load was interrupted
        phase = "drop"
    if phase == "drop":
        await put_letters_back(live, archive)
        await empty(redis, keys)
    if phase != "fold":
        await _fold_archive(redis, keys, archive, progress)
    return await fold_log(redis, keys, progress)


def _check_all(archive: Archive) -> None:
    for piece in archive.segments:
        archive.checked(piece)


async def _prepare(redis: Any, keys: Keys, archive: Archive, replace: bool) -> None:
    """Let the log continue after the end of the archive, and mark the state to be dropped."""
    answer = "AGAIN"
    while answer == "AGAIN":
        entries = await redis.xrange(keys("events"), count=1)
        first = entries[0][0] if entries else ""
        tip, trimmed = "0-0", 0
        if await redis.exists(keys("events")):
            about = await redis.xinfo_stream(keys("events"))
            tip, trimmed = about["last-generated-id"], about["entries-added"] - about["length"]
        head = await anyio.to_thread.run_sync(archive.number_up_to, previous(first) if first else archive.last)
        reached = await anyio.to_thread.run_sync(archive.number_up_to, tip)
        if first and trimmed == head:
            await _compare(redis, keys, archive, previous(first), min(tip, archive.last, key=position))
        answer = await script("adopt_archive")(
            redis,
            events=keys("events"),
            dead=keys("dead"),
            prefix=keys.prefix,
            began=archive.first,
            replace=int(replace),
            last=archive.last,
            count=archive.count,
            first=first,
            head=head if first else reached,
            reached=reached,
        )


async def _compare(redis: Any, keys: Keys, archive: Archive, after: str, until: str) -> None:
    """Check that log and archive hold the same events where they overlap.

    Equal counts do not prove it: a log that has lost its end can assign the same ids again if the clock is behind them.

    Raises:
        LogFork: they differ; the text names the first id.
    """
    pieces = archive.read(after, until, CHUNK)
    while (chunk := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
        for part in parts(chunk):
            parted = await script("find_divergence")(
                redis, events=keys("events"), prefix=keys.prefix, entries=packed(part), after=after
            )
            if parted:
                first_id = parted.decode() if isinstance(parted, bytes) else parted
                raise LogFork(f"the archive and the log are not the same history from {first_id} on; {remedy(archive)}")
            after = part.entries[-1].id


async def _fold_archive(redis: Any, keys: Keys, archive: Archive, progress: Callable[[int], None]) -> None:
    watermark = await redis.hget(keys("meta"), "watermark") or "0-0"
    first = await redis.xrange(keys("events"), count=1)
    # events that the log still holds are folded from it, with its dead letters
    until = min(previous(first[0][0]), archive.last, key=position) if first else archive.last
    if watermark == "0-0" and (path := nearest(archive.folder, until)) is not None:
        watermark = (await load(redis, keys, path)).watermark
    pieces = _parts_of(archive.read(watermark, until, CHUNK))
    part: Chunk | None = Chunk([], {})
    after = watermark
    while part is not None:
        following: Chunk | None = await anyio.to_thread.run_sync(next, pieces, None)
        going_on, after, folded = await script("replay_entries")(
            redis,
            events=keys("events"),
            dead=keys("dead"),
            prefix=keys.prefix,
            in_place=1,
            after=after,
            entries=packed(part),
            ends=int(following is None),
        )
        if not going_on:
            raise PartitionRebuilding("another process is rebuilding the state: wait for it to end")
        progress(int(folded))
        part = following


def _parts_of(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield from parts(chunk)
