"""``streamsched tail``: the log as it grows, one line an event."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from ...console.events import event_line
from ...console.terminal import OK, as_json, complain, console
from ...contract.entries import position
from ...history.history import History
from ...history.rows import subjects
from ...history.search import latest_rows, matching_rows
from ...history.tail import Note, follow
from ...sanitize import mask, one_line
from .. import completion
from ..durations import since_when
from ..options import ArchiveDir, Json, Target, command

HIGHEST = 2**64 - 1
"""The last number within a millisecond."""


@command("streamsched tail 'type=job.*' node_id=n1 --last 20")
async def tail(
    target: Target,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD|FIELD=PATTERN...",
            help="Only events that hold each of these words, or that match a type, id or field; * matches anything.",
            autocompletion=completion.fields,
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=0, help="Existing events to print first.")] = 10,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME|ID", help="Start there instead: 90s, 2h, ISO 8601, ms, or an id of the log."),
    ] = None,
    archive: ArchiveDir = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Stop at the end of the log.")] = False,
    json: Json = False,
) -> int:
    """Follow the log. Prints every event once it is folded; for a refused event also the reason. Payloads
    and results are not shown. Ends on Ctrl-C. Continues after a restart of the server, and reports it on stderr."""
    wanted = " ".join(words or [])
    async with target.history(archive, offline=False) as history, target.open() as partition:
        printer = Printer(json)
        after, known = await _beginning(history, wanted, last, since, printer)
        if no_follow:
            async for chunk in history.chunks(after):
                printer.show(await matching_rows(history, chunk, wanted))
            return OK
        async for found in follow(partition, history, after, wanted, known):
            if isinstance(found, Note):
                complain(mask(found.text))
            else:
                printer.show(found)
    return OK


async def _beginning(
    history: History, wanted: str, last: int, since: str | None, printer: Printer
) -> tuple[str, int | None]:
    """Print the last events, or find the given place. Returns the id to read on from, and the number of events up to
    it, if that is known.
    """
    span = await history.span()
    if since is not None:
        after = _just_before(since)
        if position(after) >= position(span.first):
            return after, None
        if span.before:
            complain(
                f"the history starts at {span.first}, after {span.before} missing events: {await history.remedy()}"
            )
        return after, span.before
    if last:
        printer.show((await latest_rows(history, span.last, wanted, last)).rows)
    return span.last, span.before + span.count


def _just_before(since: str) -> str:
    """Return the id before a given event, or before a given millisecond.

    Raises:
        UsageProblem: the text is neither an age, a time nor an id.
    """
    ms, n = since_when(since)
    return f"{ms}-{n - 1}" if 0 < n < HIGHEST else f"{max(0, ms - 1)}-{HIGHEST}"


class Printer:
    """Prints rows of the log, one line each: as JSON, or for people."""

    def __init__(self, json: bool) -> None:
        self._json, self._screen = json, console()

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Print them."""
        if self._json:
            for row in rows:
                as_json(row)
        elif rows:  # in one write, which is 1.5 times as fast: a log may grow by thousands of events a second
            self._screen.print(Text("\n").join(map(_line, rows)), soft_wrap=True)


def _line(row: dict[str, Any]) -> Text:
    line = event_line(position(row["id"])[0], "  ", row["type"], row["words"], row.get("refused", ""))
    # a story names its job, node or session once; here each line may name another
    _, name = next(subjects(row["fields"]), ("", ""))
    return line.append(f"  {one_line(name)}", "cyan")
