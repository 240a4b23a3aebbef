"""The partition itself: its configuration, its absences, its versions, and what time does to it."""

from __future__ import annotations

from ..contract import LONGEST_SLEEP_MS, OUTAGE_MS
from ..refusals import require
from ..state import State
from .registry import Entry, folds

RETIRED_AT_ONCE = 2


def retire(state: State, at: int) -> None:
    """Forget jobs whose retention is over by the time of an event, oldest first; a session goes with its last job."""
    for _ in range(RETIRED_AT_ONCE):
        if not state.ended:
            return
        job_id = state.ended[0]
        job = state.jobs[job_id]
        if (job.finished_ts or 0) + state.config("retention_ms") > at:
            return
        session = state.sessions.get(job.asked["session_id"])
        if session and session.last_job == job_id:
            del state.sessions[job.asked["session_id"]]
        del state.jobs[job_id]
        state.ended.popleft()


@folds("scheduler.configured")
def configured(state: State, entry: Entry, **given: object) -> None:
    """What an operator wants to hold for every event behind this one."""
    state.configured |= {name: entry.raw[name] for name, value in given.items() if value is not None}


@folds("scheduler.resumed")
def resumed(state: State, entry: Entry, since_ts: str) -> None:
    """No calls for a while."""
    limits = [state.config(name) for name in ("heartbeat_timeout_ms", "accept_timeout_ms", "job_timeout_ms")]
    shortest = min((limit for limit in limits if limit), default=2 * OUTAGE_MS)
    absence = min(OUTAGE_MS, max(LONGEST_SLEEP_MS, shortest / 2))
    require(entry.at - int(since_ts) > absence, f"away since {since_ts} is no absence")
    state.resumed_since_ts, state.resumed_ts = int(since_ts), entry.at


@folds("scheduler.upgraded")
def upgraded(state: State, entry: Entry, fold_version: str) -> None:
    """A newer version of the folds has taken over, as an operator has configured."""
    require(int(fold_version) > (state.fold_version or 1), f"version {fold_version} is no newer one")
    require(int(fold_version) <= state.config("fold_version"), f"version {fold_version} was not configured")
    state.fold_version = int(fold_version)
