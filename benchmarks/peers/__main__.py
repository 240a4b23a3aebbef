"""Compare: ``python -m benchmarks.peers [--quick] [--peer NAME] [--server SETTING] [--json FILE]``."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..harness.load import PAYLOAD
from ..harness.machine import machine
from ..harness.plots import draw_all
from ..harness.server import SETTINGS, Server, benchmark_rate, serve
from .catalogue import PEERS, Peer
from .curves import PLOTS, over_load, over_log, over_nodes, over_waiting
from .installing import CACHE, NotInstalled, install
from .report import page
from .results import Found, Results, Setting
from .running import Adapter
from .workload import BRIEF, Round, Size

RESULTS = Path(__file__).parents[1] / "results"
IN_CURVES = ("streamsched", "BullMQ (Node.js)", "ardiq", "taskiq streams", "saq", "dramatiq", "huey", "raw floor")
"""Peers whose curves over waiting jobs and over load are drawn; more could not be distinguished."""


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def install_all(peers: Sequence[Peer], results: Results) -> list[tuple[Peer, list[str]]]:
    """Install all peers that can be installed; returns how each is run."""
    commands = []
    for peer in peers:
        tell(f"installing {peer.name}")
        try:
            command, results.versions[peer.name] = install(peer)
        except NotInstalled as problem:
            results.missing[peer.name] = str(problem)
            tell(f"  {problem}")
        else:
            commands.append((peer, command))
    return commands


def yardstick(server: Server, size: Size, found: Found) -> None:
    """What ``redis-benchmark`` appends, one by one and pipelined: the limit of anything that appends."""
    if shutil.which("redis-benchmark") is None:
        found.errors["enqueue"] = "redis-benchmark is not installed"
        return
    words = ("XADD", "yardstick", "*", "payload", PAYLOAD)
    port = server.process.port
    single = benchmark_rate(port, size.singles * 5, 1, *words)
    found.add({"enqueue": single, "bulk": benchmark_rate(port, size.jobs * 5, 64, *words)}, {})


def measure(
    name: str, steps: tuple[str, ...] | None, commands: list[tuple[Peer, list[str]]], size: Size, results: Results
) -> None:
    """One round on one server."""
    with serve(name) as server:
        setting = results.settings.setdefault(name, Setting(server.version))
        for peer, command in commands:
            tell(f"{server.version} ({name}): {peer.name}")
            turn = Round(Adapter(peer, command, server.url), server, size)
            turn.run(steps)
            setting.peers.setdefault(peer.name, Found()).add(turn.figures, turn.errors)
            for step, why in turn.errors.items():
                tell(f"  {step}: {why}")
        server.wipe()
        yardstick(server, size, setting.peers.setdefault("redis-benchmark XADD", Found()))


def measure_curves(name: str, commands: list[tuple[Peer, list[str]]], quick: bool, results: Results) -> None:
    with serve(name) as server:
        chosen = [Adapter(peer, command, server.url) for peer, command in commands if peer.name in IN_CURVES]
        tell("curve over nodes")
        results.curves["nodes"] = asyncio.run(over_nodes(server.process, quick))
        tell("curve over the log")
        results.curves["log"] = asyncio.run(over_log(server.process, quick))
        tell("curve over waiting jobs")
        results.curves["waiting"] = over_waiting(chosen, server, quick)
        tell("curves over load")
        load = over_load(chosen, server, quick)
        results.curves |= {"load_p50": load["p50"], "load_p99": load["p99"]}


def compare(
    peers: Sequence[Peer], settings: Sequence[str], size: Size, rounds: int, quick: bool, file: Path
) -> Results:
    """Measure these peers on these servers; what is known so far is in ``file``."""
    results = Results(machine(), rounds, size.jobs)
    commands = install_all(peers, results)
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name in settings:  # in each round: what a server or its persistence costs is compared within minutes
            try:
                measure(name, None if name == settings[0] else BRIEF, commands, size, results)
            except FileNotFoundError as problem:
                results.missing[name] = str(problem)
        results.save(file)  # a run takes hours
    if results.settings:
        measure_curves(next(iter(results.settings)), commands, quick, results)
        results.save(file)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work, one round, one server")
    parser.add_argument("--rounds", type=int, help="how often each has its turn (3; 1 with --quick)")
    parser.add_argument("--peer", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--server", action="append", choices=SETTINGS, help="the first gets all figures (all four)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures (.bench/peers.json)")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="the page, its plots beside it (benchmarks/results/RESULTS.md)"
    )
    parser.add_argument("--from", type=Path, metavar="FILE", dest="source", help="draw an earlier run, measure nothing")
    given = parser.parse_args()
    # a stopped run must stop its servers and workers, too
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"ended by signal {number}"))
    CACHE.mkdir(exist_ok=True)
    quick = given.quick
    known = [peer.name for peer in PEERS]
    for name in given.peer or ():
        if name not in known:
            parser.error(f"no peer {name!r}: choose from {', '.join(known)}")
    if given.source:
        results = Results.load(given.source)
    else:
        peers = [peer for peer in PEERS if not given.peer or peer.name in given.peer]
        settings = given.server or (SETTINGS[:1] if quick else SETTINGS)
        # a quick run shows that everything works; it must not replace the figures of a real one
        file = given.json or CACHE / ("quick.json" if quick else "peers.json")
        size, rounds = (Size.quick(), 1) if quick else (Size(), 3)
        results = compare(peers, settings, size, given.rounds or rounds, quick, file)
    path = given.page or (CACHE / "QUICK.md" if quick else RESULTS / "RESULTS.md")
    plots = draw_all(PLOTS, results.curves, path.parent / "plots")
    path.write_text(page(results, plots, "plots"))
    tell(f"see {path}")


if __name__ == "__main__":
    main()
