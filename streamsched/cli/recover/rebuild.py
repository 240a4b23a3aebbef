"""``streamsched rebuild``: drop the state and fold the log again, with a question first and a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...console.terminal import OK, REFUSED, agreed, bar, say
from ...console.terminal import as_json as print_json
from ...replay.rebuild import rebuild as fold_again
from ..options import Json, Target, command, needs_archive


@command("streamsched rebuild --from ./archive --yes")
async def rebuild(
    target: Target,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Fold this archive first, then the log.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Drop the state and fold the log again. --from folds an archive first, if the log is gone or was trimmed.
    Calls wait until it is done. If it is interrupted, run it again: it continues."""
    if source is not None:
        needs_archive()

    keys = target.settings.keys
    async with target.open() as partition:
        redis: Any = partition.redis
        length: int = await redis.xlen(keys("events"))
        archive = None
        if source is not None:
            from ...archive.reader import Archive

            archive = Archive.open(source, keys)
            length = max(length, archive.count)
        what = (
            f"This drops the folded state of {keys.prefix.rstrip(':')} (nodes, pools, jobs, sessions, "
            f"timers) and folds its {length} events again. The log, dead letters, inboxes and heartbeats stay. "
            "Calls wait meanwhile; every online node gets a full heartbeat timeout to report."
        )
        if not await agreed(what, "Rebuild?", yes):
            return REFUSED
        with bar("folding") as (progress, set_total):
            set_total(length)
            if archive is None:
                folded = await fold_again(redis, keys, progress)
            else:
                from ...replay.restore import restore

                folded = await restore(redis, keys, archive, progress)
    if json:
        print_json({"folded": folded})
    else:
        say(f"rebuilt from {folded} events")
    return OK
