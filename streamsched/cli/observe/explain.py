"""``streamsched explain``: why a job is where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, Literal

import typer

from ...console.explanation import explanation_lines
from ...console.terminal import OK, as_json, bar, say
from ...contract.errors import OutsideLog
from ...history.explain import explain as explain_job
from ...history.history import History
from ...replay.at import state_at
from ...server.embedded import EmbeddedServer
from .. import completion
from ..options import ArchiveDir, Json, Offline, Target, command


@command("streamsched explain job s1:4711")
async def explain(
    target: Target,
    kind: Annotated[Literal["job"], typer.Argument()],
    name: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.jobs)],
    archive: ArchiveDir = None,
    offline: Offline = False,
    json: Json = False,
) -> int:
    """Explain why a job is where it is. For a waiting job: why each node of its pair cannot receive it."""
    async with target.history(archive, offline) as history, _state(target, history, offline) as redis:
        found = await explain_job(redis, history, name)
        if found is None:
            raise OutsideLog(f"no event names job {name!r}; the history holds {await history.held()}")
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
            scratch = await stack.enter_async_context(state_at(server.url, history, "+", progress))
        yield scratch.redis
