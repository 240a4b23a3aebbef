"""What got slower than noise, against figures that were recorded before.

Only ratios within a run are compared, and bytes: they say the same on a busy machine and on another one. A figure is
the median of some rounds; its noise is what such medians spanned when it was recorded, several times in a row. What
seems slower is measured once more, by a new server, for two runs differ by more than two rounds do.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from .harness.figures import Figure, number

FILE = Path(__file__).parent / "baseline.json"
GUARDED = ("cpu_cost", "memory")
"""What is measured for it, in less than two minutes: CPU time and bytes, which a busy machine disturbs least."""

ROUNDS, TIMES = 9, 5
"""Rounds of a comparison, and how many times as many are recorded."""

MARGIN = 0.15
"""How far from the recorded median one must lie at least."""

Verdict = Literal["slower", "faster", "within noise", "new", "gone"]
BAD: tuple[Verdict, ...] = ("slower", "gone")
"""What the guard fails for: a figure that is measured no more guards nothing."""


@dataclass(frozen=True)
class Row:
    """One figure, then and now."""

    name: str
    verdict: Verdict
    text: str


class Recorded(msgspec.Struct):
    """A figure as it was recorded."""

    unit: str
    median: float
    min: float
    """The least of the medians of :data:`ROUNDS`."""
    max: float
    at_most: bool
    """Whether less of it is better."""


class Recording(msgspec.Struct):
    """Figures as they were recorded, and on what."""

    server: str
    machine: str
    rounds: int
    figures: dict[str, Recorded]


def comparable(figure: Figure) -> bool:
    """Tell whether a figure says the same on another machine."""
    return figure.unit.startswith("x") or figure.unit == "bytes"


def key(figure: Figure) -> str:
    """Name a figure; two that differ in their setting alone say so in their notes."""
    return f"{figure.name} ({figure.note})" if figure.unit == "bytes" else figure.name


def record(figures: Iterable[Figure]) -> dict[str, Recorded]:
    """Return what is kept of figures."""
    kept = {}
    for one in filter(comparable, figures):
        parts = [one.values[n : n + ROUNDS] for n in range(0, len(one.values), ROUNDS)]
        medians = [statistics.median(part) for part in parts]
        kept[key(one)] = Recorded(one.unit, one.median, min(medians), max(medians), one.at_most)
    return kept


def verdict(then: Recorded, median: float) -> Verdict:
    """Say whether a median is worse than the worst that was recorded, or better than the best, and that by far."""
    sign = 1 if then.at_most else -1  # so that more is worse
    worst, best = (then.max, then.min) if then.at_most else (then.min, then.max)
    worse = sign * (median - then.median)
    if worse > MARGIN * then.median and sign * (median - worst) > 0:
        return "slower"
    if worse < -MARGIN * then.median and sign * (best - median) > 0:
        return "faster"
    return "within noise"


def compare(then: dict[str, Recorded], figures: Iterable[Figure]) -> list[Row]:
    """Compare figures with recorded ones, what got slower first."""
    now = {key(one): one for one in figures if comparable(one)}
    rows = []
    for name, one in now.items():
        if name not in then:
            rows.append(Row(name, "new", f"{number(one.median)} {one.unit}"))
            continue
        old = then[name]
        text = (
            f"{number(one.median)} {one.unit}, recorded {number(old.median)} ({number(old.min)} to {number(old.max)})"
        )
        rows.append(Row(name, verdict(old, one.median), text))
    gone = {name: old for name, old in then.items() if name not in now}
    rows += [Row(name, "gone", f"recorded {number(old.median)} {old.unit}") for name, old in gone.items()]
    order: list[Verdict] = ["slower", "gone", "new", "faster", "within noise"]
    return sorted(rows, key=lambda row: order.index(row.verdict))


def confirmed(first: list[Row], second: list[Row]) -> list[Row]:
    """Return the rows of the second comparison for what seemed slower in the first: only what is so twice, is."""
    again = {row.name: row for row in second}
    return [again.get(row.name, row) if row.verdict == "slower" else row for row in first]


def load(file: Path = FILE) -> Recording:
    """Return what was recorded.

    Raises:
        SystemExit: no baseline exists, or it cannot be read.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Recording)
    except (OSError, msgspec.DecodeError) as problem:
        raise SystemExit(f"{file}: {problem}; record it again with python -m benchmarks --record") from problem


def save(recording: Recording, file: Path = FILE) -> None:
    """Record."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(recording), indent=1) + b"\n")
