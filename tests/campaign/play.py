"""Plays one fault with one seed, from the first process to the verdict."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from .check import Evidence, Verdict, check
from .evidence import gather
from .faults.fault import Fault
from .stage import TIMEOUT_MS, Stage, StageFailed
from .story import Breach

BEFORE_S, AFTER_S = 1.5, 0.5
"""How long the system runs before the fault, and behind its drain."""

REDIS = shutil.which("redis-server")


class Run(msgspec.Struct, kw_only=True):
    """What came of one run."""

    fault: str
    seed: int
    server: str
    verdict: Verdict
    drain_ms: int | None
    """From the fault healed to the backlog as low as before; ``None`` if it never was."""
    costs: dict[str, int] = {}
    """Figures of this fault's own."""
    wall_s: float = 0.0
    folder: str = ""
    """Where everything is kept, if something was wrong."""

    @property
    def violations(self) -> list[Breach]:
        """What is broken."""
        return self.verdict.violations


def server_of(fault: Fault, seed: int) -> str:
    """Return the server that a seed is played on."""
    servers = [name for name in fault.servers if name == "valkey" or REDIS]
    return servers[seed % len(servers)]


def play(fault: Fault, seed: int, keep: bool = False) -> Run:
    """Play a fault once.

    Args:
        fault: which.
        seed: what the run draws from; it also chooses the server.
        keep: keep the run's folder even if nothing was wrong.

    Raises:
        StageFailed: the system did not come up before the fault.
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="streamsched-campaign-"))
    server = server_of(fault, seed)
    try:
        binary = Path(REDIS) if server == "redis" and REDIS else None
        with Stage(folder, seed, binary, fault.program) as stage:
            stage.options["appendfsync"] = fault.fsync
            stage.archives, stage.trims = fault.archives, fault.trims
            fault.prepare(stage)
            stage.start()
            level = stage.highest_backlog(BEFORE_S)
            stage.journal.mark("strike")
            fault.strike(stage)
            time.sleep(fault.hold_s)
            fault.heal(stage)
            stage.journal.mark("healed")
            drain_ms = stage.drained_ms(level)
            stage.highest_backlog(AFTER_S)
            failed = stage.failed()
            stage.rest()
            evidence = gather(stage.server.url, stage.keys, folder, stage.archive)
            verdict = check(evidence, fault.allowed, TIMEOUT_MS)
            verdict.violations += [Breach("process", f"ended by itself: {words}") for words in failed]
            verdict.violations += _own(fault, stage, evidence, drain_ms)
            costs = fault.costs(stage, evidence)
    except StageFailed:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException as problem:
        problem.add_note(f"the run's folder is {folder}")
        raise
    if not verdict.violations and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return Run(
        fault=fault.name,
        seed=seed,
        server=server,
        verdict=verdict,
        drain_ms=drain_ms,
        costs=costs,
        wall_s=round(time.monotonic() - began, 1),
        folder=str(folder) if verdict.violations or keep else "",
    )


def _own(fault: Fault, stage: Stage, evidence: Evidence, drain_ms: int | None) -> list[Breach]:
    found = fault.judge(stage, evidence)
    if drain_ms is None:
        found.append(Breach("I6", "the backlog did not go back to what it was before the fault"))
    return found
