"""Server URLs: what each scheme means, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import parse_url

SENTINEL_TIMEOUT_S = 2.0
"""A sentinel, or a server of a cluster that is asked for another one, counts as gone when it says nothing for this
long."""

LOGIN = "give it in STREAMSCHED_PASSWORD or --password-file"
"""Where a password goes."""

PLAIN = "redis://[USER:PASSWORD@]HOST:PORT[/DB]"

WATCHED = "redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT,…/NAME[/DB]"

CLUSTER = "redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT,…"

CERT_REQS = ("none", "optional", "required")
"""How far a server's certificate is checked, with ``rediss``."""

BRACKETS = "an IPv6 address stands in brackets: [::1]:6379"

QUOTE = "quote special characters as %XX"

BAD_OPTION, NO_OPTION = "Invalid value for", "it has no option"
"""How a complaint about an option begins; the first is redis-py's."""

SCHEMES = {
    "redis": PLAIN,
    "rediss": PLAIN,
    "unix": "unix:///PATH",
    "redis+sentinel": WATCHED,
    "rediss+sentinel": WATCHED,
    "redis+cluster": CLUSTER,
    "rediss+cluster": CLUSTER,
}
"""How a URL may begin, and how it goes on."""


class ServerAddress(NamedTuple):
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
    """``master``, or ``replica`` for a reader."""
    partition: int | None = None
    """Of which the server is to hold the slot, in a cluster."""


def place_of(url: str) -> ServerAddress:
    """Read a URL.

    ``redis://``, ``rediss://`` (TLS) and ``unix://`` name a server. ``redis+sentinel://`` and ``rediss+sentinel://``
    name sentinels (port 26379 by default), and what those call the server. The login before the ``@`` is the server's;
    that of the sentinels, if they want one, is in ``?sentinel_username=`` and ``?sentinel_password=``.
    ``?role=replica`` leads to a replica that is up, for a reader. ``redis+cluster://`` and
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
        _check_brackets(parts.netloc.rpartition("@")[2])
        return ServerAddress(_checked(cast(dict[str, Any], parse_url(url))), [], {}, "", "master")
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
    return ServerAddress(options, sentinels, asked, unquote(name), role)


def _in_cluster(scheme: str, login: str, servers: list[tuple[str, int]], partition: int, query: str) -> ServerAddress:
    options = _options(scheme, login, "", query)
    if "db" in options or "role" in options:
        raise ValueError("a cluster has one database, and its replicas are not read: leave db and role out")
    asked = _brief(options) | {key: options[key] for key in ("username", "password") if key in options}
    return ServerAddress(options, servers, asked, "", "master", partition)


def _addresses(hosts: str, what: str, port: int) -> list[tuple[str, int]]:
    found = []
    for host in hosts.split(","):
        one = urlsplit(f"redis://{host}")
        _check_brackets(host)
        if not one.hostname:
            raise ValueError(f"a {what} without a host")
        found.append((one.hostname, one.port or port))
    return found


def _check_brackets(host: str) -> None:
    if not host.startswith("[") and host.count(":") > 1:
        raise ValueError(BRACKETS)


def _options(scheme: str, login: str, db: str, query: str) -> dict[str, Any]:
    options = cast(dict[str, Any], parse_url(f"{scheme}://{login}/{db}?{query}"))
    options.pop("connection_class", None)
    return _checked(options) | ({"ssl": True} if scheme == "rediss" else {})


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("ssl_cert_reqs", "none") not in CERT_REQS:
        raise ValueError(f"{BAD_OPTION} 'ssl_cert_reqs': give {', '.join(CERT_REQS)}")
    return options


@contextmanager
def secret_kept(url: str) -> Iterator[None]:
    """Say what is wrong with a URL without a part of its password: a parser may quote what it did not understand.

    Raises:
        ValueError: it cannot be used; the text may be shown.
    """
    try:
        yield
    except (ValueError, TypeError) as problem:
        said = str(problem).removesuffix(" in connection URL.")
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", said):
            said = f"{NO_OPTION} {unknown[1]}"
        of_an_option = said.startswith((BAD_OPTION, NO_OPTION)) and "@" not in url.partition("?")[2]
        raise ValueError(said if "@" not in url or of_an_option or said == BRACKETS else QUOTE) from None


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
