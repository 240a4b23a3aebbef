"""``streamsched rebuild``: the state folded anew, with a question before and a bar meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...console.terminal import OK, REFUSED, agreed, bar, say
from ...console.terminal import as_json as print_json
from ...replay.rebuild import rebuild
from ..options import Target


async def rebuild_state(target: Target, source: Path | None, yes: bool, as_json: bool) -> int:
    """Ask, drop, fold; returns the exit code.

    Raises:
        UsageProblem: there is nobody to ask, and no ``--yes``.
        LogGap: the log does not hold all its entries; nothing was dropped.
        LogFork, ArchiveDamaged: the archive at ``source`` does not fit the log, or is damaged; nothing was dropped.
        PartitionHalted: the log cannot be folded; the text says at which event.
    """
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
            f"timers) and folds its {length} events anew. The log, dead letters, inboxes and heartbeats stay. "
            "Calls wait meanwhile; every node that was online gets a full timeout to show itself."
        )
        if not await agreed(what, "Rebuild?", yes):
            return REFUSED
        with bar("folding") as (progress, set_total):
            set_total(length)
            if archive is None:
                folded = await rebuild(redis, keys, progress)
            else:
                from ...replay.restore import restore

                folded = await restore(redis, keys, archive, progress)
    if as_json:
        print_json({"folded": folded})
    else:
        say(f"rebuilt from {folded} events")
    return OK
