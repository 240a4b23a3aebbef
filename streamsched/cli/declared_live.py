"""The commands that show what happens while it happens: what each takes."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console.terminal import needs
from . import completion as cli_complete
from . import declared_replay as cli_replay
from .options import ArchiveDir, Json, Target, command

app = typer.Typer()


@command(app, "streamsched tail 'type=job.*' node_id=n1 --last 20")
async def tail(
    target: Target,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD|FIELD=PATTERN...",
            help="Only events with each of these words in them, or with a type, id or field like this; * is anything.",
            autocompletion=cli_complete.fields,
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=0, help="How many of those that there are come first.")] = 10,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME|ID", help="Begin there instead: 90s, 2h, ISO 8601, ms, or an id of the log."),
    ] = None,
    archive: ArchiveDir = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="End at the end of the log.")] = False,
    json: Json = False,
) -> int:
    """Follow the log: every event once it is folded, with what was refused and why, until Ctrl-C. Payloads and results
    are not shown. Goes on through restarts of the server, and says so on stderr."""
    if archive is not None:
        cli_replay.needs_archive()
    from .observe.tail import TailOptions, show_tail

    options = TailOptions(
        wanted=" ".join(words or []), last=last, since=since, archive=archive, no_follow=no_follow, json=json
    )
    return await show_tail(target, options)


@command(app, "streamsched top")
async def top(target: Target, archive: ArchiveDir = None) -> int:
    """Watch nodes, languages, jobs and the log in the terminal, over ssh say. Enter tells the story of a node or a job
    and why it waits; ? names the keys; q, Ctrl-C or SIGTERM ends it. Read-only."""
    if archive is not None:
        cli_replay.needs_archive()
    needs("Textual", "top", "textual")
    from .observe.top import show_top

    return await show_top(target, archive)
