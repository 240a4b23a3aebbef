"""Typed, read-only view of the sources."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.keys import Keys


class SourceView(msgspec.Struct, kw_only=True):
    """One source. Times are ms since the epoch, ``None`` for what has not happened."""

    source: str
    role: str
    node_id: str
    """The node whose events it may append; empty for a producer."""
    waiting: int | None
    """Entries in its ingress; ``None`` if something else lives there."""
    rate: int
    backlog: int
    living: int
    """Jobs of its that have not ended."""
    living_bytes: int
    """Bytes of their payloads."""
    cancelling: bool
    """Whether they are being cancelled, because it was revoked with ``cancel``."""
    dropped: int
    """Entries of its that were dropped so far."""
    limited_cause: str
    """The limit that it went beyond last: ``backlog``, ``id``, ``rate``, ``size``, ``type``; empty if it never did."""
    limited_ts: int | None


async def read_sources(redis: Any, keys: Keys, names: list[str]) -> list[SourceView]:
    """Read several sources in one round trip."""
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(keys("source", name))
            pipe.xlen(keys("ingress", name))
            pipe.zscore(keys("gone"), f"jobs {name}")
        replies = await pipe.execute(raise_on_error=False)
    known = zip(names, replies[::3], replies[1::3], replies[2::3], strict=True)
    return [_view(name, fields, *rest) for name, fields, *rest in known if isinstance(fields, dict) and fields]


async def read_cancelling(redis: Any, keys: Keys, limit: int) -> list[str]:
    """Return the names of revoked sources whose jobs are being cancelled, at most ``limit``."""
    members: list[str] = await redis.zrange(keys("gone"), 0, 0, byscore=True, offset=0, num=limit)
    return [member.removeprefix("jobs ") for member in members]


def _view(name: str, fields: dict[str, str], waiting: Any, cancelling: Any) -> SourceView:
    limited = fields.get("limited_ts")
    return SourceView(
        source=name,
        role=fields["role"],
        node_id=fields["node_id"],
        waiting=waiting if isinstance(waiting, int) else None,
        rate=int(fields["rate"]),
        backlog=int(fields["backlog"]),
        living=int(fields.get("living", 0)),
        living_bytes=int(fields.get("living_bytes", 0)),
        cancelling=isinstance(cancelling, float),
        dropped=int(fields.get("dropped", 0)),
        limited_cause=fields.get("limited_cause", ""),
        limited_ts=int(limited) if limited else None,
    )
