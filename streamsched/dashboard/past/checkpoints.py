"""Past states on disk, saved during a fold, so that a later jump need not fold from the start."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from ...contract.entries import position
from ...replay.scratch import Scratch

SPACING = 8192
"""Events between two checkpoints, to begin with: they are folded in a tenth of a second."""

MOST = 64
MOST_BYTES = 512 * 2**20
"""Where one of these is passed, every second checkpoint goes."""


class Checkpoint(NamedTuple):
    """The state up to an event, as a file that a server loads when it starts."""

    watermark: str
    folded: int
    path: Path
    bytes: int


class Checkpoints:
    """A folder of checkpoints, deleted with this object."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.spacing = SPACING
        self._kept: list[Checkpoint] = []

    def before(self, entry_id: str) -> Checkpoint | None:
        """Return the last one at or before an event."""
        place = position(entry_id)
        return next((one for one in reversed(self._kept) if position(one.watermark) <= place), None)

    @property
    def reach(self) -> int:
        """Events folded up to the last one."""
        return self._kept[-1].folded if self._kept else 0

    async def keep(self, scratch: Scratch, data: Path) -> None:
        """Save a checkpoint, if the last one is far enough back.

        Args:
            scratch: what is to be kept.
            data: folder of its server.
        """
        last = self.before(scratch.watermark)
        if scratch.folded - (last.folded if last else 0) < self.spacing:
            return
        await scratch.redis.execute_command("SAVE")
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="streamsched-past-"))
        path = self.folder / f"{scratch.watermark}.rdb"
        await anyio.to_thread.run_sync(shutil.move, data / "dump.rdb", path)
        self._kept.append(Checkpoint(scratch.watermark, scratch.folded, path, path.stat().st_size))
        self._kept.sort(key=lambda one: one.folded)
        while len(self._kept) > MOST or (sum(one.bytes for one in self._kept) > MOST_BYTES and len(self._kept) > 1):
            self._thin_out()

    def _thin_out(self) -> None:
        self.spacing *= 2
        kept: list[Checkpoint] = []
        for one in self._kept:
            if one.folded - (kept[-1].folded if kept else 0) >= self.spacing:
                kept.append(one)
            else:
                one.path.unlink(missing_ok=True)
        self._kept = kept

    def close(self) -> None:
        """Drop all of them."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
