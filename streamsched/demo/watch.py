"""Observes a running demo a few times a second: the state for the present, the log for what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from redis.asyncio import Redis

from ..contract.keys import Keys
from ..workload.fleet import NodePlan
from ..workload.traces import Pair
from .faults import Faults
from .screen import PairRow, Screen, Snapshot
from .tally import Tally, percentile

LOOK_EVERY_S = 0.25


class Watch:
    """Takes snapshots of a demo and shows them."""

    def __init__(self, redis: Redis, keys: Keys, trouble: Faults, pairs: Sequence[Pair], screen: Screen) -> None:
        self.redis, self.keys, self.trouble, self.pairs, self.screen = redis, keys, trouble, pairs, screen
        self.tally = Tally()
        self.phase: Callable[[], str] = lambda: "starting"
        self.started = time.monotonic()
        self.incidents: list[str] = []

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        """Record an incident, and show it."""
        self.incidents.append(f"{self.elapsed_s:.1f} s: {text}")
        self.screen.say(self.elapsed_s, text)

    async def look_on(self) -> None:
        """Show how things stand until cancelled."""
        while True:
            await self.tally.read(self.redis, self.keys)
            self.screen.show(await self.snapshot())
            await anyio.sleep(LOOK_EVERY_S)

    async def online(self, plans: Sequence[NodePlan]) -> int:
        """Return how many of these nodes are online."""
        pipe = self.redis.pipeline(transaction=False)
        for plan in plans:
            pipe.hget(self.keys.node_info(plan.node_id), "online")
        return sum(online == "true" for online in await pipe.execute())

    async def snapshot(self) -> Snapshot:
        """Read where things stand."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.hgetall(self.keys("counters"))
        pipe.xlen(self.keys("events"))
        pipe.smembers(self.keys("nodes"))
        for pair in self.pairs:
            pool = f"{pair.source}-{pair.target}"  # a pool without an id goes by its name
            pipe.scard(self.keys("pool_online", pool))
            pipe.scard(self.keys("pool_members", pool))
        counters, events, nodes, *pools = await pipe.execute()
        for node_id in nodes:
            pipe.hget(self.keys.node_info(node_id), "online")
        pipe.hget(self.keys("meta"), "folded")
        *online, folded = await pipe.execute()
        tally = self.tally
        followed = sum(count for cause, count in tally.affinity.items() if cause not in ("new", "none"))
        return Snapshot(
            elapsed_s=self.elapsed_s,
            phase=self.phase(),
            workers=(sum(child.alive for child in self.trouble.workers), len(self.trouble.workers)),
            hosts=(sum(child.alive for child in self.trouble.hosts), len(self.trouble.hosts)),
            nodes=(online.count("true"), len(nodes)),
            counters={name: int(count) for name, count in counters.items()},
            events=events,
            lag=max(0, events - int(folded or 0)),
            dispatch_ms=(percentile(tally.dispatch_ms, 0.5), percentile(tally.dispatch_ms, 0.99)),
            stayed_share=tally.affinity["kept"] / followed if followed else 1.0,
            pairs=[self._row(pair, *pools[2 * n : 2 * n + 2]) for n, pair in enumerate(self.pairs)],
        )

    def _row(self, pair: Pair, online: int, members: int) -> PairRow:
        languages = frozenset((pair.source, pair.target))
        waiting, held, done = (self.tally.by_pair[languages, where] for where in ("waiting", "held", "ended"))
        return PairRow(f"{pair.source}-{pair.target}", online, members, waiting, held, done)
