"""A node says how much room it has, so that it declines nothing for want of it."""

from __future__ import annotations

import anyio
import pytest

from streamsched.client.requests import SubmitRequest
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node import Assignment, Node
from streamsched.server.embedded import EmbeddedServer

from ..support.live import facts, running

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("concurrency", [1, 3, 20])
async def test_a_node_declines_no_job_of_a_backlog_as_full(
    server: EmbeddedServer, keys: Keys, concurrency: int
) -> None:
    async def handler(assignment: Assignment) -> None:
        await anyio.sleep(0.005)

    async with running(server, keys) as scheduler:
        work = [SubmitRequest(session_id=f"s{n}", src_lang="en", tgt_lang="zh", payload_json="{}") for n in range(60)]
        jobs = [await scheduler.submit(request) for request in work]
        node = Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=100, concurrency=concurrency)
        async with node, anyio.create_task_group() as group:
            group.start_soon(node.run, handler)
            results = [await job.result(timeout=30) for job in jobs]
            node.stop()
        assert {result.status for result in results} == {JobState.FINISHED}
        assert [fact for fact in await facts(scheduler) if fact["type"] == "job.declined"] == []
