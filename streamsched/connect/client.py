"""Clients of the server that a URL names: one server, sentinels, or a cluster."""

from __future__ import annotations

import inspect
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from .about import identity_in
from .address import address
from .cluster import Slot, SlotPool
from .sentinel import SentinelClient, SentinelPool
from .url import place_of

SOCKET_TIMEOUT_S = 10.0
"""A server that is silent for this long counts as gone, unless the URL sets ``?socket_timeout=``."""

NAMELESS: dict[str, None] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
"""The client does not send its library name: that needs its own permission, and a round trip."""


def connect(url: str, decode: bool = True) -> Redis:
    """Return a client for short calls. It never retries by itself: a repeated ``XADD`` would append a second entry.

    Behind sentinels, each new connection goes to the present master (``?role=replica``: to one of its replicas). A
    connection to a demoted master is dropped. In a cluster, each new connection goes to the server that holds the
    partition's slot.

    With ``decode=False`` replies are bytes, for a caller that must copy a log exactly.

    ``protocol=2`` because the replies of the two protocols have different shapes.

    Raises:
        ValueError: the URL cannot be used.
    """
    place = place_of(url)
    never: Any = {"protocol": 2, "retry": Retry(NoBackoff(), 0), **NAMELESS}
    master = place.role == "master"
    ours = never | {
        "redis_connect_func": OnConnect(bool(place.guides) and master).greet,
        "decode_responses": decode,
        "encoding_errors": "backslashreplace",
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
    }
    if not place.guides:
        return Redis.from_url(url, **ours)
    if place.partition is not None:
        options = ours | place.options
        secure = options.pop("ssl", False)
        return Redis.from_pool(
            SlotPool(Slot(place.guides, place.partition, never | place.guide_options), secure, **options)
        )
    pool: Any = SentinelPool  # redis-py is untyped here
    watch = cast(Any, SentinelClient)(place.guides, sentinel_kwargs=never | place.guide_options)
    return Redis.from_pool(pool(place.name, watch, is_master=master, **ours | place.options))


class OnConnect:
    """Runs on each new connection of a client: counts it, and checks that a master still is one."""

    def __init__(self, wants_master: bool) -> None:
        self.wants_master, self.made = wants_master, 0

    async def greet(self, connection: Any) -> None:
        """Log in and check the server's role.

        Raises:
            RedisConnectionError: a replica answered where a master was wanted. The sentinels may not know of the
                demotion yet, and a demoted master answers reads from a history that will be dropped.
        """
        await connection.on_connect()
        if self.wants_master:
            await connection.send_command("HELLO", 2)  # the one command with the role that every login may run
            if identity_in(await connection.read_response()).role != "master":
                raise RedisConnectionError(f"{connection.host}:{connection.port} is no longer the master")
        self.made += 1


def connections_made(redis: Redis) -> int:
    """Count the connections a client has made. redis-py replaces a lost connection silently: when the number grows,
    another server with less data may be answering."""
    greet = redis.connection_pool.connection_kwargs.get("redis_connect_func")
    return greet.__self__.made if greet else 0


def where_is(redis: Redis) -> str:
    """Return which server a client uses, for a message."""
    pool = redis.connection_pool
    if isinstance(pool, SentinelPool):
        known = ", ".join(where_is(sentinel) for sentinel in pool.sentinel_manager.sentinels)
        return f"{pool.service_name} (sentinels {known})"
    if isinstance(pool, SlotPool):
        return (
            f"slot {pool.slot.number} of the cluster of {', '.join(f'{host}:{port}' for host, port in pool.slot.seeds)}"
        )
    return address(redis)
