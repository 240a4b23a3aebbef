"""A server that may evict keys is named as one: of a partition, each missing key is a fault.

Reports of the kind: sidekiq/sidekiq #2883, juicedata/juicefs #1991, taskforcesh/bullmq #2215 (keys go, and nothing
says why).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.partition import read_partition

from ..support.processes import Cli
from ..support.scraping import exported

pytestmark = pytest.mark.anyio

WORDS = "the server evicts keys when its memory is full (maxmemory-policy allkeys-lru): set maxmemory-policy noeviction"


@pytest.mark.parametrize(("policy", "named"), [("noeviction", False), ("allkeys-lru", True)])
async def test_an_eviction_policy_is_named_by_the_status_and_by_a_metric(
    keys: Keys, tmp_path: Path, policy: str, named: bool
) -> None:
    with EmbeddedServer(options={"maxmemory-policy": policy}) as own:
        shown = " ".join(Cli(own.url, keys, tmp_path).run("status").out.split())
        assert (WORDS in shown) is named, shown
        async with exported(own, keys) as scraped:
            await scraped.until(lambda now: now.get("eviction") == named)


async def test_a_user_without_the_right_to_ask_is_told_that_it_is_unknown(server: EmbeddedServer, keys: Keys) -> None:
    admin: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
    await admin.execute_command("ACL", "SETUSER", "curious", "on", "nopass", "~*", "+@all", "-info")
    url = server.url.replace("redis://", "redis://curious:x@")
    async with Redis.from_url(url, decode_responses=True, protocol=2) as curious:
        assert (await read_partition(curious, keys)).eviction is None
    await admin.execute_command("ACL", "DELUSER", "curious")
    await admin.aclose()
