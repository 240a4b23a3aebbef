"""Whether a server may evict keys: of a partition, each missing key is a fault."""

from __future__ import annotations

from typing import Any

from ..connect.about import info_of

REMEDY = "set maxmemory-policy noeviction"


async def read_eviction(redis: Any) -> str | None:
    """Return the policy by which the server evicts keys once it reaches ``maxmemory``; empty if it evicts none,
    ``None`` if the server does not say.

    Raises:
        RedisError: the server is away.
    """
    about = await info_of(redis, "memory")
    if about is None:
        return None
    policy = str(about.get("maxmemory_policy", "noeviction"))
    return "" if policy == "noeviction" else policy


def eviction_words(policy: str) -> str:
    """Return what such a policy means, with the remedy."""
    return f"the server evicts keys when its memory is full (maxmemory-policy {policy}): {REMEDY}"
