"""Past states at any moment: a few scratch servers that are moved to the requested moments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from redis.exceptions import RedisError

from ...contract.entries import Chunk, position
from ...contract.keys import Keys
from ...history.history import History
from ...history.rows import row_of
from ...history.search import latest_rows
from ..letters import LETTERS
from ..log_index.filtered_history import FilteredHistory
from ..log_index.index import END, Index
from ..view import ROWS, Message
from .checkpoints import Checkpoint, Checkpoints
from .past_state import PastState

STAGES = 3
"""Past moments held at the same time; a further viewer takes over the least recently used one."""

WORTH = 5000
"""Events that are folded rather than starting a server again: both take as long."""

IDLE_S = 120.0
"""How long an unused stage is kept."""

LAY = 2_000_000
"""A history of up to this many events is folded in the background, so that the first jump is as quick as the next."""


class TimeTravel:
    """The past of one partition.

    Args:
        keys: the partition.
        history: gives its history, for one reader.
        index: what is known of it.
    """

    def __init__(self, keys: Keys, history: Callable[[], History], index: Index) -> None:
        self.keys, self.history, self.index = keys, history, index
        self.checkpoints = Checkpoints()
        self._free: list[PastState] = []
        self._room = anyio.Semaphore(STAGES)
        self._laying = anyio.Lock()
        self._laid, self._laid_on = "0-0", anyio.Event()
        self._hurried = 0  # viewers that wait for what is being laid
        self._closed = False

    async def show(self, until: str, span_ms: int, gen: str = "", rev: int = 0) -> Message:
        """Return what a page shows of a moment, or what of it differs from what the page has seen.

        Args:
            until: the last event of that moment.
            span_ms: how much of the time before it the charts show.
            gen, rev: the board and the revision that the page has seen.

        Raises:
            LogGap, ArchiveDamaged: the past cannot be folded; the text says the remedy.
            ServerDidNotStart: there is no server to fold on.
        """
        async with self.at(until) as stage:
            board, fresh = stage.scene.board, not stage.seen
            stage.seen = False
            await stage.scene.look(whole=fresh, budget=None)
            ms = position(until)[0]
            watermark = stage.scratch.watermark
            board.put("moment", {"id": watermark, "ts": ms, "folded": stage.scratch.folded})
            board.put("charts", self.index.charts(ms, span_ms))
            letters = self.index.letters_up_to(watermark, LETTERS)
            board.put("letters", [{"event": one.id, "why": one.why, "type": one.kind} for one in letters])
            rows = [row_of(entry, refused) for entry, refused in stage.latest]
            stage.latest.clear()
            if fresh and len(rows) < ROWS:
                rows = (await latest_rows(self._lens(watermark), watermark, "", ROWS)).rows
            board.log(rows)
            stage.seen = True
            return board.message(gen, rev)

    def _lens(self, until: str) -> FilteredHistory:
        return FilteredHistory(self.history(), self.index, until)

    @asynccontextmanager
    async def at(self, until: str) -> AsyncIterator[PastState]:
        """Yield a stage moved to an event; it has no other user meanwhile.

        Raises:
            LogGap, ArchiveDamaged, ServerDidNotStart: see :meth:`show`.
        """
        await self._wait_for_laying(until)
        async with self._room:
            stage = await self._nearest(until)
            try:
                await stage.move(self._lens(until), until, self._fed)
                yield stage
            except (RedisError, OSError):
                await stage.close()  # its server has died: the next viewer gets another
                raise
            except BaseException:
                self._free.append(stage)
                raise
            self._free.append(stage)
            stage.used = anyio.current_time()
            if self._closed:
                await self._end(self._free)

    async def _wait_for_laying(self, until: str) -> None:
        """Let the background fold pass, instead of folding the same events in parallel."""
        self._hurried += 1
        try:
            while self._laying.locked() and position(self._laid) < position(until):
                await self._laid_on.wait()
        finally:
            self._hurried -= 1

    async def _nearest(self, until: str) -> PastState:
        """Take the free stage with the shortest way, or start one from a checkpoint, a snapshot, or nothing."""
        behind = [stage for stage in self._free if position(stage.scratch.watermark) <= position(until)]
        best = max(behind, key=lambda stage: stage.scratch.folded, default=None)
        checkpoint = self.checkpoints.before(until)
        if best is not None and (checkpoint is None or best.scratch.folded + WORTH >= checkpoint.folded):
            self._free.remove(best)
            return best
        if len(self._free) == self._room.value + 1:  # every stage there may be exists
            oldest = min(self._free, key=lambda stage: stage.used)
            self._free.remove(oldest)
            await oldest.close()
        return await self._open(checkpoint, until)

    async def _open(self, checkpoint: Checkpoint | None, until: str) -> PastState:
        history = self.history()
        await history.whole()
        stage = await PastState.open(self.keys, self.index.pairs, checkpoint.path if checkpoint else None)
        if checkpoint is None and history.archive is not None:
            from ...replay.snapshot import start_from  # here, because the extra that reads Parquet may be missing

            try:
                await start_from(stage.scratch, history.archive, until)
            except BaseException:
                await stage.close()
                raise
        return stage

    async def _fed(self, stage: PastState, chunk: Chunk) -> None:
        """Keep a checkpoint where none is near, and note how things stood."""
        await self.checkpoints.keep(stage.scratch, stage.server.data)
        redis = stage.scratch.redis
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hmget(self.keys("counters"), "waiting", "held")
            pipe.scard(self.keys("online"))
            (waiting, held), online = await pipe.execute()
        self.index.gauge(position(chunk.entries[-1].id)[0], int(waiting or 0), int(held or 0), online)

    async def _fed_gently(self, stage: PastState, chunk: Chunk) -> None:
        """Do the same; and unless a viewer waits for it, pause as long as the chunk took."""
        await self._fed(stage, chunk)
        self._lay_on(stage.scratch.watermark)
        if not self._hurried:
            await anyio.sleep(min(anyio.current_time() - stage.used, 0.1))
        stage.used = anyio.current_time()

    def _lay_on(self, laid: str) -> None:
        self._laid = laid
        self._laid_on.set()
        self._laid_on = anyio.Event()

    async def lay(self) -> None:
        """Fold what is known of the history, for the checkpoints on the way; does nothing if they reach far enough."""
        if self._laying.locked() or self.index.count - self.checkpoints.reach < 2 * self.checkpoints.spacing:
            return
        async with self._laying:
            if self.index.count - self.checkpoints.reach > LAY:
                return
            until = self.index.last
            start = self.checkpoints.before(until)
            self._laid = start.watermark if start else "0-0"
            try:
                stage = await self._open(start, until)
                try:
                    await stage.move(self._lens(until), until, self._fed_gently)
                finally:
                    await stage.close()
            finally:
                self._lay_on(END)

    async def prune(self) -> None:
        """Stop the stages that are unused for a while."""
        idle = [stage for stage in self._free if stage.used < anyio.current_time() - IDLE_S]
        self._free = [stage for stage in self._free if stage not in idle]
        await self._end(idle)

    async def close(self) -> None:
        """Stop everything; a stage in use stops when it is returned."""
        self._closed = True
        await self._end(self._free)
        self.checkpoints.close()

    @staticmethod
    async def _end(stages: list[PastState]) -> None:
        while stages:
            with suppress(RedisError, OSError):
                await stages.pop().close()
