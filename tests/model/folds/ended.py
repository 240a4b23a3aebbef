"""Ended jobs, until they are forgotten."""

from __future__ import annotations

from ..state import Job, State

RETIRED_AT_ONCE = 2


def retire(state: State, at: int) -> None:
    """Forget jobs whose retention is over by the time of an event, oldest first."""
    for _ in range(RETIRED_AT_ONCE):
        if not state.ended or state.ended[0][0] + state.config("retention_ms") > at:
            return
        ended_ts, job_id = state.ended.popleft()
        job = purge(state, ended_ts, job_id)
        source = state.sources.get(job.source or "") if job else None
        if source and source.kept and (source.kept[0][0], source.kept[0][2]) == (ended_ts, job_id):
            source.kept_bytes = (source.kept_bytes or 0) - source.kept.popleft()[1]


def purge(state: State, ended_ts: int, job_id: str) -> Job | None:
    """Forget a job that ended then, and its session if it is the last of it; ``None`` if it is gone already."""
    job = state.jobs.get(job_id)
    if job is None or job.finished_ts != ended_ts:
        return None
    session = state.sessions.get(job.asked["session_id"])
    if session and session.last_job == job_id:
        del state.sessions[job.asked["session_id"]]
    del state.jobs[job_id]
    teller = state.sources.get(job.result_source or "")
    if teller and (teller.result_bytes or 0) >= job.result_bytes:
        teller.result_bytes = (teller.result_bytes or 0) - job.result_bytes
    return job
