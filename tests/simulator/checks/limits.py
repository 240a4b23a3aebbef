"""Time limits, checked against true time: nothing is lost before a whole limit has passed."""

from __future__ import annotations

from ...model.state import State
from ..redis_double.values import id_of
from .observations import Entry, require

OUTAGE_MS = 5_000
NEVER = -(10**9)
LIMITS = ("accept", "run")
"""Timers of a job that run out for its holder."""


class Limits:
    """Follows who was heard, what was dispatched, and how long the scheduler was away."""

    def __init__(self) -> None:
        self.true_ms = 0
        """True time, independent of the clocks."""
        self.heard: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        """The same, of beats that are certainly not refused."""
        self.left: dict[str, int] = {}
        self.dispatched: dict[str, int] = {}
        self.clock_moved = False
        self.leaps: list[tuple[int, int]] = []
        self.least = {"heartbeat": 30_000, "accept": 10_000, "job": 0}
        self.rebuilt_ms = NEVER
        self.owed: dict[str, int] = {}
        """Jobs whose limit ran out while the scheduler was away, and when: it must restart."""

    def rewind(self) -> None:
        """The server has lost what came last: what was read is unknown."""
        self.heard, self.taken, self.left, self.dispatched = {}, {}, {}, {}

    def beat(self, e: dict[str, str]) -> None:
        node_id = e.get("node_id", "")
        self.heard[node_id] = self.true_ms
        if e.keys().isdisjoint(("incarnation", "source")):  # else it may yet be refused
            self.taken[node_id] = self.true_ms

    def written(self, entry: Entry) -> None:
        """What can be said of an event at the moment it is written."""
        e, kind = entry.fields, entry.fields.get("type")
        if kind == "node.offline":
            self.left[e.get("node_id", "")] = self.true_ms
        elif kind == "job.dispatched":
            self.dispatched[e["job_id"]] = self.true_ms
        elif kind == "node.recovered" and not self.clock_moved:
            left, heard = self.left.get(e["node_id"]), self.heard.get(e["node_id"])
            known = left is not None and heard is not None
            require(not known or heard >= left, f"{e['node_id']} came back by a beat of before it left")  # type: ignore[operator]
        elif kind == "node.expired":
            self.left[e["node_id"]] = self.true_ms
            self._passed("heartbeat", self.taken.get(e["node_id"], NEVER), f"{e['node_id']} was expired")
            self._passed("heartbeat", self.rebuilt_ms, f"{e['node_id']} was expired, after the rebuild,")
        elif kind in ("job.requeued", "job.exhausted"):
            for limit in ("accept", "job"):
                if e["cause"].startswith(f"{limit} timeout"):
                    self._passed(limit, self.dispatched.get(e["job_id"], NEVER), f"{e['job_id']} was taken away")

    def _passed(self, limit: str, since: int, what: str) -> None:
        """A whole limit has passed in truth, or by a leap of the clock that was too short to count as an absence.

        A leap that is longer than the limit restarts it; half of a leap counts where the clock was behind.
        """
        least = self.least[limit]
        leapt = sum(leap for at_ms, leap in self.leaps if at_ms >= since and leap / 2 < max(least, OUTAGE_MS + 1))
        passed = self.true_ms - since
        require(passed + leapt >= least, f"{what} after {passed} ms of {least} (the clock leapt {leapt} ms)")

    def before(self, entry: Entry, state: State) -> None:
        """Look at a decision before it takes effect, as the state then was."""
        job = state.jobs.get(entry.fields.get("job_id", ""))
        if job and entry.fields["type"] in ("job.requeued", "job.exhausted") and " timeout" in entry.fields["cause"]:
            lawful = not self._owed(entry.fields["job_id"], state)
            require(lawful, f"{entry.fields['job_id']} was taken away for a limit that ran out in an absence")

    def absent(self, entry: Entry, state: State) -> bool:
        """The scheduler was away; returns whether an earlier absence still counts."""
        again = any(self._owed(job_id, state) for job_id in self.owed)
        since_ts, until_ts = int(entry.fields["since_ts"]), id_of(entry.id)[0]
        for job_id, job in state.jobs.items():
            if job.timer in LIMITS and since_ts < job.due_ts <= until_ts:
                self.owed[job_id] = job.due_ts
        return again

    def _owed(self, job_id: str, state: State) -> bool:
        job = state.jobs.get(job_id)
        return job is not None and job.timer in LIMITS and job.due_ts == self.owed.get(job_id)
