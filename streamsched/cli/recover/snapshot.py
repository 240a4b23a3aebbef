"""``streamsched snapshot``: save the state at a moment of an archive, beside its segments."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from ...console.terminal import OK, as_json, bar, say
from ...contract.errors import OutsideLog
from ...replay.at import state_at
from ...replay.snapshot import write
from ...server.embedded import EmbeddedServer
from ..options import Json, Target, command
from .at import moment_words


@command("streamsched snapshot --to ./archive")
async def snapshot(
    target: Target,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the archive.")],
    at: Annotated[str | None, typer.Option(metavar="ID|TIME", help="[default: the end of the archive]")] = None,
    json: Json = False,
) -> int:
    """Save the state at a moment, beside the archive. It is made from the segments, without a server; at, rebuild
    --from and explain start from the nearest snapshot."""

    async with target.history(to, offline=True) as history:
        archive = history.archive
        if archive is None or not archive.segments:
            raise OutsideLog(f"{to} holds no event: run `streamsched archive --to {to}` first")
        until = archive.last if at is None else await history.id_at(at)
        async with AsyncExitStack() as stack:
            server = stack.enter_context(EmbeddedServer())
            with bar("folding") as (progress, set_total):
                set_total(archive.number_up_to(until))
                past = state_at(server.url, history, until, progress, decode=False)
                scratch = await stack.enter_async_context(past)
            path = await write(scratch, archive)
    if json:
        as_json({"path": str(path), "watermark": scratch.watermark, "folded": scratch.folded})
    else:
        say(f"{path}: the state as of {moment_words(scratch.watermark, scratch.folded)}")
    return OK
