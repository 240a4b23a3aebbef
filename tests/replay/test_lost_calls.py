"""A server that restarts without its last calls while an archive is put back."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest
from redis import Redis as ServerClient
from redis.asyncio import Redis

from streamsched.contract.errors import PartitionRebuilding
from streamsched.contract.keys import Keys
from streamsched.engine.script import script
from streamsched.log.live import LiveLog
from streamsched.replay.restore import restore
from streamsched.replay.values import read_state
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from .test_restore import archived, story, wipe

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log is archived and lost, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def test_a_restore_on_a_server_that_restarts_without_its_last_calls_stops_and_begins_again(
    log: Ledger, live: LiveLog, tmp_path: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log, "a")
    kept, before, meta = await archived(live, tmp_path), await read_state(log.redis, log.keys), log.keys("meta")
    await wipe(log)
    monkeypatch.setattr("streamsched.replay.restore.CHUNK", 4)

    restarts: list[int] = []

    def restart(folded: int) -> None:
        if folded > 8 and not restarts:  # as it was before the first call
            restarts.append(folded)
            with ServerClient.from_url(server.url, decode_responses=True) as raw:
                state = [key for key in raw.scan_iter(log.keys.prefix + "*") if log.keys.is_state(key) and key != meta]
                raw.unlink(*state)
                raw.hset(meta, mapping={"watermark": "0-0", "folded": 0})

    with pytest.raises(PartitionRebuilding, match="the server has lost a part of what was restored: run it again"):
        await restore(log.redis, live, kept, restart)
    assert await restore(log.redis, live, kept) == kept.count
    assert await read_state(log.redis, log.keys) == before


async def test_a_page_of_a_snapshot_behind_one_that_the_server_has_lost_is_refused(log: Ledger) -> None:
    load, given = script("load_snapshot"), {"events": log.keys("events"), "prefix": log.keys.prefix}
    pages = [msgpack.packb([[f"job:{n}", "hash", 0, ["status", "created"]]], use_bin_type=False) for n in range(3)]
    for number in (0, 1, 1):  # the reply to one was lost
        await load(log.redis, **given, page=pages[number], number=number)
    await log.redis.delete(log.keys("meta"), log.keys.job("0"), log.keys.job("1"))
    with pytest.raises(PartitionRebuilding, match="run it again"):
        await load(log.redis, **given, page=pages[2], number=2)
