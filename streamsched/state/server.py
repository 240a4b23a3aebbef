"""What a partition suffers from at its server: it may evict keys, or its clock was set back."""

from __future__ import annotations

from typing import Any

from ..connect.about import info_of

REMEDY = "set maxmemory-policy noeviction"

AHEAD_MS = 60_000
"""A minute: how far ahead the scheduler's time may be before it is worth a word."""


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


def eviction_words(policy: str | None) -> str:
    """Return what such a policy means, with the remedy; empty where no keys are evicted."""
    if not policy:
        return ""
    return f"the server evicts keys when its memory is full (maxmemory-policy {policy}): {REMEDY}"


def clock_words(ahead_ms: int) -> str:
    """Say that the scheduler's time is far ahead; empty while it is not."""
    if ahead_ms < AHEAD_MS:
        return ""
    return (
        f"the scheduler's time is {ahead_ms / 60_000:.0f} min ahead of the server's clock, which was set back: a "
        "deadline that the clock has not reached is refused or falls due. It catches up at half the clock's pace; keep "
        "the servers' clocks in line with NTP"
    )
