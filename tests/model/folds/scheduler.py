"""The partition itself: its configuration, its absences, its versions, and what time does to it."""

from __future__ import annotations

from ..contract import LONGEST_SLEEP_MS, OUTAGE_MS
from ..refusals import require
from ..state import State
from .registry import Entry, folds


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
