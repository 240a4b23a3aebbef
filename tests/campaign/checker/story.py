"""What a log says of its jobs, read entry by entry with other code than the folds, so that it can contradict them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class JobStory(msgspec.Struct):
    """A job as the log tells it."""

    submitted_ms: int
    node_id: str = ""
    """Its holder; empty while there is none."""
    attempt: str = ""
    """The current or, once released, the last attempt."""
    end: str = ""
    """How it ended; empty while it has not."""
    ended_ms: int = 0
    completions: set[tuple[str, str, str]] = set()
    """The accepted completions, each of which ended an attempt: node, attempt, status."""


class Breach(msgspec.Struct, frozen=True):
    """Something that a log must not hold."""

    rule: str
    text: str


class Story:
    """Follows every job through the accepted entries of a log; feed it with :meth:`add`, in order."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobStory] = {}
        self.breaches: list[Breach] = []
        self._said: set[tuple[str | None, ...]] = set()
        self.expired_nodes: list[tuple[int, str]] = []
        """When the log lost a node to its silence, ms, and which."""
        self.resumed_ms: list[int] = []
        """When the scheduler noticed that it had been away."""

    def add(self, entry_id: str, fields: Mapping[str, str]) -> None:
        """Take in an entry that was not refused."""
        kind, at_ms = fields["type"], int(entry_id.split("-")[0])
        if request := fields.get("request_id"):
            said = (kind, fields.get("job_id"), fields.get("node_id"), fields.get("session_id"), request)
            if said in self._said:
                return  # an append that was repeated for lack of an answer: it changes nothing
            self._said.add(said)
        if kind == "node.expired":
            self.expired_nodes.append((at_ms, fields["node_id"]))
        elif kind == "scheduler.resumed":
            self.resumed_ms.append(at_ms)
        elif kind.startswith("job."):
            self._job(entry_id, at_ms, kind[4:], fields)

    def _job(self, entry_id: str, at_ms: int, what: str, fields: Mapping[str, str]) -> None:
        job_id = fields.get("job_id") or f"{fields['session_id']}:{fields.get('request_id', entry_id)}"
        job = self.jobs.get(job_id)
        if what == "submitted":
            if job is None:
                self.jobs[job_id] = JobStory(submitted_ms=at_ms)
            return
        if job is None:
            self._breach("I1", entry_id, f"{what} of job {job_id}, whose submission the log does not hold")
        elif what == "dispatched":
            self._dispatched(entry_id, job_id, job, fields)
        elif what in ("started", "progressed", "declined"):
            if (fields["node_id"], fields["attempt"]) != (job.node_id, job.attempt) or job.end:
                self._breach("I2", entry_id, f"job.{what} of {_by(fields)} accepted for job {job_id}, {_held(job)}")
            elif what == "declined":
                job.node_id = ""
        elif what == "completed":
            self._completed(entry_id, at_ms, job_id, job, fields)
        elif what == "requeued":
            if job.end == "failed" and fields["cause"] == "failed":
                job.end = ""  # that failure was not the end after all
            if job.end:
                self._breach("I2", entry_id, f"job {job_id} waits again, but it had ended: {job.end}")
            job.node_id = ""
        elif what in ("exhausted", "expired", "cancelled", "refused"):
            self._ended(entry_id, at_ms, job_id, job, "failed" if what == "exhausted" else what)

    def _dispatched(self, entry_id: str, job_id: str, job: JobStory, fields: Mapping[str, str]) -> None:
        if job.end:
            self._breach("I5", entry_id, f"job {job_id} goes to {fields['node_id']}, but it has ended: {job.end}")
        elif job.node_id:
            self._breach("I5", entry_id, f"job {job_id} goes to {fields['node_id']}, but it is {_held(job)}")
        job.node_id, job.attempt = fields["node_id"], f"{entry_id}-{fields['nonce']}"

    def _completed(self, entry_id: str, at_ms: int, job_id: str, job: JobStory, fields: Mapping[str, str]) -> None:
        attempt = fields.get("attempt") or job.attempt
        completion = (fields["node_id"], attempt, fields["status"])
        if completion in job.completions:
            return  # reported again, perhaps when the job has moved on: it changes nothing
        job.completions.add(completion)
        if job.end or not job.node_id or (fields["node_id"], attempt) != (job.node_id, job.attempt):
            self._breach("I2", entry_id, f"completion of {_by(fields)} accepted for job {job_id}, {_held(job)}")
        job.node_id, job.end, job.ended_ms = "", fields["status"], at_ms

    def _ended(self, entry_id: str, at_ms: int, job_id: str, job: JobStory, end: str) -> None:
        # an exhausted job may have been ended by the failure that exhausted it; a cancellation may come twice
        if job.end and job.end != end:
            self._breach("I2", entry_id, f"job {job_id} is {end}, but it had ended: {job.end}")
        job.node_id, job.end, job.ended_ms = "", end, job.ended_ms or at_ms

    def _breach(self, rule: str, entry_id: str, text: str) -> None:
        self.breaches.append(Breach(rule, f"{entry_id}: {text}"))


def _by(fields: Mapping[str, str]) -> str:
    return f"{fields['node_id']} (attempt {fields.get('attempt', 'not named')})"


def _held(job: JobStory) -> str:
    if job.end:
        return f"ended: {job.end}"
    return f"held by {job.node_id} under {job.attempt}" if job.node_id else "held by no node"
