"""``streamsched status``: the overview of a partition as a person reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from redis.exceptions import RedisError
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ...console.overview import render
from ...console.terminal import OK, REFUSED, console
from ...console.terminal import as_json as print_json
from ...sanitize import mask, one_line
from ...state.overview import Overview, read_overview
from ..options import Target


async def show(target: Target, watch: bool, interval_s: float, limit: int, as_json: bool) -> int:
    """Print the overview once, or again and again until Ctrl-C; returns the exit code.

    Raises:
        ServerUnreachable: the server did not answer; with ``watch`` only at the start.
    """
    async with target.open() as partition:

        async def look() -> Overview:
            return await read_overview(partition.redis, partition.keys, limit)

        overview: Overview = await partition.patiently(look)
        if watch and as_json:
            while True:
                print_json(overview)
                await anyio.sleep(interval_s)
                overview = await partition.patiently(look)
        elif watch:
            await _watch(look, overview, interval_s)
        elif as_json:
            print_json(overview)
        else:
            console().print(render(overview))
    return OK if overview.partition.condition in ("ok", "rebuilding") else REFUSED


async def _watch(look: Callable[[], Awaitable[Overview]], overview: Overview, interval_s: float) -> None:
    with Live(render(overview), console=console(), auto_refresh=False, screen=True) as live:
        while True:
            await anyio.sleep(interval_s)
            try:
                overview = await look()
                live.update(render(overview), refresh=True)
            except (RedisError, OSError) as problem:
                lost = Text(f"no answer from the server: {one_line(mask(str(problem)))}", "bold red")
                live.update(Group(lost, render(overview)), refresh=True)
