"""``streamsched explain``: why a job is where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from ...console.explanation import explanation_lines
from ...console.terminal import OK, as_json, bar, say
from ...contract.errors import OutsideLog
from ...history.explain import explain
from ...history.history import History
from ...replay.at import folded_at
from ...server.embedded import EmbeddedServer
from ..options import Target


async def show_explanation(target: Target, job_id: str, archive: Path | None, offline: bool, json: bool) -> int:
    """Print why a job is where it is; returns the exit code.

    Raises:
        OutsideLog: nothing is known of the job; the text says what range the history has.
    """
    async with target.history(archive, offline) as history, _state(target, history, offline) as redis:
        found = await explain(redis, history, job_id)
        if found is None:
            raise OutsideLog(f"no event speaks of job {job_id!r}; the history holds {await history.held()}")
    if json:
        as_json(found)
    else:
        say("\n".join(explanation_lines(found)))
    return OK


@asynccontextmanager
async def _state(target: Target, history: History, offline: bool) -> AsyncIterator[Any]:
    """Yield a client of the live state, or of one folded from the archive."""
    if not offline:
        async with target.open() as partition:
            yield partition.redis
        return
    async with AsyncExitStack() as stack:
        server = stack.enter_context(EmbeddedServer())
        with bar("folding") as (progress, _):
            scratch = await stack.enter_async_context(folded_at(server.url, history, "+", progress))
        yield scratch.redis
