"""An AOF that ends anywhere: of a script all effects are loaded or none, and the partition goes on from there.

``python -m tests.campaign --fault "AOF cut at every byte"`` cuts at each byte; here each script is cut at a few.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamsched.connect.client import connect
from streamsched.contract.errors import PartitionHalted
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.servers.aof import LENIENT, SYNCED, digests, log_of, states, wholes

pytestmark = pytest.mark.anyio

KEYS = Keys("cut")


@asynccontextmanager
async def ledger_on(server: EmbeddedServer) -> AsyncIterator[Ledger]:
    redis = connect(server.url)
    try:
        yield Ledger(redis, KEYS)
    finally:
        await redis.aclose()


async def record(data: Path, binary: Path) -> bytes:
    """A job from submission to its end, another one that waits; returns the AOF of it."""
    with EmbeddedServer(data, append_only=True, binary=binary, options=SYNCED) as server:
        async with ledger_on(server) as ledger:
            await ledger.node()
            await ledger.submit("j1")
            await ledger.tell("started")
            await ledger.tell("completed", status="finished")
            await ledger.submit("j2", src="de")
            await ledger.answer(["type", "job.cancelled", "job_id", "nobody's"])
        server.kill()
    return log_of(data).read_bytes()


async def test_with_any_end_of_the_aof_whole_scripts_are_loaded_and_the_partition_goes_on(
    tmp_path: Path, binary: Path
) -> None:
    whole = await record(tmp_path, binary)
    last = wholes(whole)[-5:]
    cuts = {cut for begin, end in last for cut in (begin, begin + 1, (begin + end) // 2, end - 1, end)}
    found = list(states(whole, digests(tmp_path, binary, whole, sorted(cuts))))
    assert [problem for _, problem in found] == [""] * (len(last) + 1)
    for cut, _ in found:
        log_of(tmp_path).write_bytes(whole[: cut + 1])  # and a byte of the next one
        with EmbeddedServer(tmp_path, append_only=True, binary=binary, options=LENIENT) as server:
            async with ledger_on(server) as ledger:
                await ledger.submit("j3")
                await ledger.check()


async def test_why_a_call_broke_stands_in_the_file(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, append_only=True, options=SYNCED) as server:
        async with ledger_on(server) as ledger:
            await ledger.node()
            await ledger.redis.set(KEYS.job("j1"), "no hash")
            with pytest.raises(PartitionHalted, match="WRONGTYPE"):
                await ledger.submit("j1")
        server.kill()
        server.start()
        async with ledger_on(server) as ledger:
            assert "WRONGTYPE" in str(await ledger.redis.hget(KEYS("meta"), "halted"))
