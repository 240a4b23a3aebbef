"""The nodes of a partition in the form a page needs them: numbered rows, and what changed since an earlier look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

OPEN, FULL, UNWILLING, CORDONED, OFFLINE = "o", "f", "n", "c", "x"
"""Health of a node in one letter: may receive a job; is full; does not accept; cordoned; offline. If several apply, the
last one is shown, as in :attr:`streamsched.state.nodes.NodeView.why_closed`."""


class Row(NamedTuple):
    """What is shown of one node."""

    health: str
    held: int
    pools: int
    """Which of the table's sets of pools."""


def health_of(online: str, accepting: str, may_receive: str, cordoned: str) -> str:
    """Return the letter for a node."""
    if may_receive == "true":
        return OPEN
    if online != "true":
        return OFFLINE
    if cordoned == "true":
        return CORDONED
    return FULL if accepting == "true" else UNWILLING


class NodeTable:
    """Rows that keep their number for as long as the table lives, so that a change names a row in a few bytes."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows: list[Row] = []
        self.pool_sets: list[tuple[str, ...]] = []
        self.by_pool: dict[str, list[int]] = {}
        """Pool id -> members, members that may receive a job."""
        self.totals = dict.fromkeys((OPEN, FULL, UNWILLING, CORDONED, OFFLINE), 0)
        """Nodes by their health."""
        self._number: dict[str, int] = {}
        self._pool_set: dict[str, int] = {}
        self._pool_sets_changed = 0
        self._changed: dict[int, int] = {}  # row -> revision of its last change, the latest change last

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._number

    def update(self, reply: Sequence[str], rev: int) -> bool:
        """Take in what the script ``nodes`` replied; returns whether a row is another one now."""
        changed = False
        for n in range(0, len(reply), 7):
            node_id, online, accepting, may_receive, cordoned, pools, held = reply[n : n + 7]
            row = Row(health_of(online, accepting, may_receive, cordoned), int(held), self._pools(pools, rev))
            number = self._number.get(node_id)
            if number is None:
                number = self._number[node_id] = len(self.ids)
                self.ids.append(node_id)
                self.rows.append(row)
            elif self.rows[number] == row:
                continue
            else:
                self._count(self.rows[number], -1)
                self.rows[number] = row
            self._count(row, 1)
            self._changed.pop(number, None)
            self._changed[number] = rev
            changed = True
        return changed

    def _pools(self, text: str, rev: int) -> int:
        if text not in self._pool_set:
            self._pool_sets_changed = rev
            self._pool_set[text] = len(self.pool_sets)
            self.pool_sets.append(tuple(text.split()))
        return self._pool_set[text]

    @property
    def online(self) -> int:
        """Nodes that are online, whether or not they may receive a job."""
        return len(self) - self.totals[OFFLINE]

    def _count(self, row: Row, sign: int) -> None:
        self.totals[row.health] += sign
        for pool in self.pool_sets[row.pools]:
            counts = self.by_pool.setdefault(pool, [0, 0])
            counts[0] += sign
            counts[1] += sign * (row.health == OPEN)

    def whole(self) -> dict[str, Any]:
        """Return all rows, by columns."""
        return {
            "ids": self.ids,
            "health": "".join(row.health for row in self.rows),
            "held": [row.held for row in self.rows],
            "pools": [row.pools for row in self.rows],
            "pool_sets": self.pool_sets,
        }

    def since(self, rev: int) -> dict[str, Any] | None:
        """Return the rows that changed after a revision, or ``None`` if none did."""
        rows = []
        for number, changed_at in reversed(self._changed.items()):
            if changed_at <= rev:
                break
            row = self.rows[number]
            rows.append((number, self.ids[number], row.health, row.held, row.pools))
        if not rows:
            return None
        changes: dict[str, Any] = {"rows": rows[::-1]}
        if self._pool_sets_changed > rev:
            changes["pool_sets"] = self.pool_sets
        return changes
