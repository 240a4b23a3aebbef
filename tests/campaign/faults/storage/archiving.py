"""The archiver ended between any two of its steps, a second one beside it, and its files copied or put back."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import ClassVar

from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.server.embedded import EmbeddedServer

from ...checker.check import Evidence
from ...checker.rebuilt import rebuilt
from ...checker.story import Breach
from ...stage import OperationFailed, Stage, StageFailed
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


class TwoArchivers(Fault):
    name = "two archivers that see no lock"
    how = "a second trimming archiver on the same folder, as on a share without flock"
    heal_how = "one of them has stopped by itself; if both have, one is started"
    program = ("tests.campaign.processes.wrapped", "streamsched")
    excused = "another archiver"
    hold_s = 0.0
    stopped = 0

    def prepare(self, stage: Stage) -> None:
        stage.environment["CAMPAIGN_UNLOCKED"] = "1"
        super().prepare(stage)

    def strike(self, stage: Stage) -> None:
        both = stage.archiver, stage.start_archiver()
        stage.until(lambda: not all(child.alive for child in both), 20)
        time.sleep(1)
        self.stopped = sum(not child.alive for child in both)
        stage.archiver = next((child for child in both if child.alive), stage.archiver)

    def heal(self, stage: Stage) -> None:
        if not stage.archiver.alive:
            stage.start_archiver()

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        return [] if self.stopped else [Breach("archive", "two archivers write one archive")]

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"stopped": self.stopped}


class ManifestPutBack(Fault):
    """Once while no archiver runs, which the next one mends; once under an archiver, which stops and says so."""

    name = "an older manifest put back"
    how = "the manifest of three segments ago, once behind the archiver's end, once while it runs"
    heal_how = "started again"
    excused = "another archiver"
    hold_s = 0.0
    stopped = False

    def strike(self, stage: Stage) -> None:
        older = self._older(stage)
        stage.stop(stage.archiver)
        self._put_back(stage, older)
        stage.start_archiver()
        older = self._older(stage)
        self._put_back(stage, older)
        self.stopped = stage.until(lambda: not stage.archiver.alive, 15)

    def heal(self, stage: Stage) -> None:
        stage.start_archiver()

    def _older(self, stage: Stage) -> bytes:
        """Return the manifest as it is, once three more segments are listed than it has."""
        stage.until(lambda: _listed(stage.archive) > 0, 20)
        manifest, count = (stage.archive / MANIFEST).read_bytes(), _listed(stage.archive)
        if not stage.until(lambda: _listed(stage.archive) >= count + 3, 20):
            raise StageFailed("the archive does not grow")
        return manifest

    def _put_back(self, stage: Stage, manifest: bytes) -> None:
        copy = stage.folder / "older"
        copy.write_bytes(manifest)
        copy.rename(stage.archive / MANIFEST)

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        return [] if self.stopped else [Breach("archive", "the archiver did not notice that its manifest was replaced")]


class CopiesTaken(Fault):
    """Each copy must be usable up to its last whole segment: `archive --check` names no more than segments that it
    lacks at its end, and `rebuild --from` restores it on an empty server."""

    name = "copies of the archive while the archiver runs"
    how = "four copies by `cp -r` and by `tar`, one after the other"
    hold_s = 0.0

    def strike(self, stage: Stage) -> None:
        stage.until(lambda: _listed(stage.archive) > 0, 20)
        for n, copy in enumerate(self._copies(stage)):
            copy.mkdir()
            command = f"cp -r {stage.archive}/. {copy}" if n % 2 else f"tar c -C {stage.archive} . | tar x -C {copy}"
            # a file that is gone before it is copied is reported and left out, and was not finished
            subprocess.run(["sh", "-c", command], check=False, capture_output=True)
            time.sleep(stage.random.uniform(0.2, 0.7))

    def _copies(self, stage: Stage) -> list[Path]:
        return [stage.folder / f"copy{n}" for n in range(4)]

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        found = []
        for copy in self._copies(stage):
            try:
                stage.operate("archive", "--to", str(copy), "--check")
            except OperationFailed as problem:
                if "is missing" not in str(problem):
                    found.append(Breach("archive", f"{copy.name}: {problem}"))
            with EmbeddedServer(stage.folder / f"{copy.name}-server") as scratch:
                try:
                    stage.operate("rebuild", "--from", str(copy), "--yes", url=scratch.url)
                except OperationFailed as problem:
                    found.append(Breach("I8", f"{copy.name}: {problem}"))
        for copy in (self._copies(stage)[0], self._copies(stage)[-1]):
            apart = rebuilt(copy, stage.keys, stage.folder / f"{copy.name}-rebuilt")
            found += [Breach("I8", f"{copy.name}, {key}: {what}") for key, what in apart.items()]
        return found


def _listed(archive: Path) -> int:
    """Return how many segments the manifest of an archive lists."""
    return len(Archive.open(archive, complete=False).segments) if (archive / MANIFEST).exists() else 0
