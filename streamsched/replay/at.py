"""The state as of a past moment, folded on a scratch server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from ..connect.client import connect
from ..history.history import History
from .scratch import Progress, Scratch


@asynccontextmanager
async def state_at(
    url: str, history: History, until: str, progress: Progress = lambda folded: None, decode: bool = True
) -> AsyncIterator[Scratch]:
    """Fold a history up to an event on the empty server at ``url``, starting from the nearest snapshot if there is one.

    Raises:
        LogGap: the history does not reach back to the first event.
    """
    await history.whole()
    scratch = Scratch(connect(url, decode), history.keys)
    try:
        if history.archive is not None:
            from .snapshot import start_from  # imported here, because the Parquet extra may be missing

            await start_from(scratch, history.archive, history.archive.last if until == "+" else until)
        await scratch.follow(history, until, progress)
        yield scratch
    finally:
        with anyio.CancelScope(shield=True):
            await scratch.redis.aclose()
