"""Payloads of a megabyte on a server with the limits that docs/security.md advises: every tool and the node carry on.

Reports of the kind: redis/jedis #468 and redis/redis #91 (a client that the server cuts off by
``client-output-buffer-limit`` reads the same again, and is cut off again).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched import JobState, Keys, Node, Scheduler, SubmitRequest
from streamsched.contract.kinds import LIMITS
from streamsched.server.embedded import EmbeddedServer

from ..support.live import running
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

LIMITED = {"proto-max-bulk-len": "4mb", "client-output-buffer-limit": "normal 16mb 16mb 0"}
COUNT = 40
PAYLOAD = json.dumps("语音翻译" * (LIMITS["payload"] // 12 - 1), ensure_ascii=False)


@pytest.fixture
def limited(server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=server.binary, options=LIMITED) as one:
        yield one


def job(number: int) -> SubmitRequest:
    return SubmitRequest(job_id=f"j{number}", session_id="s", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD)


async def test_every_tool_works_on_a_log_of_large_payloads(limited: EmbeddedServer, keys: Keys, tmp_path: Path) -> None:
    async with running(limited, keys) as scheduler:
        for number in range(COUNT):
            await scheduler.submit(job(number), reply=False)
        await scheduler.partition.redis.xadd(scheduler.partition.keys("events"), {"type": "nonsense", "x": PAYLOAD})
        await scheduler.partition.advance()
    cli = Cli(limited.url, keys, tmp_path)
    for command in (
        ["archive", "--to", "kept", "--once"],
        ["verify"],
        ["verify", "--archive", "kept"],
        ["snapshot", "--to", "kept"],
        ["at", "now", "--archive", "kept"],
        ["query", "SELECT count(*) FROM events", "--archive", "kept"],
        ["dead", "list"],
        ["rebuild", "--yes"],
        ["rebuild", "--from", "kept", "--yes"],
        ["archive", "--to", "kept", "--once", "--trim", "--yes"],
        ["status"],
    ):
        done = cli.run(*command)
        assert done.code == 0, (command, done.err)
    assert len(list((tmp_path / "kept").glob("*.parquet"))) > 1


async def test_a_node_reads_an_inbox_that_is_larger_than_a_reply_may_be(limited: EmbeddedServer, keys: Keys) -> None:
    async with running(limited, keys) as scheduler, anyio.create_task_group() as group:
        jobs = [await scheduler.submit(job(number)) for number in range(COUNT)]

        async def echo(assignment: Any) -> str:
            return str(len(assignment.payload_json))

        async with Node(scheduler, "n1", pools=["en-zh"], concurrency=4) as node:
            group.start_soon(node.run, echo)
            for one in jobs:
                assert (await one.result(60)).status is JobState.FINISHED
            node.stop()


async def test_a_reader_that_is_cut_off_reads_less_at_once(limited: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(limited.url, keys.namespace) as scheduler:
        key = keys.reply(scheduler.results.client_id)
        redis: Any = scheduler.partition.redis
        for number in range(COUNT):
            fields = {
                "job_id": f"j{number}",
                "status": "finished",
                "node_id": "n1",
                "result_json": PAYLOAD,
                "error": "",
            }
            await redis.xadd(key, fields)
        futures = [scheduler.results.expect(f"j{number}") for number in range(COUNT)]
        with anyio.fail_after(60):
            for future in futures:
                assert (await future).status is JobState.FINISHED
