"""``streamsched trace``: the story of one job, node, session, pool or pair, one line an event."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.text import Text

from ...console.events import event_line
from ...console.terminal import OK, as_json, console
from ...contract.errors import OutsideLog
from ...history.story import Step, span_words
from ...history.story import trace as steps_of
from .. import completion
from ..options import ArchiveDir, Json, Offline, Target, command, pair_of


@command("streamsched trace job s1:4711")
async def trace(
    target: Target,
    kind: Annotated[Literal["job", "node", "session", "pool", "pair"], typer.Argument()],
    name: Annotated[str, typer.Argument(metavar="ID|SRC:TGT", autocompletion=completion.subjects)],
    archive: ArchiveDir = None,
    offline: Offline = False,
    json: Json = False,
) -> int:
    """Show the history of a job, a node or a session. One line an event, with the time since the one before. For a
    pool or a language pair: who paused and resumed it, and what was configured."""
    if kind == "pair":
        pair_of(name)
    async with target.history(archive, offline) as history:
        found = 0
        screen = console()
        async for step in steps_of(history, kind, name):
            found += 1
            if json:
                as_json(step)
            else:
                screen.print(_line(step), soft_wrap=True)
        if not found:
            raise OutsideLog(f"no event names {kind} {name!r}; the history holds {await history.held()}")
    return OK


def _line(step: Step) -> Text:
    after = "" if step.after_ms is None else f"+{span_words(step.after_ms)}"
    return event_line(step.ts, f" {after:>10}  ", step.type, step.words, step.refused)
