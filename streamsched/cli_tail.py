"""``streamsched tail``: the log as it grows, a line an event."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .cli_trace import event_line
from .command import Target
from .entries import Chunk, position
from .history import History, bound
from .partition import Partition
from .rows import matches, rows_of
from .search import latest_rows
from .shown import mask, one_line
from .tail import Note, follow
from .terminal import OK, as_json, complain, console

HIGHEST = 2**64 - 1
"""The last number within a millisecond."""


class TailOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What ``streamsched tail`` was asked for."""

    wanted: str
    """A filter, see :func:`matches`."""
    last: int
    since: str | None
    archive: Path | None
    no_follow: bool
    json: bool


async def show_tail(target: Target, options: TailOptions) -> int:
    """Print what there is, then what comes; returns the exit code.

    Raises:
        OutsideLog: ``since`` is neither an id nor a time.
    """
    printer = Printer(options)
    async with target.history(options.archive, offline=False) as history, target.open() as partition:
        after = await _beginning(history, options, printer)
        if options.no_follow:
            async for chunk in history.chunks(after):
                printer.show(chunk)
            return OK
        await _go_on(partition, history, after, printer)
    return OK


async def _beginning(history: History, options: TailOptions, printer: Printer) -> str:
    """Print the last events, or find the place that was named; returns the id behind which is read on."""
    span = await history.span()
    if options.since is not None:
        after = _just_before(options.since)
        if span.before and position(after) < position(span.first):
            complain(f"what is held begins at {span.first}, {span.before} events came before: {await history.remedy()}")
        return after
    end = span.last
    for row in (await latest_rows(history, end, options.wanted, options.last)).rows if options.last else ():
        printer.row(row)
    return end


def _just_before(since: str) -> str:
    """Return the id before an event that was named, or before all of a millisecond."""
    ms, n = bound(since)
    return f"{ms}-{n - 1}" if 0 < n < HIGHEST else f"{max(0, ms - 1)}-{HIGHEST}"


async def _go_on(partition: Partition, history: History, after: str, printer: Printer) -> None:
    async for found in follow(partition, history, after):
        if isinstance(found, Note):
            complain(mask(found.text))
        else:
            printer.show(found)


class Printer:
    """Prints the rows that a filter lets through."""

    def __init__(self, options: TailOptions) -> None:
        self._wanted, self._json = options.wanted, options.json
        self._screen = console()

    def show(self, chunk: Chunk) -> None:
        """Print a chunk of the log."""
        for row in rows_of(chunk):
            if matches(row, self._wanted):
                self.row(row)

    def row(self, row: dict[str, object]) -> None:
        """Print a row."""
        if self._json:
            as_json(row)
            return
        ts = position(str(row["id"]))[0]
        line = event_line(ts, "  ", str(row["type"]), str(row["words"]), str(row.get("refused", "")))
        fields = row["fields"]
        assert isinstance(fields, dict)
        # a story names its job, node or session once; here each line is of another
        names = [str(fields[name]) for name in ("job_id", "node_id", "session_id") if name in fields]
        line.append(f"  {one_line(' '.join(names[:1]))}", "cyan")
        self._screen.print(line, soft_wrap=True)
