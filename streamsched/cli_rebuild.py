"""``streamsched rebuild``: the state folded anew, with a question before and a bar meanwhile."""

from __future__ import annotations

import sys
from typing import Any

import anyio.to_thread
from rich.console import Console
from rich.progress import Progress

from .command import Target
from .replay import rebuild
from .terminal import OK, REFUSED, UsageProblem, complain, say
from .terminal import as_json as print_json


async def rebuild_state(target: Target, yes: bool, as_json: bool) -> int:
    """Ask, drop, fold; returns the exit code.

    Raises:
        UsageProblem: there is nobody to ask, and no ``--yes``.
        LogGap: the log does not hold all its entries; nothing was dropped.
        PartitionHalted: the log cannot be folded; the text says at which event.
    """
    async with target.open() as partition:
        redis: Any = partition.redis
        length: int = await redis.xlen(partition.keys("events"))
        if not yes:
            what = (
                f"This drops the folded state of {partition.keys.prefix.rstrip(':')} (nodes, pools, jobs, sessions, "
                f"timers) and folds its {length} events anew. The log, dead letters, inboxes and heartbeats stay. "
                "Calls wait meanwhile; every node that was online gets a full timeout to show itself."
            )
            if not sys.stdin.isatty():
                raise UsageProblem(f"{what} Give --yes to go on without being asked")
            say(what)
            answer = await anyio.to_thread.run_sync(input, "Rebuild? [y/N] ", abandon_on_cancel=True)
            if answer.strip().lower() not in ("y", "yes"):
                complain("nothing was changed")
                return REFUSED
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("folding", total=length)
            folded = await rebuild(partition.redis, partition.keys, lambda done: bar.update(task, completed=done))
    if as_json:
        print_json({"folded": folded})
    else:
        say(f"rebuilt from {folded} events")
    return OK
