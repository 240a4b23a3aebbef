"""Reads a node's inbox: takes assignments or declines them, and revokes what was cancelled."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import anyio.abc
import msgspec
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from redis.exceptions import RedisError

from ..connect.read_size import ReadSize
from ..connect.stream import read_stream
from ..contract.config import FULL
from ..contract.kinds import LIMITS
from .held import Held
from .reconciler import Reconciler
from .reports import LEAVING
from .starter import JobStarter
from .task import Assignment, Task

log = structlog.get_logger(__name__)

AT_ONCE = 128
"""Entries read at once, half of what a node may have unread: it works on one half while the server hands out the
other. Measured against all at once: a fifth more jobs."""

FRESH_S = 3.0
"""An inbox that did not answer for this long is not being read."""

Arbiter = Callable[[Assignment], bool | str]
"""Decides whether a node takes an assignment: true, false ("full": no more until a job ends), or a reason about this
job only. An exception declines this job only."""


class Inbox:
    """The inbox of one node.

    Args:
        held: what the node has.
        incarnation: which process of the node this is.
        key: the stream.
        shared: whether other nodes read it too: then entries of theirs are left alone, and nothing is trimmed.
        last_id: the entry to read behind.
        arbiter: see :data:`Arbiter`; ``None`` takes all that fit.
        begun: where jobs go once they are to run.
        reconciler: gets a call after each read.
    """

    def __init__(
        self,
        held: Held,
        incarnation: str,
        key: str,
        shared: bool,
        last_id: str,
        arbiter: Arbiter | None,
        begun: MemoryObjectSendStream[Task],
        reconciler: Reconciler,
    ) -> None:
        self._held, self._incarnation = held, incarnation
        self._key, self._shared, self._last_id = key, shared, last_id
        self._arbiter, self._begun, self._reconciler = arbiter, begun, reconciler
        self._answered_at = -math.inf
        self._open = anyio.Event()
        self._open.set()
        self._unreadable = self._failure = ""

    @property
    def trouble(self) -> str:
        """Why no jobs are taken from it; empty while they are."""
        return self._unreadable or self._failure

    @property
    def is_read(self) -> bool:
        """Whether it answered lately."""
        return anyio.current_time() - self._answered_at < FRESH_S

    @property
    def was_read(self) -> bool:
        """Whether it ever answered."""
        return self._answered_at > -math.inf

    def pause(self) -> None:
        """Stop reading."""
        self._open = anyio.Event()

    def resume(self) -> None:
        """Read again."""
        self._open.set()

    async def read(self) -> None:
        """Read until cancelled, or until another process is the node. What fails about one entry is contained to it."""
        async with anyio.create_task_group() as group:
            starter = JobStarter(self._held, self._begun, group)
            size = ReadSize(AT_ONCE)
            entries_of = read_stream(
                self._held.reports.scheduler.url, self._key, self._last_id, size=size, trouble=self._note_unreadable
            )
            async for entries in entries_of:
                self._answered_at = anyio.current_time()
                await self._open.wait()
                if entries is None:
                    starter.reconnected()
                else:
                    taken = [task for entry_id, fields in entries if (task := self._take(entry_id, fields, group))]
                    starter.begin(taken, last=len(entries) < size.asked)
                if self._held.reports.superseded_by:
                    break  # the inbox is the other one's
                await self._reconciler.read(entries is None, entries is not None and len(entries) < size.asked, group)
                if entries:
                    self._last_id = entries[-1][0]
                    if not self._shared:
                        group.start_soon(self._trim, self._last_id)
                if entries is not None:
                    self._failure = ""

    def note_failure(self, problem: str) -> None:
        """Note that :meth:`read` has failed; what it reads next without a failure ends this trouble."""
        self._failure = f"reading the inbox fails: {problem}"[: LIMITS["text"] // 4]

    def _note_unreadable(self, problem: str) -> None:
        self._unreadable = problem and f"the inbox cannot be read: {problem}"[: LIMITS["text"] // 4]

    def _take(self, entry_id: str, fields: dict[str, str], group: anyio.abc.TaskGroup) -> Task | None:
        """Act on one entry, and return the job if it is taken; a decline runs beside the reading."""
        if fields.get("node_id") != self._held.reports.node_id or self._held.reports.superseded_by:
            return None  # of another node that shares the mailbox, or of another process of this one
        kind = fields.get("type")
        if kind == "node.superseded" and fields.get("incarnation") != self._incarnation:
            self._held.superseded(fields.get("incarnation", ""))
            return None
        if kind == "job.cancelled":
            task = self._held.tasks.get(fields.get("job_id", ""))
            if task is not None and task.assignment.attempt == fields.get("attempt"):
                task.revoke(fields.get("reason", ""))
                self._held.ended(task)
        elif kind == "job.assigned":
            try:
                assignment = msgspec.convert(fields, Assignment, strict=False)
            except msgspec.ValidationError as problem:  # anyone with the right may write here
                log.error("an inbox entry is no assignment", entry=entry_id, problem=str(problem))
                return None
            if self._held.is_earlier(assignment.attempt):
                return None  # it was given back when this process registered
            if self._held.has_met(assignment):
                log.info("an assignment was read again", job_id=assignment.job_id, attempt=assignment.attempt)
                return None  # if it is over and the scheduler has lost its end, the reconciler gives it back
            self._reconciler.doubtful.pop(assignment.job_id, None)
            refusal = self._refusal(assignment)
            if refusal is None:
                return self._held.take(assignment)
            self._held.reports.ending.add(assignment.attempt)
            group.start_soon(self._held.reports.decline, assignment.job_id, assignment.attempt, refusal)
        return None

    def _refusal(self, assignment: Assignment) -> str | None:
        if self._held.reports.leaving:
            return LEAVING
        if self._held.room <= 0:
            return FULL
        if self._arbiter is None:
            return None
        try:
            verdict = self._arbiter(assignment)
        except Exception as problem:  # the arbiter is the user's: what it raises speaks of this job alone
            log.error("the arbiter failed", job_id=assignment.job_id, problem=repr(problem))
            log.debug("its traceback", job_id=assignment.job_id, exc_info=problem)
            return f"arbiter failed: {type(problem).__name__}"
        return None if verdict is True else FULL if verdict is False else str(verdict)

    async def _trim(self, read_id: str) -> None:
        """Drop what was read. The next reading does not wait for it: the server may be busy with what came before."""
        try:
            await self._held.reports.scheduler.partition.redis.xtrim(self._key, minid=read_id, approximate=True)
        except (RedisError, OSError):
            log.debug("inbox not trimmed", node_id=self._held.reports.node_id)  # the next reading trims as well
