"""The archiver ended between any two of its steps to the disk, with or without the power of its machine."""

from __future__ import annotations

from typing import ClassVar

from ...checker.check import Evidence
from ...stage import Stage
from ..fault import Fault


class ArchiverDies(Fault):
    name = "archiver killed between steps"
    how = "five times SIGKILL before a drawn one of: fsync, rename, fsync of the folder, the manifest's, trims"
    heal_how = "started again"
    program = ("tests.campaign.processes.wrapped", "streamsched")
    hold_s = 0.0
    ends: ClassVar[str] = "kill"
    died = 0

    def strike(self, stage: Stage) -> None:
        stage.stop(stage.archiver)
        for _ in range(5):
            step = stage.random.randrange(16)  # of the eight that a segment takes
            archiver = stage.start_archiver(CAMPAIGN_DIE=f"{step} {self.ends} {stage.random.random()} {stage.archive}")
            self.died += stage.until(lambda child=archiver: not child.alive, 8)  # type: ignore[misc]
            archiver.kill()

    def heal(self, stage: Stage) -> None:
        stage.start_archiver()

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"died": self.died}


class ArchiverLosesPower(ArchiverDies):
    name = "archiver loses power between steps"
    how = "the same, and what no fsync had brought to the disk is half gone, each time by chance"
    ends = "power"
