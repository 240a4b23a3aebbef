"""The result of a demo: each figure comes from the log, from the producer's journal, or from both."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..client.results import JobResult
from .tally import Tally, percentile


class Journal(msgspec.Struct):
    """The producer's own record, written before the log is read."""

    accepted: dict[str, float] = {}
    """Jobs whose submission was answered, with the round trip in ms."""
    outcomes: dict[str, JobResult] = {}
    """Jobs whose result came back."""
    refused: dict[str, int] = {}
    """Submissions that were refused, by code."""


class DemoReport(msgspec.Struct, kw_only=True):
    """The report of a demo."""

    arrivals: str
    pairs: str
    churn: str | None
    """Where the work came from; joining language pairs to arrivals is this demo's own construction."""
    seconds: float
    """How long jobs arrived."""
    speed: float
    seed: int
    wall_s: float
    """How long everything took, start and check included."""
    nodes: int
    node_processes: int
    worker_processes: int
    incidents: list[str]
    """What was done to it, and when."""

    submitted: int
    finished: int
    failed: int
    ended_otherwise: int
    """Cancelled, expired or refused."""
    alive: int
    """Neither ended nor lost: waiting or held when the demo ended."""
    lost: int
    """Accepted, according to the producer or the log, but neither ended nor alive. There should be none."""
    completed_twice: int
    """Ended by more than one accepted fact. There should be none."""
    differing_outcomes: int
    """The producer's outcome differs from the log's. There should be none."""
    outcomes: int
    """Outcomes that the producer received."""
    requeued: dict[str, int]
    """How often a job had to wait again, by cause."""
    stayed: int
    moved: dict[str, int]
    """Jobs of a session that had a node: sent to it, or not, and why."""
    stayed_share: float
    """``stayed`` of both; 1 if no session had a second job."""
    dispatched_at_once: float
    """Share of the jobs that got their node in the same step that accepted them."""
    dispatch_p50_ms: float
    dispatch_p99_ms: float
    """From the submission's entry in the log to that of the dispatch, for jobs that found a node; whole ms. The longest
    waits are for a node that is dead, full, or alone with its pair."""
    submit_p50_ms: float
    submit_p99_ms: float
    """The producer's round trip: append, fold, decide, answer."""
    nodes_expired: int
    nodes_recovered: int
    events: int
    """Entries in the log."""
    dead_letters: dict[str, int]
    """Events that were refused, by code, such as the completion of a job that had gone elsewhere."""
    differing: list[str]
    """Keys at which the state differs from the fold of its log. There should be none."""

    @property
    def state_equals_log(self) -> bool:
        """Whether ``state == fold(log)``."""
        return not self.differing

    def problems(self) -> list[str]:
        """Return the faults; empty after a good demo."""
        found = []
        for count, what in (
            (self.lost, "accepted jobs are lost"),
            (self.completed_twice, "jobs were completed twice"),
            (self.differing_outcomes, "results differ from the log"),
            (len(self.differing), f"keys differ from the fold of the log: {', '.join(self.differing[:5])}"),
        ):
            if count:
                found.append(f"{count} {what}")
        if not self.submitted:
            found.append("no job was submitted")
        return found

    def to_json(self) -> bytes:
        """Return the report for machines, the verdict included."""
        extra = {"state_equals_log": self.state_equals_log, "problems": self.problems()}
        return msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(self) | extra))


ALIVE = frozenset(("created", "dispatched", "running"))


def judged(tally: Tally, journal: Journal, statuses: Mapping[str, str]) -> dict[str, object]:
    """Return the figures of a report that follow from the log and the journal.

    Args:
        tally: the log, read to its end.
        journal: what the producer knows.
        statuses: of each job that has not ended according to the log, its ``status`` in the state.
    """
    known = tally.submitted.keys() | journal.accepted.keys()
    open_jobs = known - tally.outcomes.keys()
    alive = {job_id for job_id in open_jobs if statuses.get(job_id) in ALIVE}
    outcomes = list(tally.outcomes.values())
    moved = {cause: count for cause, count in tally.affinity.items() if cause.startswith("broken")}
    stayed = tally.affinity["kept"]
    followed = stayed + sum(moved.values())
    return {
        "submitted": len(known),
        "finished": outcomes.count("finished"),
        "failed": outcomes.count("failed"),
        "ended_otherwise": sum(outcome not in ("finished", "failed") for outcome in outcomes),
        "alive": len(alive),
        "lost": len(open_jobs - alive),
        "completed_twice": len(tally.ended_twice),
        "differing_outcomes": sum(result.status != tally.outcomes.get(job) for job, result in journal.outcomes.items()),
        "outcomes": len(journal.outcomes),
        "requeued": dict(tally.requeued.most_common()),
        "stayed": stayed,
        "moved": moved,
        "stayed_share": round(stayed / followed, 4) if followed else 1.0,
        "dispatched_at_once": round(sum(ms == 0 for ms in tally.dispatch_ms) / max(1, len(tally.dispatch_ms)), 4),
        "dispatch_p50_ms": percentile(tally.dispatch_ms, 0.5),
        "dispatch_p99_ms": percentile(tally.dispatch_ms, 0.99),
        "submit_p50_ms": round(percentile(list(journal.accepted.values()), 0.5), 2),
        "submit_p99_ms": round(percentile(list(journal.accepted.values()), 0.99), 2),
        "nodes_expired": tally.nodes["expired"],
        "nodes_recovered": tally.nodes["recovered"],
        "events": tally.events,
        "dead_letters": tally.dead_codes,
    }
