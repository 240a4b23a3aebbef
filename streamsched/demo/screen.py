"""What the demo shows: a live table on a terminal, a line now and then elsewhere, nothing where only JSON is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .report import DemoReport

LINE_EVERY_S = 2.0
WIDE = 110
"""Columns from which on the table of pairs stands beside the rest, not below it."""


class PairRow(msgspec.Struct, frozen=True):
    """One language pair at a moment."""

    name: str
    online: int
    """Nodes that may receive a job."""
    members: int
    waiting: int
    held: int
    done: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The demo at a moment."""

    elapsed_s: float
    phase: str
    workers: tuple[int, int]
    """Alive, and started altogether; likewise for the next two."""
    hosts: tuple[int, int]
    nodes: tuple[int, int]
    counters: dict[str, int]
    """As the scheduler keeps them: submitted, waiting, held, finished, failed, requeued, …"""
    events: int
    lag: int
    """Entries of the log not folded yet."""
    dispatch_ms: tuple[float, float]
    """p50 and p99."""
    stayed_share: float
    pairs: list[PairRow]


class Screen:
    """Shows nothing; what the two others are made of."""

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""

    def say(self, elapsed_s: float, text: str) -> None:
        """Report an incident."""


class Lines(Screen):
    """A line every :data:`LINE_EVERY_S`, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_s = -LINE_EVERY_S

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.elapsed_s - self._last_s < LINE_EVERY_S:
            return
        self._last_s = snapshot.elapsed_s
        counters = snapshot.counters
        self._print(
            snapshot.elapsed_s,
            f"{snapshot.phase}: nodes {snapshot.nodes[0]}/{snapshot.nodes[1]}, "
            f"submitted {counters.get('submitted', 0)}, waiting {counters.get('waiting', 0)}, "
            f"held {counters.get('held', 0)}, finished {counters.get('finished', 0)}, "
            f"requeued {counters.get('requeued', 0)}, dispatch p50 {snapshot.dispatch_ms[0]:g} ms "
            f"p99 {snapshot.dispatch_ms[1]:g} ms",
        )

    def say(self, elapsed_s: float, text: str) -> None:
        self._print(elapsed_s, f"* {text}")

    def _print(self, elapsed_s: float, text: str) -> None:
        self._console.print(f"{elapsed_s:5.1f} s  {text}", highlight=False, markup=False, soft_wrap=True)


class LiveTable(Screen):
    """The live table."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._said: deque[tuple[float, str]] = deque(maxlen=9)

    def show(self, snapshot: Snapshot) -> None:
        console = self._live.console
        figures, said = self._figures(snapshot), self._incidents()
        title = f"streamsched demo · {snapshot.phase} · {snapshot.elapsed_s:.0f} s"
        whole: RenderableType
        if console.width >= WIDE:
            whole = Table.grid(padding=(0, 2))
            whole.add_row(self._pairs(snapshot, console.height - 6), Group(figures, Text(), said))
        else:
            whole = Group(figures, said, self._pairs(snapshot, console.height - 24))
        self._live.update(Panel(whole, title=title, border_style="cyan"), refresh=True)

    def say(self, elapsed_s: float, text: str) -> None:
        self._said.append((elapsed_s, text))

    @staticmethod
    def _figures(snapshot: Snapshot) -> Table:
        counters = snapshot.counters
        table = Table.grid(padding=(0, 2))
        for _ in range(2):
            table.add_column(style="dim")
            table.add_column(justify="right")

        def of(pair: tuple[int, int]) -> Text:
            return Text(f"{pair[0]} of {pair[1]}", style="yellow" if pair[0] < pair[1] else "green")

        def count(name: str) -> str:
            return f"{counters.get(name, 0):,}"

        table.add_row("nodes online", of(snapshot.nodes), "jobs submitted", count("submitted"))
        table.add_row("node processes", of(snapshot.hosts), "waiting", count("waiting"))
        table.add_row("worker processes", of(snapshot.workers), "held by nodes", count("held"))
        table.add_row("log entries", f"{snapshot.events:,}", "finished", count("finished"))
        table.add_row("not folded yet", f"{snapshot.lag:,}", "failed", count("failed"))
        table.add_row("dispatch p50", f"{snapshot.dispatch_ms[0]:g} ms", "requeued", count("requeued"))
        table.add_row(
            "dispatch p99", f"{snapshot.dispatch_ms[1]:g} ms", "stayed on node", f"{snapshot.stayed_share:.1%}"
        )
        return table

    def _incidents(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for elapsed_s, text in self._said:
            table.add_row(Text(f"{elapsed_s:5.1f} s", style="dim"), Text(text))
        return table

    @staticmethod
    def _pairs(snapshot: Snapshot, room: int) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("pair")
        for name in ("nodes", "waiting", "held", "done"):
            table.add_column(name, justify="right")
        for row in snapshot.pairs[: max(3, room)]:
            nodes = Text(f"{row.online}/{row.members}", style="red" if not row.online else "")
            waiting = Text(str(row.waiting), style="yellow" if row.waiting else "dim")
            table.add_row(row.name, nodes, waiting, str(row.held), str(row.done))
        return table


@contextmanager
def open_screen(json: bool) -> Iterator[Screen]:
    """Yield the screen that suits where the output goes.

    Args:
        json: nothing but JSON is wanted on the output.
    """
    console = Console()
    if json:
        yield Screen()
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            yield LiveTable(live)
    else:
        yield Lines(console)


def print_report(report: DemoReport) -> None:
    """Print the summary of a demo for people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()

    def good(count: int) -> Text:
        return Text(str(count), style="bold green" if not count else "bold red")

    requeued = ", ".join(f"{cause} {count}" for cause, count in report.requeued.items())
    moved = ", ".join(f"{cause.removeprefix('broken: ')} {count}" for cause, count in report.moved.items())
    dead = ", ".join(f"{code} {count}" for code, count in report.dead_letters.items())
    followed = report.stayed + sum(report.moved.values())
    for name, value in (
        ("arrivals", report.arrivals),
        ("language pairs", report.pairs),
        ("spot machines", report.churn or "none"),
        ("nodes", f"{report.nodes} in {report.node_processes} processes; {report.worker_processes} workers"),
        ("submitted", f"{report.submitted:,} in {report.seconds:g} s"),
        ("finished", f"{report.finished:,}"),
        ("failed", f"{report.failed:,}"),
        ("otherwise ended", f"{report.ended_otherwise:,}"),
        ("still alive", f"{report.alive:,}"),
        ("requeued", f"{sum(report.requeued.values()):,}" + (f"  ({requeued})" if requeued else "")),
        ("lost", good(report.lost)),
        ("completed twice", good(report.completed_twice)),
        ("differing outcomes", good(report.differing_outcomes)),
        ("stayed on their node", f"{report.stayed:,} of {followed:,} follow-up jobs, {report.stayed_share:.1%}"),
        ("had to move", moved or "none"),
        ("dispatched at once", f"{report.dispatched_at_once:.1%}, in the very step that accepted them"),
        (
            "dispatch",
            f"p50 {report.dispatch_p50_ms:g} ms, p99 {report.dispatch_p99_ms:g} ms from log entry to log entry",
        ),
        ("submit round trip", f"p50 {report.submit_p50_ms:g} ms, p99 {report.submit_p99_ms:g} ms at the producer"),
        ("nodes lost", f"{report.nodes_expired} by heartbeat timeout; {report.nodes_recovered} came online"),
        ("log", f"{report.events:,} events" + (f"; refused: {dead}" if dead else "; none refused")),
        (
            "state == fold(log)",
            Text("yes", style="bold green")
            if report.state_equals_log
            else Text(f"NO: {', '.join(report.differing[:5])}", style="bold red"),
        ),
        ("took", f"{report.wall_s:.1f} s"),
    ):
        table.add_row(name, value)
    console = Console()
    console.print(Panel(table, title="streamsched demo", border_style="red" if report.problems() else "green"))
    for problem in report.problems():
        console.print(f"[bold red]{problem}[/]")
