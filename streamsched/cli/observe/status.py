"""``streamsched status``: the overview of a partition, for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio
import typer
from redis.exceptions import RedisError
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ...console.overview import render
from ...console.terminal import OK, REFUSED, console
from ...console.terminal import as_json as print_json
from ...sanitize import mask, one_line
from ...state.overview import Overview, read_overview
from ..options import Json, Target, command


@command("streamsched status --watch")
async def status(
    target: Target,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every --interval until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two reads.")] = 1.0,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind.")] = 50,
    json: Json = False,
) -> int:
    """Show nodes, pools and waiting jobs. Exit code 1 if the partition is halted or its log
    has a gap."""

    async with target.open() as partition:

        async def look() -> Overview:
            return await read_overview(partition.redis, partition.keys, limit)

        overview: Overview = await partition.patiently(look)
        if watch and json:
            while True:
                print_json(overview)
                await anyio.sleep(interval)
                overview = await partition.patiently(look)
        elif watch:
            await _watch(look, overview, interval)
        elif json:
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
