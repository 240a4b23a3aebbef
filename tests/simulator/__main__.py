"""Simulate: ``python -m tests.simulator [--seed N] [--seeds N] [--minutes M] [--from N] [--json FILE]``.

One seed is printed step by step. Many are counted; exit code 1 if an invariant broke or a rare state was reached by
none.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .campaign import Figures, campaign
from .marks import MARKS
from .run import simulate


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="tell this one step by step")
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--minutes", type=float, help="as many as fit")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first seed (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    if given.seed is not None:
        outcome = simulate(given.seed, trace=True)
        print("\n".join(outcome.trace))
        print(f"seed {given.seed}: {outcome.steps} steps, {outcome.commands} commands, {outcome.events} events")
        print(f"marks: {', '.join(sorted(outcome.marks))}")
        return 1 if outcome.violation else 0
    figures = campaign(given.first, given.seeds, given.minutes)
    report(figures)
    if given.json:
        given.json.write_text(json.dumps(asdict(figures) | {"missing": figures.missing}, indent=1) + "\n")
    return 1 if figures.violations or figures.missing else 0


def report(figures: Figures) -> None:
    """Print what was reached, what was not, and what broke."""
    for name in MARKS:
        print(f"{figures.marks[name]:7d}  {name}")
    for why, times in figures.stopped.most_common():
        print(f"{times:7d}  ended early: {why}")
    for seed, violation in sorted(figures.violations.items()):
        print(f"VIOLATION {violation}\n  again: python -m tests.simulator --seed {seed}")
    per_minute = figures.seeds / figures.wall_s * 60
    print(
        f"{figures.seeds} seeds, {figures.steps} steps, {figures.commands} commands, {figures.events} events in "
        f"{figures.wall_s:.1f} s: {per_minute:.0f} seeds a minute; {len(figures.violations)} violations, "
        f"{len(figures.missing)} marks not reached{': ' if figures.missing else ''}{', '.join(figures.missing)}"
    )


if __name__ == "__main__":
    sys.exit(main())
