"""Is the server away, and how long to wait before the next attempt."""

from __future__ import annotations

import random
import re

import anyio
from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..contract.errors import ServerReadOnly
from .url import LOGIN

AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    MasterDownError,
    TryAgainError,
    ClusterDownError,
    AskError,
    OSError,
)
"""What a server that is gone, restarting or failing over looks like from here; see also :func:`is_away`."""

PASSES = re.compile(r"^UNBLOCKED|^BUSY |non local key in a cluster")
"""What else passes by waiting: a blocked read at a master that is being demoted, somebody's script that takes long, and
a slot of a cluster that is on its way to another server."""

A_SENTINEL = "a sentinel refused the login:"

NO_ANSWER = "no answer from"
"""How it is told that nobody was there, and not that somebody was and would not have us."""


def login_refused(problem: str) -> str:
    """Say why a server let nobody in, and where it is told who we are; a sentinel is told that in the URL alone."""
    if problem.startswith(A_SENTINEL):
        return problem
    if "already authenticated" in problem or "Authentication required" in problem:
        return f"the server refused the login: it wants a password: {LOGIN}"
    return f"the server refused the login: {problem.rstrip('.')}; check the user in the URL, and the password: {LOGIN}"


def is_away(problem: BaseException) -> bool:
    """Tell whether ``problem`` may pass by waiting; a wrong password does not."""
    if isinstance(problem, ResponseError) and PASSES.search(str(problem)):
        return True
    return isinstance(problem, AWAY) and not isinstance(problem, AuthenticationError)


def is_read_only(problem: BaseException) -> bool:
    """Tell whether a replica answered."""
    return isinstance(problem, ServerReadOnly | ReadOnlyError)


async def drop_idle_connections(*clients: Redis) -> None:
    """Drop idle connections: where a name or an address moves with the master, the next call goes to the new one."""
    for redis in clients:
        await redis.connection_pool.disconnect(inuse_connections=False)


def block_ms(redis: Redis, wanted: int) -> int:
    """How long a blocking read may last: well below the time after which a silent server counts as gone."""
    timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
    return wanted if timeout_s is None else max(1, min(wanted, int(timeout_s * 500)))


class Backoff:
    """Counts failures in a row, and waits after each.

    The wait doubles each time, up to two seconds, with full jitter so that a fleet spreads out (Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog 2015).
    """

    def __init__(self) -> None:
        self.failures = 0
        """In a row, up to now."""

    def reset(self) -> None:
        """The work has succeeded."""
        self.failures = 0

    async def wait(self) -> None:
        """Count a failure, and sleep."""
        doublings = min(self.failures, 6)  # a server may be away for days: 2 to the power of a thousand is no float
        self.failures += 1
        await anyio.sleep(random.uniform(0.01, min(2.0, 0.05 * 2**doublings)))
