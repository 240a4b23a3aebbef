"""``streamsched tail``: the log as it grows, a line an event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from ...console.events import event_line
from ...console.terminal import OK, as_json, complain, console
from ...contract.entries import position
from ...history.history import History
from ...history.rows import subjects
from ...history.search import latest_rows, matching_rows
from ...history.tail import Note, follow
from ...sanitize import mask, one_line
from ..durations import since_when
from ..options import Target

HIGHEST = 2**64 - 1
"""The last number within a millisecond."""


class TailOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What ``streamsched tail`` was asked for."""

    wanted: str
    """A filter, see :func:`matching_rows`."""
    last: int
    since: str | None
    archive: Path | None
    no_follow: bool
    json: bool


async def show_tail(target: Target, options: TailOptions) -> int:
    """Print what there is, then what comes; returns the exit code.

    Raises:
        UsageProblem: ``since`` is neither an age, a time nor an id.
    """
    async with target.history(options.archive, offline=False) as history, target.open() as partition:
        printer = Printer(options.json)
        after, known = await _beginning(history, options, printer)
        if options.no_follow:
            async for chunk in history.chunks(after):
                printer.show(await matching_rows(history, chunk, options.wanted))
            return OK
        async for found in follow(partition, history, after, options.wanted, known):
            if isinstance(found, Note):
                complain(mask(found.text))
            else:
                printer.show(found)
    return OK


async def _beginning(history: History, options: TailOptions, printer: Printer) -> tuple[str, int | None]:
    """Print the last events, or find the place that was named; returns the id behind which is read on, and how many
    events there were up to it, if that is known.
    """
    span = await history.span()
    if options.since is not None:
        after = _just_before(options.since)
        if position(after) >= position(span.first):
            return after, None
        if span.before:
            complain(f"what is held begins at {span.first}, {span.before} events came before: {await history.remedy()}")
        return after, span.before
    if options.last:
        printer.show((await latest_rows(history, span.last, options.wanted, options.last)).rows)
    return span.last, span.before + span.count


def _just_before(since: str) -> str:
    """Return the id before an event that was named, or before all of a millisecond.

    Raises:
        UsageProblem: it is neither an age, a time nor an id.
    """
    ms, n = since_when(since)
    return f"{ms}-{n - 1}" if 0 < n < HIGHEST else f"{max(0, ms - 1)}-{HIGHEST}"


class Printer:
    """Prints rows of the log, each as a line: of JSON, or for a person."""

    def __init__(self, json: bool) -> None:
        self._json, self._screen = json, console()

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Print them."""
        if self._json:
            for row in rows:
                as_json(row)
        elif rows:  # at once, which is half as fast again: a log may grow by thousands a second
            self._screen.print(Text("\n").join(map(_line, rows)), soft_wrap=True)


def _line(row: dict[str, Any]) -> Text:
    line = event_line(position(row["id"])[0], "  ", row["type"], row["words"], row.get("refused", ""))
    # a story names its job, node or session once; here each line is of another
    _, name = next(subjects(row["fields"]), ("", ""))
    return line.append(f"  {one_line(name)}", "cyan")
