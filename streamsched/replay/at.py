"""The state as of a moment of the past, folded on a server of its own."""

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
    """Fold a history up to an event on the empty server at ``url``, from the nearest snapshot on if there is one.

    Raises:
        LogGap: the history does not reach back to the first event.
    """
    await history.whole()
    scratch = Scratch(connect(url, decode), history.keys)
    try:
        if history.archive is not None:
            from .snapshot import start_from  # here, because the extra that reads Parquet may be missing

            await start_from(scratch, history.archive, history.archive.last if until == "+" else until)
        await scratch.follow(history, until, progress)
        yield scratch
    finally:
        with anyio.CancelScope(shield=True):
            await scratch.redis.aclose()
