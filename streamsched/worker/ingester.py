"""Takes in the events of sources: a task beside a worker's own loop that waits on all ingress streams at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError, ResponseError

from ..connect.client import connect
from ..connect.outage import Backoff, block_ms
from ..contract.errors import SchedulerError
from ..contract.keys import Keys
from ..contract.kinds import LIMITS
from ..engine.partition import Partition
from ..engine.replies import Reply

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""Sources that one call takes from."""

GATHER_S = 0.005
"""How long after a call the next entries may gather: one call then takes in many of them."""


class Ingester:
    """Has taken in what waits in the ingress streams of a partition.

    An entry that is taken in leaves its stream, so every entry still there is to be done, and a worker that dies
    loses nothing. A stream that was found empty is waited for; one that holds more is asked again, by name, when its
    rate allows. Without any source nothing is done, and no connection made.

    Args:
        url: the server.
        keys: the partition.
        batch: events one call may take in, fold or decide.
    """

    def __init__(self, url: str, keys: Keys, batch: int) -> None:
        self.url, self.keys, self.batch = url, keys, batch
        self._changed = ""  # the event that last changed the sources, from the scheduler's reply
        self._read = ""  # the same when the sources were last read
        self._news = anyio.Event()
        self._idle: set[str] = set()
        self._due: dict[str, float] = {}  # those with more to give, and when to ask for it

    def heard_of(self, sources: str) -> None:
        """Note the event that last changed the sources; empty: there are none."""
        if sources != self._changed:
            self._changed = sources
            self._news.set()

    async def run(self, partition: Partition) -> None:
        """Take in for as long as the worker lives; a server that is away is waited for."""
        backoff, redis = Backoff(), connect(self.url)
        try:
            while True:
                try:
                    await self._step(partition, redis)
                    backoff.reset()
                except (SchedulerError, RedisError, OSError) as problem:
                    if not backoff.failures:  # the worker's own loop reports what is wrong, and mends what it can
                        log.info("not taking in", problem=str(problem))
                    self._read = ""
                    await backoff.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await redis.aclose()

    async def _step(self, partition: Partition, redis: Any) -> None:
        if self._read != self._changed:
            changed = self._changed
            self._idle, self._due = set(await redis.smembers(self.keys("sources"))), {}
            self._read = changed
        if not self._idle and not self._due and self._read == self._changed:
            self._news = anyio.Event()
            await self._news.wait()
            return
        now = time.monotonic()
        names = [name for name, at in sorted(self._due.items(), key=lambda row: row[1]) if at <= now][:AT_ONCE]
        reply = await partition.take_in(names, self.batch)
        self._settle(names, reply)
        if names:
            # of thousands of sources the server looks at each: the more there are, the less often
            await anyio.sleep(max(GATHER_S, len(self._idle) / 200_000))
        self._arrived(await self._look(redis, self._patience_ms(reply)))

    def _settle(self, names: Iterable[str], reply: Reply) -> None:
        self.heard_of(reply.sources)
        now = time.monotonic()
        for name in names:
            del self._due[name]
            wait_ms = reply.held.get(name, 0 if reply.more else None)
            if wait_ms is None:
                self._idle.add(name)
            else:
                self._due[name] = now + wait_ms / 1000

    def _arrived(self, names: Iterable[str]) -> None:
        now = time.monotonic()
        for name in names:
            self._idle.discard(name)
            self._due[name] = now

    def _patience_ms(self, reply: Reply) -> int:
        """How long to wait for an entry: until the next source may be asked, or something falls due; 0: not at all."""
        wait_ms = LIMITS["sleep_ms"]
        if reply.next_due_ts is not None:
            wait_ms = min(wait_ms, max(1, reply.next_due_ts - reply.now_ts))
        if self._due:
            wait_ms = min(wait_ms, int((min(self._due.values()) - time.monotonic()) * 1000) + 1)
        return 0 if reply.more else max(0, wait_ms)

    async def _look(self, redis: Any, wait_ms: int) -> list[str]:
        """Return the sources that have said something; waits for the first one if none has yet."""
        if not self._idle:
            await anyio.sleep(wait_ms / 1000)
            return []
        streams = {self.keys("ingress", name): "0-0" for name in self._idle}
        block = {"block": block_ms(redis, wait_ms)} if wait_ms else {}
        try:
            found = await redis.xread(streams, count=1, **block)
        except ResponseError as problem:
            if not str(problem).startswith("WRONGTYPE"):
                raise
            return await self._foreign(redis)
        return [key[len(self.keys("ingress", "")) :] for key, _ in found]

    async def _foreign(self, redis: Any) -> list[str]:
        """Return the sources in whose place something else lives: a call that names them records it."""
        names = sorted(self._idle)
        async with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(self.keys("ingress", name))
            kinds = await pipe.execute()
        return [name for name, kind in zip(names, kinds, strict=True) if kind not in ("stream", "none")]
