"""``streamsched trace``: the story of one job, node or session, a line an event."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from .command import Target
from .errors import OutsideLog
from .shown import one_line
from .terminal import OK, as_json, console
from .trace import Step, span_words, trace


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
            span = await history.span()
            more = f", {span.before} came before: {await history.remedy()}" if span.before else ""
            raise OutsideLog(f"no event speaks of {kind} {name!r}; the history holds {span.words}{more}")
    return OK


def moment(ts: int) -> str:
    """Return a time in ms since the epoch as it is printed: UTC, to the millisecond."""
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]


def _line(step: Step) -> Text:
    when = moment(step.ts)
    after = "" if step.after_ms is None else f"+{span_words(step.after_ms)}"
    line = Text.assemble((when, "dim"), f" {after:>10}  ", (f"{one_line(step.type):<18}", "bold"), one_line(step.words))
    if step.refused:
        line.append(f"  ✗ {one_line(step.refused)}", "red")
    return line
