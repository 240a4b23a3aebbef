"""The outcome of a campaign as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from .play import Run

COUNTS = ("events", "jobs", "doubts", "lost", "violations")


def rows(runs: Sequence[Run], left_out: Mapping[str, str]) -> list[dict[str, Any]]:
    """Sum the runs up, a row for each fault; those that were not played say why."""
    by_fault: dict[str, list[Run]] = {}
    for run in runs:
        by_fault.setdefault(run.fault, []).append(run)
    found: list[dict[str, Any]] = []
    for fault, some in by_fault.items():
        drains = [run.drain_ms for run in some if run.drain_ms is not None]
        detections = [ms for run in some for ms in run.verdict.detection_ms]
        costs = {name: sum(run.costs.get(name, 0) for run in some) for run in some for name in run.costs}
        found.append(
            {
                "fault": fault,
                "runs": len(some),
                "seeds": [run.seed for run in some],
                "servers": sorted({run.server for run in some}),
                "events": sum(run.verdict.figures.get("events", 0) for run in some),
                "jobs": sum(run.verdict.figures.get("jobs", 0) for run in some),
                "acknowledged": sum(run.verdict.figures.get("acknowledged", 0) for run in some),
                "doubts": sum(run.verdict.figures.get("doubts", 0) for run in some),
                "violations": sum(len(run.violations) for run in some),
                "lost": sum(len(run.verdict.lost) for run in some),
                "drain_ms": [min(drains), int(median(drains)), max(drains)] if drains else [],
                "detection_ms": [min(detections), int(median(detections)), max(detections)] if detections else [],
                "costs": costs,
            }
        )
    return found + [{"fault": fault, "runs": 0, "not_run": why} for fault, why in left_out.items()]


def table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows for a terminal."""
    out = Table("fault", "runs", "seeds", *COUNTS, "drained ms", "node lost ms", "also")
    for row in found:
        if not row["runs"]:
            out.add_row(row["fault"], "0", "", "", "", "", "", "", "", "", f"not run: {row['not_run']}")
            continue
        out.add_row(
            row["fault"],
            str(row["runs"]),
            _seeds(row["seeds"]),
            *(str(row[name]) for name in COUNTS),
            _spread(row["drain_ms"]),
            _spread(row["detection_ms"]),
            ", ".join(f"{name} {count}" for name, count in row["costs"].items()),
        )
    return out


def _seeds(seeds: Sequence[int]) -> str:
    return f"{min(seeds)}–{max(seeds)}" if len(seeds) > 1 else str(seeds[0])


def _spread(values: Sequence[int]) -> str:
    if not values:
        return ""
    least, middle, most = values
    return f"{middle} ({least}–{most})" if least != most else str(middle)
