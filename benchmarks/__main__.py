"""Run the figures: ``python -m benchmarks [--quick] [--only folding] [--json FILE]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from . import dashboard, dispatch, draining, folding, guarding, memory, replaying
from .bench import Bench, Figure, pinned_server

FIGURES = {
    "folding": folding.measure,
    "dispatch": dispatch.measure,
    "memory": memory.measure,
    "draining": draining.measure,
    "guarding": guarding.measure,
    "replaying": replaying.measure,
    "dashboard": dashboard.measure,
}


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


async def run(chosen: list[str], rounds: int, scale: float) -> tuple[list[Figure], str]:
    with pinned_server() as server:
        redis = Redis.from_url(server.url, decode_responses=True, protocol=2)
        try:
            about = await redis.info("server")
            version = f"{about.get('server_name', 'redis')} {about.get('valkey_version', about['redis_version'])}"
            bench = Bench(server, redis, rounds, scale)
            return [figure for name in chosen for figure in await FIGURES[name](bench)], version
        finally:
            await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work, two rounds: shows the order of magnitude"
    )
    parser.add_argument("--rounds", type=int, help="how often each figure is measured (5; 2 with --quick)")
    parser.add_argument("--only", action="append", choices=list(FIGURES), help="measure this one; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else 5)
    figures, version = asyncio.run(run(given.only or list(FIGURES), rounds, 0.1 if given.quick else 1.0))
    console = Console(width=None if Console().is_terminal else 170)
    console.print(table(figures))
    console.print(f"{version}, Python {platform.python_version()}, one server core; {rounds} interleaved rounds")
    if given.json:
        document = {
            "server": version,
            "python": platform.python_version(),
            "figures": [one.as_json() for one in figures],
        }
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
