"""What the log says of a run: read entry by entry, by other code than the folds, so that it can contradict them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from ..contract.keys import Keys

PAGE = 1000


class Tally:
    """Counts over the accepted events of one log. Entries that became dead letters are left out.

    Fed by :meth:`read`, as often as wanted, it goes on where it stopped.
    """

    def __init__(self) -> None:
        self.events = 0
        self.dead: dict[str, str] = {}
        """Ids of refused entries of the log, with their codes."""
        self.submitted: dict[str, int] = {}
        """When each job was submitted, ms since the epoch."""
        self.dispatch_ms: list[int] = []
        """From submission to first dispatch, for each job that found a node."""
        self.ends: dict[str, set[tuple[str, ...]]] = {}
        """What ended each job; more than one entry means that a job ended more than once."""
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
        self._dispatched: set[str] = set()
        self._failures: dict[str, tuple[str, ...]] = {}
        self._log_id, self._dead_id = "0-0", "0-0"

    async def read(self, redis: Redis, keys: Keys) -> None:
        """Take in what has been folded since the last time."""
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
        """Take in one entry of the log."""
        self.events += 1
        if event_id in self.dead:
            return
        kind, at_ms = fields["type"], int(event_id.split("-")[0])
        area, what = kind.split(".", 1)
        if area == "node" and what in ("expired", "recovered", "offline"):
            self.nodes[what] += 1
        if area != "job":
            return
        job_id = fields.get("job_id") or f"{fields['session_id']}:{event_id}"
        match what:
            case "submitted" if job_id not in self.submitted:
                self.submitted[job_id] = at_ms
                self.pair_of[job_id] = frozenset((fields["src_lang"], fields["tgt_lang"]))
                self._move(job_id, "waiting")
            case "dispatched":
                if job_id not in self._dispatched:
                    self._dispatched.add(job_id)
                    self.dispatch_ms.append(at_ms - self.submitted[job_id])
                    self.affinity[fields["affinity"]] += 1
                self._move(job_id, "held")
            case "requeued":
                self.requeued[fields["cause"]] += 1
                if fields["cause"] == "failed":
                    # that failed attempt was not the end after all
                    self.ends.get(job_id, set()).discard(self._failures.pop(job_id, ()))
                    self.outcomes.pop(job_id, None)
                self._move(job_id, "waiting")
            case "completed":
                # the same completion sent twice changes nothing and counts once
                end = (what, fields["node_id"], fields.get("attempt", ""), fields["status"])
                if fields["status"] == "failed":
                    self._failures[job_id] = end
                self._end(job_id, end, fields["status"])
            case "exhausted":
                # says that the failure just reported was the last one, or ends the job by itself
                self.ends.get(job_id, set()).discard(self._failures.pop(job_id, ()))
                self._end(job_id, (what,), "failed")
            case "cancelled" | "expired" | "refused":
                self._end(job_id, (what,), what)

    def _end(self, job_id: str, end: tuple[str, ...], outcome: str) -> None:
        self.ends.setdefault(job_id, set()).add(end)
        self.outcomes[job_id] = outcome
        self._move(job_id, "ended")

    def _move(self, job_id: str, place: str) -> None:
        pair = self.pair_of[job_id]
        if before := self.where.get(job_id):
            self.by_pair[pair, before] -= 1
        self.by_pair[pair, place] += 1
        self.where[job_id] = place

    @property
    def dead_codes(self) -> dict[str, int]:
        """How many entries of the log were refused, by code."""
        return dict(Counter(self.dead.values()).most_common())

    @property
    def ended_twice(self) -> list[str]:
        """Jobs with more than one accepted end: there should be none."""
        return [job_id for job_id, ends in self.ends.items() if len(ends) > 1]


async def _page(redis: Redis, key: str, after: str, until: str) -> list[tuple[str, dict[str, str]]]:
    reply: Any = redis.xrange(key, min=f"({after}", max=until, count=PAGE)
    return await reply  # type: ignore[no-any-return]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of ``values`` that ``share`` of them do not exceed; 0 if there are none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else 0
