"""A background task outlives every error that a server or a user can produce.

Found where a password was rotated, a right was taken for three seconds, and an arbiter raised once: nodes went on
beating, shown online and accepting, and never took a job again.

Reports of the kind: celery/celery #8030, Bogdanp/dramatiq #207, open-webui/open-webui #28909, taskforcesh/bullmq
#3517 (a worker that lives and takes nothing any more).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from redis.asyncio import Redis

from streamsched import Assignment, JobState, Keys, Node, Scheduler, SubmitRequest, Worker
from streamsched.connect import background
from streamsched.server.embedded import EmbeddedServer

from ..support.live import until

pytestmark = pytest.mark.anyio

TROUBLE_S = 1.0
WITHIN_S = 30


@pytest.fixture
def own_server(binary: Path) -> EmbeddedServer:
    """A server of the test's own: it is made to misbehave."""
    return EmbeddedServer(append_only=True, binary=binary)


class Fleet(NamedTuple):
    """A worker, a node and a producer, of which the last two log in as a user whose rights the test changes."""

    server: EmbeddedServer
    admin: Any
    keys: Keys
    producer: Scheduler
    node: Node


def job(job_id: str) -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id=job_id, src_lang="en", tgt_lang="zh", payload_json='"hi"')


async def echo(assignment: Assignment) -> str:
    return assignment.payload_json


@asynccontextmanager
async def fleet(server: EmbeddedServer, **options: Any) -> AsyncIterator[Fleet]:
    with server:
        admin: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        await admin.execute_command("ACL", "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all")
        url = server.url.replace("redis://", "redis://fleet:secret@")
        worker, keys = Worker(server.url, Keys()), Keys()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            async with (
                Scheduler.connect(url, patience_s=2) as for_node,
                Scheduler.connect(url, patience_s=2) as producer,
                Node(for_node, "n1", pools=["en-zh"], heartbeat_ms=200, grace_ms=2000, **options) as node,
            ):
                group.start_soon(node.run, echo)
                yield Fleet(server, admin, keys, producer, node)
                node.stop()
            worker.stop()
        await admin.aclose()


async def set_user(fleet: Fleet, *rules: str) -> None:
    await fleet.admin.execute_command("ACL", "SETUSER", "fleet", *rules)


async def cut(fleet: Fleet) -> None:
    await fleet.admin.execute_command("CLIENT", "KILL", "USER", "fleet", "SKIPME", "yes")


async def rotate_password(fleet: Fleet) -> None:
    await set_user(fleet, "resetpass", ">another")
    await cut(fleet)
    await anyio.sleep(TROUBLE_S)
    await set_user(fleet, ">secret")


async def take_right(fleet: Fleet, *commands: str) -> None:
    await set_user(fleet, *(f"-{command}" for command in commands))
    await anyio.sleep(TROUBLE_S)
    await set_user(fleet, *(f"+{command}" for command in commands))


async def take_the_right_to_read(fleet: Fleet) -> None:
    await take_right(fleet, "xread", "xinfo")


async def take_the_right_to_append(fleet: Fleet) -> None:
    await take_right(fleet, "eval", "evalsha")


async def take_every_right(fleet: Fleet) -> None:
    await take_right(fleet, "@all")


async def replace_inbox(fleet: Fleet) -> None:
    inbox = fleet.keys.inbox("n1")
    await fleet.admin.delete(inbox)
    await fleet.admin.set(inbox, "foreign")
    await anyio.sleep(TROUBLE_S)
    await fleet.admin.delete(inbox)


async def replace_reply_stream(fleet: Fleet) -> None:
    reply = fleet.keys.reply(fleet.producer.results.client_id)
    await fleet.admin.set(reply, "foreign")
    await anyio.sleep(TROUBLE_S)
    await fleet.admin.delete(reply)


async def write_nonsense_to_inbox(fleet: Fleet) -> None:
    inbox = fleet.keys.inbox("n1")
    for fields in (
        {"x": "y"},
        {"node_id": "n1"},
        {"node_id": "n1", "type": "job.assigned"},
        {"node_id": "n1", "type": "job.assigned", "job_id": "j", "attempt": "x", "attempts": "many"},
        {"node_id": "n1", "type": "job.cancelled"},
    ):
        await fleet.admin.xadd(inbox, fields)


async def cut_all_connections(fleet: Fleet) -> None:
    await cut(fleet)


async def stop_the_server(fleet: Fleet) -> None:
    fleet.server.kill()
    await anyio.sleep(TROUBLE_S + 2)  # longer than the patience of every call
    await anyio.to_thread.run_sync(fleet.server.start)
    fresh: Any = Redis.from_url(fleet.server.url, decode_responses=True, protocol=2)
    await fresh.execute_command("ACL", "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all")
    await fresh.aclose()


FAULTS: dict[str, Callable[[Fleet], Coroutine[Any, Any, None]]] = {
    "password rotated": rotate_password,
    "right to read taken": take_the_right_to_read,
    "right to append taken": take_the_right_to_append,
    "every right taken": take_every_right,
    "inbox replaced": replace_inbox,
    "reply stream replaced": replace_reply_stream,
    "nonsense in the inbox": write_nonsense_to_inbox,
    "connections cut": cut_all_connections,
    "server away longer than a call waits": stop_the_server,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_node_takes_jobs_again_and_its_producer_gets_the_outcome(
    own_server: EmbeddedServer, fault: str
) -> None:
    async with fleet(own_server) as running:
        assert (await (await running.producer.submit(job("before"))).result(WITHIN_S)).status is JobState.FINISHED
        await FAULTS[fault](running)
        with anyio.fail_after(WITHIN_S):
            submitted = await running.producer.submit(job("after"))
            assert (await submitted.result()).status is JobState.FINISHED


@pytest.mark.parametrize("fault", ["password rotated", "every right taken", "server away longer than a call waits"])
async def test_the_end_of_a_job_during_an_outage_is_reported_after_it(own_server: EmbeddedServer, fault: str) -> None:
    begun, may_end = anyio.Event(), anyio.Event()

    async def slow(assignment: Assignment) -> str:
        begun.set()
        await may_end.wait()
        return "done"

    with own_server:
        admin: Any = Redis.from_url(own_server.url, decode_responses=True, protocol=2)
        await admin.execute_command("ACL", "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all")
        url = own_server.url.replace("redis://", "redis://fleet:secret@")
        worker, keys = Worker(own_server.url, Keys()), Keys()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            async with (
                Scheduler.connect(url, patience_s=1) as scheduler,
                Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=200, grace_ms=2000) as node,
            ):
                group.start_soon(node.run, slow)
                submitted = await scheduler.submit(job("j1"))
                await begun.wait()
                async with anyio.create_task_group() as trouble:
                    trouble.start_soon(FAULTS[fault], Fleet(own_server, admin, keys, scheduler, node))
                    await anyio.sleep(TROUBLE_S / 2)
                    may_end.set()
                with anyio.fail_after(WITHIN_S):
                    result = await submitted.result()
                assert (result.status, result.result_json) == (JobState.FINISHED, "done")
                node.stop()
            worker.stop()
        await admin.aclose()


async def test_what_an_arbiter_raises_declines_that_job_alone(own_server: EmbeddedServer) -> None:
    asked: list[str] = []

    def arbiter(assignment: Assignment) -> bool:
        asked.append(assignment.job_id)
        if len(asked) == 1:
            raise KeyError("once")
        return True

    async with fleet(own_server, arbiter=arbiter) as running:
        submitted = await running.producer.submit(job("j1"))
        assert (await submitted.result(WITHIN_S)).status is JobState.FINISHED
        log = await running.admin.xrange(running.keys("events"))
        assert [e["reason"] for _, e in log if e["type"] == "job.declined"] == ["arbiter failed: KeyError"]


@pytest.mark.parametrize("given", [ValueError("no gauge"), 7, "no JSON", "\ud800"])
async def test_what_load_raises_or_gives_stops_no_heart(own_server: EmbeddedServer, given: Any) -> None:
    def load() -> str:
        if isinstance(given, Exception):
            raise given
        return given  # type: ignore[no-any-return]

    async with fleet(own_server, load=load) as running:
        info = running.keys.node_info("n1")
        since = await running.admin.hget(info, "last_heartbeat_ts")

        async def beats_on() -> bool:
            return bool(await running.admin.hget(info, "last_heartbeat_ts") != since)

        await until(beats_on)
        assert (await (await running.producer.submit(job("j1"))).result(WITHIN_S)).status is JobState.FINISHED


async def test_a_node_that_cannot_read_its_inbox_says_so_and_accepts_nothing(own_server: EmbeddedServer) -> None:
    async with fleet(own_server) as running:
        info, inbox = running.keys.node_info("n1"), running.keys.inbox("n1")
        await running.admin.delete(inbox)
        await running.admin.set(inbox, "foreign")

        async def closed() -> bool:
            return bool(await running.admin.hget(info, "accepting") == "false")

        await until(closed)
        assert "WRONGTYPE" in running.node.trouble
        await running.admin.delete(inbox)

        async def reopened() -> bool:
            return bool(await running.admin.hget(info, "accepting") == "true")

        await until(reopened)
        assert running.node.trouble == ""


async def test_a_task_that_fails_is_counted_logged_and_started_again() -> None:
    runs: list[int] = []
    background.FAILURES.clear()

    async def fails_twice() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise RuntimeError("planted")
        await anyio.sleep_forever()

    async with background.background_task("planted", fails_twice):
        with anyio.fail_after(5):
            while len(runs) < 3:
                await anyio.sleep(0.01)
    assert background.FAILURES["planted"] == 2
