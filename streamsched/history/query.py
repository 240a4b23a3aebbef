"""SQL over the history: DuckDB on the segments, and on the tail of the live log that no segment holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio.to_thread
import duckdb

from ..archive import segment
from ..archive.reader import Archive
from ..contract.entries import Entry
from .history import History

MEMORY = "384MB"
"""DuckDB's memory limit; beyond it DuckDB uses the disk."""

VIEWS = ("events", "jobs", "node_availability", "unserved", "moves", "dead_letters")


class QueryFailed(Exception):
    """The SQL failed; the text is DuckDB's, and lists the views."""


async def collect_tail(history: History, folder: Path) -> Path | None:
    """Write the entries of the live log beyond the archive into a file that DuckDB reads like a segment.

    Raises:
        LogGap: entries between archive and log are missing.
    """
    if history.live is None:
        return None
    await history.span()
    after = history.archive.last if history.archive is not None else "0-0"
    letters_after = history.archive.letters_last if history.archive is not None else "0-0"
    path = folder / "tail.parquet"
    watermark, _ = await history.live.watermark()
    rows: list[Entry] = []
    with segment.writer(path, {}) as write:
        async for chunk in history.live.chunks(after, watermark, 5000):
            rows += chunk.entries
            if len(rows) >= segment.ROW_GROUP:
                await anyio.to_thread.run_sync(write, segment.table_of(segment.EVENTS, rows))
                rows = []
        write(segment.table_of(segment.EVENTS, rows))
        async for letters in history.live.letters(letters_after):
            write(segment.table_of(segment.LETTERS, letters))
    return path


@contextmanager
def database(archive: Archive | None, tail: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield an in-memory database with the views over segments and tail; it can read no other file.

    Raises:
        ArchiveDamaged: a segment does not match its manifest.
    """
    paths = [str(tail)] if tail else []
    if archive is not None:
        for piece in archive.segments:
            archive.checked(piece)
            paths.append(str(archive.path(piece).resolve()))
    with tempfile.TemporaryDirectory(prefix="streamsched-") as spill, duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"SET temp_directory = '{spill}'")
        connection.execute("SET preserve_insertion_order = false")
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(f"CREATE VIEW entries AS SELECT * FROM read_parquet([{listed}])")
        connection.execute((files(__package__) / "views.sql").read_text())
        connection.execute(f"SET allowed_paths = [{listed}]")
        connection.execute(f"SET allowed_directories = ['{spill}']")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run a query; returns the column names, and the rows as they arrive.

    Raises:
        QueryFailed: DuckDB refused it; the text says why, and lists the views.
    """
    try:
        result = connection.execute(sql)
        names = [column[0] for column in result.description or []]
    except duckdb.Error as problem:
        raise _failed(problem) from None

    def rows() -> Iterator[tuple[Any, ...]]:
        try:
            while page := result.fetchmany(1000):
                yield from page
        except duckdb.Error as problem:  # such as a cast of a text in the millionth row
            raise _failed(problem) from None

    return names, rows()


def _failed(problem: duckdb.Error) -> QueryFailed:
    return QueryFailed(f"{problem}; the views are {', '.join(VIEWS)}: DESCRIBE events lists columns")
