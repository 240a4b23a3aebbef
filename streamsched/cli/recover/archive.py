"""``streamsched archive``: the log carried to disk, and what lies there checked."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import msgspec

from ...archive.archiver import Archiver
from ...archive.manifest import Segment
from ...archive.reader import Archive
from ...archive.writer import ArchiveWriter
from ...connect.client import connect
from ...console.terminal import OK, REFUSED, agreed, as_json, bar, complain, say
from ...contract.errors import ArchiveDamaged
from ...log.live import LiveLog
from ...ops import logs
from ..options import Target


class ArchiveOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What ``streamsched archive`` was asked for."""

    folder: Path
    source: Path | None
    once: bool
    trim: bool
    yes: bool
    max_events: int
    max_age_s: float
    json: bool


async def archive_log(target: Target, options: ArchiveOptions) -> int:
    """Archive until SIGTERM or Ctrl-C, or once; returns the exit code.

    Raises:
        ArchiveLocked, ArchiveDamaged, LogFork, LogGap: see :class:`ArchiveWriter` and :class:`Archiver`.
    """
    keys = target.settings.keys
    logs.configure("console" if sys.stderr.isatty() else "json")
    what = f"This trims the log of {keys.prefix.rstrip(':')} below what is archived, folded and of no alive job."
    if options.trim and not await agreed(what, "Trim?", options.yes):
        return REFUSED
    async with target.open() as partition:
        raw = connect(target.settings.url, decode=False)
        try:
            with ArchiveWriter(options.folder, keys) as writer:
                live = LiveLog(raw, keys)
                if options.source is not None:
                    await _take_over(live, writer, options.source, options.json)
                with bar("archiving", options.once) as (progress, set_total):
                    archiver = Archiver(live, writer, options.max_events, options.max_age_s, options.trim, progress)
                    if options.once:
                        held = writer.archive.before + writer.archive.count
                        set_total(max(0, (await live.watermark())[1] - held))
                        await archiver.once()
                    else:
                        await _until_told(archiver)
        finally:
            with anyio.CancelScope(shield=True):
                await raw.aclose()
        left = await partition.patiently(lambda: partition.redis.xlen(keys("events")))
    archive = writer.archive
    if options.json:
        done = {"archived": archiver.archived, "trimmed": archiver.trimmed, "letters_trimmed": archiver.letters_trimmed}
        as_json({**done, "events": archive.count, "last": archive.last})
    else:
        trimmed = f", trimmed {archiver.trimmed} of them off the log, which holds {left}" if options.trim else ""
        say(f"archived {archiver.archived} events{trimmed}; the archive holds {archive.count}, up to {archive.last}")
    return OK


async def _take_over(live: LiveLog, writer: ArchiveWriter, source: Path, json: bool) -> None:
    other = Archive.open(source, live.keys)
    with bar("taking over", True) as (progress, set_total):
        set_total(other.count)
        await writer.go_on_from(live, other, progress)
    kept = writer.archive
    if not json:
        left = other.count - kept.count
        say(f"took over {kept.count} events, up to {kept.last}; {left} stay in {source} alone, lost ones among them")


async def _until_told(archiver: Archiver) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                async for _ in signals:
                    archiver.stopping.set()

            group.start_soon(listen)
            try:
                await archiver.run()
            finally:
                group.cancel_scope.cancel()


async def check_archive(folder: Path, json: bool) -> int:
    """Check an archive without any server: the chain, and every row; returns the exit code."""
    archive = Archive.open(folder, complete=False)
    problems = list(archive.gaps())
    with bar("checking", True) as (progress, set_total):
        set_total(archive.count)
        seen = 0
        for piece in archive.segments:
            problem = await anyio.to_thread.run_sync(_problem, archive, piece)
            if problem and not any(piece.name in known for known in problems):
                problems.append(problem)
            seen += piece.events
            progress(seen)
    if json:
        held = {"segments": len(archive.segments), "events": archive.count, "last": archive.last}
        as_json({**held, "problems": problems})
    else:
        for problem in problems:
            complain(problem)
        if not problems:
            say(f"{len(archive.segments)} segments with {archive.count} events, up to {archive.last}: whole")
    return REFUSED if problems else OK


def _problem(archive: Archive, piece: Segment) -> str | None:
    try:
        archive.check(piece)
    except ArchiveDamaged as problem:
        return problem.detail
    return None
