"""``streamsched trace``: the story of one job, node, session, pool or pair, a line an event."""

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
            raise OutsideLog(f"no event speaks of {kind} {name!r}; the history holds {await history.held()}")
    return OK


def moment(ts: int) -> str:
    """Return a time in ms since the epoch as it is printed: UTC, to the millisecond."""
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]


def _line(step: Step) -> Text:
    after = "" if step.after_ms is None else f"+{span_words(step.after_ms)}"
    return event_line(step.ts, f" {after:>10}  ", step.type, step.words, step.refused)


STYLES = (
    (("job.completed", "node.recovered", "node.uncordoned", "pool.resumed", "pair.resumed"), "bold green"),
    (("job.requeued", "job.declined", "job.cancelled", "node.cordoned", "node.drained", "pool.paused", "pair.paused"),
     "bold yellow"),
    (("node.expired", "node.offline", "job.exhausted", "job.refused", "job.expired", "source.limited"), "bold red"),
    (("scheduler.configured", "source.admitted", "source.revoked"), "bold magenta"),
)  # fmt: skip
"""Types of events that an eye should find, and how they are shown; the others are bold."""


def event_style(kind: str) -> str:
    """Return how an event of this type is shown."""
    return next((style for kinds, style in STYLES if kind in kinds), "bold")


def event_line(ts: int, between: str, kind: str, words: str, refused: str) -> Text:
    """Return an event as a line for the terminal."""
    line = Text.assemble((moment(ts), "dim"), between, (f"{one_line(kind):<18}", event_style(kind)), one_line(words))
    if refused:
        line.append(f"  ✗ {one_line(refused)}", "red")
    return line
