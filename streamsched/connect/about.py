"""What a server says about itself. A managed service may withhold a part of it."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError
from redis.utils import str_if_bytes

from .outage import is_away


class Identity(NamedTuple):
    """The version and the role of a server."""

    version: str | None
    """Such as ``7.2.4``; ``None`` if the server permits neither ``HELLO`` nor ``INFO``."""
    role: str | None
    """``master`` or ``replica``; ``None`` under the same condition."""

    def is_before(self, *version: int) -> bool:
        """Return whether the server is known to be older than this version, given as numbers."""
        return self.version is not None and tuple(map(int, self.version.split(".")[: len(version)])) < version


async def identify(redis: Redis) -> Identity:
    """Ask a server for its version and its role.

    ``HELLO`` needs no permission. A server that has disabled it is asked by ``INFO``.

    Raises:
        NoPermissionError: the user may not ask a cluster for the server.
        RedisError: the server is away, or refused the login.
    """
    try:
        return identity_in(await cast(Any, redis).execute_command("HELLO"))
    except ResponseError as problem:
        if is_away(problem) or isinstance(problem, NoPermissionError):
            raise
    about = await info_of(redis, "server", "replication")
    if about is None:
        return Identity(None, None)
    return Identity(str(about["redis_version"]), "master" if about["role"] == "master" else "replica")


def identity_in(hello: list[Any]) -> Identity:
    """Read the reply to ``HELLO``."""
    fields = [str_if_bytes(part) for part in hello]
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    return Identity(told["version"], told["role"])


async def info_of(redis: Redis, *sections: str) -> dict[str, Any] | None:
    """Return these sections of ``INFO``; ``None`` if the user may not ask, or the server has disabled it.

    Raises:
        RedisError: the server is away, or refused the login.
    """
    try:
        found: dict[str, Any] = await cast(Any, redis).info(*sections)
    except ResponseError as problem:
        if is_away(problem):
            raise
        return None
    return found
