"""The processes that fold a partition: each says, beside its calls, up to which version of the folds it can go."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from ..contract.config import FOLD_VERSION
from ..contract.keys import Keys

log = structlog.get_logger(__name__)

SAID_AGAIN_S = 10.0
"""Pause between two times that a process says it."""

SILENT_MS = 120_000
"""A process that has said nothing for this long is gone, or makes no calls: it does not hold an upgrade up."""

NAMED = 10
"""Members that a warning names."""


class Membership:
    """What one process says of itself.

    Args:
        redis: a client of the partition's server.
        keys: the partition.
    """

    def __init__(self, redis: Any, keys: Keys) -> None:
        self._redis, self._key = redis, keys("members")
        self.name = ""
        """Such as ``worker vm:17:0af3``. A process without one, such as a command that ends soon, says nothing."""
        self._said_at = -SAID_AGAIN_S

    async def say(self, now_ts: int) -> None:
        """Say it, unless that was done lately.

        Args:
            now_ts: the scheduler's clock, ms since the epoch.
        """
        if not self.name or time.monotonic() - self._said_at < SAID_AGAIN_S:
            return
        self._said_at = time.monotonic()
        try:
            await self._redis.hset(self._key, self.name, f"{FOLD_VERSION} {now_ts}")
        except (RedisError, OSError) as problem:  # the call before it was answered: nothing else depends on this
            log.debug("this process is not listed", member=self.name, problem=str(problem))

    async def leave(self) -> None:
        """Say no more."""
        if self._said_at < 0:
            return
        try:
            await self._redis.hdel(self._key, self.name)
        except (RedisError, OSError) as problem:
            log.debug("this process stays listed", member=self.name, problem=str(problem))


class Member(msgspec.Struct, kw_only=True):
    """A process that folds."""

    name: str
    """``worker``, ``node`` or ``client``, and its name."""
    fold_version: int
    """The highest version that it can fold."""
    said_ts: int
    """When it said so, ms since the epoch."""


async def read_members(redis: Any, keys: Keys, now_ts: int) -> list[Member]:
    """Read the processes that made calls in the last :data:`SILENT_MS`, by name.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
        now_ts: the server's clock, ms since the epoch.

    Raises:
        RedisError: the server is away.
    """
    return [one for one in await _listed(redis, keys) if now_ts - one.said_ts < SILENT_MS]


async def drop_silent(redis: Any, keys: Keys, now_ts: int) -> int:
    """Remove the processes that have been silent for longer; returns how many.

    Raises:
        RedisError: the server is away, or refuses.
    """
    silent = [one.name for one in await _listed(redis, keys) if now_ts - one.said_ts >= SILENT_MS]
    return int(await redis.hdel(keys("members"), *silent)) if silent else 0


def too_old(members: list[Member]) -> list[str]:
    """Return the names of those that cannot fold the highest version that a member, or this program, can."""
    newest = max([FOLD_VERSION, *(one.fold_version for one in members)])
    return [one.name for one in members if one.fold_version < newest]


def upgrade_words(in_force: int, members: list[Member]) -> str:
    """Say what an upgrade waits for; empty while there is none to be made.

    Args:
        in_force: the version by which the log is folded.
        members: those that make calls.
    """
    newest, old = max([FOLD_VERSION, *(one.fold_version for one in members)]), too_old(members)
    if old:
        named = ", ".join(old[:NAMED]) + (f" and {len(old) - NAMED} more" if len(old) > NAMED else "")
        return (
            f"the log is folded by version {in_force}, and these are too old for version {newest}: {named}. Restart "
            "them with the new program, then `streamsched upgrade`"
        )
    if newest > in_force:
        return f"all can fold version {newest}, and the log is folded by {in_force}: `streamsched upgrade` raises it"
    return ""


async def _listed(redis: Any, keys: Keys) -> list[Member]:
    found = []
    for name, said in sorted((await redis.hgetall(keys("members"))).items()):
        version, _, said_ts = said.partition(" ")
        if version.isdecimal() and said_ts.isdecimal():  # any client may write here
            found.append(Member(name=name, fold_version=int(version), said_ts=int(said_ts)))
    return found
