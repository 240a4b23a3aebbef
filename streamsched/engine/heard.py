"""What a process has heard of a partition, over whichever of its connections."""

from __future__ import annotations

import time

from ..contract.entries import position


class Heard:
    """Shared by the connections of one process to one partition: a call that knows less than another one of its process
    would go on with the empty log of a server that was wiped."""

    def __init__(self) -> None:
        self.log = "0-0"
        """The first event of the log; ``0-0`` before it is known."""
        self.archived = 0
        """Whether that log is in an archive, 0 or 1."""
        self._ahead_ms: float | None = None  # the scheduler's clock less that of this process which only goes forward

    def is_lost(self, first: str | None, forgotten: str | None) -> bool:
        """Tell whether the server has lost the log that this process knows: it holds a later one, or none."""
        later = first is None or position(first) > position(self.log)
        return self.log not in ("0-0", forgotten) and later

    def note_time(self, now_ts: int) -> None:
        """Note what the scheduler's clock says, ms since the epoch."""
        self._ahead_ms = now_ts - time.monotonic() * 1000

    def now_ts(self) -> float | None:
        """The scheduler's clock, ms since the epoch, as it was last heard; ``None`` if it was not."""
        return None if self._ahead_ms is None else self._ahead_ms + time.monotonic() * 1000
