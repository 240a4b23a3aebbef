"""``streamsched at``: the state at a past moment, as a table, as JSON, or open to ``redis-cli``."""

from __future__ import annotations

import shlex
from contextlib import AsyncExitStack
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from ...console.overview import render_state
from ...console.stop_signals import stop_signals
from ...console.terminal import OK, UsageProblem, as_json, bar, console, say
from ...contract.moments import utc
from ...history.history import History
from ...replay.at import state_at
from ...replay.scratch import Scratch
from ...server.embedded import EmbeddedServer
from ...state.overview import read_overview
from ..options import ArchiveDir, Json, Offline, Target, command


@command("streamsched at 2026-01-31T09:30:00Z --archive ./archive")
async def at(
    target: Target,
    moment: Annotated[
        str,
        typer.Argument(metavar="ID|TIME", help="An event's id, a time (ISO 8601, ms), an age (5m), or now."),
    ],
    archive: ArchiveDir = None,
    offline: Offline = False,
    serve: Annotated[bool, typer.Option("--serve", help="Open it to redis-cli, read-only, until Ctrl-C.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="For --serve. [default: a free one]")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind.")] = 50,
    json: Json = False,
) -> int:
    """Show the state at a moment of the past.

    A moment is an event, or a time: then the state is that after the last event at or before it.
    """
    if port is not None and not serve:
        raise UsageProblem("--port needs --serve")

    async with target.history(archive, offline) as history:
        until = await history.id_at(moment)
        async with AsyncExitStack() as stack:
            server = stack.enter_context(EmbeddedServer(port=port))
            with bar("folding") as (progress, _):
                scratch = await stack.enter_async_context(state_at(server.url, history, until, progress))
            if serve:
                return await _serve(scratch, server, history)
            overview = await read_overview(scratch.redis, scratch.keys, limit)
            if json:
                as_json({"at": scratch.watermark, "folded": scratch.folded, **_past(overview)})
            else:
                screen = console()
                screen.print(Text.assemble(("as of ", "bold"), moment_words(scratch.watermark, scratch.folded)))
                screen.print(render_state(overview))
    return OK


def moment_words(event_id: str, folded: int) -> str:
    """Say in words up to where something was folded."""
    return f"{utc(int(event_id.split('-')[0]))}  event {event_id}, the {folded}th of the log"


def _past(overview: Any) -> dict[str, Any]:
    """Return an overview without the parts that describe the present: heartbeats and workers."""
    built: dict[str, Any] = msgspec.to_builtins(overview)
    return {name: value for name, value in built.items() if name != "partition"}


async def _serve(scratch: Scratch, server: EmbeddedServer, history: History) -> int:
    """Keep the scratch server open to readers until Ctrl-C."""
    redis: Any = scratch.redis
    reader = ["resetkeys", "%R~*", "resetchannels", "-@all", "+@read", "+@connection", "+info", "+command", "+time"]
    await redis.execute_command("ACL", "SETUSER", "default", *reader, "-@dangerous", "+info", "+keys")
    with stop_signals() as signals:
        say(f"{history.keys.prefix.rstrip(':')} as of {moment_words(scratch.watermark, scratch.folded)}, read-only:")
        say(f"  redis-cli -p {server.port} HGETALL {shlex.quote(history.keys('counters'))}")
        say(f"  streamsched status --url {server.url}")
        say("Ctrl-C stops it.")
        async for _ in signals:
            break
    return OK
