"""The present content of the terminal, from the messages that a page of the dashboard receives."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

from ..dashboard.view import ROWS


class Messages:
    """The last state of one board."""

    def __init__(self) -> None:
        self.sections: dict[str, Any] = {}
        """Sections by the dashboard's names: partition, counters, pairs, pools, health, charts, …"""
        self.log: deque[dict[str, Any]] = deque(maxlen=ROWS)
        """Rows of the log, the latest last."""
        self.ids: list[str] = []
        self.health: list[str] = []
        self.held: list[int] = []
        self.pools: list[int] = []
        self.pool_sets: list[list[str]] = []

    def apply(self, message: dict[str, Any]) -> None:
        """Apply a message with changes; a message with everything starts another :class:`Messages`."""
        nodes = message.pop("nodes", {})
        self.pool_sets = nodes.get("pool_sets", self.pool_sets)
        if "ids" in nodes:
            self.ids, self.health = nodes["ids"], list(nodes["health"])
            self.held, self.pools = nodes["held"], nodes["pools"]
        for number, node_id, health, held, pools in nodes.get("rows", ()):
            if number == len(self.ids):
                self.ids.append(node_id)
                self.health.append(health)
                self.held.append(held)
                self.pools.append(pools)
            else:
                self.health[number], self.held[number], self.pools[number] = health, held, pools
        self.log.extend(message.pop("log", ()))
        self.sections |= message

    def pools_of(self, number: int) -> list[str]:
        """Return the pools of a node."""
        return self.pool_sets[self.pools[number]]

    def health_by_pool(self) -> dict[str, Counter[str]]:
        """Return how many nodes of each pool are in which health, by its letter."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for (pool_set, letter), count in Counter(zip(self.pools, self.health, strict=True)).items():
            for pool in self.pool_sets[pool_set]:
                counts[pool][letter] += count
        return counts
