"""The nodes whose last heartbeat says that something is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.keys import Keys
from .names import names_of


class TroubleView(msgspec.Struct, kw_only=True):
    """What a node says is wrong with it."""

    node_id: str
    trouble: str


async def read_troubles(redis: Any, keys: Keys, limit: int) -> tuple[list[TroubleView], int]:
    """Read what the first nodes in trouble say, and how many such nodes there are.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
        limit: most nodes to read.

    Raises:
        RedisError: the server is away.
    """
    node_ids, total = await names_of(redis, keys("troubled"), limit)
    async with redis.pipeline(transaction=False) as pipe:
        for node_id in node_ids:
            pipe.hget(keys.node_info(node_id), "trouble")
        said = await pipe.execute()
    # one that is well again since the set was read says nothing
    return [TroubleView(node_id=n, trouble=text) for n, text in zip(node_ids, said, strict=True) if text], total
