"""``streamsched top``: the overview in a terminal, and the readers behind it."""

from __future__ import annotations

import signal
import sys

import anyio

from ...console.stop_signals import stop_signals
from ...console.terminal import OK, USAGE, complain
from ...dashboard.reader import Reader
from ...dashboard.watcher import Watcher
from ..options import ArchiveDir, Target, command


@command("streamsched top")
async def top(target: Target, archive: ArchiveDir = None) -> int:
    """Watch nodes, jobs and the log in the terminal. Enter shows the history of a node or a job and why it waits; ?
    names the keys; q, Ctrl-C or SIGTERM ends it. Read-only."""
    from ...top.app import Top

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        complain("top needs a terminal: `streamsched status` prints the same for a pipe")
        return USAGE
    async with target.open():
        pass
    source = Reader(target.settings.url, target.settings.keys, archive)
    source.check()
    watcher = Watcher(source, with_past=False)
    app, problems = Top(watcher), []

    async def watch() -> None:
        try:
            await watcher.run()
        except Exception as problem:
            problems.append(problem)  # printed after the terminal is restored
            app.exit()

    async def end_when_told() -> None:
        with stop_signals(signal.SIGTERM) as signals:
            async for _ in signals:
                app.exit()  # restores the terminal

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            group.start_soon(end_when_told)
            await app.run_async()
            watcher.close()
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await source.close()
    if problems:
        raise problems[0]
    return app.return_code or OK
