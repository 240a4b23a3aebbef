"""Counts of what happened, by time, in as many buckets as a chart can show and no more."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

FLOWS = ("events", "submitted", "dispatched", "finished", "failed", "requeued", "lost", "refused")
"""What is counted: all events, and the steps of jobs; lost nodes; events that became dead letters."""

GAUGES = ("waiting", "held", "online")
"""What is looked at from time to time: waiting jobs, jobs in the hands of nodes, nodes that are online."""

STEPS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000)
"""Upper bounds of the classes that dispatch latencies are counted in; a last class has none."""


_FLOW = {name: n for n, name in enumerate(FLOWS)}


class Bucket:
    """One stretch of time."""

    __slots__ = ("flows", "gauges", "latencies")

    def __init__(self) -> None:
        self.flows = [0] * len(FLOWS)
        self.gauges: tuple[int, int, int] | None = None
        self.latencies: list[int] | None = None

    def count(self, flow: str, waited_ms: int | None) -> None:
        """Count an event, under one of :data:`FLOWS` if that is not empty, and a job that waited this long for its
        first node."""
        self.flows[0] += 1
        if flow:
            self.flows[_FLOW[flow]] += 1
        if waited_ms is not None:
            if self.latencies is None:
                self.latencies = [0] * (len(STEPS_MS) + 1)
            self.latencies[bisect_left(STEPS_MS, waited_ms)] += 1

    def absorb(self, later: Bucket) -> None:
        """Add the stretch that follows on this one."""
        self.flows = [one + other for one, other in zip(self.flows, later.flows, strict=True)]
        self.gauges = later.gauges or self.gauges
        if later.latencies:
            own = self.latencies or [0] * len(later.latencies)
            self.latencies = [one + other for one, other in zip(own, later.latencies, strict=True)]


class Series:
    """Buckets of one width, from the first event on.

    Args:
        limit: the most buckets; beyond it, two become one (the whole is kept, more coarsely), or with ``rolling`` the
            oldest are dropped.
        width_ms: of a bucket, to begin with; 1000 by default.
    """

    def __init__(self, limit: int, rolling: bool = False, width_ms: int = 1000) -> None:
        self.limit, self.rolling, self.width_ms = limit, rolling, width_ms
        self.start_ms: int | None = None
        self._buckets: list[Bucket | None] = []
        self._current, self._from, self._to = Bucket(), 0, 0  # the bucket that was asked for last, and its time

    def at(self, ms: int) -> Bucket:
        """Return the bucket of a time, made if need be; a time before the first bucket counts as of that one."""
        if self._from <= ms < self._to:
            return self._current
        if self.start_ms is None:
            self.start_ms = ms - ms % self.width_ms
        number = max(0, (ms - self.start_ms) // self.width_ms)
        while number >= self.limit:
            self._make_room(number)
            number = (ms - self.start_ms) // self.width_ms
        if number >= len(self._buckets):
            self._buckets.extend([None] * (number + 1 - len(self._buckets)))
        found = self._buckets[number]
        if found is None:
            found = self._buckets[number] = Bucket()
        self._current, self._from = found, self.start_ms + number * self.width_ms
        self._to = self._from + self.width_ms
        return found

    def _make_room(self, number: int) -> None:
        assert self.start_ms is not None
        self._to = 0  # the bucket that was asked for last may not be one any more
        if self.rolling:
            surplus = number + 1 - self.limit + self.limit // 4  # some at once: a list is slow to shorten at its front
            del self._buckets[:surplus]
            self.start_ms += surplus * self.width_ms
            return
        halved: list[Bucket | None] = []
        for n in range(0, len(self._buckets), 2):
            one, other = self._buckets[n], self._buckets[n + 1] if n + 1 < len(self._buckets) else None
            if one and other:
                one.absorb(other)
            halved.append(one or other)
        self._buckets, self.width_ms = halved, self.width_ms * 2

    @property
    def end_ms(self) -> int:
        """When the last bucket ends; 0 if there is none."""
        return 0 if self.start_ms is None else self.start_ms + len(self._buckets) * self.width_ms

    def covers(self, ms: int) -> bool:
        """Tell whether a time lies behind the beginning of the first bucket."""
        return self.start_ms is not None and ms >= self.start_ms

    def between(self, begin_ms: int, end_ms: int, points: int) -> dict[str, Any]:
        """Return what charts show from one time to another, in at most about ``points`` steps.

        ``ts`` are the beginnings of the steps in ms, ``step_ms`` their width; flows are counts of each step; gauges are
        ``None`` where no reading exists; ``p50`` and ``p99`` are ms, ``None`` where nothing was dispatched.
        """
        if self.start_ms is None:
            return {"ts": [], "step_ms": self.width_ms}
        per_step = max(1, -(-(end_ms - begin_ms) // (self.width_ms * points)))
        step_ms = per_step * self.width_ms
        first = (begin_ms - self.start_ms) // step_ms * per_step
        last = (end_ms - self.start_ms) // self.width_ms
        steps = [self._merged(n, n + per_step) for n in range(first, last + 1, per_step)]
        chart: dict[str, Any] = {
            "ts": [self.start_ms + (first + n * per_step) * self.width_ms for n in range(len(steps))],
            "step_ms": step_ms,
        }
        for n, name in enumerate(FLOWS):
            chart[name] = [step.flows[n] if step else 0 for step in steps]
        for n, name in enumerate(GAUGES):
            chart[name] = [step.gauges[n] if step and step.gauges else None for step in steps]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            chart[name] = [quantile(step.latencies, share) if step and step.latencies else None for step in steps]
        return chart

    def _merged(self, begin: int, end: int) -> Bucket | None:
        present = [bucket for bucket in self._buckets[max(0, begin) : max(0, end)] if bucket]
        if len(present) <= 1:
            return present[0] if present else None
        merged = Bucket()
        for bucket in present:
            merged.absorb(bucket)
        return merged


def quantile(counts: Iterable[int], share: float) -> float:
    """Return a quantile of what was counted in :data:`STEPS_MS`, as if a class were evenly filled."""
    counted = list(counts)
    wanted, seen = share * sum(counted), 0
    for n, count in enumerate(counted):
        if count and seen + count >= wanted:
            low = STEPS_MS[n - 1] if n else 0
            high = STEPS_MS[n] if n < len(STEPS_MS) else 2 * STEPS_MS[-1]
            return round(low + (high - low) * (wanted - seen) / count, 2)
        seen += count
    return 0.0
