"""Run the figures: ``python -m benchmarks [--quick] [--only fold_rate] [--json FILE]``; compare them with the baseline:
``python -m benchmarks --guard``."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from . import regression
from .figures import (
    cpu_cost,
    dashboard,
    dispatch_latency,
    drain_rate,
    fold_rate,
    memory,
    partitions,
    quality,
    replay,
    scaling,
    security_cost,
    soak,
)
from .figures.limits import attack, bounds
from .harness.bench import Bench
from .harness.figures import Figure
from .harness.machine import machine
from .harness.report import Findings
from .harness.server import pinned_server

FIGURES = {
    "fold_rate": fold_rate.measure,
    "cpu_cost": cpu_cost.measure,
    "dispatch_latency": dispatch_latency.measure,
    "memory": memory.measure,
    "drain_rate": drain_rate.measure,
    "security_cost": security_cost.measure,
    "replay": replay.measure,
    "partitions": partitions.measure,
    "dashboard": dashboard.measure,
    "scaling": scaling.measure,
    "soak": soak.measure,
    "soak_mixed": soak.measure_mixed,
    "bounds": bounds.measure,
    "quality": quality.measure,
    "attack": attack.measure,
}

QUICK = 0.1
ROOT = Path(__file__).parents[1]


def table(figures: list[Figure]) -> Table:
    out = Table("figure", "median", "min", "max", "target", "reached", "note")
    for one in figures:
        shown = [
            f"{value:.0f}" if one.median >= 100 else f"{value:.2f}"
            for value in (one.median, min(one.values), max(one.values))
        ]
        target = "" if one.target is None else f"{'≤' if one.at_most else '≥'} {one.target:g}"
        out.add_row(
            f"{one.name} [{one.unit}]", *shown, target, {None: "", True: "yes", False: "NO"}[one.reached], one.note
        )
    return out


def comparison(rows: list[regression.Row]) -> Table:
    out = Table("figure", "", "now")
    for row in rows:
        style = {"slower": "bold red", "gone": "bold red", "faster": "green"}.get(row.verdict, "")
        out.add_row(row.name, row.verdict, row.text, style=style)
    return out


async def run(chosen: list[str], rounds: int, quick: bool, minutes: float, file: Path | None) -> Findings:
    """Measure what was chosen. What is known is kept after each step, because the longest take a quarter of an hour."""
    with pinned_server() as server:
        redis = Redis.from_url(server.url, decode_responses=True, protocol=2)
        try:
            about = await redis.info("server")
            version = f"{about.get('server_name', 'redis')} {about.get('valkey_version', about['redis_version'])}"
            # a quick run shows that everything works; its curves must not replace those of a real one
            findings = Findings(version, file, ROOT / (".bench/plots" if quick else "docs/plots"))
            bench = Bench(server, redis, rounds, QUICK if quick else 1.0, minutes, findings)
            for name in chosen:
                findings.tell(name)
                findings.add(await FIGURES[name](bench))
            return findings
        finally:
            await redis.aclose()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work, two rounds: shows the order of magnitude"
    )
    parser.add_argument("--rounds", type=int, help="how often each figure is measured (5; 2 with --quick)")
    parser.add_argument("--only", action="append", choices=list(FIGURES), help="measure this one; may be repeated")
    parser.add_argument("--minutes", type=float, help="how long the soak takes (15; 0.75 with --quick)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too, after every step")
    parser.add_argument("--guard", action="store_true", help="say what got slower than what was recorded")
    parser.add_argument("--record", action="store_true", help="record the figures that --guard compares with")
    given = parser.parse_args()
    guarded = given.guard or given.record
    if guarded and (given.quick or given.rounds or given.only):
        parser.error("--guard and --record measure what they need: leave --quick, --rounds and --only out")
    then = regression.load() if given.guard else None
    load = os.getloadavg()[0]
    # a stopped run must stop its servers and processes, too
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"ended by signal {number}"))
    quick = guarded or given.quick
    usual = regression.ROUNDS if guarded else 2 if quick else 5
    rounds = (given.rounds or usual) * (regression.TIMES if given.record else 1)
    chosen = list(regression.GUARDED) if guarded else given.only or list(FIGURES)
    findings = asyncio.run(run(chosen, rounds, quick, given.minutes or (0.75 if quick else 15.0), given.json))
    console = Console(width=None if Console().is_terminal else 170)
    console.print(table(findings.figures))
    console.print(
        f"{findings.server}, Python {platform.python_version()}, one server core; {rounds} interleaved rounds"
    )
    if given.record:
        kept = regression.record(findings.figures)
        regression.save(regression.Recording(findings.server, machine(), rounds, kept))
    if then is not None:
        rows = regression.compare(then.figures, findings.figures)
        if any(row.verdict == "slower" for row in rows):
            findings.tell("some seem slower: once more")
            again = asyncio.run(run(chosen, rounds, quick, 0, None))
            rows = regression.confirmed(rows, regression.compare(then.figures, again.figures))
        console.print(comparison(rows))
        if load > 0.5:
            console.print(f"others were at work here (load {load:.1f}): what they disturb may seem slower")
        console.print(f"recorded on {then.server}, {then.machine}, {then.rounds} rounds")
        return int(any(row.verdict in regression.BAD for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
