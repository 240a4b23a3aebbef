"""The executing side: a node that registers, beats, takes assignments from its inbox and completes them."""

from __future__ import annotations

import asyncio
import gc
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

from ..client.scheduler import Scheduler
from ..connect.background import background_task
from ..connect.client import connections_made
from ..connect.stream import read_stream
from ..contract.config import FULL
from ..contract.errors import JobFailed, SchedulerError, ServerUnreachable, UnknownNode
from ..contract.events import JobDeclined, NodeHeartbeat, NodeOffline, NodeRegistered
from .starter import LEAVING, JobStarter
from .task import Assignment, Task
from .tracing import traced

log = structlog.get_logger(__name__)

LOST = "lost"

AT_ONCE = 128
"""Entries of the inbox read at once, half of what a node may have unread: it works on one half while the server hands
out the other. Measured against all at once: a fifth more jobs."""

Arbiter = Callable[[Assignment], bool | str]
"""Decides whether a node takes an assignment: true, false ("full": nothing more until something ends), or a reason
that speaks of this job only."""

Handler = Callable[[Assignment], Any]
"""Carries out a job: a coroutine function, or a plain one, which runs in a thread. Text is the result as it is,
``None`` is none, anything else is encoded as JSON; an exception fails the attempt (``JobFailed`` in its own words).
A coroutine whose job is taken away is cancelled once, and may clean up; a thread runs on, and its result is dropped."""


class Node:
    """One node. ``async with`` registers it and keeps it beating; inside, iterate over it or call :meth:`run`.

    What the process holds when the node enters is left out of Python's garbage collections until it leaves
    (``gc.freeze``): to go through a few hundred modules takes 15 ms each time, a tenth of what a busy node does.

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
        if mailbox is not None and scheduler.partition.source is not None:
            raise ValueError("a node behind an ingress reads its own inbox: leave mailbox out")
        self.scheduler = scheduler
        self.node_id = node_id
        self.concurrency = concurrency
        self.tasks: dict[str, Task] = {}
        """What it has started and not ended, by job id."""
        self.ending: set[str] = set()
        """Attempts whose end is on its way to the scheduler."""
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
        self._under_way: set[str] = set()  # attempts that were here when it was asked
        self._made = 0  # connections when it was last asked what this node holds
        self._doubtful: dict[str, str] = {}  # jobs, with their attempts, that the scheduler believes to be here
        self._reading_since = -math.inf  # when the inbox last answered
        self._inbox_open = anyio.Event()
        self._inbox_open.set()
        self.leaving = False
        self._shared_inbox = mailbox is not None
        self._threads = anyio.CapacityLimiter(concurrency)
        self._begun_send, self._begun = anyio.create_memory_object_stream[Task](math.inf)
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
        await self._hand_back(await self._held(), "node restarted")
        await self._beat()
        last_id = last[0][0] if last else "0-0"
        await self._beating.enter_async_context(background_task(self._keep_beating))
        await self._background.enter_async_context(background_task(partial(self._read_inbox, last_id)))
        gc.freeze()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave: hand back what is unfinished, say goodbye, stop beating."""
        gc.unfreeze()
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
        """Yield each job as it comes; end it with ``complete`` or ``fail``. Ends when the node is to stop."""
        async for task in self._begun:
            yield task

    async def run(self, handler: Handler) -> None:
        """Carry out jobs, up to ``concurrency`` at a time, until :meth:`stop`; then let what runs come to its end.

        What still runs after the grace period is cancelled and handed back.
        """
        carry_out = traced(self._carry_out, self.scheduler.partition)
        # a task group of asyncio, because one of anyio spends eight times as long on starting a task
        async with anyio.create_task_group() as grace:
            async with asyncio.TaskGroup() as jobs:
                async for task in self._begun:
                    jobs.create_task(carry_out(handler, task))
                    with suppress(anyio.WouldBlock, anyio.EndOfStream):
                        while True:  # what came together needs no turn of the loop for each
                            jobs.create_task(carry_out(handler, self._begun.receive_nowait()))
                grace.start_soon(self._end_grace)
            grace.cancel_scope.cancel()

    async def _end_grace(self) -> None:
        await anyio.sleep(self._grace_s)
        for task in list(self.tasks.values()):
            task.revoke(LEAVING)

    def stop(self) -> None:
        """Take no more jobs; iteration ends, and :meth:`run` returns once what runs has ended. Safe in a signal handler
        of the event loop."""
        if not self.leaving:
            self.leaving = True
            self._begun_send.close()

    def pause_inbox(self) -> None:
        """Stop reading the inbox while the heartbeat goes on: a node that is alive but does not take its work."""
        self._inbox_open = anyio.Event()

    def resume_inbox(self) -> None:
        """Read the inbox again."""
        self._inbox_open.set()

    async def decline(self, job_id: str, attempt: str, reason: str) -> None:
        """Hand an assignment back; one that has moved on already is nobody's concern any more."""
        declined = JobDeclined(job_id=job_id, node_id=self.node_id, attempt=attempt or None, reason=reason)
        try:
            await self.scheduler.partition.insist(declined, lambda: self.leaving)
        except SchedulerError as problem:
            if isinstance(problem, ServerUnreachable):
                raise
            log.debug("decline refused", job_id=job_id, code=problem.code)
        finally:
            self.ending.discard(attempt)

    def ended(self, job_id: str) -> None:
        """Make room for another job."""
        if self.tasks.pop(job_id, None) is not None:
            self._taken -= 1

    async def _held(self) -> dict[str, str]:
        """Ask which jobs the scheduler believes to be here, and under which attempts."""
        partition = self.scheduler.partition
        redis, keys = partition.redis, partition.keys
        held: dict[str, str] = {}
        named = await partition.patiently(lambda: redis.smembers(keys("node_jobs", self.node_id)))
        if partition.source is not None:  # it may not read jobs: what is not here it holds under whatever attempt
            return {name: self.tasks[name].assignment.attempt if name in self.tasks else "" for name in named}

        async def read() -> Any:
            async with redis.pipeline(transaction=False) as pipe:  # a round trip each would keep the inbox waiting
                for job_id in named:
                    pipe.hmget(keys.job(job_id), ("node_id", "attempt", "deliver"))
                return await pipe.execute()

        for job_id, (node_id, attempt, deliver) in zip(named, await partition.patiently(read), strict=True):
            if node_id == self.node_id and attempt and deliver != "false":  # it may have moved on since it was named
                held[job_id] = attempt
        return held

    async def _hand_back(self, held: dict[str, str], reason: str) -> None:
        """Give back what is not here: others should have it at once."""
        for job_id, attempt in held.items():
            log.info("handed back", job_id=job_id, attempt=attempt, reason=reason)
            await self.decline(job_id, attempt, reason)

    async def _beat(self) -> None:
        # only a node that reads its inbox and has room may claim to accept: the claim reopens one that was closed
        reading = anyio.current_time() - self._reading_since < 3
        accepting = False if self.leaving else True if reading and self._taken < self.concurrency else None
        beat = NodeHeartbeat(
            node_id=self.node_id, online=True, load_json=self._load() if self._load else None, accepting=accepting
        )
        try:
            await self._known_through_ingress()
            await self.scheduler.append(beat)
        except UnknownNode:
            log.warning("the scheduler does not know this node any more: registering again", node_id=self.node_id)
            await self.scheduler.append(self._registration)
            await self.scheduler.append(beat)

    async def _known_through_ingress(self) -> None:
        """Ask whether the scheduler knows this node, where no beat is answered.

        Raises:
            UnknownNode: it does not.
        """
        partition = self.scheduler.partition
        info = partition.keys.node_info(self.node_id)
        if partition.source is None or self._reading_since == -math.inf:  # the registration is still on its way
            return
        if not await partition.patiently(lambda: partition.redis.exists(info)):
            raise UnknownNode(f"node_id {self.node_id}")

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
            beginning = JobStarter(self, self._begun_send, answers)
            async for entries in read_stream(self.scheduler.url, self._inbox, last_id, count=AT_ONCE):
                self._reading_since = anyio.current_time()
                await self._inbox_open.wait()
                taken = [task for _, fields in entries or () if (task := self._take(fields, answers))]
                all_read = entries is not None and len(entries) < AT_ONCE
                if entries is None:
                    beginning.begin_anew()
                else:
                    beginning.begin(taken, last=all_read)
                # the two connections may have met different servers while a failover was under way: either one's change
                # may have lost something
                anew = entries is None or connections_made(redis) != self._made
                if anew or (self._under_way and not self._under_way & self._here):
                    await self._look_for_lost(anew)
                elif self._doubtful and all_read:
                    # what was delivered until we asked: what is not here now is nowhere
                    answers.start_soon(self._give_up, self._doubtful)
                    self._doubtful = {}
                if entries and not self._shared_inbox:
                    answers.start_soon(self._trim_inbox, entries[-1][0])

    async def _trim_inbox(self, read_id: str) -> None:
        """Drop what was read. The next reading does not wait for it: the server may be busy with what came before."""
        try:
            await self.scheduler.partition.redis.xtrim(self._inbox, minid=read_id, approximate=True)
        except (RedisError, OSError):
            log.debug("inbox not trimmed", node_id=self.node_id)  # the next batch trims as well

    async def _look_for_lost(self, anew: bool) -> None:
        """Ask what the scheduler believes to be here after an outage. A failover or a crash of the server may have lost
        what this node said of a job, such as its end, and nobody would ever say it again. What is under way then is
        asked for once more when it has ended: its end may still have gone to a master that was one no more."""
        here = self._here
        self._made = connections_made(self.scheduler.partition.redis)
        try:
            held = await self._held()
        except (SchedulerError, RedisError, OSError) as problem:
            log.warning("what this node holds is not known", node_id=self.node_id, problem=str(problem))
            return
        here |= self._here
        self._under_way = here if anew else set()
        self._doubtful = {job_id: attempt for job_id, attempt in held.items() if attempt not in here}

    @property
    def _here(self) -> set[str]:
        return {task.assignment.attempt for task in self.tasks.values()} | self.ending

    async def _give_up(self, doubtful: dict[str, str]) -> None:
        try:
            await self._hand_back(doubtful, LOST)
        except (SchedulerError, RedisError, OSError) as problem:
            log.warning("not handed back", node_id=self.node_id, problem=str(problem))

    def _take(self, fields: dict[str, str], answers: anyio.abc.TaskGroup) -> Task | None:
        """Act on one inbox entry, and return an assignment that is taken; declining it runs beside the reading."""
        if fields.get("node_id") != self.node_id:
            return None  # a mailbox shared with other nodes
        if fields["type"] == "job.cancelled":
            task = self.tasks.get(fields["job_id"])
            if task is not None and task.assignment.attempt == fields["attempt"]:
                task.revoke(fields["reason"])
                self.ended(fields["job_id"])
        elif fields["type"] == "job.assigned":
            assignment = msgspec.convert(fields, Assignment, strict=False)
            self._doubtful.pop(assignment.job_id, None)
            refusal = self._refusal(assignment)
            if refusal:
                self.ending.add(assignment.attempt)
                answers.start_soon(self.decline, assignment.job_id, assignment.attempt, refusal)
                return None
            self._taken += 1
            task = self.tasks[assignment.job_id] = Task(self, assignment)
            return task
        return None

    def _refusal(self, assignment: Assignment) -> str | None:
        if self.leaving:
            return LEAVING
        if self._taken >= self.concurrency:
            return FULL
        verdict = self._arbiter(assignment) if self._arbiter else True
        return None if verdict is True else FULL if verdict is False else verdict

    async def _carry_out(self, handler: Handler, task: Task) -> None:
        result: Any = None
        failure: str | None = None
        task.carrier = asyncio.current_task()
        try:
            if task.revoked is None:
                result = await self._result(handler, task.assignment)
        except asyncio.CancelledError:
            # what is left when the job's own cancellation is taken off is of the node, which is to end
            if task.revoked is None or task.carrier is None or task.carrier.uncancel():
                raise
        except JobFailed as problem:
            failure = str(problem)
        except Exception as problem:  # the handler is the user's: what it raises fails this attempt, not the node
            log.warning("handler failed", job_id=task.assignment.job_id, exc_info=problem)
            failure = f"{type(problem).__name__}: {problem}"
        finally:
            task.carrier = None
        if task.revoked == LEAVING:
            await task.hand_back(LEAVING)
        elif task.revoked is None:
            await (task.complete(result) if failure is None else task.fail(failure))

    async def _result(self, handler: Handler, assignment: Assignment) -> str | None:
        if inspect.iscoroutinefunction(handler):
            result = await handler(assignment)
        else:
            result = await anyio.to_thread.run_sync(handler, assignment, abandon_on_cancel=True, limiter=self._threads)
            if isinstance(result, Awaitable):
                result = await result
        return result if result is None or isinstance(result, str) else msgspec.json.encode(result).decode()
