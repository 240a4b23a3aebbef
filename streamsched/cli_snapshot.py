"""``streamsched snapshot``: the state at the end of an archive, kept beside its segments."""

from __future__ import annotations

from pathlib import Path

from .cli_at import moment_words
from .command import Target
from .embedded import EmbeddedServer
from .errors import OutsideLog
from .past import folded_at
from .snapshot import write
from .terminal import OK, as_json, bar, say


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
        with EmbeddedServer() as server:
            with bar("folding") as (progress, set_total):
                set_total(archive.number_up_to(until))
                scratch = await folded_at(server.url, history, until, progress, decode=False)
            try:
                path = await write(scratch, archive)
            finally:
                await scratch.redis.aclose()
    if json:
        as_json({"path": str(path), "watermark": scratch.watermark, "folded": scratch.folded})
    else:
        say(f"{path}: the state as of {moment_words(scratch.watermark, scratch.folded)}")
    return OK
