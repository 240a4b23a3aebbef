"""What the log costs to keep and to fold again, against the rate at which its events were folded when they were new.

One yardstick for all: the seconds that ``advance`` took for a log of whole job lives on 100 nodes, with payloads that
differ as real ones do. The commands run as processes of their own, their memory is what the kernel says was its peak.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from streamsched.archive.archiver import Archiver
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.log.live import LiveLog
from streamsched.replay.rebuild import rebuild
from streamsched.replay.restore import restore

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import Ground, Speech, live_again
from ..harness.tool import Tool

SHORT, LONG = 100_000, 1_000_000
"""Events of the log, in the rounds and in the one that shows what length costs."""


async def rates(bench: Bench, rows: dict[str, Figure]) -> None:
    """One round in this process, so that the start of an interpreter is no part of what is compared."""
    ground = Ground(bench.redis)
    base = await live_again(ground, Speech(1), bench.size(SHORT))
    events = await bench.redis.xlen(ground.keys("events"))

    def note(name: str, target: float, value: float, text: str, at_most: bool = False) -> None:
        unit = "x live fold" if not at_most else "x stream"
        figure = rows.setdefault(name, Figure(name, unit, target, at_most))
        figure.values.append(value)
        figure.note = f"{text} in the last round"

    def note_rate(name: str, target: float, began: float) -> None:
        rate = events / (time.perf_counter() - began)
        note(name, target, rate / base, f"{rate:,.0f}/s against {base:,.0f}/s")

    began = time.perf_counter()
    await rebuild(bench.redis, ground.keys)
    note_rate("rebuilt from the live stream", 0.9, began)
    in_stream: Any = await bench.redis.memory_usage(ground.keys("events"), samples=0)
    raw = connect(bench.server.url, decode=False)
    with tempfile.TemporaryDirectory() as name, ArchiveWriter(Path(name), ground.keys) as writer:
        began = time.perf_counter()
        await Archiver(LiveLog(raw, ground.keys), writer).once(flush=True)
        note_rate("archived", 1.0, began)
        on_disk = sum(piece.bytes for piece in writer.archive.segments)
        text = f"{on_disk / events:.1f} against {in_stream / events:.0f} bytes an event"
        note("archive on disk", 1 / 8, on_disk / in_stream, text, at_most=True)
        await bench.wipe()
        began = time.perf_counter()
        folded = await restore(bench.redis, LiveLog(raw, ground.keys), writer.archive)
        note_rate("rebuilt from segments onto an empty server", 0.5, began)
        assert folded == events, f"{folded} of {events} events came back"
    await raw.aclose()
    await bench.wipe()


async def at_length(bench: Bench, events: int) -> list[Figure]:
    """Run every command once on a log of some length, each from its start as a process to its end."""
    ground = Ground(bench.redis)
    base = await live_again(ground, Speech(2), events)
    events = await bench.redis.xlen(ground.keys("events"))
    last = (await bench.redis.xinfo_stream(ground.keys("events")))["last-generated-id"]
    took: dict[str, float] = {}
    rows: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        tool = Tool(bench.server.url, ground.keys, Path(name))
        kept = ("--archive", str(tool.archive))

        def run(what: str, *words: str) -> None:
            took[what], peak = tool.run(*words)
            rate = events / took[what]
            note = f"{rate:,.0f} events/s, {rate / base:.2f} x live fold; {took[what]:.1f} s"
            rows.append(Figure(f"{what}, {events:,} events", "MiB peak", 512, True, [peak], note))

        run("rebuild", "rebuild", "--yes")
        run("verify", "verify", "--rate", "1000000")
        run("at", "at", last, "--json")
        run("archive", "archive", "--to", str(tool.archive), "--once")
        run("snapshot", "snapshot", "--to", str(tool.archive))
        run("at from a snapshot", "at", last, "--json", *kept)
        share, target = took["at from a snapshot"] / took["at"], 1 / 20 if events >= LONG else None
        rows.append(Figure(f"at from a snapshot, {events:,} events", "x at", target, True, [share]))
        await bench.wipe()
        shutil.rmtree(tool.archive / "snapshots")
        run("rebuild --from", "rebuild", "--from", str(tool.archive), "--yes")
    await bench.wipe()
    return rows


async def measure(bench: Bench) -> list[Figure]:
    rows: dict[str, Figure] = {}
    for _ in range(bench.rounds):
        await rates(bench, rows)
    return [*rows.values(), *await at_length(bench, bench.size(SHORT)), *await at_length(bench, bench.size(LONG))]
