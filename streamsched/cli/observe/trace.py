"""``streamsched trace``: the story of one job, node, session, pool or pair, a line an event."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from ...console.events import event_line
from ...console.terminal import OK, as_json, console
from ...contract.errors import OutsideLog
from ...history.story import Step, span_words, trace
from ..options import Target


async def show_trace(target: Target, kind: str, name: str, archive: Path | None, offline: bool, json: bool) -> int:
    """Print the story; returns the exit code.

    Raises:
        OutsideLog: the history knows nothing of it; the text says what range it has.
    """
    async with target.history(archive, offline) as history:
        found = 0
        screen = console()
        async for step in trace(history, kind, name):
            found += 1
            if json:
                as_json(step)
            else:
                screen.print(_line(step), soft_wrap=True)
        if not found:
            raise OutsideLog(f"no event speaks of {kind} {name!r}; the history holds {await history.held()}")
    return OK


def _line(step: Step) -> Text:
    after = "" if step.after_ms is None else f"+{span_words(step.after_ms)}"
    return event_line(step.ts, f" {after:>10}  ", step.type, step.words, step.refused)
