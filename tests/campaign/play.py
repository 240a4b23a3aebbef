"""Plays one fault with one seed, from the first process to the verdict."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from pathlib import Path

import msgspec

from streamsched.server.embedded import ServerDidNotStart

from ..support.servers.kinds import REDIS, binary_of
from .checker.check import Evidence, Verdict, check
from .checker.evidence import gather
from .checker.story import Breach
from .faults.fault import Fault
from .stage import TIMEOUT_MS, Stage, StageFailed

BEFORE_S, AFTER_S = 1.5, 0.5
"""How long the system runs before the fault, and behind its drain."""

WRAPPED = ("tests.campaign.processes.wrapped", "streamsched")


class Run(msgspec.Struct, kw_only=True):
    """What came of one run."""

    fault: str
    seed: int
    server: str
    verdict: Verdict = msgspec.field(default_factory=Verdict)
    drain_ms: int | None = None
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


def play(fault: Fault, seed: int, keep: bool = False, bug: str = "") -> Run:
    """Play a fault once.

    Args:
        fault: which.
        seed: what the run draws from; it also chooses the server.
        keep: keep the run's folder even if nothing was wrong.
        bug: a bug to plant in every process, of :data:`~tests.campaign.mutants.PLANTED`; none by default.

    Raises:
        StageFailed: the system did not come up before the fault.
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="streamsched-campaign-"))
    server = server_of(fault, seed)
    run = Run(fault=fault.name, seed=seed, server=server, folder=str(folder))
    with Stage(folder, seed, binary_of(server), WRAPPED if bug else fault.program) as stage:
        if bug:
            stage.environment["CAMPAIGN_PLANT"], stage.patience_s = bug, 8.0
        try:
            level = _set_up(fault, stage)
        except (StageFailed, ServerDidNotStart) as problem:
            shutil.rmtree(folder, ignore_errors=True)
            raise StageFailed(str(problem)) from problem
        try:
            _break(fault, stage, level, run)
        except Exception as problem:  # the system could not even be brought to rest: that is a finding, too
            run.verdict.violations.append(Breach("run", "".join(traceback.format_exception(problem))))
    if not run.violations and not keep:
        shutil.rmtree(folder, ignore_errors=True)
        run.folder = ""
    run.wall_s = round(time.monotonic() - began, 1)
    return run


def _set_up(fault: Fault, stage: Stage) -> int:
    """Start everything and let it run for a moment; returns the highest backlog there was."""
    stage.options["appendfsync"] = fault.fsync
    stage.archives, stage.trims = fault.archives, fault.trims
    fault.prepare(stage)
    stage.start()
    return stage.highest_backlog(BEFORE_S)


def _break(fault: Fault, stage: Stage, level: int, run: Run) -> None:
    """Do what the fault does, wait until all is well again, and judge."""
    stage.journal.mark("strike")
    fault.strike(stage)
    time.sleep(fault.hold_s)
    fault.heal(stage)
    stage.note_healed()
    run.drain_ms = stage.drained_ms(level)
    stage.until_all_work()
    stage.highest_backlog(AFTER_S)
    failed = stage.failed()
    stage.rest()
    archive = stage.archive if fault.archive_counts else None
    evidence = gather(stage.server.url, stage.keys, stage.folder, archive)
    run.verdict = check(evidence, fault.allowed, TIMEOUT_MS)
    run.verdict.violations += _own(fault, stage, evidence, failed, run.drain_ms)
    run.costs = fault.costs(stage, evidence)


def _own(fault: Fault, stage: Stage, evidence: Evidence, failed: list[str], drain_ms: int | None) -> list[Breach]:
    """Judge what log and journals cannot say: processes that ended by themselves, and how long the backlog stayed."""
    found = fault.judge(stage, evidence)
    for words in failed:
        if not fault.excused or fault.excused not in words:
            found.append(Breach("process", f"ended by itself: {words}"))
    if evidence.forked and not any("FORK" in child.log.read_text(errors="replace") for child in stage.crew.children):
        found.append(Breach("archive", "the log has lost what the archive holds, and no archiver has noticed"))
    if drain_ms is None:
        found.append(Breach("I6", "the backlog did not go back to what it was before the fault"))
    return found
