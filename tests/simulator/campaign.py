"""Many seeds over two processes, and what they came to."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context

from .marks import MARKS
from .run import simulate

CHUNK = 25
PROCESSES = 2


@dataclass
class Figures:
    """What a number of seeds came to; sums of several can be added."""

    seeds: int = 0
    steps: int = 0
    commands: int = 0
    events: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    """In how many seeds each rare state was reached."""
    stopped: Counter[str] = field(default_factory=Counter)
    """Why runs ended before their time, rightly."""
    violations: dict[int, str] = field(default_factory=dict)
    wall_s: float = 0.0

    def add(self, other: Figures) -> None:
        """Take in what others have found."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.commands += other.commands
        self.events += other.events
        self.marks += other.marks
        self.stopped += other.stopped
        self.violations |= other.violations

    @property
    def missing(self) -> list[str]:
        """Rare states that no seed reached."""
        return [name for name in MARKS if not self.marks[name]]


def play(seeds: range) -> Figures:
    """Run seeds in this process."""
    gc.freeze()  # what was made on the way here stays; a seed's own garbage is little
    found = Figures()
    for seed in seeds:
        outcome = simulate(seed)
        found.seeds += 1
        found.steps += outcome.steps
        found.commands += outcome.commands
        found.events += outcome.events
        found.marks.update(outcome.marks)
        if outcome.stopped:
            found.stopped[outcome.stopped.split(":")[0][:60]] += 1
        if outcome.violation:
            found.violations[seed] = outcome.violation
    return found


def campaign(first: int, seeds: int, minutes: float | None = None) -> Figures:
    """Run ``seeds`` seeds from ``first`` on, or as many as fit into ``minutes``, over two processes."""
    begun = time.monotonic()

    def chunks() -> Iterator[range]:
        at = first
        while (minutes is None and at < first + seeds) or (minutes and time.monotonic() - begun < minutes * 60):
            end = at + CHUNK if minutes else min(at + CHUNK, first + seeds)
            yield range(at, end)
            at = end

    total = Figures()
    with get_context("spawn").Pool(PROCESSES) as pool:
        waiting = []
        for chunk in chunks():
            waiting.append(pool.apply_async(play, (chunk,)))
            while len(waiting) > 2 * PROCESSES:
                total.add(waiting.pop(0).get())
        for result in waiting:
            total.add(result.get())
    total.wall_s = time.monotonic() - begun
    return total
