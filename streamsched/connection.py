"""The way to a server: what a URL may say, where the server is now, and what it looks like when it is not there."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import anyio
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SlaveNotFoundError
from redis.backoff import NoBackoff
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
from redis.utils import str_if_bytes

from .cluster import HolderPool, Slot
from .errors import ServerReadOnly

SOCKET_TIMEOUT_S = 10.0
"""A server that says nothing for this long counts as gone, unless the URL says ``?socket_timeout=``."""

SENTINEL_TIMEOUT_S = 2.0
"""The same for a sentinel, or a server of a cluster that is asked where another one is."""

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

NAMELESS: dict[str, None] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
"""A connection does not say which library made it: that takes a permission of its own, and a round trip."""

LOGIN = "give it in STREAMSCHED_PASSWORD or --password-file"
"""Where a password goes."""

PLAIN = "redis://[USER:PASSWORD@]HOST:PORT[/DB]"
WATCHED = "redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT,…/NAME[/DB]"
CLUSTER = "redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT,…"
SCHEMES = {"redis": PLAIN, "rediss": PLAIN, "unix": "unix:///PATH"}
SCHEMES |= {"redis+sentinel": WATCHED, "rediss+sentinel": WATCHED, "redis+cluster": CLUSTER, "rediss+cluster": CLUSTER}
"""How a URL may begin, and how it goes on."""


class Place(NamedTuple):
    """What a URL says."""

    options: dict[str, Any]
    """Of the connections to the server."""
    guides: list[tuple[str, int]]
    """Who knows where it is, sentinels or some servers of a cluster; empty if the URL does."""
    guide_options: dict[str, Any]
    """Of the connections to those."""
    name: str
    """What sentinels call it."""
    role: str
    """``master``, or ``replica`` for whoever only reads."""
    partition: int | None = None
    """Of which the server is to hold the slot, in a cluster."""


def place_of(url: str) -> Place:
    """Read a URL.

    ``redis://``, ``rediss://`` (TLS) and ``unix://`` name a server. ``redis+sentinel://`` and ``rediss+sentinel://``
    name sentinels (port 26379 by default), and what those call the server. The login before the ``@`` is the server's;
    that of the sentinels, if they want one, stands in ``?sentinel_username=`` and ``?sentinel_password=``.
    ``?role=replica`` leads to a replica that is up, for whoever only reads. ``redis+cluster://`` and
    ``rediss+cluster://`` name servers of a cluster (port 6379 by default), of which one that is up is enough; see
    :func:`of_partition`. Every other option goes to the connections, such as ``?socket_timeout=3`` (seconds, 10 by
    default).

    Raises:
        ValueError: it cannot be used; the text says why.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it begins with none of {', '.join(scheme + '://' for scheme in SCHEMES)}")
    scheme, _, kind = parts.scheme.partition("+")
    if not kind:
        return Place(cast(dict[str, Any], parse_url(url)), [], {}, "", "master")
    login, at, hosts = parts.netloc.rpartition("@")
    name, _, db = parts.path.strip("/").partition("/")
    if kind == "cluster":
        if not hosts:
            raise ValueError("no server of the cluster")
        if db or (name and not name.isdecimal()):
            raise ValueError(f"{name!r} is no number of a partition, and a cluster has one database")
        return _in_cluster(scheme, f"{login}{at}", _addresses(hosts, "server", 6379), int(name or 0), parts.query)
    if not hosts or not name:
        raise ValueError("no sentinel, or no name behind them")
    sentinels = _addresses(hosts, "sentinel", 26379)
    options = _options(scheme, f"{login}{at}", db, parts.query)
    if db and "db" not in options:
        raise ValueError(f"{db!r} is no number of a database")
    role = options.pop("role", "master")
    if role not in ("master", "replica"):
        raise ValueError("role is neither master nor replica")
    asked = _brief(options)
    for key in ("username", "password"):
        if (value := options.pop(f"sentinel_{key}", None)) is not None:
            asked[key] = value
    return Place(options, sentinels, asked, unquote(name), role)


def _in_cluster(scheme: str, login: str, servers: list[tuple[str, int]], partition: int, query: str) -> Place:
    options = _options(scheme, login, "", query)
    if "db" in options or "role" in options:
        raise ValueError("a cluster has one database, and its replicas are not read: leave db and role out")
    asked = _brief(options) | {key: options[key] for key in ("username", "password") if key in options}
    return Place(options, servers, asked, "", "master", partition)


def _addresses(hosts: str, what: str, port: int) -> list[tuple[str, int]]:
    found = []
    for host in hosts.split(","):
        one = urlsplit(f"redis://{host}")
        if not one.hostname:
            raise ValueError(f"a {what} without a host")
        found.append((one.hostname, one.port or port))
    return found


def _options(scheme: str, login: str, db: str, query: str) -> dict[str, Any]:
    options = cast(dict[str, Any], parse_url(f"{scheme}://{login}/{db}?{query}"))
    options.pop("connection_class", None)
    return options | ({"ssl": True} if scheme == "rediss" else {})


def _brief(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a connection to one that has little to do, and whose neighbour knows as much."""
    kept = ("socket_timeout", "socket_connect_timeout")
    brief = {key: min(SENTINEL_TIMEOUT_S, options.get(key, SENTINEL_TIMEOUT_S)) for key in kept}
    return brief | {key: value for key, value in options.items() if key.startswith("ssl")}


def of_partition(url: str, partition: int) -> str:
    """Return the URL by which a partition is reached: that of a cluster names it behind its servers, for each partition
    lies on one of them."""
    parts = urlsplit(url)
    if SCHEMES.get(parts.scheme) is not CLUSTER or parts.path.strip("/"):
        return url
    return parts._replace(path=f"/{partition}").geturl()


def connect(url: str, decode: bool = True) -> Redis:
    """Return a client for short calls. It never retries by itself: a repeated ``XADD`` would be a second entry.

    Behind sentinels each new connection goes to the server that is the master then (``?role=replica``: to one of its
    replicas), and one that turns out to have been demoted is given up as if it were gone. In a cluster it goes to the
    server that holds the partition's slot then.

    With ``decode=False`` its replies are bytes, for whoever must hand on a log exactly as it is.

    ``protocol=2`` because replies of the two protocols differ in shape.

    Raises:
        ValueError: the URL cannot be used.
    """
    place = place_of(url)
    never: Any = {"protocol": 2, "retry": Retry(NoBackoff(), 0), **NAMELESS}
    master = place.role == "master"
    ours = never | {
        "redis_connect_func": Greeter(bool(place.guides) and master).greet,
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
            HolderPool(Slot(place.guides, place.partition, never | place.guide_options), secure, **options)
        )
    pool: Any = WatchedPool  # redis-py has no types here
    watch = cast(Any, Watch)(place.guides, sentinel_kwargs=never | place.guide_options)
    return Redis.from_pool(pool(place.name, watch, is_master=master, **ours | place.options))


class Greeter:
    """What is done on each new connection of a client: it is counted, and a master is asked whether it still is one."""

    def __init__(self, wants_master: bool) -> None:
        self.wants_master, self.made = wants_master, 0

    async def greet(self, connection: Any) -> None:
        """Log in, and look whom we talk to.

        Raises:
            RedisConnectionError: a replica answered where a master was wanted. A sentinel may not know yet, and a
                demoted master answers whoever reads with a past that is to be no more.
        """
        await connection.on_connect()
        if self.wants_master:
            await connection.send_command("HELLO", 2)  # of all commands that tell the role the one open to every login
            if role_in(await connection.read_response()) != "master":
                raise RedisConnectionError(f"{connection.host}:{connection.port} is not the master any more")
        self.made += 1


def role_in(hello: list[Any]) -> str:
    """Read the role of a server, ``master`` or ``replica``, from its reply to ``HELLO``."""
    told = [str_if_bytes(part) for part in hello]
    return told[told.index("role") + 1]


def connections_made(redis: Redis) -> int:
    """Count the connections a client has made so far. redis-py replaces a lost one unasked: when the number has grown,
    another server may be answering, which knows less."""
    greet = redis.connection_pool.connection_kwargs.get("redis_connect_func")
    return greet.__self__.made if greet else 0


class Watch(Sentinel):
    """The sentinels, who know which server is the master now."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Ask one after another; whoever answered is the first to be asked next time.

        Raises:
            AuthenticationError: no sentinel knew it, and one refused the login.
            MasterNotFoundError: none knows it, or it is down and no other has been chosen yet.
        """
        told: list[str] = []
        refused: AuthenticationError | None = None
        away: Exception | None = None
        for n, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except AuthenticationError as problem:
                refused = problem
            except AWAY as problem:
                away = problem
                told.append(str(problem))
            else:
                state = masters.get(service_name)
                if state and self.check_master_state(state, service_name):
                    self.sentinels.insert(0, self.sentinels.pop(n))
                    return str(state["ip"]), int(state["port"])
                told.append(f"{where_is(sentinel)} " + ("says that it is down" if state else f"knows {list(masters)}"))
        if refused is not None:
            raise AuthenticationError(f"{A_SENTINEL} {refused} (?sentinel_username=, ?sentinel_password=)")
        raise MasterNotFoundError(f"no sentinel knows a master {service_name!r}: {'; '.join(told)}") from away


class WatchedPool(SentinelConnectionPool):
    """Connections to whichever server the sentinels name."""

    sentinel_manager: Watch

    async def rotate_slaves(self) -> AsyncIterator[tuple[str, int]]:
        """Yield the replicas, in random order; never the master, which would take what is written."""
        found = list(await self.sentinel_manager.discover_slaves(self.service_name))
        random.shuffle(found)
        for host, port in found:
            yield str(host), int(port)
        raise SlaveNotFoundError(f"no sentinel knows a replica of {self.service_name!r} that is up")

    async def aclose(self) -> None:
        """Let go of the server and of the sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def where_is(redis: Redis) -> str:
    """Say which server a client talks to, for a message."""
    pool = redis.connection_pool
    if isinstance(pool, WatchedPool):
        known = ", ".join(where_is(sentinel) for sentinel in pool.sentinel_manager.sentinels)
        return f"{pool.service_name} (sentinels {known})"
    told = pool.connection_kwargs
    if isinstance(pool, HolderPool):
        return (
            f"slot {pool.slot.number} of the cluster of {', '.join(f'{host}:{port}' for host, port in pool.slot.seeds)}"
        )
    how = " over TLS" if issubclass(pool.connection_class, SSLConnection) else ""
    return told.get("path") or f"{told.get('host', 'localhost')}:{told.get('port', 6379)}{how}"


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


async def look_anew(*clients: Redis) -> None:
    """Drop idle connections: where a name or an address moves with the master, the next call goes to the new one."""
    for redis in clients:
        await redis.connection_pool.disconnect(inuse_connections=False)


def block_ms(redis: Redis, wanted: int) -> int:
    """How long a blocking read may last: well below the time after which a silent server counts as gone."""
    timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
    return wanted if timeout_s is None else max(1, min(wanted, int(timeout_s * 500)))


async def pause(attempt: int) -> None:
    """Sleep before try number ``attempt``: twice as long each time up to two seconds, with full jitter so that a fleet
    spreads out.

    (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015.)
    """
    doublings = min(attempt, 6)  # a server may be away for days: 2 to the power of a thousand tries is no float
    await anyio.sleep(random.uniform(0.01, min(2.0, 0.05 * 2**doublings)))
