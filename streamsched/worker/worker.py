"""The consumer worker: a process that waits for an event or the next timer, and advances the partition."""

from __future__ import annotations

import os
import secrets
import socket
import time
from functools import partial
from typing import Any

import anyio
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from ..connect.background import background_task
from ..connect.client import connect
from ..connect.outage import Backoff, block_ms, drop_idle_connections, is_away, is_read_only
from ..connect.url import of_partition
from ..contract.errors import LogGap, LogWiped, PartitionHalted, PartitionRebuilding, SchedulerError
from ..contract.keys import GROUP, Keys
from ..contract.kinds import LIMITS
from ..engine.partition import PATIENCE_S, Partition, open_partition
from ..engine.replies import Reply
from ..replay.rebuild import rebuild_if_damaged
from .consumers import STREAMS, tidy_consumers
from .ingester import Ingester
from .letters import bound_letters

log = structlog.get_logger(__name__)

HEALTHY_S = 10.0
"""A worker that has not advanced for this long is not healthy."""


class Worker:
    """Advances one partition for as long as it runs. Any number may run side by side; any may be killed at any time.

    Args:
        url: the server.
        keys: the partition.
        batch: events one call may fold or decide; 256 by default.
        name: the consumer's name in group ``fold``; host, process id and a random part by default.
        patience_s: how long it waits for the server at the start; 30 by default. Later it waits for ever.
    """

    def __init__(
        self, url: str, keys: Keys, batch: int = 256, name: str | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        url = of_partition(url, keys.partition)
        self.url, self.keys, self.batch, self.patience_s = url, keys, batch, patience_s
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self.status = "starting"
        """``ok``, ``starting``, ``rebuilding``, or the fault."""
        self.problem = ""
        """What is wrong in full, with the remedy; empty if nothing is."""
        self.folded = 0
        self._advanced_at = time.monotonic()
        self._stopping = anyio.Event()
        self._blocked: anyio.CancelScope | None = None
        self._ingester = Ingester(url, keys, batch)
        self._chores = tidy_consumers(), bound_letters()

    def stop(self) -> None:
        """Finish the call under way and return. Safe in a signal handler of the event loop."""
        self._stopping.set()
        if self._blocked is not None:
            self._blocked.cancel()

    @property
    def healthy(self) -> bool:
        """Whether it advanced lately and nothing is wrong."""
        return self.status == "ok" and time.monotonic() - self._advanced_at < HEALTHY_S

    async def run(self) -> None:
        """Work until :meth:`stop`.

        A server that is away is waited for; a torn state is rebuilt; a log with a gap, or that the server has lost, is
        reported, and nothing is decided until an operator has repaired it.

        Raises:
            ServerTooOld: the server is older than Redis 7.0.
            ServerUnreachable: it did not answer at the start, or refuses the login.
        """
        structlog.contextvars.bind_contextvars(worker=self.name, partition=self.keys.prefix)
        async with open_partition(self.url, self.keys, self.patience_s) as partition:
            wake = connect(self.url)
            partition.membership.name = f"worker {self.name}"
            try:
                log.info("worker started")
                async with background_task("ingester", partial(self._ingester.run, partition)):
                    await self._work(partition, wake)
                log.info("worker stopped", folded=self.folded)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._leave_group(wake)
                    await wake.aclose()

    async def _work(self, partition: Partition, wake: Redis) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                reply = await partition.advance(self.batch)
                self._advanced(reply)
                backoff.reset()
                if not reply.more:
                    for chore in self._chores:
                        await chore.look(partition)
                    await self._wait(wake, reply)
                continue
            except (PartitionHalted, PartitionRebuilding) as problem:
                await self._rebuild(partition, problem)
            except LogGap as problem:
                self._report("the log has a gap", problem)
            except LogWiped as problem:
                self._report("the log was wiped", problem)
            except (SchedulerError, RedisError, OSError) as problem:
                self._report("server away" if is_away(problem) else "call failed", problem)
                if is_read_only(problem):
                    await drop_idle_connections(partition.redis, wake)
            with anyio.move_on_after(5):
                await backoff.wait()

    def _advanced(self, reply: Reply) -> None:
        self._ingester.heard_of(reply.sources)
        if self.status != "ok":
            log.info("advancing", folded=reply.folded, was=self.status)
        self.status, self.problem, self.folded, self._advanced_at = "ok", "", reply.folded, time.monotonic()

    def _report(self, what: str, problem: Exception) -> None:
        if self.status != what:
            log.error(what, problem=str(problem))
        self.status, self.problem = what, str(problem)

    async def _wait(self, wake: Redis, reply: Reply) -> None:
        """Block until an event arrives or something falls due, at most ``LIMITS["sleep_ms"]``.

        The group hands each entry to one worker, so an event wakes one of them. It is read without acknowledgement
        because the watermark, not the group, says what has been folded: nothing stays behind if this worker dies here.
        """
        block = LIMITS["sleep_ms"]
        if reply.next_due_ts is not None:
            block = max(1, min(block, reply.next_due_ts - reply.now_ts))
        streams: Any = {self.keys("events"): ">", self.keys("heartbeats"): ">"}
        try:
            with anyio.CancelScope() as self._blocked:
                if not self._stopping.is_set():
                    await wake.xreadgroup(GROUP, self.name, streams, count=1, block=block_ms(wake, block), noack=True)
        except ResponseError as problem:
            if not str(problem).startswith("NOGROUP"):
                raise
            await self._join_group(wake)
        finally:
            self._blocked = None

    async def _join_group(self, wake: Redis) -> None:
        for stream in STREAMS:
            try:
                await wake.xgroup_create(self.keys(stream), GROUP, "0-0", mkstream=True, entries_read=0)
            except ResponseError as problem:
                if not str(problem).startswith("BUSYGROUP"):
                    raise

    async def _leave_group(self, wake: Redis) -> None:
        try:
            for stream in STREAMS:
                await wake.xgroup_delconsumer(self.keys(stream), GROUP, self.name)
        except (RedisError, OSError):
            log.debug("consumer stays listed", consumer=self.name)  # without pending entries it costs a name

    async def _rebuild(self, partition: Partition, problem: SchedulerError) -> None:
        if self.status != "rebuilding":
            log.warning("rebuilding the state from the log", problem=str(problem))
        self.status, self.problem = "rebuilding", str(problem)
        try:
            folded = await rebuild_if_damaged(partition.redis, self.keys)
            if folded is not None:  # else another worker has just done it
                log.info("rebuilt", folded=folded)
        except (SchedulerError, RedisError, OSError) as trouble:
            log.error("rebuild failed", problem=str(trouble))
