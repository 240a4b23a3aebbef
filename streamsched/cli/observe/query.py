"""``streamsched query``: SQL over the history, as a table, as JSON or as CSV."""

from __future__ import annotations

import csv as csv_format
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
import typer
from rich.table import Table
from rich.text import Text

from ...console.terminal import OK, UsageProblem, as_json, console
from ...history.query import QueryFailed, ask, collect_tail, database
from ...sanitize import one_line, visible
from ..options import ArchiveDir, Json, Offline, Target, command

Form = Literal["table", "json", "csv"]


@command("streamsched query 'SELECT status, count(*) FROM jobs GROUP BY 1' --archive ./archive")
async def query(
    target: Target,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="In the dialect of DuckDB.")],
    archive: ArchiveDir = None,
    offline: Offline = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows of the table.")] = 100,
    json: Json = False,
) -> int:
    """Query the history in SQL. Views: events, jobs (with their timings), node_availability, unserved (time in which a
    language pair had no node), moves (of sessions, with their cause), dead_letters."""
    if csv and json:
        raise UsageProblem("--csv and --json exclude each other: leave one out")

    form: Form = "csv" if csv else "json" if json else "table"
    with tempfile.TemporaryDirectory(prefix="streamsched-") as folder:
        async with target.history(archive, offline) as history:
            tail = await collect_tail(history, Path(folder))
            kept = history.archive

        def answer() -> None:
            with database(kept, tail) as connection:
                try:
                    _print(*ask(connection, sql), form, limit)
                except QueryFailed as problem:
                    raise UsageProblem(str(problem)) from None

        await anyio.to_thread.run_sync(answer)
    return OK


def _print(names: list[str], rows: Iterator[tuple[Any, ...]], form: Form, limit: int) -> None:
    if form == "json":
        for row in rows:
            as_json(dict(zip(names, row, strict=True)))
    elif form == "csv":
        out = csv_format.writer(sys.stdout)
        out.writerow([_cell(name) for name in names])
        out.writerows([_cell(value) for value in row] for row in rows)
    else:
        table = Table()
        for name in names:
            table.add_column(Text(one_line(name)))  # as text, so that markup has no effect
        for row in itertools.islice(rows, limit):
            table.add_row(*(Text(one_line(str(value))) if value is not None else "" for value in row))
        if next(rows, None) is not None:
            table.caption = f"the first {limit} rows (--limit shows more, --csv and --json show all)"
        console().print(table)


def _cell(value: object) -> str:
    """Return a cell of CSV. A text that a spreadsheet takes for a formula gets an apostrophe in front: anyone may have
    written it."""
    text = visible(str(value)) if value is not None else ""
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
