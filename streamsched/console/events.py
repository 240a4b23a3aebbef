"""An event as a line."""

from __future__ import annotations

from rich.text import Text

from ..contract.moments import utc
from ..sanitize import one_line

STYLES = (
    (("job.completed", "node.recovered", "node.uncordoned", "pool.resumed", "pair.resumed"), "bold green"),
    (("job.requeued", "job.declined", "job.cancelled", "node.cordoned", "node.drained", "pool.paused", "pair.paused"),
     "bold yellow"),
    (("node.expired", "node.offline", "job.exhausted", "job.refused", "job.expired", "source.limited"), "bold red"),
    (("scheduler.configured", "source.admitted", "source.revoked"), "bold magenta"),
)  # fmt: skip
"""Types of events to highlight, and their style; the others are bold."""


def moment(ts: int) -> str:
    """Return a time in ms since the epoch as it is printed: UTC, to the millisecond."""
    return utc(ts)


def event_style(kind: str) -> str:
    """Return the style of an event type."""
    return next((style for kinds, style in STYLES if kind in kinds), "bold")


def event_line(ts: int, between: str, kind: str, words: str, refused: str) -> Text:
    """Return an event as a line for the terminal."""
    line = Text.assemble((moment(ts), "dim"), between, (f"{one_line(kind):<18}", event_style(kind)), one_line(words))
    if refused:
        line.append(f"  ✗ {one_line(refused)}", "red")
    return line
