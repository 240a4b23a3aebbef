"""Events that nothing but a name made up by their sender tells from their repeat: the second one changes nothing."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from ..contract import REMEMBERED_REQUESTS, REQUEST_MS
from ..state import Job, State
from .registry import Entry, apply

FORGOTTEN_AT_ONCE = 2
OF_JOBS = ("job.submitted", "job.progressed", "job.declined", "job.completed")
"""Here the job itself knows: by its id, or by what it remembers."""


def once(kind: str, state: State, entry: Entry, fields: dict[str, Any]) -> None:
    """Let an event take effect, unless it has done so before under the same name."""
    if kind in OF_JOBS or "request_id" not in fields:
        apply(kind, state, entry, fields)
        return
    request_id, raw = fields.pop("request_id"), entry.raw
    request = (kind, raw.get("source", ""), subject(kind, fields, raw), request_id)
    if request in state.requests:
        return
    apply(kind, state, entry, fields)
    if request_id is not None:
        for _ in range(FORGOTTEN_AT_ONCE):
            if state.oldest_requests and state.oldest_requests[0][0] + REQUEST_MS <= entry.at:
                del state.requests[heappop(state.oldest_requests)[1]]
        state.requests[request] = entry.at
        heappush(state.oldest_requests, (entry.at, request))


def subject(kind: str, fields: dict[str, Any], raw: dict[str, str]) -> str:
    """What an event is about."""
    if kind.startswith("pool."):
        return str(fields["pool_id"])
    if kind.startswith("pair."):
        return f"{fields['src_lang']}:{fields['tgt_lang']}"
    return raw.get("node_id") or raw.get("session_id") or ""


def said_of(job: Job | None, request_id: str | None) -> bool:
    """Whether this very thing was said of a job before."""
    return job is not None and request_id is not None and request_id in job.requests


def remember(job: Job, request_id: str | None) -> None:
    """Let a job know what was said of it."""
    if request_id is not None:
        job.requests = [*job.requests, request_id][-REMEMBERED_REQUESTS:]
