"""A node: registers, beats, takes assignments from its inbox and completes them."""

from __future__ import annotations

import asyncio
import gc
import math
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any

import anyio
import msgspec
import structlog
from redis.exceptions import RedisError

from ..client.scheduler import Scheduler
from ..connect.background import background_task
from ..contract.errors import NodeSuperseded, SchedulerError
from ..contract.events import NodeOffline, NodeRegistered
from .heart.condition import Condition
from .heart.heartbeat import Heartbeat
from .held import Held
from .inbox import Arbiter, Inbox
from .reconciler import Reconciler
from .reports import LEAVING, Reports
from .runner import Handler, Runner
from .task import Task
from .tracing import traced

log = structlog.get_logger(__name__)


class Node:
    """One node. ``async with`` registers it and keeps it beating; inside, iterate over it or call :meth:`run`.

    What the process holds when the node enters is left out of Python's garbage collections until it leaves
    (``gc.freeze``): to go through a few hundred modules takes 15 ms each time, a tenth of what a busy node does.

    It beats from a thread with an event loop and a connection of its own, so a handler that blocks the node's loop does
    not make the scheduler take the node for lost. While the loop is blocked, the beats say so, and that no job is
    accepted; ``job_timeout_ms`` bounds a job that never ends. A call that keeps Python's global lock stops the beats.

    No error of the server, and nothing that the user's callables raise, ends a node: it logs the error and tries again.
    While it cannot read its inbox, its heartbeats say why, and that it accepts no job.

    Args:
        scheduler: where it belongs; several nodes of a process may share one.
        node_id: its name, the same after a restart.
        pools: names such as ``"en-zh"``, or entries of ``pool_names_json`` as dicts.
        cap_json: what it can do, as JSON; ``{}`` by default.
        concurrency: how many jobs it runs at the same time; 1 by default.
        arbiter: asked before each job, on top of ``concurrency``; ``None`` (default) takes all that fit.
        load: returns ``load_json`` for a heartbeat; ``None`` (default) sends none.
        heartbeat_ms: between two heartbeats; 5000 by default. Keep it below a third of ``heartbeat_timeout_ms``.
        grace_ms: how long running jobs may go on once the node is to stop; 30 000 by default.
        mailbox: the inbox to read, where a gateway serves several nodes; by default the node's own.

    Raises:
        ValueError: ``concurrency`` is below 1, or ``mailbox`` is given behind an ingress.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        node_id: str,
        *,
        pools: Sequence[str | Mapping[str, object]],
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
        self.scheduler, self.node_id = scheduler, node_id
        self._registration = NodeRegistered(
            node_id=node_id,
            cap_json=cap_json,
            pool_names_json=msgspec.json.encode([{"name": p} if isinstance(p, str) else p for p in pools]).decode(),
            mailbox=mailbox,
            incarnation=secrets.token_hex(8),
        )
        self._held = Held(Reports(scheduler, node_id), concurrency)
        self._held.on_superseded = lambda: self._begun_send.close()
        self._arbiter, self._load, self._shared_inbox = arbiter, load, mailbox is not None
        self._heartbeat_s, self._grace_s = heartbeat_ms / 1000, grace_ms / 1000
        self._inbox_key = scheduler.partition.keys.inbox(mailbox or node_id)
        self._inbox: Inbox | None = None
        self._runner = Runner(concurrency)
        self._begun_send, self._begun = anyio.create_memory_object_stream[Task](math.inf)
        self._beating, self._reading = AsyncExitStack(), AsyncExitStack()

    @property
    def tasks(self) -> dict[str, Task]:
        """The jobs that it has taken and that have not ended, by id."""
        return self._held.tasks

    @property
    def concurrency(self) -> int:
        """How many jobs it runs at the same time."""
        return self._held.concurrency

    @property
    def leaving(self) -> bool:
        """Whether it takes no more jobs."""
        return self._held.reports.leaving

    @property
    def trouble(self) -> str:
        """Why it takes no jobs from its inbox, as its heartbeats say; empty while it does."""
        return self._inbox.trouble if self._inbox is not None else ""

    async def __aenter__(self) -> Node:
        """Register, give back what an earlier life of this node still holds, and begin to beat and read.

        Raises:
            InvalidField: a pool or ``cap_json`` is malformed.
            ServerUnreachable: the server did not answer.
        """
        self.scheduler.partition.membership.name = f"node {self.node_id}"
        redis: Any = self.scheduler.partition.redis
        patiently = self.scheduler.partition.patiently
        last = await patiently(lambda: redis.xrevrange(self._inbox_key, count=1))
        last_id = last[0][0] if last else "0-0"
        reconciler = Reconciler(self._held)
        self._inbox = inbox = Inbox(
            self._held,
            self._registration.incarnation or "",
            self._inbox_key,
            self._shared_inbox,
            last_id,
            self._arbiter,
            self._begun_send,
            reconciler,
        )
        if self.scheduler.partition.source is None:
            self._held.registered_id = (await self.scheduler.append(self._registration)).event_id
            believed = await reconciler.believed()
            earlier = {job_id: attempt for job_id, attempt in believed.items() if self._held.is_earlier(attempt)}
        else:
            earlier = await reconciler.believed()  # before the registration, which may bring jobs at once
            await self.scheduler.append(self._registration)
        await reconciler.give_back(earlier, "node restarted")
        condition = Condition(self._held, inbox, self._registration.incarnation, self._load)
        heartbeat = Heartbeat(self._held, condition, self._registration, self._heartbeat_s, self._grace_s)
        beating = background_task("heartbeat thread", heartbeat.keep_beating, heartbeat.note_failure)
        await self._beating.enter_async_context(beating)
        await heartbeat.first()
        await self._reading.enter_async_context(background_task("inbox", inbox.read, inbox.note_failure))
        gc.freeze()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave: hand back what is unfinished, say goodbye, stop beating. A superseded node appends
        nothing: its events would count as those of the new process."""
        gc.unfreeze()
        self.stop()
        if self._held.reports.superseded_by:
            await self._beating.aclose()
            await self._reading.aclose()
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._grace_s):
            try:
                unseen = self._unseen()
                for task in list(self.tasks.values()):
                    if self.tasks.get(task.job_id) is task:  # it may have ended while others were handed back
                        await task.hand_back(LEAVING, begun=task not in unseen)
                await self._beating.aclose()  # a beat behind the goodbye would take it back
                await self.scheduler.append(NodeOffline(node_id=self.node_id, reason=LEAVING))
            except (SchedulerError, RedisError, OSError) as problem:
                # the server is gone too: the heartbeat timeout of the node will report it
                log.warning("left without a goodbye", node_id=self.node_id, problem=str(problem))
        await self._beating.aclose()
        await self._reading.aclose()

    def _unseen(self) -> set[Task]:
        """Return the jobs that no task of the program has received."""
        unseen: set[Task] = set()
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                unseen.add(self._begun.receive_nowait())
        return unseen

    async def __aiter__(self) -> AsyncIterator[Task]:
        """Yield each job as it comes; end it with ``complete`` or ``fail``. Ends when the node is to stop.

        Raises:
            NodeSuperseded: another process has registered under this node's id.
        """
        async for task in self._begun:
            if not self._held.reports.superseded_by:
                yield task
        self._check_superseded()

    async def run(self, handler: Handler) -> None:
        """Run jobs, up to ``concurrency`` at a time, until :meth:`stop`; then let those that run come to their end.

        What still runs after the grace period is cancelled and handed back.

        Raises:
            NodeSuperseded: another process has registered under this node's id; what ran here was cancelled.
        """
        run = traced(self._runner.run, self.scheduler.partition)
        # a task group of asyncio, because one of anyio spends eight times as long on starting a task
        async with anyio.create_task_group() as grace:
            async with asyncio.TaskGroup() as jobs:
                async for task in self._begun:
                    jobs.create_task(run(handler, task))
                    with suppress(anyio.WouldBlock, anyio.EndOfStream):
                        while True:  # jobs that came together need no turn of the loop for each
                            jobs.create_task(run(handler, self._begun.receive_nowait()))
                grace.start_soon(self._end_grace)
            grace.cancel_scope.cancel()
        self._check_superseded()

    def _check_superseded(self) -> None:
        if by := self._held.reports.superseded_by:
            raise NodeSuperseded(f"another process has registered as node {self.node_id} ({by})")

    async def _end_grace(self) -> None:
        await anyio.sleep(self._grace_s)
        for task in list(self.tasks.values()):
            task.revoke(LEAVING)

    def stop(self) -> None:
        """Take no more jobs. Iteration ends, and :meth:`run` returns once the jobs that run have ended. Safe in a
        signal handler of the event loop."""
        if not self._held.reports.leaving:
            self._held.reports.leaving = True
            self._begun_send.close()

    def pause_inbox(self) -> None:
        """Stop reading the inbox while the heartbeat goes on: a node that lives but does not take its jobs."""
        if self._inbox is not None:
            self._inbox.pause()

    def resume_inbox(self) -> None:
        """Read the inbox again."""
        if self._inbox is not None:
            self._inbox.resume()
