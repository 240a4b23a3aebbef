"""Follows the jobs of a log from submission to end, one event at a time.

This is the only module outside the folds that knows the effect of an event on a job: the dashboard's index, the
metrics and the demo's verdict use its steps. Refused events may be fed too: one without an attempt in progress is no
step.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import NamedTuple

from ..contract.entries import job_id_of

Fields = dict[bytes, bytes]

FAILED_KEPT = 100_000
"""Failed jobs whose facts are kept, because they may be retried; beyond this number the oldest is forgotten."""

ENDS = {
    b"job.cancelled": "cancelled",
    b"job.expired": "expired",
    b"job.exhausted": "failed",
    b"job.refused": "refused",
}
"""Events that end a job without regard to its holder, with the outcome."""


class FollowedJob:
    """The known facts of a job that has not ended."""

    __slots__ = ("attempt", "by_caller", "due_ms", "held_since", "node_id", "pair", "session_id", "started")

    def __init__(self, session_id: bytes, pair: tuple[bytes, bytes], due_ms: int | None, by_caller: bool) -> None:
        self.session_id, self.pair = session_id, pair
        self.due_ms = due_ms
        """Start of its wait for the first dispatch, ms; ``None`` after that, or if its submission was not seen."""
        self.by_caller = by_caller
        """Whether its submitter delivers it: then there is no ``job.started``."""
        self.attempt = b""
        """The current attempt; empty between attempts."""
        self.node_id = b""
        """The node that holds it; empty while it waits."""
        self.held_since = 0
        """Time of that attempt's dispatch or, once it has started, of its start, ms."""
        self.started = False


class What(enum.Enum):
    """The effect of a step on a job."""

    SUBMITTED = enum.auto()
    DISPATCHED = enum.auto()
    STARTED = enum.auto()
    WAITS_AGAIN = enum.auto()
    """Its attempt ended, and it waits again. A job that had failed is open again."""
    ENDED = enum.auto()
    """It ended. A failed attempt ends the job, because no event follows the last permitted one; if the job is retried,
    ``job.requeued`` follows. A failed job may end a second time, while it waits for its retry."""


class Step(NamedTuple):
    """One event, and its effect on a job."""

    what: What
    job_id: bytes
    job: FollowedJob
    outcome: str = ""
    """The outcome: finished, failed, cancelled, expired or refused."""
    waited_ms: int | None = None
    """How long the job waited, at its first dispatch."""
    accepted_ms: int | None = None
    """From dispatch to start, if known."""
    ran_ms: int | None = None
    """From start to end, if known."""


class Lifecycle:
    """The jobs of one log that have not ended.

    Args:
        remembered: most jobs to remember; beyond it the oldest is forgotten. ``None`` (default) remembers all.
    """

    def __init__(self, remembered: int | None = None) -> None:
        self._remembered = remembered
        self._jobs: OrderedDict[bytes, FollowedJob] = OrderedDict()
        self._failed: OrderedDict[bytes, FollowedJob] = OrderedDict()
        self._on: dict[bytes, set[bytes]] = {}

    def get(self, job_id: bytes) -> FollowedJob | None:
        """Return a job that has not ended; ``None`` if it has ended, or the id is unknown."""
        return self._jobs.get(job_id)

    def on(self, node_id: bytes) -> set[bytes]:
        """Return the jobs that a node holds."""
        return self._on.get(node_id, set())

    def follow(self, kind: bytes, entry_id: str, ms: int, e: Fields) -> Step | None:
        """Apply an event that names a job; returns its effect, or ``None`` if it changed nothing.

        Args:
            kind: type of the event.
            entry_id: id of its entry in the log.
            ms: the time in that id.
            e: its fields.
        """
        job_id = job_id_of(e, entry_id.encode())
        if kind == b"job.submitted":
            return self._submitted(job_id, ms, e)
        if kind == b"job.dispatched":
            return self._dispatched(job_id, entry_id, ms, e)
        if kind == b"job.requeued":
            return self._requeued(job_id)
        if kind in ENDS:
            return self._ended(job_id, ENDS[kind])
        job = self.get(job_id)
        if job is None:
            return None
        if kind == b"job.started":
            return self._started(job_id, job, ms, e)
        if kind == b"job.declined":
            return self._declined(job_id, job, e)
        return self._completed(job_id, job, ms, e) if kind == b"job.completed" else None

    def _submitted(self, job_id: bytes, ms: int, e: Fields) -> Step | None:
        if job_id in self._jobs or job_id in self._failed:
            return None  # a repeat changes nothing
        due_ms = max(ms, milliseconds(e.get(b"not_before_ts")))
        pair = e.get(b"src_lang", b""), e.get(b"tgt_lang", b"")
        job = FollowedJob(e.get(b"session_id", b""), pair, due_ms, e.get(b"deliver") == b"false")
        self._remember(job_id, job)
        return Step(What.SUBMITTED, job_id, job)

    def _dispatched(self, job_id: bytes, entry_id: str, ms: int, e: Fields) -> Step:
        job = self._jobs.get(job_id) or self._reopen(job_id)
        if job is None:
            job = FollowedJob(b"", (b"", b""), None, False)
            if self._remembered is not None and len(self._jobs) >= self._remembered:
                return Step(What.DISPATCHED, job_id, job)  # keep the jobs whose submission was seen
            self._remember(job_id, job)
        self._let_go(job_id, job)
        waited_ms = None if job.due_ms is None else max(0, ms - job.due_ms)
        job.due_ms, job.node_id, job.held_since, job.started = None, e.get(b"node_id", b""), ms, False
        job.attempt = b"%s-%s" % (entry_id.encode(), e.get(b"nonce", b""))
        self._on.setdefault(job.node_id, set()).add(job_id)
        return Step(What.DISPATCHED, job_id, job, waited_ms=waited_ms)

    def _started(self, job_id: bytes, job: FollowedJob, ms: int, e: Fields) -> Step | None:
        if job.started or not job.attempt or job.attempt != e.get(b"attempt"):
            return None
        accepted_ms = ms - job.held_since
        job.started, job.held_since = True, ms
        return Step(What.STARTED, job_id, job, accepted_ms=accepted_ms)

    def _declined(self, job_id: bytes, job: FollowedJob, e: Fields) -> Step | None:
        if not by_holder(job, e):
            return None
        self._let_go(job_id, job)
        return Step(What.WAITS_AGAIN, job_id, job)

    def _requeued(self, job_id: bytes) -> Step | None:
        job = self._jobs.get(job_id) or self._reopen(job_id)
        if job is None:
            return None
        self._let_go(job_id, job)
        return Step(What.WAITS_AGAIN, job_id, job)

    def _completed(self, job_id: bytes, job: FollowedJob, ms: int, e: Fields) -> Step | None:
        if not by_holder(job, e):
            return None
        accepted_ms = ran_ms = None
        if job.started or job.by_caller:
            ran_ms = ms - job.held_since
        elif b"ran_ms" in e:  # a short job: only its end reports the start
            ran_ms = min(milliseconds(e[b"ran_ms"]), ms - job.held_since)
            accepted_ms = ms - job.held_since - ran_ms
        outcome = "finished" if e.get(b"status") == b"finished" else "failed"
        step = self._ended(job_id, outcome, accepted_ms, ran_ms)
        if outcome == "failed":
            self._failed[job_id] = job
            if len(self._failed) > FAILED_KEPT:
                self._failed.popitem(last=False)
        return step

    def _ended(
        self, job_id: bytes, outcome: str, accepted_ms: int | None = None, ran_ms: int | None = None
    ) -> Step | None:
        job = self._jobs.pop(job_id, None) or self._failed.pop(job_id, None)
        if job is None:
            return None
        self._let_go(job_id, job)
        return Step(What.ENDED, job_id, job, outcome, accepted_ms=accepted_ms, ran_ms=ran_ms)

    def _remember(self, job_id: bytes, job: FollowedJob) -> None:
        if self._remembered is not None and len(self._jobs) >= self._remembered:
            oldest_id, oldest = self._jobs.popitem(last=False)
            self._let_go(oldest_id, oldest)
        self._jobs[job_id] = job

    def _reopen(self, job_id: bytes) -> FollowedJob | None:
        job = self._failed.pop(job_id, None)
        if job is not None:
            self._remember(job_id, job)
        return job

    def _let_go(self, job_id: bytes, job: FollowedJob) -> None:
        if job.node_id:
            jobs = self._on.get(job.node_id, set())
            jobs.discard(job_id)
            if not jobs:
                self._on.pop(job.node_id, None)
        job.attempt = job.node_id = b""


def by_holder(job: FollowedJob, e: Fields) -> bool:
    """Return whether an event comes from the current attempt, or, without an attempt, from the node that holds the
    job."""
    if not job.attempt:
        return False
    return job.attempt == e[b"attempt"] if b"attempt" in e else job.node_id == e.get(b"node_id")


def milliseconds(text: bytes | None) -> int:
    """Read a time or a duration as a producer wrote it; 0 if it is malformed."""
    return int(text) if text and text.isdigit() and len(text) < 16 else 0
