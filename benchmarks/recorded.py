"""What got slower than noise, against figures that were recorded before.

Only ratios are compared, and bytes: they say the same on a busy machine and on another one. A figure's noise is what
its rounds spanned when it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from .bench import Figure

FILE = Path(__file__).parent / "recorded.json"
GUARDED = ("folding", "dispatch", "memory", "draining")
"""What is measured for it, in less than two minutes."""

MARGIN = 0.1
"""How far beyond the worst recorded round a median must lie to count: a few rounds do not show all of the noise."""

Verdict = Literal["slower", "faster", "within noise", "new", "gone"]


@dataclass(frozen=True)
class Row:
    """One figure, then and now."""

    name: str
    verdict: Verdict
    told: str


class Recorded(msgspec.Struct):
    """A figure as it was recorded."""

    unit: str
    median: float
    min: float
    max: float
    at_most: bool
    """Whether less of it is better."""


def comparable(figure: Figure) -> bool:
    """Tell whether a figure says the same on another machine."""
    return figure.unit.startswith("x") or figure.unit == "bytes"


def key(figure: Figure) -> str:
    """Name a figure; two that differ in their setting alone say so in their notes."""
    return f"{figure.name} ({figure.note})" if figure.unit == "bytes" else figure.name


def record(figures: Iterable[Figure]) -> dict[str, Recorded]:
    """Return what is kept of figures."""
    return {
        key(one): Recorded(one.unit, one.median, min(one.values), max(one.values), one.at_most)
        for one in figures
        if comparable(one)
    }


def verdict(then: Recorded, median: float) -> Verdict:
    """Say whether a median is worse than the worst recorded round, or better than the best, by more than the margin."""
    sign = 1 if then.at_most else -1  # so that more is worse
    worst, best = (then.max, then.min) if then.at_most else (then.min, then.max)
    if sign * (median - worst) > MARGIN * abs(worst):
        return "slower"
    if sign * (best - median) > MARGIN * abs(best):
        return "faster"
    return "within noise"


def compare(then: dict[str, Recorded], figures: Iterable[Figure]) -> list[Row]:
    """Compare figures with recorded ones, what got slower first."""
    now = {key(one): one for one in figures if comparable(one)}
    rows = []
    for name, one in now.items():
        if name not in then:
            rows.append(Row(name, "new", f"{one.median:.3g} {one.unit}"))
            continue
        old = then[name]
        told = f"{one.median:.3g} {one.unit}, recorded {old.median:.3g} ({old.min:.3g} to {old.max:.3g})"
        rows.append(Row(name, verdict(old, one.median), told))
    gone = {name: old for name, old in then.items() if name not in now}
    rows += [Row(name, "gone", f"recorded {old.median:.3g} {old.unit}") for name, old in gone.items()]
    order: list[Verdict] = ["slower", "gone", "new", "faster", "within noise"]
    return sorted(rows, key=lambda row: order.index(row.verdict))


def load() -> dict[str, Recorded]:
    """Return what was recorded."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Recorded])


def save(recorded: dict[str, Recorded]) -> None:
    """Record."""
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n")
