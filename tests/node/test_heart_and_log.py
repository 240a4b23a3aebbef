"""A node's heart has a connection of its own, and knows what the node knows of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamsched.contract.errors import LogWiped
from streamsched.contract.events import SessionReleased
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.log.live import LiveLog

from ..replay.test_restore import archived

pytestmark = pytest.mark.anyio


async def test_a_heartbeat_does_not_go_on_with_the_empty_log_of_a_wiped_server(
    redis: Any, keys: Keys, live: LiveLog, tmp_path: Path
) -> None:
    node, heart = Partition(redis, keys, patience_s=1), Partition(redis, keys, patience_s=1)
    await heart.append(SessionReleased(session_id="s"))
    await archived(live, tmp_path)
    await node.append(SessionReleased(session_id="s"))
    heart.learn_from(node)
    await redis.flushdb()
    with pytest.raises(LogWiped):
        await heart.append(SessionReleased(session_id="s"))
    assert not await redis.exists(keys("events"))
