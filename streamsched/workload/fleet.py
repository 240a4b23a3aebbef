"""A seeded fleet of nodes with mixed language pairs, whose machines follow published shares.

Machines: **openb** (Weng et al., "Beware of Fragmentation", USENIX ATC 2023; the 1,213 GPU nodes of an Alibaba cluster;
G2 and G3 are its names for models it does not disclose). Which machine serves which pair is our construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from .traces import Pair

MACHINES: dict[tuple[str, int], int] = {
    ("G2", 8): 549,
    ("T4", 2): 387,
    ("P100", 2): 131,
    ("G3", 8): 39,
    ("V100M16", 4): 28,
    ("V100M32", 8): 21,
    ("V100M16", 1): 19,
    ("T4", 4): 17,
    ("V100M32", 4): 9,
    ("V100M16", 8): 8,
    ("P100", 1): 3,
    ("A10", 1): 2,
}
"""GPU model and GPUs of a node, and how many of the 1,213 nodes are such (openb)."""

GPUS_PER_JOB = 2
"""A node carries out one job for each two of its GPUs, at least one: our assumption."""

POOLS_PER_NODE = 2
"""Pairs that a node serves, on average: our assumption."""

LONE_SHARE = 5
"""One pair in so many, the least popular ones, is held by a single node."""


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A node to run."""

    node_id: str
    gpu: str
    gpus: int
    pairs: list[Pair]
    """What it serves, the most popular pair first."""

    @property
    def concurrency(self) -> int:
        """How many jobs it runs at the same time."""
        return max(1, self.gpus // GPUS_PER_JOB)

    @property
    def pools(self) -> list[dict[str, Any]]:
        """Its entries of ``pool_names_json``; the languages are listed because a code may hold a hyphen."""
        return [{"name": f"{p.source}-{p.target}", "languages": [p.source, p.target]} for p in self.pairs]

    @property
    def cap_json(self) -> str:
        """Its capabilities."""
        return msgspec.json.encode({"services": ["ASR", "NMT"], "gpu": self.gpu, "gpus": self.gpus}).decode()


def plan_fleet(pairs: Sequence[Pair], nodes: int = 40, seed: int = 0) -> list[NodePlan]:
    """Spread the pairs over so many nodes: popular ones widely, the least popular ones on a single node each.

    Args:
        pairs: what is asked for; every pair is served.
        nodes: how many nodes; 40 by default.
        seed: the same fleet for the same seed.
    """
    random = Random(f"{seed} fleet")
    machines = random.choices(list(MACHINES), list(MACHINES.values()), k=nodes)
    room = [max(1, gpus // GPUS_PER_JOB) for _, gpus in machines]
    ranked = sorted(pairs, key=lambda pair: -pair.weight)
    total = sum(pair.weight for pair in ranked)
    lone = len(ranked) // LONE_SHARE
    load = [0.0] * nodes
    held: list[list[Pair]] = [[] for _ in range(nodes)]
    for rank, pair in enumerate(ranked):
        wanted = max(2, round(pair.weight / total * nodes * POOLS_PER_NODE)) if rank < len(ranked) - lone else 1
        order = sorted(range(nodes), key=lambda n: (load[n] / room[n], random.random()))
        for n in order[:wanted]:
            held[n].append(pair)
            load[n] += pair.weight / wanted
    for n in range(nodes):
        if not held[n]:
            held[n].append(ranked[0])
    return [
        NodePlan(node_id=f"node{n + 1:02}", gpu=gpu, gpus=gpus, pairs=held[n]) for n, (gpu, gpus) in enumerate(machines)
    ]


def lone_pairs(fleet: Sequence[NodePlan]) -> dict[Pair, str]:
    """Return the pairs that only one node holds, each with that node's id."""
    holders: dict[Pair, list[str]] = {}
    for plan in fleet:
        for pair in plan.pairs:
            holders.setdefault(pair, []).append(plan.node_id)
    return {pair: nodes[0] for pair, nodes in holders.items() if len(nodes) == 1}
