"""Nodes, as the folded state has them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from redis.asyncio import Redis

from ..contract.keys import Keys


class NodeView(msgspec.Struct, kw_only=True):
    """One node."""

    node_id: str
    online: bool
    accepting: bool
    open: bool
    """Whether it may receive a job now."""
    why_closed: str
    """Why not; empty if it may."""
    cordoned: bool
    cordon_reason: str
    held: int
    """Jobs in its hands."""
    room: int | None
    """How many assignments it would take beside those that it has begun; ``None`` if it does not say."""
    pools: list[str]
    mailbox: str
    last_heartbeat_ts: int | None
    """ms since the epoch; ``None`` before the first."""
    cap_json: str
    load_json: str
    trouble: str
    """What it says is wrong with it; empty if nothing is."""


async def read_node(redis: Redis, keys: Keys, node_id: str) -> NodeView | None:
    """Read one node; ``None`` if it has never registered."""
    found = await read_nodes(redis, keys, [node_id])
    return found[0] if found else None


async def read_nodes(redis: Redis, keys: Keys, node_ids: Iterable[str]) -> list[NodeView]:
    """Read several nodes in one round trip; those that never registered are left out."""
    wanted = list(node_ids)
    async with redis.pipeline(transaction=False) as pipe:
        for node_id in wanted:
            pipe.hgetall(keys.node_info(node_id))
            pipe.scard(keys("node_jobs", node_id))
        replies = await pipe.execute()
    pairs = zip(wanted, zip(replies[::2], replies[1::2], strict=True), strict=True)
    return [_node(node_id, info, held) for node_id, (info, held) in pairs if info]


def _node(node_id: str, info: dict[str, str], held: int) -> NodeView:
    beat = info.get("last_heartbeat_ts")
    node = NodeView(
        node_id=node_id,
        online=info.get("online") == "true",
        accepting=info.get("accepting") == "true",
        open=info.get("open") == "true",
        why_closed="",
        cordoned=info.get("cordoned") == "true",
        cordon_reason=info.get("cordon_reason", "") if info.get("cordoned") == "true" else "",
        held=held,
        room=int(info["room"]) if "room" in info else None,
        pools=info.get("pools", "").split(),
        mailbox=info.get("mailbox", node_id),
        last_heartbeat_ts=int(beat) if beat else None,
        cap_json=info.get("cap_json", ""),
        load_json=info.get("load_json", ""),
        trouble=info.get("trouble", ""),
    )
    if not node.open:
        if not node.online:
            node.why_closed = "offline"
        elif node.cordoned:
            node.why_closed = f"cordoned: {node.cordon_reason}" if node.cordon_reason else "cordoned"
        else:
            node.why_closed = "full" if node.accepting else "not accepting"
    return node
