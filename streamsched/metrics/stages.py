"""Durations of the stages of jobs, from the events of the log."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from ..history.lifecycle import Fields, Lifecycle, What, milliseconds

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
"""Upper bounds of the buckets, seconds."""

STAGES = ("waiting", "accepting", "executing")

REMEMBERED = 100_000
"""Most unfinished jobs to remember, about 40 MB; older ones are looked up in the state."""

UNKNOWN = 200
"""Most jobs looked up in the state for one page of the log."""


class Histogram:
    """Counts of durations."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, ms: int) -> None:
        """Count one duration."""
        seconds = max(0, ms) / 1000
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Stages:
    """Follows the jobs of a log. A refused event changes nothing here: it names no current attempt."""

    def __init__(self) -> None:
        self.took = {stage: Histogram() for stage in STAGES}
        self.unknown: dict[bytes, int] = {}
        """Dispatched jobs without a remembered submission, and the time, ms."""
        self._jobs = Lifecycle(REMEMBERED)

    def follow(self, kind: bytes, entry_id: str, ms: int, e: Fields) -> None:
        """Apply an event that names a job."""
        known = self._jobs.get(e.get(b"job_id", b"")) is not None
        step = self._jobs.follow(kind, entry_id, ms, e)
        if step is None:
            return
        if step.what is What.DISPATCHED and not known and len(self.unknown) < UNKNOWN:
            self.unknown[step.job_id] = ms
        for stage, took_ms in zip(STAGES, (step.waited_ms, step.accepted_ms, step.ran_ms), strict=True):
            if took_ms is not None:
                self.took[stage].observe(took_ms)

    def learn(self, job_id: bytes, fields: dict[str, Any]) -> None:
        """Take in what the state says of an unknown job; of one that is at its second attempt it no longer tells how
        long it waited for the first."""
        dispatched_ms = self.unknown.pop(job_id)
        if (job := self._jobs.get(job_id)) is not None:
            job.by_caller = fields.get("deliver") == "false"
        if fields.get("attempts") == "1" and (fields.get("created_ts") or "").isdecimal():
            due_ms = max(milliseconds((fields.get(name) or "").encode()) for name in ("created_ts", "not_before_ts"))
            self.took["waiting"].observe(dispatched_ms - due_ms)
