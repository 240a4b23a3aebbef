"""Clients of the server that a URL names: one server, sentinels, or a cluster."""

from __future__ import annotations

import inspect
import socket
from typing import Any, cast

import anyio
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .about import identity_in
from .address import address, host_port
from .cluster import Slot, SlotPool
from .sentinel import SentinelClient, SentinelPool
from .url import place_of, secret_kept

SOCKET_TIMEOUT_S = 10.0
"""A server that is silent for this long counts as gone, unless the URL sets ``?socket_timeout=``."""

FIRST_ANSWER_S = 2.0
"""The same before a connection is made, and before the first answer on it, unless the URL sets
``?socket_connect_timeout=``: a proxy may accept connections for a server that is gone."""

KEEPALIVE_S = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Silence before the first probe (its second name is that of macOS), between probes, and how many: a firewall, NAT or
load balancer forgets an idle connection, often after a few minutes, and then drops what is sent on it."""

KEEPALIVE = {getattr(socket, name): value for name, value in KEEPALIVE_S.items() if hasattr(socket, name)}
"""The same by the numbers of this platform."""

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
    with secret_kept(url):
        redis = _client(url, decode)
        pool: Any = redis.connection_pool
        pool.make_connection()  # only reads the options; it does not connect
    return redis


def _client(url: str, decode: bool) -> Redis:
    place = place_of(url)
    never: Any = {"protocol": 2, "retry": Retry(NoBackoff(), 0), **NAMELESS}
    master = place.role == "master"
    ours = never | {
        "redis_connect_func": OnConnect(bool(place.guides) and master).greet,
        "decode_responses": decode,
        "encoding_errors": "backslashreplace",
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": FIRST_ANSWER_S,
    }
    if "path" not in place.options:  # a Unix socket knows no keepalive
        ours |= {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
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
    """Runs on each new connection of a client: counts it, and checks that the server answers and a master still is
    one."""

    def __init__(self, wants_master: bool) -> None:
        self.wants_master, self.made = wants_master, 0

    async def greet(self, connection: Any) -> None:
        """Log in and check the server's role.

        Raises:
            RedisTimeoutError: the server did not answer in time.
            RedisConnectionError: a replica answered where a master was wanted. The sentinels may not know of the
                demotion yet, and a demoted master answers reads from a history that will be dropped.
            ResponseError: a master was wanted, and the server does not tell its role.
        """
        where = getattr(connection, "path", "") or host_port(connection.host, connection.port)
        within_s = connection.socket_connect_timeout
        try:
            with anyio.fail_after(within_s):
                await connection.on_connect()
                role = await self._role(connection)
        except TimeoutError as problem:
            raise RedisTimeoutError(
                f"{where} accepted the connection, and did not answer in {within_s:g} s"
            ) from problem
        if self.wants_master and role != "master":
            raise RedisConnectionError(f"{where} is no longer the master")
        self.made += 1

    async def _role(self, connection: Any) -> str | None:
        await connection.send_command("HELLO", 2)  # every login may run it
        try:
            return identity_in(await connection.read_response()).role
        except ResponseError:
            if self.wants_master:
                raise
            return None  # that it is disabled is an answer, too


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
        seeds = ", ".join(host_port(*seed) for seed in pool.slot.seeds)
        return f"slot {pool.slot.number} of the cluster of {seeds}"
    return address(redis)
