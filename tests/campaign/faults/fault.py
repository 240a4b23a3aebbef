"""What a fault is: a name, what it does, how it heals, and what it may cost."""

from __future__ import annotations

from typing import ClassVar

from ..checker.check import Allowance, Evidence
from ..checker.story import Breach
from ..stage import Stage

NOTHING = Allowance()


class Fault:
    """One fault. A class attribute or a method that a fault does not need stays as it is here."""

    name: ClassVar[str]
    how: ClassVar[str]
    """What is done, for the table."""
    heal_how: ClassVar[str] = "nothing to do"
    """What ends it, for the table."""
    fsync: ClassVar[str] = "everysec"
    """``appendfsync`` of the server."""
    allowed: ClassVar[Allowance] = NOTHING
    archives: ClassVar[bool] = True
    """Whether an archiver runs."""
    archive_counts: ClassVar[bool] = True
    """Whether what is archived is part of the history that is judged."""
    excused: ClassVar[str] = ""
    """What a process may say when it ends by itself."""
    trims: ClassVar[bool] = True
    """Whether it trims the log: a state that is to be rebuilt by the workers alone needs all of it."""
    program: ClassVar[tuple[str, ...]] = ("streamsched",)
    """How processes of the product are started: as they are, or wrapped."""
    hold_s: ClassVar[float] = 1.0
    """How long it lasts."""
    servers: ClassVar[tuple[str, ...]] = ("valkey", "redis")
    """On which servers it can be played."""

    def lacks(self) -> str:
        """Say what this machine lacks for it; empty if it can be played here."""
        return ""

    def prepare(self, stage: Stage) -> None:
        """Start the server, and what else must stand before the first client connects."""
        stage.serve()

    def strike(self, stage: Stage) -> None:
        """Do it."""

    def heal(self, stage: Stage) -> None:
        """End it."""

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        """Say what this fault in particular must not have brought about; the general rules are the checker's."""
        return []

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        """Return figures of this fault's own, for the report."""
        return {}
