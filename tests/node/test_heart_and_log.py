"""A node's heart has a connection of its own, and knows what the node knows of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import LogWiped
from streamsched.contract.events import SessionReleased
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

from ..replay.test_restore import archived

pytestmark = pytest.mark.anyio

SAID = SessionReleased(session_id="s")


async def say(partition: Partition) -> None:
    await partition.append(SAID)


async def test_the_heart_does_not_go_on_with_the_empty_log_of_a_wiped_server(
    server: EmbeddedServer, redis: Any, keys: Keys, live: LiveLog, tmp_path: Path
) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        await scheduler.append(SAID)
        await archived(live, tmp_path)
        await scheduler.append(SAID)
        await redis.flushdb()
        with pytest.raises(LogWiped):
            await scheduler.own_loop.run(say)
        assert not await redis.exists(keys("events"))
