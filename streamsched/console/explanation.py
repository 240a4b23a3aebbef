"""An explanation as lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ..cli.observe.trace import moment
from ..cli.options import Target
from ..history.explain import Explanation
from ..history.history import History
from ..replay.at import folded_at
from ..sanitize import one_line
from ..server.embedded import EmbeddedServer
from .terminal import bar


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


def explanation_lines(found: Explanation) -> list[str]:
    """Return an explanation as lines for the terminal."""
    lines = [f"{found.job_id} is {found.status}: {found.summary}"]
    for n, attempt in enumerate(found.attempts, 1):
        where = f"node {attempt.node_id} of pool {attempt.pool_id}"
        lines.append(f"  attempt {n}, {moment(attempt.ts)}: {where}, {attempt.why}")
        if attempt.end:
            lines.append(f"    {attempt.end}")
    for pool in found.pools:
        paused = ", paused" if pool.paused else ""
        lines.append(f"  pool {pool.pool_id}, {pool.members_total} members{paused}:")
        lines += [f"    {one.node_id}: {'; '.join(one.against) or 'may receive it'}" for one in pool.members]
        if pool.members_total > len(pool.members):
            lines.append(f"    … and {pool.members_total - len(pool.members)} more")
    return [one_line(line) for line in lines]
