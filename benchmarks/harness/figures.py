"""A figure: what was measured in each round, and what was aimed at."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any


def number(value: float) -> str:
    """Three digits are what a benchmark is good for."""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


@dataclass
class Figure:
    """One figure: a value a round; ``target`` bounds the median, from below or above; None: reported only."""

    name: str
    unit: str
    target: float | None = None
    at_most: bool = False
    values: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median is on the right side of the target; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.at_most else self.median >= self.target

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "rounds": len(self.values),
            "target": self.target,
            "bound": None if self.target is None else "at most" if self.at_most else "at least",
            "reached": self.reached,
            "note": self.note,
        }
