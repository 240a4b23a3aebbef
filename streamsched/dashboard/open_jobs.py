"""The jobs that have not ended, as far as the log read so far tells: since when, of which session, on which node."""

from __future__ import annotations

from collections import OrderedDict

Fields = dict[bytes, bytes]

REMEMBERED = 100_000
"""Failed jobs that may yet be tried again."""


class OpenJob:
    """What is remembered of a job."""

    __slots__ = ("node_id", "session_id", "waits_since")

    def __init__(self, session_id: bytes, waits_since: int | None) -> None:
        self.session_id = session_id
        self.waits_since = waits_since
        """ms; ``None`` once it was dispatched."""
        self.node_id = b""


class OpenJobs:
    """Follows the events of a log, of which none that was refused is told."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, OpenJob] = {}
        self._failed: OrderedDict[bytes, OpenJob] = OrderedDict()
        self._on: dict[bytes, set[bytes]] = {}

    def session_of(self, job_id: bytes) -> bytes:
        """Return the session of an open job; empty if it is not known."""
        job = self._jobs.get(job_id) or self._failed.get(job_id)
        return job.session_id if job else b""

    def on(self, node_id: bytes) -> set[bytes]:
        """Return the jobs a node holds."""
        return self._on.get(node_id, set())

    def follow(self, kind: bytes, job_id: bytes, ms: int, e: Fields) -> int | None:
        """Take in an event of a job; returns how long the job waited, in ms, if this is its first dispatch."""
        if kind == b"job.submitted":
            self._jobs.setdefault(job_id, OpenJob(e.get(b"session_id", b""), ms))
        elif kind == b"job.dispatched":
            return self._dispatched(job_id, ms, e[b"node_id"])
        elif kind == b"job.requeued":
            job = self._failed.pop(job_id, None)
            if job:
                self._jobs[job_id] = job
            self._let_go(self._jobs.get(job_id), job_id)
        elif kind == b"job.declined":
            self._let_go(self._jobs.get(job_id), job_id)
        elif kind in (b"job.completed", b"job.cancelled", b"job.expired", b"job.exhausted", b"job.refused"):
            self._ended(job_id, kind == b"job.completed" and e.get(b"status") == b"failed")
        return None

    def _dispatched(self, job_id: bytes, ms: int, node_id: bytes) -> int | None:
        job = self._jobs.get(job_id) or self._failed.pop(job_id, None) or OpenJob(b"", None)
        self._jobs[job_id] = job
        self._let_go(job, job_id)
        job.node_id = node_id
        self._on.setdefault(node_id, set()).add(job_id)
        if job.waits_since is None:
            return None
        waited, job.waits_since = max(0, ms - job.waits_since), None
        return waited

    def _ended(self, job_id: bytes, may_be_tried_again: bool) -> None:
        job = self._jobs.pop(job_id, None)
        self._let_go(job, job_id)
        if job and may_be_tried_again:
            self._failed[job_id] = job
            if len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)

    def _let_go(self, job: OpenJob | None, job_id: bytes) -> None:
        if job and job.node_id:
            jobs = self._on.get(job.node_id, set())
            jobs.discard(job_id)
            if not jobs:
                self._on.pop(job.node_id, None)
            job.node_id = b""
