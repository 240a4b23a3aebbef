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
"""Errors of a server that is gone, restarting or failing over; see also :func:`is_away`."""

PASSES = re.compile(r"^UNBLOCKED|^BUSY |non local key in a cluster")
"""Other errors that pass: a blocked read at a master during its demotion, a long script, a slot of a cluster that is
moving to another server."""

A_SENTINEL = "a sentinel refused the login:"

NO_ANSWER = "no answer from"
"""Distinguishes "no sentinel answered" from "a sentinel refused the login"."""


def login_refused(problem: str) -> str:
    """Return why a server refused the login, and where to set the credentials; a sentinel's go in the URL only."""
    if problem.startswith(A_SENTINEL):
        return problem
    if "already authenticated" in problem or "Authentication required" in problem:
        return f"the server refused the login: it wants a password: {LOGIN}"
    return f"the server refused the login: {problem.rstrip('.')}; check the user in the URL, and the password: {LOGIN}"


def is_away(problem: BaseException) -> bool:
    """Return whether waiting may help against ``problem``; it does not against a wrong password."""
    if isinstance(problem, ResponseError) and PASSES.search(str(problem)):
        return True
    return isinstance(problem, AWAY) and not isinstance(problem, AuthenticationError)


def is_read_only(problem: BaseException) -> bool:
    """Return whether a replica answered."""
    return isinstance(problem, ServerReadOnly | ReadOnlyError)


async def drop_idle_connections(*clients: Redis) -> None:
    """Drop idle connections, so that the next call resolves the master's name or address again."""
    for redis in clients:
        await redis.connection_pool.disconnect(inuse_connections=False)


def block_ms(redis: Redis, wanted: int) -> int:
    """Return how long a blocking read may last: well below the time after which a silent server counts as gone."""
    timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
    return wanted if timeout_s is None else max(1, min(wanted, int(timeout_s * 500)))


class Backoff:
    """Counts failures in a row, and waits after each one.

    The wait doubles each time, up to two seconds, with full jitter so that a fleet spreads out (Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog 2015).
    """

    def __init__(self) -> None:
        self.failures = 0
        """Failures in a row, so far."""

    def reset(self) -> None:
        """Call this after a success."""
        self.failures = 0

    async def wait(self) -> None:
        """Count a failure, and sleep."""
        doublings = min(self.failures, 6)  # after days of outage, 2**failures would overflow a float
        self.failures += 1
        await anyio.sleep(random.uniform(0.01, min(2.0, 0.05 * 2**doublings)))
