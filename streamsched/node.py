"""The executing side: a node that registers, beats, takes assignments from its inbox and completes them."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from redis.exceptions import RedisError

from .beside import beside
from .client import Scheduler
from .errors import InvalidField, JobFailed, SchedulerError, ServerUnreachable, UnknownNode
from .events import (
    FULL,
    LIMITS,
    JobCompleted,
    JobDeclined,
    JobProgressed,
    JobStarted,
    JobStatus,
    NodeHeartbeat,
    NodeOffline,
    NodeRegistered,
    to_wire,
)
from .partition import Answer, read_stream

log = structlog.get_logger(__name__)

LEAVING = "node leaving"


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the scheduler hands it to a node."""

    job_id: str
    node_id: str
    attempt: str
    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    attempts: int
    """1 at the first attempt."""
    accept_by_ts: int | None = None
    """When it goes elsewhere if it has not been started, ms since the epoch."""
    deadline_ts: int | None = None
    """When nobody wants its result any more, ms since the epoch."""
    traceparent: str | None = None


Arbiter = Callable[[Assignment], bool | str]
"""Decides whether a node takes an assignment: true, false ("full": nothing more until something ends), or a reason
that speaks of this job only."""

Handler = Callable[[Assignment], Any]
"""Carries out a job: a coroutine function, or a plain one, which runs in a thread. Text is the result as it is,
``None`` is none, anything else is encoded as JSON; an exception fails the attempt (``JobFailed`` in its own words)."""


class Task:
    """A job this node has started, in the hands of whoever carries it out."""

    def __init__(self, node: Node, assignment: Assignment) -> None:
        self.assignment = assignment
        self.scope = anyio.CancelScope()
        """Cancelled when the job is taken away: cancelled, expired, or given to another node."""
        self.revoked: str | None = None
        """Why the job was taken away, if it was."""
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self.assignment, name)

    async def complete(self, result_json: str | None = None) -> None:
        """Report success. A job that has been taken away meanwhile stays with whoever has it now."""
        await self._end(JobStatus.FINISHED, result_json or None, None)

    async def fail(self, error: str) -> None:
        """Report failure; the job is tried again elsewhere while attempts are left."""
        text = error.encode(errors="backslashreplace").decode()[: LIMITS["text"] // 4]
        await self._end(JobStatus.FAILED, None, text or "failed")

    async def progress(self, progress_json: str | None = None) -> None:
        """Report that the job is getting on, which starts its time limit anew.

        Raises:
            StaleAttempt, AlreadyTerminal: the job has been taken away.
            InvalidField: ``progress_json`` is not JSON.
        """
        a = self.assignment
        await self._node.scheduler.append(
            JobProgressed(job_id=a.job_id, node_id=a.node_id, attempt=a.attempt, progress_json=progress_json)
        )

    async def hand_back(self, reason: str) -> None:
        """Give the job up unfinished, so that another node carries it out."""
        self._node.ended(self.assignment.job_id)
        await self._node.decline(self.assignment, reason)

    async def _end(self, status: JobStatus, result_json: str | None, error: str | None) -> None:
        a = self.assignment
        completed = JobCompleted(
            job_id=a.job_id, node_id=a.node_id, attempt=a.attempt, status=status, result_json=result_json, error=error
        )
        # the slot is free before the scheduler hears of it: it may fill it again in the very call that tells it
        self._node.ended(a.job_id)
        try:
            # as long as nobody has heard it the job is held here, and nothing else would ever end it
            await self._node.scheduler.partition.insist(completed, lambda: self._node.leaving)
        except SchedulerError as problem:
            if isinstance(problem, ServerUnreachable):
                raise
            log.warning("completion refused", job_id=a.job_id, attempt=a.attempt, code=problem.code, why=problem.detail)
            if isinstance(problem, InvalidField) and status is JobStatus.FINISHED:  # too large, say
                await self._end(JobStatus.FAILED, None, f"its result was refused: {problem.detail}")


class Node:
    """One node. ``async with`` registers it and keeps it beating; inside, iterate over it or call :meth:`run`.

    Args:
        scheduler: where it belongs; several nodes of a process may share one.
        node_id: its name, the same after a restart.
        pools: names such as ``"en-zh"``, or entries of ``pool_names_json`` as dicts.
        cap_json: what it can do, as JSON; ``{}`` by default.
        concurrency: how many jobs it carries out at the same time; 1 by default.
        arbiter: asked before each job, on top of ``concurrency``; ``None`` (default) takes all that fit.
        load: returns ``load_json`` for a heartbeat; ``None`` (default) sends none.
        heartbeat_ms: between two heartbeats; 5000 by default. Keep it below a third of ``heartbeat_timeout_ms``.
        grace_ms: how long running jobs may go on once the node is to stop; 30 000 by default.
        mailbox: the inbox to read, where a gateway serves several nodes; by default the node's own.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        node_id: str,
        *,
        pools: Sequence[str | dict[str, Any]],
        cap_json: str = "{}",
        concurrency: int = 1,
        arbiter: Arbiter | None = None,
        load: Callable[[], str] | None = None,
        heartbeat_ms: int = 5000,
        grace_ms: int = 30_000,
        mailbox: str | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}: give at least 1")
        self.scheduler = scheduler
        self.node_id = node_id
        self.concurrency = concurrency
        self.tasks: dict[str, Task] = {}
        """What it has started and not ended, by job id."""
        self._registration = NodeRegistered(
            node_id=node_id,
            cap_json=cap_json,
            pool_names_json=msgspec.json.encode([{"name": p} if isinstance(p, str) else p for p in pools]).decode(),
            mailbox=mailbox,
        )
        self._arbiter, self._load = arbiter, load
        self._heartbeat_s, self._grace_s = heartbeat_ms / 1000, grace_ms / 1000
        self._inbox = scheduler.partition.keys.inbox(mailbox or node_id)
        self._taken = 0  # accepted and not ended, started or not
        self._reading_since = -math.inf  # when the inbox last answered
        self._inbox_open = anyio.Event()
        self._inbox_open.set()
        self.leaving = False
        self._shared_inbox = mailbox is not None
        self._threads = anyio.CapacityLimiter(concurrency)
        self._started_send, self._started = anyio.create_memory_object_stream[Task](math.inf)
        self._beating, self._background = AsyncExitStack(), AsyncExitStack()

    async def __aenter__(self) -> Node:
        """Register, give back what an earlier life of this node still holds, and begin to beat and read.

        Raises:
            InvalidField: a pool or ``cap_json`` is malformed.
            ServerUnreachable: the server did not answer.
        """
        redis, patiently = self.scheduler.partition.redis, self.scheduler.partition.patiently
        last = await patiently(lambda: redis.xrevrange(self._inbox, count=1))
        await self.scheduler.append(self._registration)
        await self._hand_back_earlier()
        await self._beat()
        last_id = last[0][0] if last else "0-0"
        await self._beating.enter_async_context(beside(self._keep_beating))
        await self._background.enter_async_context(beside(partial(self._read_inbox, last_id)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave: hand back what is unfinished, say goodbye, stop beating."""
        self.stop()
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._grace_s):
            try:
                for task in list(self.tasks.values()):
                    await task.hand_back(LEAVING)
                await self._beating.aclose()  # a beat behind the goodbye would take it back
                await self.scheduler.append(NodeOffline(node_id=self.node_id, reason=LEAVING))
            except (SchedulerError, RedisError, OSError) as problem:
                # the server is gone too: its heartbeat timeout will say what we could not
                log.warning("left without a word", node_id=self.node_id, problem=str(problem))
        await self._beating.aclose()
        await self._background.aclose()

    async def __aiter__(self) -> AsyncIterator[Task]:
        """Yield each job once it is started; end it with ``complete`` or ``fail``. Ends when the node is to stop."""
        async for task in self._started:
            yield task

    async def run(self, handler: Handler) -> None:
        """Carry out jobs, up to ``concurrency`` at a time, until :meth:`stop`; then let what runs come to its end.

        What still runs after the grace period is cancelled and handed back.
        """
        # a task group of asyncio, because one of anyio spends eight times as long on starting a task
        async with anyio.create_task_group() as grace:
            async with asyncio.TaskGroup() as jobs:
                async for task in self._started:
                    jobs.create_task(self._carry_out(handler, task))
                    with suppress(anyio.WouldBlock, anyio.EndOfStream):
                        while True:  # what came together needs no turn of the loop for each
                            jobs.create_task(self._carry_out(handler, self._started.receive_nowait()))
                grace.start_soon(self._end_grace)
            grace.cancel_scope.cancel()

    async def _end_grace(self) -> None:
        await anyio.sleep(self._grace_s)
        for task in list(self.tasks.values()):
            task.revoked = LEAVING
            task.scope.cancel()

    def stop(self) -> None:
        """Take no more jobs; iteration ends, and :meth:`run` returns once what runs has ended. Safe in a signal handler
        of the event loop."""
        if not self.leaving:
            self.leaving = True
            self._started_send.close()

    def pause_inbox(self) -> None:
        """Stop reading the inbox while the heartbeat goes on: a node that is alive but does not take its work."""
        self._inbox_open = anyio.Event()

    def resume_inbox(self) -> None:
        """Read the inbox again."""
        self._inbox_open.set()

    async def decline(self, assignment: Assignment, reason: str) -> None:
        """Hand an assignment back; one that has moved on already is nobody's concern any more."""
        declined = JobDeclined(
            job_id=assignment.job_id, node_id=assignment.node_id, attempt=assignment.attempt, reason=reason
        )
        try:
            await self.scheduler.partition.insist(declined, lambda: self.leaving)
        except SchedulerError as problem:
            if isinstance(problem, ServerUnreachable):
                raise
            log.debug("decline refused", job_id=assignment.job_id, code=problem.code)

    def ended(self, job_id: str) -> None:
        """Make room for another job."""
        if self.tasks.pop(job_id, None) is not None:
            self._taken -= 1

    async def _hand_back_earlier(self) -> None:
        """Jobs given to this node before it restarted are not here any more: others should have them at once."""
        keys, redis = self.scheduler.partition.keys, self.scheduler.partition.redis
        held = await self.scheduler.partition.patiently(lambda: redis.smembers(keys("node_jobs", self.node_id)))
        for job_id in held:
            attempt, deliver = await self.scheduler.partition.patiently(
                lambda job_id=job_id: redis.hmget(keys.job(job_id), ("attempt", "deliver"))
            )
            if attempt and deliver != "false":
                job = Assignment(
                    job_id=job_id,
                    node_id=self.node_id,
                    attempt=attempt,
                    session_id="",
                    src_lang="",
                    tgt_lang="",
                    payload_json="",
                    attempts=0,
                )
                await self.decline(job, "node restarted")

    async def _beat(self) -> None:
        # only a node that reads its inbox and has room may claim to accept: the claim reopens one that was closed
        reading = anyio.current_time() - self._reading_since < 3
        accepting = False if self.leaving else True if reading and self._taken < self.concurrency else None
        beat = NodeHeartbeat(
            node_id=self.node_id, online=True, load_json=self._load() if self._load else None, accepting=accepting
        )
        try:
            await self.scheduler.append(beat)
        except UnknownNode:
            log.warning("the scheduler does not know this node any more: registering again", node_id=self.node_id)
            await self.scheduler.append(self._registration)
            await self.scheduler.append(beat)

    async def _keep_beating(self) -> None:
        while True:
            await anyio.sleep(self._heartbeat_s)
            try:
                # a beat that is cancelled may be sent all the same: it is seen to its end, so that a goodbye comes last
                with anyio.CancelScope(shield=True), anyio.move_on_after(self._grace_s):
                    await self._beat()
            except (SchedulerError, RedisError, OSError) as problem:
                log.warning("heartbeat failed", node_id=self.node_id, problem=str(problem))

    async def _read_inbox(self, last_id: str) -> None:
        redis = self.scheduler.partition.redis
        async with anyio.create_task_group() as answers:
            async for entries in read_stream(self.scheduler.url, self._inbox, last_id):
                self._reading_since = anyio.current_time()
                await self._inbox_open.wait()
                taken = [assignment for _, fields in entries or () if (assignment := self._take(fields, answers))]
                if taken:
                    answers.start_soon(self._start, taken)
                if entries and not self._shared_inbox:
                    try:
                        await redis.xtrim(self._inbox, minid=entries[-1][0], approximate=True)
                    except (RedisError, OSError):
                        log.debug("inbox not trimmed", node_id=self.node_id)  # the next batch trims as well

    def _take(self, fields: dict[str, str], answers: anyio.abc.TaskGroup) -> Assignment | None:
        """Act on one inbox entry, and return an assignment that is taken; declining it runs beside the reading."""
        if fields.get("node_id") != self.node_id:
            return None  # a mailbox shared with other nodes
        if fields["type"] == "job.cancelled":
            task = self.tasks.get(fields["job_id"])
            if task is not None and task.assignment.attempt == fields["attempt"]:
                task.revoked = fields["reason"]
                task.scope.cancel()
                self.ended(fields["job_id"])
        elif fields["type"] == "job.assigned":
            present = {name: text for name, text in fields.items() if text}
            assignment = msgspec.convert(present, Assignment, strict=False)
            refusal = self._refusal(assignment)
            if refusal:
                answers.start_soon(self.decline, assignment, refusal)
                return None
            self._taken += 1
            return assignment
        return None

    def _refusal(self, assignment: Assignment) -> str | None:
        if self.leaving:
            return LEAVING
        if self._taken >= self.concurrency:
            return FULL
        verdict = self._arbiter(assignment) if self._arbiter else True
        return None if verdict is True else FULL if verdict is False else verdict

    async def _start(self, assignments: list[Assignment]) -> None:
        """Begin jobs once the scheduler has confirmed that they are still ours: they may have gone elsewhere unread."""
        answers: list[tuple[Task, asyncio.Future[Answer]]] = []
        for a in assignments:
            task = self.tasks[a.job_id] = Task(self, a)
            started = JobStarted(job_id=a.job_id, node_id=a.node_id, attempt=a.attempt)
            answers.append((task, self.scheduler.partition.append_soon(to_wire(started))))
        for task, answer in answers:
            try:
                await answer
            except (SchedulerError, RedisError, OSError) as problem:
                log.info("assignment dropped", job_id=task.assignment.job_id, problem=str(problem))
                self.ended(task.assignment.job_id)
                continue
            if task.revoked is not None:
                continue
            if self.leaving:
                await task.hand_back(LEAVING)
                continue
            self._started_send.send_nowait(task)

    async def _carry_out(self, handler: Handler, task: Task) -> None:
        result: Any = None
        failure: str | None = None
        with task.scope:
            try:
                if inspect.iscoroutinefunction(handler):
                    result = await handler(task.assignment)
                else:
                    result = await anyio.to_thread.run_sync(
                        handler, task.assignment, abandon_on_cancel=True, limiter=self._threads
                    )
                    if isinstance(result, Awaitable):
                        result = await result
                if result is not None and not isinstance(result, str):
                    result = msgspec.json.encode(result).decode()
            except JobFailed as problem:
                failure = str(problem)
            except Exception as problem:  # the handler is the user's: what it raises fails this attempt, not the node
                log.warning("handler failed", job_id=task.assignment.job_id, exc_info=problem)
                failure = f"{type(problem).__name__}: {problem}"
        if task.revoked == LEAVING:
            await task.hand_back(LEAVING)
        elif task.revoked is None:
            await (task.complete(result) if failure is None else task.fail(failure))
