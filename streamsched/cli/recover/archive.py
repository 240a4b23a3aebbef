"""``streamsched archive``: copy the log to disk, and check the copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import anyio
import typer

from ...archive.archiver import Archiver
from ...archive.copies import copy_archive
from ...archive.manifest import Segment
from ...archive.reader import Archive
from ...archive.writer import ArchiveWriter
from ...connect.client import connect
from ...console.stop_signals import stop_signals
from ...console.terminal import OK, REFUSED, UsageProblem, agreed, as_json, bar, complain, say
from ...contract.errors import ArchiveDamaged
from ...log.live import LiveLog
from ...ops import logs
from ..options import Json, Target, command


@command("streamsched archive --to ./archive --trim --yes")
async def archive(
    target: Target,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the archive; created if missing.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Start with the events that this archive shares with the log."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Archive the events folded so far, and exit.")] = False,
    trim: Annotated[
        bool, typer.Option("--trim", help="Trim archived and folded events off the log, up to the first of a live job.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the archive, without a server, and exit.")] = False,
    copy: Annotated[
        Path | None,
        typer.Option("--copy", metavar="DIR", help="Copy the archive as it is now, without a server, and exit."),
    ] = None,
    max_events: Annotated[int, typer.Option(min=1, help="Most events of a segment.")] = 100_000,
    max_age: Annotated[float, typer.Option(min=0, help="Seconds after which a smaller segment is written.")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before trimming.")] = False,
    json: Json = False,
) -> int:
    """Copy the log to disk, as a chain of Parquet files. Runs until SIGTERM or Ctrl-C; one process a partition.
    Exit code 1 if --check finds a fault."""

    if check:
        if trim or once or source or copy:
            raise UsageProblem("--check takes no other action: it changes nothing")
        return await check_archive(to, json)
    if copy is not None:
        if trim or once or source:
            raise UsageProblem("--copy takes no other action: it reads the archive only")
        return await _copy(to, copy, json)
    keys = target.settings.keys
    logs.configure("console" if sys.stderr.isatty() else "json")
    what = f"This trims the log of {keys.prefix.rstrip(':')}: archived, folded events up to the first of a live job."
    if trim and not await agreed(what, "Trim?", yes):
        return REFUSED
    async with target.open() as partition:
        raw = connect(target.settings.url, decode=False)
        try:
            with ArchiveWriter(to, keys) as writer:
                live = LiveLog(raw, keys)
                if source is not None:
                    await _take_over(live, writer, source, json)
                with bar("archiving", once) as (progress, set_total):
                    archiver = Archiver(live, writer, max_events, max_age, trim, progress)
                    if once:
                        held = writer.archive.before + writer.archive.count
                        set_total(max(0, (await live.watermark())[1] - held))
                        await archiver.once()
                    else:
                        await _until_told(archiver)
        finally:
            with anyio.CancelScope(shield=True):
                await raw.aclose()
        left = await partition.patiently(lambda: partition.redis.xlen(keys("events")))
    kept = writer.archive
    if json:
        done = {"archived": archiver.archived, "trimmed": archiver.trimmed, "letters_trimmed": archiver.letters_trimmed}
        as_json({**done, "stopped_at": archiver.stopped_at, "events": kept.count, "last": kept.last})
    else:
        trimmed = f", trimmed {archiver.trimmed} of them off the log; {left} remain" if trim else ""
        if archiver.stopped_at:
            trimmed += f", because job {archiver.stopped_at} has not ended"
        say(f"archived {archiver.archived} events{trimmed}; the archive holds {kept.count}, up to {kept.last}")
    return OK


async def _copy(folder: Path, copy: Path, json: bool) -> int:
    total = Archive.open(folder).count
    with bar("copying", True) as (progress, set_total):
        set_total(total)
        made = await anyio.to_thread.run_sync(copy_archive, folder, copy, progress)
    if json:
        as_json({"segments": len(made.segments), "events": made.count, "last": made.last})
    else:
        say(f"{copy}: {len(made.segments)} segments with {made.count} events, up to {made.last}")
    return OK


async def _take_over(live: LiveLog, writer: ArchiveWriter, source: Path, json: bool) -> None:
    other = Archive.open(source, live.keys)
    with bar("taking over", True) as (progress, set_total):
        set_total(other.count)
        await writer.go_on_from(live, other, progress)
    kept = writer.archive
    if not json:
        left = other.count - kept.count
        say(f"took over {kept.count} events, up to {kept.last}; {left} are in {source} only, including lost ones")


async def _until_told(archiver: Archiver) -> None:
    with stop_signals() as signals:
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
    """Check an archive without a server: the chain, and every row; returns the exit code."""
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
