"""The memory that says when each job was enqueued and started, from the measuring side; ``contract`` lays it out."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from types import TracebackType

from .adapters.contract import HEAD, SLOTS

SHARED = Path("/dev/shm")


class Board:
    """One board; a context manager that removes its file at the end."""

    def __init__(self, room: int) -> None:
        folder = SHARED if SHARED.is_dir() else None
        with tempfile.NamedTemporaryFile(prefix="streamsched-board-", dir=folder, delete=False) as file:
            file.truncate(8 * (HEAD + room * (1 + SLOTS)))
            self.path = Path(file.name)
            self._map = mmap.mmap(file.fileno(), 0)
        self.room = room
        self.words = memoryview(self._map).cast("Q")
        self.words[1] = room
        self._seen = 0

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.words.release()
        self._map.close()
        self.path.unlink()

    def open_gate(self) -> None:
        """Let the workers begin."""
        self.words[0] = 1

    def ready(self, slot: int) -> bool:
        return bool(self.words[2 + slot])

    @property
    def twice(self) -> int:
        """How often a job was started again in the same process."""
        return sum(self.words[2 + SLOTS : HEAD])

    def started(self, n: int) -> int:
        """When a job was first started, in nanoseconds; 0 if it was not."""
        times = [self.words[HEAD + self.room * (1 + slot) + n] for slot in range(SLOTS)]
        return min(filter(None, times), default=0)

    def enqueued(self, n: int) -> int:
        """When a job was enqueued, in nanoseconds."""
        return self.words[HEAD + n]

    def all_started(self, count: int) -> bool:
        """Whether the first ``count`` jobs have been started; looks only at what it has not yet seen."""
        while self._seen < count and self.started(self._seen):
            self._seen += 1
        return self._seen >= count

    @property
    def seen(self) -> int:
        """Up to which job all have been seen to start."""
        return self._seen

    def span_s(self, count: int) -> float:
        """Seconds from the first start to the last among the first ``count`` jobs."""
        times = [self.started(n) for n in range(count)]
        return (max(times) - min(times)) / 1e9

    def shares(self, count: int) -> list[float]:
        """Which part of the jobs each slot started, for the slots that started any."""
        starts = (self.words[HEAD + self.room * (1 + slot) :][:count] for slot in range(SLOTS))
        return [part for times in starts if (part := sum(map(bool, times)) / count)]

    def waits_ms(self, first: int, count: int) -> list[float]:
        """How long each job waited for its start, from the ``first`` on."""
        return [(self.started(n) - self.enqueued(n)) / 1e6 for n in range(first, count)]
