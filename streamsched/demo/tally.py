"""Computes the figures of a run from the log, without the folds: they can contradict the state."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from ..contract.entries import job_id_of
from ..contract.keys import Keys
from ..history.lifecycle import Lifecycle, What

PAGE = 1000

PLACES = {
    What.SUBMITTED: "waiting",
    What.DISPATCHED: "held",
    What.WAITS_AGAIN: "waiting",
    What.ENDED: "ended",
}
"""Where a job is after a step."""

ENDS = ("completed", "exhausted", "cancelled", "expired", "refused")
"""Events of a job that end it, or its attempt."""


class Tally:
    """Counts over the accepted events of one log. Entries that became dead letters are left out.

    Call :meth:`read` as often as needed; it continues where it stopped.
    """

    def __init__(self) -> None:
        self.events = 0
        self.dead: dict[str, str] = {}
        """Ids of refused entries of the log, with their codes."""
        self.submitted: dict[str, int] = {}
        """When each job was submitted, ms since the epoch."""
        self.dispatch_ms: list[int] = []
        """From submission to first dispatch, for each job that found a node."""
        self.ended_twice: list[str] = []
        """Jobs with more than one accepted end: there should be none."""
        self.outcomes: dict[str, str] = {}
        """How each ended job ended: finished, failed, cancelled, expired or refused."""
        self.where: dict[str, str] = {}
        """Each job that was accepted: ``waiting``, ``held`` or ``ended``."""
        self.pair_of: dict[str, frozenset[str]] = {}
        self.by_pair: Counter[tuple[frozenset[str], str]] = Counter()
        """Jobs by pair and :attr:`where`."""
        self.affinity: Counter[str] = Counter()
        """For first dispatches: ``kept``, ``new``, ``none``, or why the session's node could not be kept."""
        self.requeued: Counter[str] = Counter()
        """Jobs that had to wait again, by cause."""
        self.nodes: Counter[str] = Counter()
        """Changes of presence: expired, recovered, offline."""
        self._jobs = Lifecycle()
        self._end_of: dict[str, tuple[str, ...]] = {}
        self._log_id, self._dead_id = "0-0", "0-0"

    async def read(self, redis: Redis, keys: Keys) -> None:
        """Read the events folded since the last call."""
        # the dead letters of what lies below the watermark are there already: they are written in the same step
        watermark = str(await redis.hget(keys("meta"), "watermark") or "0-0")
        while page := await _page(redis, keys("dead"), self._dead_id, "+"):
            self._dead_id = page[-1][0]
            self.dead.update((letter["id"], letter["code"]) for _, letter in page if letter["stream"] == "events")
        while page := await _page(redis, keys("events"), self._log_id, watermark):
            self._log_id = page[-1][0]
            for event_id, fields in page:
                self.add(event_id, fields)

    def add(self, event_id: str, fields: dict[str, str]) -> None:
        """Count one entry of the log."""
        self.events += 1
        if event_id in self.dead:
            return
        kind, at_ms = fields["type"], int(event_id.split("-")[0])
        area, what = kind.split(".", 1)
        if area == "node" and what in ("expired", "recovered", "offline"):
            self.nodes[what] += 1
        if area != "job":
            return
        job_id = job_id_of(fields, event_id)
        e = {name.encode(): text.encode() for name, text in fields.items()}
        step = self._jobs.follow(e[b"type"], event_id, at_ms, e)
        if what == "requeued":
            self.requeued[fields["cause"]] += 1
        end = (what, fields.get("node_id", ""), fields.get("attempt", ""), fields.get("status", ""))
        if step is None:
            if job_id in self._end_of and what in ENDS and end != self._end_of[job_id]:
                self.ended_twice.append(job_id)  # the same end sent twice changes nothing
            return
        if step.what is What.SUBMITTED and job_id not in self.submitted:
            self.submitted[job_id] = at_ms
            self.pair_of[job_id] = frozenset((fields["src_lang"], fields["tgt_lang"]))
        elif step.what is What.DISPATCHED and step.waited_ms is not None:
            self.dispatch_ms.append(step.waited_ms)
            self.affinity[fields["affinity"]] += 1
        elif step.what is What.ENDED:
            self.outcomes[job_id], self._end_of[job_id] = step.outcome, end
        elif step.what is What.WAITS_AGAIN:
            for known in (self.outcomes, self._end_of):
                known.pop(job_id, None)
        self._move(job_id, PLACES.get(step.what))

    def _move(self, job_id: str, place: str | None) -> None:
        if place is None:
            return
        pair = self.pair_of[job_id]
        if before := self.where.get(job_id):
            self.by_pair[pair, before] -= 1
        self.by_pair[pair, place] += 1
        self.where[job_id] = place

    @property
    def dead_codes(self) -> dict[str, int]:
        """How many entries of the log were refused, by code."""
        return dict(Counter(self.dead.values()).most_common())


async def _page(redis: Redis, key: str, after: str, until: str) -> list[tuple[str, dict[str, str]]]:
    reply: Any = redis.xrange(key, min=f"({after}", max=until, count=PAGE)
    return await reply  # type: ignore[no-any-return]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of ``values`` that ``share`` of them do not exceed; 0 if there are none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else 0
