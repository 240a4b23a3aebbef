"""``streamsched rebuild``: drop the state and fold the log again, with a question first and a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from ...connect.client import connect
from ...console.terminal import OK, REFUSED, agreed, bar, complain, say
from ...console.terminal import as_json as print_json
from ...log.live import LiveLog
from ...replay.rebuild import rebuild as fold_again
from ..options import Json, Target, command


@command("streamsched rebuild --from ./archive --yes")
async def rebuild(
    target: Target,
    archive: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Fold this archive first, then the log.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --from: in the place of a log that began without the archive.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Give up a log that was wiped, and go on with what is there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Drop the state and fold the log again. --from folds an archive first, if the log is gone or was trimmed.
    Calls wait until it is done. If it is interrupted, run it again: it continues.

    --replace mends a server that was flushed, or replaced by an empty one: the archive comes back, and the events of
    the new log stay behind it. Without an archive, --forget accepts the loss."""
    if replace and archive is None:
        raise typer.BadParameter("give the archive of the lost log with --from", param_hint="--replace")
    if forget and archive is not None:
        raise typer.BadParameter("give one of --forget and --from", param_hint="--forget")
    if forget:
        return await _forget(target, yes, json)

    keys = target.settings.keys
    async with target.open() as partition:
        redis: Any = partition.redis
        length: int = await redis.xlen(keys("events"))
        kept = None
        if archive is not None:
            from ...archive.reader import Archive

            kept = Archive.open(archive, keys)
            length = max(length, kept.count)
        what = (
            f"This drops the folded state of {keys.prefix.rstrip(':')} (nodes, pools, jobs, sessions, "
            f"timers) and folds its {length} events again. The log, dead letters, inboxes and heartbeats stay. "
            "Calls wait meanwhile; every online node gets a full heartbeat timeout to report."
        )
        if not await agreed(what, "Rebuild?", yes):
            return REFUSED
        with bar("folding") as (progress, set_total):
            set_total(length)
            if kept is None:
                folded = await fold_again(redis, keys, progress)
            else:
                from ...replay.restore import restore

                raw = connect(target.settings.url, decode=False)
                try:
                    folded = await restore(redis, LiveLog(raw, keys), kept, progress, replace)
                finally:
                    with anyio.CancelScope(shield=True):
                        await raw.aclose()
    if json:
        print_json({"folded": folded})
    else:
        say(f"rebuilt from {folded} events")
    return OK


async def _forget(target: Target, yes: bool, json: bool) -> int:
    from ...replay.forget import forget

    keys = target.settings.keys
    what = f"The log that {keys.prefix.rstrip(':')} has lost is given up: its jobs, nodes and pauses do not come back."
    if not await agreed(what, "Forget it?", yes):
        return REFUSED
    async with target.open() as partition:
        lost = await forget(partition.redis, keys)
    if lost is None:
        complain(f"{keys.prefix.rstrip(':')} has lost no log: there is nothing to forget")
        return REFUSED
    if json:
        print_json({"forgotten": lost})
    else:
        say(f"the log that began at {lost} is given up; the workers go on by themselves")
    return OK
