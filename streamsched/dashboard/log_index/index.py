"""An index of a history, built in one pass: counts by time, notable moments, and where each name occurs. It holds no
facts of its own: the dashboard builds it from the log at each start.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

from ...contract.entries import Chunk, job_id_of, position
from ...history.lifecycle import Fields, Lifecycle
from .series import Series

BLOCK = 256
"""Events per block of names: a search for a name reads at least this many."""

BLOCKS = 40_000
"""Blocks whose names are kept, 12 bytes an event; older events are all searched."""

MARKS = 200_000
"""Moments of each kind that are kept, the latest ones."""

PAIRS = 5000
"""Language pairs that are remembered: a producer may submit jobs for any two words."""

WHOLE, RECENT = 4096, 1800
"""Buckets of the whole history, and seconds that are kept second by second."""

END = f"{2**64 - 1}-{2**64 - 1}"
"""After every event."""

KINDS = ("loss", "requeue", "letter")

LOST = (b"node.expired", b"node.offline", b"node.drained")
COUNTED = {
    b"job.submitted": "submitted",
    b"job.dispatched": "dispatched",
    b"job.requeued": "requeued",
    b"job.exhausted": "failed",
    b"job.expired": "failed",
    b"job.refused": "failed",
}


class Letter(NamedTuple):
    """An event that was refused."""

    id: str
    why: str
    """Code and reason."""
    kind: str


class Block(NamedTuple):
    """Consecutive events."""

    before: str
    """Id of the last event before it."""
    last: str
    names: array[int]
    """Hashes of the names that occur in it, in order."""


class Index:
    """Reads a history from its beginning, chunk by chunk."""

    def __init__(self) -> None:
        self.first = self.last = "0-0"
        self.count = 0
        """Events taken in."""
        self.whole, self.recent = Series(WHOLE), Series(RECENT, rolling=True)
        self.marks: dict[str, deque[str]] = {kind: deque(maxlen=MARKS) for kind in KINDS}
        self.letters: deque[Letter] = deque(maxlen=MARKS)
        self.pairs: set[tuple[str, str]] = set()
        """Language pairs that jobs were submitted for."""
        self._jobs = Lifecycle()
        self._blocks: deque[Block] = deque(maxlen=BLOCKS)
        self._names: set[bytes] = set()
        self._in_block, self._block_before = 0, "0-0"

    def add(self, chunk: Chunk) -> None:
        """Add the events after the last one."""
        if not self.count:
            self.first = chunk.entries[0].id
        buried = chunk.buried
        for entry in chunk.entries:
            flat = entry.flat
            e = dict(zip(flat[::2], flat[1::2], strict=True))
            ms = int(entry.id.partition("-")[0])
            if entry.id in buried:
                flow, waited = self._refused(entry.id, e, buried[entry.id]), None
            else:
                flow, waited = self._taken(entry.id, ms, e)
            self.whole.at(ms).count(flow, waited)
            self.recent.at(ms).count(flow, waited)
            self.last = entry.id
            self._in_block += 1
            if self._in_block == BLOCK:
                self._close_block()
        self.count += len(chunk.entries)

    def gauge(self, ms: int, waiting: int, held: int, online: int) -> None:
        """Record waiting jobs, held jobs, and online nodes at a time."""
        for series in (self.whole, self.recent):
            if series.covers(ms):
                series.at(ms).gauges = (waiting, held, online)

    def _refused(self, entry_id: str, e: Fields, why: str) -> str:
        self.letters.append(Letter(entry_id, why, e.get(b"type", b"").decode(errors="backslashreplace")))
        self.marks["letter"].append(entry_id)
        self._names.update(e[field] for field in (b"job_id", b"node_id", b"session_id") if field in e)
        return "refused"

    def _taken(self, entry_id: str, ms: int, e: Fields) -> tuple[str, int | None]:
        """Add an accepted event; returns its flow, and how long a job had waited for it."""
        kind, node_id = e.get(b"type", b""), e.get(b"node_id")
        job_id = job_id_of(e, entry_id.encode()) if kind.startswith(b"job.") else None
        flow = COUNTED.get(kind, "")
        if kind == b"job.submitted" and len(self.pairs) < PAIRS:
            self.pairs.add((_text(e, b"src_lang"), _text(e, b"tgt_lang")))
        if kind == b"job.completed":
            flow = "finished" if e.get(b"status") == b"finished" else "failed"
        elif kind == b"job.requeued":
            self.marks["requeue"].append(entry_id)
        elif job_id is None and node_id is not None and _takes_away(kind, e):
            if kind != b"node.drained":
                flow = "lost"
                self.marks["loss"].append(entry_id)
            for held in self._jobs.on(node_id):
                self._names.update((held, self._session_of(held)))
        names = self._names
        if node_id is not None:
            names.add(node_id)
        if job_id is None:
            if b"session_id" in e:
                names.add(e[b"session_id"])
            return flow, None
        names.add(job_id)
        step = self._jobs.follow(kind, entry_id, ms, e)
        names.add(e.get(b"session_id") or (step.job.session_id if step else self._session_of(job_id)))
        return flow, step.waited_ms if step else None

    def _session_of(self, job_id: bytes) -> bytes:
        job = self._jobs.get(job_id)
        return job.session_id if job else b""

    def _close_block(self) -> None:
        names = array("I", sorted({crc32(name) for name in self._names}))
        self._blocks.append(Block(self._block_before, self.last, names))
        self._names, self._in_block, self._block_before = set(), 0, self.last

    def stretches(self, after: str, until: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield, in order, the parts of a history between two ids that may hold some names."""
        begin = end = ""
        for one, other in self._speaking(sorted({crc32(name.encode()) for name in names})):
            one, other = max(one, after, key=position), min(other, until, key=position)
            if position(one) >= position(other):
                continue
            if one != end:
                if end:
                    yield begin, end
                begin = one
            end = other
        if end:
            yield begin, end

    def _speaking(self, wanted: list[int]) -> Iterator[tuple[str, str]]:
        """Yield the blocks in which a name may occur, and everything before and after the blocks that are kept."""
        last = "0-0"
        if self._blocks and self._blocks[0].before != last:
            yield last, self._blocks[0].before
        for block in self._blocks:
            if any(_holds(block.names, one) for one in wanted):
                yield block.before, block.last
            last = block.last
        yield last, END

    def letters_up_to(self, entry_id: str, count: int) -> list[Letter]:
        """Return the last letters about events at or before an id, the latest first."""
        found: list[Letter] = []
        for letter in reversed(self.letters):
            if position(letter.id) <= position(entry_id):
                found.append(letter)
                if len(found) == count:
                    break
        return found

    def refused(self, after: str, until: str) -> dict[str, str]:
        """Return the events behind one id up to another that were refused, with the reason."""
        letters = list(self.letters)
        start = bisect_right(letters, position(after), key=_place)
        end = bisect_right(letters, position(until), key=_place)
        return {letter.id: letter.why for letter in islice(letters, start, end)}

    def neighbour(self, kind: str, entry_id: str, back: bool) -> str | None:
        """Return the nearest moment of a kind before or behind an id."""
        marks = list(self.marks[kind])
        if back:
            at = bisect_left(marks, position(entry_id), key=position) - 1
        else:
            at = bisect_right(marks, position(entry_id), key=position)
        return marks[at] if 0 <= at < len(marks) else None

    def charts(self, end_ms: int, span_ms: int, points: int = 240) -> dict[str, Any]:
        """Return what charts show of the time before a moment, second by second where that is still known."""
        series = self.series_since(end_ms - span_ms)
        span_ms = max(span_ms, 60 * series.width_ms)
        return series.between(end_ms - span_ms, end_ms, points)

    def series_since(self, ms: int) -> Series:
        """Return the counts second by second if they reach back to a time, else those of the whole history."""
        known = self.recent.covers(ms) or self.recent.start_ms == self.whole.start_ms
        return self.recent if known else self.whole


def _takes_away(kind: bytes, e: Fields) -> bool:
    """Return whether a node is lost, so that its jobs go to others."""
    return kind in LOST or (kind == b"node.reported" and e.get(b"online") == b"false")


def _text(e: Fields, field: bytes) -> str:
    return e.get(field, b"").decode(errors="backslashreplace")


def _place(letter: Letter) -> tuple[int, int]:
    return position(letter.id)


def _holds(names: array[int], wanted: int) -> bool:
    at = bisect_left(names, wanted)
    return at < len(names) and names[at] == wanted
