"""Reads the state of a partition onto a board; of large parts, only what an event may have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from ..contract.entries import Chunk
from ..contract.keys import Keys
from ..engine.script import script
from ..history.rows import short
from ..state.overview import COUNTERS
from ..state.pauses import PauseView, read_pauses
from ..state.troubles import read_troubles
from .view import View

PAGE = 500
"""Nodes read in one call: half a millisecond of the server's time."""

BUDGET = 2000
"""Nodes read at one look, of those an event named; the others follow at the next ones."""

SWEEP = 50
"""Nodes read at one look although no event named them, so that nothing wrong stays for long."""

TROUBLES = 5
"""Nodes in trouble that are named."""

PAIRS = 300
"""Language pairs, and pools, that are shown."""


class StateReader:
    """One state, live or folded to a moment, and the board it is read onto.

    Args:
        redis: a client of the server that holds the state, which decodes replies.
        keys: the partition.
        pairs: language pairs that jobs were ever submitted for; those of the pools are known besides.
    """

    def __init__(self, redis: Any, keys: Keys, pairs: set[tuple[str, str]]) -> None:
        self.redis, self.keys, self.pairs = redis, keys, pairs
        self.board = View()
        self.counters: dict[str, int] = {}
        self._stale: dict[str, None] = {}  # nodes to read, in the order in which they were named
        self._jobs: dict[str, None] = {}  # jobs whose node is to be read
        self._pools: dict[str, tuple[str, list[str]]] = {}
        self._waiting: dict[tuple[str, str], int] = {}
        self._paused: dict[str, PauseView] = {}
        self._swept = self._asked = 0

    def note(self, chunk: Chunk) -> None:
        """Record what the events of a chunk may have changed."""
        for entry in chunk.entries:
            if entry.flat[1] == b"node.registered":
                self._pools.clear()  # a pool may have other languages now
            node_id = job_id = None
            for name, value in zip(entry.flat[::2], entry.flat[1::2], strict=True):
                if name == b"node_id":
                    node_id = value
                elif name == b"job_id":
                    job_id = value
            if node_id is not None:
                self._stale[node_id.decode(errors="backslashreplace")] = None
            elif job_id is not None:
                self._jobs[job_id.decode(errors="backslashreplace")] = None

    async def look(self, whole: bool = False, budget: int | None = BUDGET) -> None:
        """Bring the board in line with the state: all of it, or what was noted since the last look.

        Args:
            whole: read everything.
            budget: nodes to read of those that were noted, the others at the next look; ``None`` reads them all.

        Raises:
            RedisError: the server is away.
        """
        rev = self.board.begin()
        if whole:
            self._stale = dict.fromkeys(sorted(await self.redis.smembers(self.keys("nodes"))))
            self._pools.clear()
            self._jobs.clear()
        await self._find_holders(budget)
        wanted = list(self._stale) if whole else list(islice(self._stale, budget))
        for node_id in wanted:
            del self._stale[node_id]
        await self._read_nodes([*wanted, *self._sweep()], rev)
        await self._read_rest()

    async def _find_holders(self, budget: int | None) -> None:
        """Turn jobs that an event named without their node into nodes to read; a job keeps the name of its last one."""
        jobs = list(islice(self._jobs, budget))
        if jobs:
            async with self.redis.pipeline(transaction=False) as pipe:
                for job_id in jobs:
                    pipe.hget(self.keys.job(job_id), "node_id")
                    del self._jobs[job_id]
                self._stale.update(dict.fromkeys(filter(None, await pipe.execute())))

    def _sweep(self) -> list[str]:
        ids = self.board.nodes.ids
        if self._swept >= len(ids):
            self._swept = 0
        swept = ids[self._swept : self._swept + SWEEP]
        self._swept += SWEEP
        return swept

    async def _read_nodes(self, ids: list[str], rev: int) -> None:
        for start in range(0, len(ids), PAGE):
            page = json.dumps(ids[start : start + PAGE])
            reply = await script("read_nodes")(self.redis, nodes=self.keys("nodes"), prefix=self.keys.prefix, ids=page)
            self.board.nodes.update(reply, rev)

    async def _read_rest(self) -> None:
        by_pool = self.board.nodes.by_pool
        await self._learn_pools(pool for pool in by_pool if pool not in self._pools)
        self._paused = await read_pauses(self.redis, self.keys)
        troubles, in_trouble = await read_troubles(self.redis, self.keys, TROUBLES)
        served = self._served()
        pairs = self._pairs_to_ask(served)
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(self.keys("counters"))
            pipe.hgetall(self.keys("config"))
            for src, tgt in pairs:
                pipe.zcard(self.keys("waiting", src, tgt))
            raw, config, *waiting = await pipe.execute()
        self.counters = {name: int(raw.get(name, 0)) for name in COUNTERS}
        self._waiting.update(zip(pairs, waiting, strict=True))
        rows: list[tuple[str, str, int, int, int, int, bool]] = [
            (src, tgt, self._waiting.get((src, tgt), 0), *served.get((src, tgt), (0, 0, 0)), self._waits(src, tgt))
            for src, tgt in served.keys() | self._waiting.keys()
        ]
        rows.sort(key=lambda row: (not (row[2] and (row[6] or not row[4])), -row[2], row[0], row[1]))
        put = self.board.put
        put("counters", self.counters)
        put("config", config)
        put("pairs", rows[:PAIRS])
        put("health", self.board.nodes.totals)
        put("troubles", {"total": in_trouble, "nodes": [(one.node_id, short(one.trouble)) for one in troubles]})
        put("pools", self._pool_rows())

    async def _learn_pools(self, unknown: Iterable[str]) -> None:
        names = list(unknown)
        if names:
            async with self.redis.pipeline(transaction=False) as pipe:
                for pool in names:
                    pipe.hmget(self.keys("pool_info", pool), "name", "languages")
                for pool, (name, languages) in zip(names, await pipe.execute(), strict=True):
                    self._pools[pool] = name or "", (languages or "").split()

    def _served(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """Return for each pair that a pool serves: pools, those with a node that may receive a job, and such nodes."""
        served: dict[tuple[str, str], tuple[int, int, int]] = {}
        for pool, (_, languages) in self._pools.items():
            members, able = self.board.nodes.by_pool.get(pool, (0, 0))
            if not members:
                continue
            if f"pool {pool}" in self._paused:
                able = 0
            for src in languages:
                for tgt in languages:
                    if src != tgt:
                        pools, open_pools, nodes = served.get((src, tgt), (0, 0, 0))
                        served[src, tgt] = pools + 1, open_pools + (able > 0), nodes + able
        return served

    def _waits(self, src: str, tgt: str) -> bool:
        """Return whether an operator has paused a pair."""
        return f"pair {src}:{tgt}" in self._paused

    def _pairs_to_ask(self, served: dict[tuple[str, str], tuple[int, int, int]]) -> list[tuple[str, str]]:
        """Return the pairs whose queue is looked at now: those that had one, and some of the others."""
        queued = [pair for pair, count in self._waiting.items() if count][:PAIRS]
        others = sorted((self.pairs | served.keys()) - set(queued))
        if self._asked >= len(others):
            self._asked = 0
        some = others[self._asked : self._asked + PAIRS]
        self._asked += PAIRS
        return queued + some

    def _pool_rows(self) -> list[list[Any]]:
        """Return of the largest: id, name, languages, members, those that may receive a job, whether it is paused."""
        counts, paused = self.board.nodes.by_pool, self._paused
        largest = sorted(counts, key=lambda pool: (-counts[pool][0], pool))[:PAIRS]
        rows = [[pool, *self._pools.get(pool, ("", [])), *counts[pool], f"pool {pool}" in paused] for pool in largest]
        return sorted(rows, key=lambda row: (row[1], row[0]))
