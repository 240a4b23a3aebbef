"""The server's clock set: an hour ahead and back, an hour back and ahead."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from streamsched.server.embedded import server_binary

from ..checker.check import Evidence
from ..stage import Stage
from .fault import Fault

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
HOUR_S = 3600


class ClockSet(Fault):
    """The server runs under libfaketime, which reads its offset at each call; elapsed time is left alone."""

    heal_how = "set right again after 2 s"
    hold_s = 2.0
    servers = ("valkey",)  # Debian's Redis does not start with libfaketime: its allocator asks for the time too early
    offset_s: ClassVar[int]

    def lacks(self) -> str:
        return "" if LIBRARY.exists() else f"{LIBRARY} is not installed (Debian: faketime)"

    def prepare(self, stage: Stage) -> None:
        program = stage.folder / "server-with-a-clock"
        library = f"LD_PRELOAD={LIBRARY} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
        clock = stage.folder / "clock"
        clock.write_text("+0\n")
        binary = stage.binary or server_binary()
        program.write_text(f'#!/bin/sh\nexport {library} FAKETIME_TIMESTAMP_FILE={clock}\nexec {binary} "$@"\n')
        program.chmod(0o755)
        stage.binary = program
        stage.serve()

    def _set(self, stage: Stage, offset_s: int) -> None:
        stage.journal.mark("clock", str(offset_s))
        (stage.folder / "clock").write_text(f"{offset_s:+d}\n")

    def strike(self, stage: Stage) -> None:
        self._set(stage, self.offset_s)

    def heal(self, stage: Stage) -> None:
        self._set(stage, 0)

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"nodes lost": sum(fields.get("type") == "node.expired" for _, fields in evidence.entries)}


class ClockAhead(ClockSet):
    name = "clock an hour ahead and back"
    how = "the server's clock jumps an hour ahead"
    offset_s = HOUR_S


class ClockBack(ClockSet):
    name = "clock an hour back and ahead"
    how = "the server's clock jumps an hour back"
    offset_s = -HOUR_S
