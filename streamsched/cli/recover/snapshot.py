"""``streamsched snapshot``: the state at the end of an archive, kept beside its segments."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from ...console.terminal import OK, as_json, bar, say
from ...contract.errors import OutsideLog
from ...replay.at import folded_at
from ...replay.snapshot import write
from ...server.embedded import EmbeddedServer
from ..options import Target
from .at import moment_words


async def make_snapshot(target: Target, folder: Path, moment: str | None, json: bool) -> int:
    """Fold the segments, from the nearest earlier snapshot on, and keep the outcome; returns the exit code.

    Raises:
        OutsideLog: the archive is empty, or does not reach to the moment.
        ArchiveDamaged: a segment is not what its manifest says.
    """
    async with target.history(folder, offline=True) as history:
        archive = history.archive
        if archive is None or not archive.segments:
            raise OutsideLog(f"{folder} holds no event: `streamsched archive --to {folder}` first")
        until = archive.last if moment is None else await history.id_at(moment)
        async with AsyncExitStack() as stack:
            server = stack.enter_context(EmbeddedServer())
            with bar("folding") as (progress, set_total):
                set_total(archive.number_up_to(until))
                past = folded_at(server.url, history, until, progress, decode=False)
                scratch = await stack.enter_async_context(past)
            path = await write(scratch, archive)
    if json:
        as_json({"path": str(path), "watermark": scratch.watermark, "folded": scratch.folded})
    else:
        say(f"{path}: the state as of {moment_words(scratch.watermark, scratch.folded)}")
    return OK
