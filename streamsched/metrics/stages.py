"""How long jobs stay in each stage, told from the events of the log as they pass by."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import Any

Fields = dict[bytes, bytes]

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
"""Upper bounds of the buckets, seconds."""

STAGES = ("waiting", "accepting", "executing")

REMEMBERED = 100_000
"""Jobs on their way that are remembered, about 40 MB; of older ones the state is asked."""

UNKNOWN = 200
"""Jobs the state is asked about for one page of the log, so that a page stays cheap."""

ENDS = (b"job.cancelled", b"job.expired", b"job.exhausted", b"job.refused")


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


class OnItsWay:
    """What is remembered of a job that has not ended."""

    __slots__ = ("attempt", "by_caller", "held_since", "node_id", "started", "waits_since")

    def __init__(self, waits_since: int | None, by_caller: bool) -> None:
        self.waits_since = waits_since
        """ms; ``None`` once it was dispatched for the first time."""
        self.by_caller = by_caller
        """Whether its submitter delivers it: then nobody says that it was started."""
        self.attempt = self.node_id = b""
        self.held_since = 0
        self.started = False


class Stages:
    """Follows the jobs of a log. A refused event changes nothing here: it names no attempt that is under way."""

    def __init__(self) -> None:
        self.took = {stage: Histogram() for stage in STAGES}
        self.unknown: dict[bytes, tuple[int, bytes, bytes]] = {}
        """Jobs that were dispatched though no submission is remembered: when, under which attempt, to which node."""
        self._jobs: OrderedDict[bytes, OnItsWay] = OrderedDict()

    def follow(self, kind: bytes, entry_id: str, ms: int, e: Fields) -> None:
        """Take in an event that speaks of a job."""
        if kind == b"job.submitted":
            self._submitted(entry_id, ms, e)
            return
        job_id = e.get(b"job_id", b"")
        job = self._jobs.get(job_id)
        if kind == b"job.dispatched":
            attempt = b"%s-%s" % (entry_id.encode(), e.get(b"nonce", b""))
            if job is not None:
                self._dispatched(job, ms, attempt, e.get(b"node_id", b""))
            elif len(self.unknown) < UNKNOWN:
                self.unknown[job_id] = ms, attempt, e.get(b"node_id", b"")
        elif kind == b"job.started":
            if job is not None and job.attempt and job.attempt == e.get(b"attempt") and not job.started:
                self.took["accepting"].observe(ms - job.held_since)
                job.started, job.held_since = True, ms
        elif kind == b"job.completed":
            if job is not None and job.attempt and _by_holder(job, e):
                self._completed(job_id, job, ms, e)
        elif kind == b"job.requeued" and job is not None:
            job.attempt = b""
        elif kind in ENDS:
            self._jobs.pop(job_id, None)

    def learn(self, job_id: bytes, fields: dict[str, Any]) -> None:
        """Take in what the state says of an unknown job; of one that is at its second attempt it no longer tells how
        long it waited for the first."""
        ms, attempt, node_id = self.unknown.pop(job_id)
        first = fields.get("attempts") == "1" and (fields.get("created_ts") or "").isdecimal()
        since = max(_ms(fields["created_ts"]), _ms(fields.get("not_before_ts"))) if first else None
        job = self._remember(job_id, since, fields.get("deliver") == "false")
        self._dispatched(job, ms, attempt, node_id)

    def _submitted(self, entry_id: str, ms: int, e: Fields) -> None:
        job_id = e.get(b"job_id") or b"%s:%s" % (e.get(b"session_id", b""), e.get(b"request_id") or entry_id.encode())
        if job_id not in self._jobs:  # else it was submitted before, and its repeat changes nothing
            since = max(ms, _ms(e.get(b"not_before_ts", b"").decode(errors="replace")))
            self._remember(job_id, since, e.get(b"deliver") == b"false")

    def _remember(self, job_id: bytes, since: int | None, by_caller: bool) -> OnItsWay:
        if len(self._jobs) >= REMEMBERED:
            self._jobs.popitem(last=False)
        job = self._jobs[job_id] = OnItsWay(since, by_caller)
        return job

    def _dispatched(self, job: OnItsWay, ms: int, attempt: bytes, node_id: bytes) -> None:
        if job.waits_since is not None:
            self.took["waiting"].observe(ms - job.waits_since)
            job.waits_since = None
        job.attempt, job.node_id, job.held_since, job.started = attempt, node_id, ms, False

    def _completed(self, job_id: bytes, job: OnItsWay, ms: int, e: Fields) -> None:
        if not (job.started or job.by_caller) and b"ran_ms" in e:  # its end is all that tells that it began
            ran_ms = min(_ms(e[b"ran_ms"].decode(errors="replace")), ms - job.held_since)
            self.took["accepting"].observe(ms - job.held_since - ran_ms)
            self.took["executing"].observe(ran_ms)
        elif job.started or job.by_caller:
            self.took["executing"].observe(ms - job.held_since)
        if e.get(b"status") == b"finished":
            del self._jobs[job_id]
        else:
            job.attempt = b""  # it may be tried again


def _by_holder(job: OnItsWay, e: Fields) -> bool:
    return job.attempt == e[b"attempt"] if b"attempt" in e else job.node_id == e.get(b"node_id")


def _ms(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else 0
