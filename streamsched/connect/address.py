"""The address of the server behind a client, for messages."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection


def address(redis: Redis) -> str:
    """Return ``host:port`` or the path of a socket, as the client was given it."""
    pool = redis.connection_pool
    given = pool.connection_kwargs
    how = " over TLS" if issubclass(pool.connection_class, SSLConnection) else ""
    return given.get("path") or host_port(given.get("host", "localhost"), given.get("port", 6379)) + how


def host_port(host: str, port: int) -> str:
    """Return a host and a port as a URL has them, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
