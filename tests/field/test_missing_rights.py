"""A user whose rights are incomplete is refused before its call can break half-way and halt the partition."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched import Keys
from streamsched.contract.errors import ServerForbids
from streamsched.contract.events import NodeRegistered
from streamsched.engine.partition import Partition
from streamsched.engine.script import script
from streamsched.ops.acl import commands_of
from streamsched.server.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

LIVE = ("append", "advance", "ingest")
NEEDED = sorted(set().union(*(commands_of(script(name).text) for name in LIVE)) - {"xtrim", "memory|usage"})


@pytest.fixture
async def admin(server: EmbeddedServer) -> AsyncIterator[Any]:
    with EmbeddedServer(binary=server.binary) as one:
        client = Redis.from_url(one.url, decode_responses=True)
        client.url = one.url  # type: ignore[attr-defined]
        yield client
        await client.aclose()


async def test_every_command_of_a_live_call_is_tried() -> None:
    assert set(NEEDED) <= commands_of(script("try_rights").text)


async def test_a_call_without_a_right_is_refused_with_its_name_and_leaves_the_partition_whole(admin: Any) -> None:
    keys = Keys("x")
    await Partition(admin, keys).append(NodeRegistered(node_id="n1", cap_json="{}"))
    before, held = await admin.xlen(keys("events")), set(await admin.keys())
    for command in NEEDED:
        await admin.execute_command("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@all", f"-{command}")
        user = Redis.from_url(admin.url.replace("redis://", "redis://u:p@"), decode_responses=True)
        with pytest.raises(
            ServerForbids, match=f"(?i){command.partition('|')[0]} is not permitted.*streamsched acl ROLE"
        ):
            await Partition(user, keys, patience_s=1).append(NodeRegistered(node_id="n2", cap_json="{}"))
        await user.aclose()
        meta = await admin.hgetall(keys("meta"))
        assert meta["begin"] == meta["done"], command
        assert set(await admin.keys()) == held, command
    assert await admin.xlen(keys("events")) == before
