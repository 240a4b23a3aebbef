"""Reads the log for metrics, beside the scrapes: events by type, and durations."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from itertools import islice
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError

from ..connect.client import connect
from ..connect.outage import Backoff, is_away
from ..contract.entries import Entry, position
from ..contract.errors import SchedulerError
from ..contract.keys import Keys
from ..contract.wire import EVENTS
from ..engine.script import script
from ..engine.source import facts
from ..log.live import LiveLog
from ..state.node_table import NodeTable
from ..state.pairs import waiting_pairs
from .stages import Stages

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Pause between two reads of the log."""

PAGE = 500
"""Events, and nodes, read at once: half a millisecond of the server's time."""

SWEEP = 100
"""Nodes read once a second although no event named them."""

PAGES = 40
"""Pages of the log per read."""

MOST_UNREAD = 200_000
"""Backlog of events at which the exporter skips to the end of the log."""

PAIRS = 2000
"""Most language pairs to track: a producer may submit jobs for any two codes."""

OTHER = "other"
"""Label for unknown event types: a producer could send a new one each time."""

OF_A_JOB = ("created_ts", "not_before_ts", "attempts", "deliver")


class Follower:
    """Reads the log once a second, and some nodes, independent of scrapes.

    Args:
        url: the server.
        keys: the partition.
    """

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        self.redis: Any = connect(url)
        self._log = LiveLog(connect(url, decode=False), keys)
        self.events: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
        self.decisions: Counter[str] = Counter(dict.fromkeys(facts(), 0))
        self.stages = Stages()
        self.nodes = NodeTable()
        self.pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Language pairs that jobs may wait for."""
        self.unread = self.skipped = 0
        self._last = ""  # id up to which the log was read
        self._folded = 0  # events that had been folded then
        self._cursor = 0  # where the sweep over the nodes stands
        self._named: dict[str, None] = {}  # nodes that an event named

    @property
    def begun(self) -> bool:
        """Whether the server has ever answered."""
        return self._last != ""

    async def begin(self) -> None:
        """Start at the present end of the log.

        Raises:
            RedisError: the server is away.
        """
        watermark, folded, waiting = await self._stand()
        if not watermark:
            return
        self.nodes = NodeTable()
        self._named.clear()
        found, _ = await waiting_pairs(self.redis, self.keys, waiting)
        self._know(found)
        self._cursor = 0
        while True:
            await self._sweep(PAGE)
            if self._cursor == 0:
                break
        self._last, self._folded = watermark, folded

    async def run(self) -> None:
        """Follow the log, through restarts of the server, until cancelled."""
        backoff = Backoff()
        while True:
            try:
                await self.look()
                backoff.reset()
                await anyio.sleep(LOOK_S)
            except (RedisError, OSError, SchedulerError) as problem:
                if not backoff.failures:
                    log.warning("the log cannot be read", problem=str(problem), passes=is_away(problem))
                await backoff.wait()

    async def look(self) -> None:
        """Continue reading, up to a bound."""
        if not self.begun:
            await self.begin()
            return
        watermark, folded, _ = await self._stand()
        if not watermark:
            return  # it is being rebuilt: the log is the same afterwards
        if position(watermark) < position(self._last) or folded < self._folded:
            log.info("the log was replaced, or has lost its end: following it from its present end")
            await self.begin()
            return
        self.unread = folded - self._folded
        if self.unread > MOST_UNREAD:
            self.skipped += self.unread
            self._last, self._folded, self.unread = watermark, folded, 0
        await self._read(watermark, folded)
        await self._sweep(SWEEP)

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
        await self._log.redis.aclose()

    async def _stand(self) -> tuple[str, int, int]:
        """Return the watermark, the number of folded events, and the number of waiting jobs; no id while the state is
        not whole."""
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.hmget(self.keys("meta"), "watermark", "folded", "rebuilding", "begin", "done")
            pipe.hget(self.keys("counters"), "waiting")
            (watermark, folded, rebuilding, begin, done), waiting = await pipe.execute()
        whole = rebuilding is None and begin == done
        return (watermark or "0-0") if whole else "", int(folded or 0), int(waiting or 0)

    async def _read(self, watermark: str, folded: int) -> None:
        for _ in range(PAGES):
            if position(self._last) >= position(watermark):
                break
            page = await self._log.page("events", f"({self._last}", watermark, PAGE)
            for entry in page:
                self.take(entry)
            self._last = page[-1].id if page else watermark
            self._folded += len(page)
            await self._ask()  # after them: if this fails, nothing is counted twice
        if position(self._last) >= position(watermark):
            self._folded = folded  # what was trimmed before it was read is not awaited
        self.unread = folded - self._folded

    def take(self, entry: Entry) -> None:
        """Count one event."""
        e = dict(zip(entry.flat[::2], entry.flat[1::2], strict=True))
        kind = e.get(b"type", b"")
        name = kind.decode(errors="replace")
        if name in self.decisions:
            self.decisions[name] += 1
        else:
            self.events[name if name in self.events else OTHER] += 1
        if kind.startswith(b"job."):
            self.stages.follow(kind, entry.id, position(entry.id)[0], e)
            if kind == b"job.submitted":
                self._know([(_code(e, b"src_lang"), _code(e, b"tgt_lang"))])
        elif kind.startswith(b"node."):
            self._named[e.get(b"node_id", b"").decode(errors="backslashreplace")] = None

    def _know(self, pairs: Any) -> None:
        for pair in pairs:
            if all(pair):
                self.pairs[pair] = None
                self.pairs.move_to_end(pair)
                if len(self.pairs) > PAIRS:
                    self.pairs.popitem(last=False)

    async def _ask(self) -> None:
        """Look up jobs in the state whose submission was not read."""
        asked = list(self.stages.unknown)
        if asked:
            async with self.redis.pipeline(transaction=False) as pipe:
                for job_id in asked:
                    pipe.hmget(self.keys.job(job_id.decode(errors="backslashreplace")), OF_A_JOB)
                for job_id, values in zip(asked, await pipe.execute(), strict=True):
                    self.stages.learn(job_id, dict(zip(OF_A_JOB, values, strict=True)))

    async def _sweep(self, count: int) -> None:
        """Read the nodes that an event named, and the next ones of all: a full node causes no event."""
        named = list(islice(self._named, PAGE))
        cursor, some = await self.redis.sscan(self.keys("nodes"), self._cursor, count=count)
        page = json.dumps([*named, *some])
        reply = await script("read_nodes")(self.redis, nodes=self.keys("nodes"), prefix=self.keys.prefix, ids=page)
        self.nodes.update(reply, 0)
        self._cursor = int(cursor)
        for node_id in named:
            del self._named[node_id]


def _code(e: dict[bytes, bytes], field: bytes) -> str:
    """Return a language code; empty if it is malformed, as in no accepted event."""
    text = e.get(field, b"")
    return text.decode() if text.isascii() and text.replace(b"-", b"").isalnum() and len(text) <= 35 else ""
