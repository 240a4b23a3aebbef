"""``streamsched query``: SQL over the history, as a table, as JSON or as CSV."""

from __future__ import annotations

import csv
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
from rich.table import Table
from rich.text import Text

from ...console.terminal import OK, UsageProblem, as_json, console
from ...history.query import QueryFailed, ask, collect_tail, database
from ...sanitize import one_line, visible
from ..options import Target

Form = Literal["table", "json", "csv"]


async def show_query(target: Target, sql: str, archive: Path | None, offline: bool, form: Form, limit: int) -> int:
    """Answer a question in SQL; returns the exit code.

    Raises:
        UsageProblem: the SQL fails; the text says why, and what there is to ask.
    """
    with tempfile.TemporaryDirectory(prefix="streamsched-") as folder:
        async with target.history(archive, offline) as history:
            tail = await collect_tail(history, Path(folder))
            kept = history.archive

        def answer() -> None:
            with database(kept, tail) as connection:
                try:
                    names, rows = ask(connection, sql)
                except QueryFailed as problem:
                    raise UsageProblem(str(problem)) from None
                _print(names, rows, form, limit)

        await anyio.to_thread.run_sync(answer)
    return OK


def _print(names: list[str], rows: Iterator[tuple[Any, ...]], form: Form, limit: int) -> None:
    if form == "json":
        for row in rows:
            as_json(dict(zip(names, row, strict=True)))
    elif form == "csv":
        out = csv.writer(sys.stdout)
        out.writerow([visible(name) for name in names])
        out.writerows([visible(str(value)) if value is not None else "" for value in row] for row in rows)
    else:
        table = Table()
        for name in names:
            table.add_column(Text(one_line(name)))  # as text: markup of anybody's takes no effect
        for row in itertools.islice(rows, limit):
            table.add_row(*(Text(one_line(str(value))) if value is not None else "" for value in row))
        if next(rows, None) is not None:
            table.caption = f"the first {limit} rows (--limit shows more, --csv and --json show all)"
        console().print(table)
