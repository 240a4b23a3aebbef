"""Disks that are full: the one under the server's AOF, and the one under the archive."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ...checker.check import Allowance, Evidence
from ...stage import Stage
from ..fault import Fault

SIZE_MB = 64


def mount(stage: Stage, folder: Path) -> None:
    """Lay a small file system in memory under a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", folder], check=True)
    stage.held.callback(lambda: subprocess.run(["umount", "-l", folder], check=False))


def fill(folder: Path) -> None:
    """Leave not a byte free on the file system of a folder."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        size = 2**20
        while size:
            try:
                ballast.write(b"\0" * size)
            except OSError:
                size //= 2


class DiskFull(Fault):
    heal_how = "there is room again"
    hold_s = 2.0

    def lacks(self) -> str:
        return "" if os.geteuid() == 0 else "only root may mount a file system"

    def folder(self, stage: Stage) -> Path:
        """Return the folder that fills up."""
        raise NotImplementedError

    def prepare(self, stage: Stage) -> None:
        mount(stage, self.folder(stage))
        super().prepare(stage)

    def strike(self, stage: Stage) -> None:
        fill(self.folder(stage))

    def heal(self, stage: Stage) -> None:
        (self.folder(stage) / "ballast").unlink()


class ArchiveDiskFull(DiskFull):
    name = "disk full under the archive"
    how = "not a byte free where the archive lies, for 2 s"

    def folder(self, stage: Stage) -> Path:
        return stage.archive


class AofDiskFull(DiskFull):
    """Whether the server refuses or ends itself, it is killed, and started again once there is room."""

    name = "disk full under the AOF, everysec"
    how = "not a byte free where the AOF lies, for 2 s; then SIGKILL to the server; appendfsync everysec"
    heal_how = "there is room again, and the server is started on its AOF"
    allowed = Allowance(lost=True)
    excused = "FORK"  # an archiver that has carried away what the server lost stops there, and says so

    def folder(self, stage: Stage) -> Path:
        return stage.data

    def heal(self, stage: Stage) -> None:
        stage.journal.mark("cut")
        stage.server.kill()
        super().heal(stage)
        stage.server.start()

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {
            "archived and lost": len(evidence.forked),
            "refused": sum(line.why == "MISCONF" for lines in evidence.journals.values() for line in lines),
        }


class AofDiskFullAlways(AofDiskFull):
    name = "disk full under the AOF, always"
    how = "not a byte free where the AOF lies, for 2 s; the server ends itself; appendfsync always"
    fsync = "always"
    allowed = Allowance()
    excused = ""
