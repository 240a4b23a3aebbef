"""The one reader of a live partition for all open pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.abc
import structlog
from redis.exceptions import RedisError

from ..connect.client import connect
from ..connect.outage import Backoff, block_ms, is_away
from ..contract.entries import Entry, position
from ..contract.errors import SchedulerError
from ..history.history import History
from ..history.rows import row_of, short
from ..history.search import latest_rows
from ..server.embedded import ServerDidNotStart
from ..state.partition import PartitionView, read_partition
from .letters import latest_letters
from .log_index.index import Index
from .past.time_travel import TimeTravel
from .reader import Reader
from .state_reader import StateReader
from .view import ROWS, View

log = structlog.get_logger(__name__)

LEAST_S = 0.2
"""Pause between two reads: faster changes are not visible."""

LONGEST_MS = 1000
"""Pause between two reads while nothing happens: heartbeats and lag change without an event."""

CATCH_UP = 40
"""Chunks of history that are read between two looks while the index is behind."""

CHARTS_MS = 5 * 60_000
"""How much of the past the charts show."""

CHECK_S = 30.0
"""Between two looks at whether the history is whole."""


class Watcher:
    """Reads a partition while a page is open, and only then.

    Args:
        source: where to read.
        with_past: fold the history ahead, so that any moment of it can be shown soon; true by default.
    """

    def __init__(self, source: Reader, with_past: bool = True) -> None:
        self.source, self.with_past = source, with_past
        self.viewers = 0
        self.closing = False
        self.past_trouble = ""
        """Why the past cannot be shown; empty if it can."""
        self._watched, self._changed = anyio.Event(), anyio.Event()
        self._fresh = False
        self._start_over()

    def _start_over(self) -> None:
        self.index = Index()
        self.moments = TimeTravel(self.source.keys, self.history, self.index)
        self._scene = StateReader(self.source.redis, self.source.keys, self.index.pairs)
        self._latest: deque[tuple[Entry, str]] = deque(maxlen=ROWS)
        self._last_row = "0-0"
        self._checked = self._charted = -CHECK_S
        self._letters = (-1, -1)
        self._before = 0  # events that are not held any more
        self._behind = False
        self._reader: History | None = None  # the one that reads on: it knows up to where it has read the letters

    @property
    def board(self) -> View:
        """The view of all live pages."""
        return self._scene.board

    def history(self) -> History:
        """Return the history, for one reader."""
        return self.source.history(self.index)

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Keep the watcher awake while a page is open."""
        self.viewers += 1
        self._watched.set()
        try:
            yield
        finally:
            self.viewers -= 1

    async def changed(self, gen: str, rev: int, longest_s: float) -> bool:
        """Wait until there is a newer revision than a given one, up to a time limit; returns whether there is."""
        with anyio.move_on_after(longest_s):
            while not self.closing and not self._differs(gen, rev):
                await self._changed.wait()
        return self._differs(gen, rev)

    def _differs(self, gen: str, rev: int) -> bool:
        return self._fresh and (gen, rev) != (self.board.gen, self.board.rev)

    def _tell(self) -> None:
        self._fresh = True
        self._changed.set()
        self._changed = anyio.Event()

    def close(self) -> None:
        """Release every page, and end :meth:`run`."""
        self.closing = True
        self._watched.set()
        self._tell()

    async def run(self) -> None:
        """Watch, through restarts of the server, until it is closed."""
        try:
            async with anyio.create_task_group() as beside:
                backoff = Backoff()
                while not self.closing:
                    try:
                        await self._wait_for_viewers()
                        await self._watch(beside)
                        backoff.reset()
                    except (RedisError, OSError) as problem:
                        if not is_away(problem):
                            raise
                        self._say_away(str(problem))
                        await backoff.wait()
                beside.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.moments.close()

    async def _wait_for_viewers(self) -> None:
        while not self.viewers and not self.closing:
            self._fresh, self._watched = False, anyio.Event()
            with anyio.move_on_after(30):
                await self._watched.wait()
            await self.moments.prune()

    def _say_away(self, problem: str) -> None:
        """Show that the server is gone; the last values stay on the page."""
        self.board.begin()
        self.board.put("away", {"problem": short(problem)})
        self._tell()

    async def _watch(self, beside: anyio.abc.TaskGroup) -> None:
        wake: Any = connect(self.source.url, decode=False)
        condition, bound = "", 1  # what stands now is shown before the history is read
        try:
            while self.viewers and not self.closing:
                began = anyio.current_time()
                partition = await read_partition(self.source.redis, self.source.keys)
                if await self._is_another(partition):
                    log.info("the log was replaced: reading it from its beginning")
                    await self.moments.close()
                    self._start_over()
                    condition, bound = "", 1
                was_behind, behind = self._behind, await self._read(partition.watermark, bound)
                # of what happens while the history is read nothing is noted: all is looked at once it has been
                whole = partition.condition != condition or (was_behind and not behind)
                self._behind = behind
                await self._look(partition, whole, behind)
                condition, bound = partition.condition, CATCH_UP
                if not behind:
                    if self.with_past:
                        beside.start_soon(self._lay)
                    await anyio.sleep(max(0.0, began + LEAST_S - anyio.current_time()))
                    await self._wait_for_events(wake, partition.watermark)
        finally:
            with anyio.CancelScope(shield=True):
                await wake.aclose()

    async def _wait_for_events(self, wake: Any, seen: str) -> None:
        block = block_ms(wake, LONGEST_MS)
        if await wake.xread({self.source.keys("events"): seen}, count=1, block=block):
            await anyio.sleep(0.01)  # give a worker a moment to fold it

    async def _is_another(self, partition: PartitionView) -> bool:
        """Return whether the log was replaced since the last read: wiped, or without its end."""
        last = self.index.last
        if not self.index.count or partition.condition in ("rebuilding", "halted"):
            return False
        if position(partition.watermark) < position(last):
            return True
        redis, events = self.source.redis, self.source.keys("events")
        if await redis.xrange(events, last, last):
            return False
        # it is not there: trimmed, if the log begins behind it and did not begin there
        first = await redis.xrange(events, count=1)
        trimmed = partition.folded > partition.log_length
        return not trimmed or bool(first and position(first[0][0]) <= position(last))

    async def _read(self, watermark: str, bound: int) -> bool:
        """Read on in the history, up to a bound; returns whether there is more."""
        try:
            if anyio.current_time() - self._checked > CHECK_S:
                self._checked, self._reader = anyio.current_time(), None
                self._before = (await self._readable().span()).before
                await self.history().whole()
                self.past_trouble = ""
            return await self._read_chunks(watermark, bound)
        except SchedulerError as problem:
            self.past_trouble, self._reader = f"{problem.code}: {problem.detail}", None
            return await self._read_chunks(watermark, bound)

    async def _read_chunks(self, watermark: str, bound: int) -> bool:
        chunks = 0
        self._reader = self._reader or self._readable()
        async for chunk in self._reader.chunks(self.index.last, watermark):
            self.index.add(chunk)
            if not self._behind:
                self._scene.note(chunk)
            self._latest.extend((entry, chunk.buried.get(entry.id, "")) for entry in chunk.entries[-ROWS:])
            chunks += 1
            if chunks == bound:
                return position(self.index.last) < position(watermark)
        return False

    def _readable(self) -> History:
        """Return the history, or where it cannot be read as a whole what the live log holds of it."""
        return self.source.live(self.index) if self.past_trouble else self.history()

    async def _look(self, partition: PartitionView, whole: bool, behind: bool) -> None:
        """Read what a page shows, and tell the pages."""
        await self._scene.look(whole)
        put = self.board.put
        put("away", None)
        put("partition", partition)
        put("history", self._about_history(partition))
        if not behind:
            counters = self._scene.counters
            self.index.gauge(partition.now_ts, counters["waiting"], counters["held"], self.board.nodes.online)
        if anyio.current_time() - self._charted >= 1:
            self._charted = anyio.current_time()
            put("charts", self.index.charts(partition.now_ts, CHARTS_MS))
        letters = partition.dead_letters, partition.open_letters
        if letters != self._letters:
            self._letters = letters
            put("letters", await latest_letters(self.source.raw, self.source.keys))
        self.board.log(await self._rows(partition.watermark, behind))
        self._tell()

    async def _rows(self, watermark: str, behind: bool) -> list[dict[str, Any]]:
        """Return the events that are new since the last look; of a history that is still being read, its end."""
        if behind:
            rows = (await latest_rows(self._readable(), watermark, "", ROWS)).rows
        else:
            rows = [row_of(entry, refused) for entry, refused in self._latest]
        self._latest.clear()
        rows = [row for row in rows if position(row["id"]) > position(self._last_row)]
        if rows:
            self._last_row = rows[-1]["id"]
        return rows

    def _about_history(self, partition: PartitionView) -> dict[str, Any]:
        return {
            "first": self.index.first,
            "last": partition.watermark,
            "count": partition.folded,
            "read": self._before + self.index.count,
            "trouble": self.past_trouble,
        }

    async def _lay(self) -> None:
        try:
            if not self.past_trouble:
                await self.moments.lay()
        except (SchedulerError, ServerDidNotStart) as problem:
            self.past_trouble = short(str(problem))
        except (RedisError, OSError) as problem:
            log.info("the past could not be folded ahead", problem=str(problem))
