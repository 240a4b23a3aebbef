"""Search of the log: the latest entries at or before a moment that match a filter, however old."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from ..contract.entries import Chunk, position
from .filter import matches
from .history import History
from .rows import rows_of

READ = 50_000
"""Most events that one search reads: about half a second."""

FIRST_MS, WIDER = 1000, 4
"""Width of the first step back, and the factor for each further step."""

SUBMITTED = ("session_id", "src_lang", "tgt_lang")
"""Fixed properties of a job, which only its submission holds."""


class Found(NamedTuple):
    """The result of a search."""

    rows: list[dict[str, Any]]
    """The latest last."""
    behind: str
    """Everything after this id was searched; ``0-0`` if all of the history was."""


async def latest_rows(history: History, until: str, wanted: str, limit: int) -> Found:
    """Return the last rows up to an event that match a filter.

    Raises:
        ArchiveDamaged, LogGap: see :meth:`History.chunks`.
    """
    span = await history.span()
    end = min(until, span.last, key=position)
    rows: list[dict[str, Any]] = []
    read, width = 0, FIRST_MS
    while read < READ and len(rows) < limit and position(end) >= position(span.first) and span.count:
        begin = f"{max(0, position(end)[0] - width)}-0"
        found: deque[dict[str, Any]] = deque(maxlen=limit - len(rows))
        count = 0
        async for chunk in history.chunks(begin, end):
            count += len(chunk.entries)
            if read and read + count > READ:
                return Found(rows, end)  # a burst: leave the rest to the next search
            found.extend(await matching_rows(history, chunk, wanted))
        rows[:0] = found
        read, width, end = read + count, width * WIDER, begin
    done = position(end) < position(span.first) or not span.count
    return Found(rows, "0-0" if done else end)


async def matching_rows(history: History, chunk: Chunk, wanted: str) -> list[dict[str, Any]]:
    """Return the entries of a chunk that match a filter, as rows.

    A filter for a session or a language also finds the later events of such jobs. Only a submission holds these
    fields, so they are looked up in the state, as long as it holds the job.
    """
    rows = rows_of(chunk)
    if not wanted:
        return rows
    asked = [name for name in SUBMITTED if f"{name}=" in wanted.casefold()]
    said = await _said(history, rows, asked) if asked else {}
    return [row for row in rows if matches(_with(row, said), wanted)]


def _with(row: dict[str, Any], said: dict[str, dict[str, str]]) -> dict[str, Any]:
    more = said.get(row["fields"].get("job_id", ""))
    return {**row, "fields": more | row["fields"]} if more else row


async def _said(history: History, rows: list[dict[str, Any]], asked: list[str]) -> dict[str, dict[str, str]]:
    """Return the submission fields of the jobs in some rows, for the jobs that the live state holds."""
    jobs = sorted({row["fields"]["job_id"] for row in rows if row["fields"].get("job_id")})
    if history.live is None or not jobs:
        return {}
    async with history.live.redis.pipeline(transaction=False) as pipe:
        for job_id in jobs:
            pipe.hmget(history.keys.job(job_id), asked)
        replies = await pipe.execute()
    return {
        job_id: {
            name: value.decode(errors="backslashreplace")
            for name, value in zip(asked, values, strict=True)
            if value is not None
        }
        for job_id, values in zip(jobs, replies, strict=True)
    }
