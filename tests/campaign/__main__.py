"""Play the campaign: ``python -m tests.campaign [--minutes 10] [--fault NAME] [--seed N] [--json FILE]``.

Every fault is played in turn, with one seed after the other, until the budget is spent. Exit code 1 if anything that is
promised was broken. ``--planted`` takes the guards out one at a time instead: exit code 1 if that went unnoticed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .faults.table import FAULTS
from .mutants import PLANTED
from .play import Run, play
from .report import rows, table
from .stage import StageFailed


def main() -> int:
    """Play, print, and judge."""
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))  # so that every process is ended
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="budget; every fault is played once all the same")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="play this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--runs", type=int, default=0, help="runs of each fault at most (no bound, 1 with --fault)")
    parser.add_argument("--keep", action="store_true", help="keep the folder of every run, not only of failed ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every run there, too")
    parser.add_argument("--planted", nargs="*", choices=list(PLANTED), help="plant these bugs, all if none is named")
    given = parser.parse_args()
    if given.planted is not None:
        return plant_all(given.planted or list(PLANTED), given.seed, given.json)
    chosen = given.fault or list(FAULTS)
    most = given.runs or (1 if given.fault else 10**6)
    console = Console(width=None if Console().is_terminal else 200)
    left_out = {name: why for name in chosen if (why := FAULTS[name]().lacks())}
    runs: list[Run] = []
    deadline = time.monotonic() + given.minutes * 60
    for n in range(most):
        for name in chosen:
            if name in left_out or (n and time.monotonic() > deadline):
                continue
            if (run := _played(console, name, given.seed + n, given.keep)) is not None:
                runs.append(run)
        if time.monotonic() > deadline:
            break
    found = rows(runs, left_out)
    console.print(table(found))
    broken = [run for run in runs if run.violations]
    console.print(f"{len(runs)} runs, {len(broken)} with violations, {len(left_out)} faults not run")
    if given.json:
        given.json.write_text(json.dumps({"faults": found, "runs": [_plain(run) for run in runs]}, indent=1) + "\n")
    return 1 if broken or not runs else 0


def plant_all(bugs: list[str], seed: int, file: Path | None) -> int:
    """Play each planted bug with up to three seeds, until it is noticed."""
    console = Console(width=None if Console().is_terminal else 200)
    out = Table("bug", "guard taken out", "fault", "seeds", "caught by", "violations")
    found = []
    for name in bugs:
        planted = PLANTED[name]
        fault = FAULTS[planted.under]
        caught: list[str] = []
        count = tries = 0
        if why := fault().lacks():
            caught = [f"not run: {why}"]
        while not caught and tries < 3:
            try:
                run = play(fault(), seed + tries, bug=name)
            except StageFailed as problem:
                console.print(f"{name}: {str(problem)[-300:]}", style="yellow", highlight=False, markup=False)
            else:
                shutil.rmtree(run.folder, ignore_errors=True)
                count = len(run.violations)
                caught = sorted({breach.rule for breach in run.violations} & set(planted.rules))
            tries += 1
        console.print(f"{name} under {planted.under}: {', '.join(caught) or 'NOT CAUGHT'}", highlight=False)
        found.append(
            {"bug": name, "guard": planted.bug.guard, "fault": planted.under, "tries": tries, "caught_by": caught}
        )
        out.add_row(name, planted.bug.guard, planted.under, str(tries), ", ".join(caught) or "NOT CAUGHT", str(count))
    console.print(out)
    if file:
        file.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if any(not row["caught_by"] for row in found) else 0


def _played(console: Console, name: str, seed: int, keep: bool) -> Run | None:
    try:
        run = play(FAULTS[name](), seed, keep=keep)
    except StageFailed as problem:
        console.print(f"{name}, seed {seed}: not played, {problem}", style="yellow", highlight=False)
        return None
    figures = run.verdict.figures
    counts = ", ".join(f"{figures.get(name, 0)} {name}" for name in ("events", "jobs", "doubts"))
    console.print(
        f"{name}, seed {seed} on {run.server}: {counts}, {len(run.verdict.lost)} lost, drained in {run.drain_ms} ms; "
        f"{len(run.violations)} violations, {run.wall_s:g} s" + (f"; kept in {run.folder}" if run.folder else ""),
        highlight=False,
    )
    for breach in run.violations[:10]:
        console.print(f"  {breach.rule}: {breach.text}", style="red", highlight=False, markup=False)
    if run.violations:
        console.print(f"  again: python -m tests.campaign --fault '{name}' --seed {seed}", highlight=False)
    return run


def _plain(run: Run) -> dict[str, object]:
    return {
        "fault": run.fault,
        "seed": run.seed,
        "server": run.server,
        "drain_ms": run.drain_ms,
        "lost": run.verdict.lost,
        "violations": [[breach.rule, breach.text] for breach in run.violations],
        "figures": run.verdict.figures,
        "detection_ms": run.verdict.detection_ms,
        "costs": run.costs,
        "wall_s": run.wall_s,
    }


if __name__ == "__main__":
    sys.exit(main())
