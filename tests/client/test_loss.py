"""A server that comes back with less than it had: what its clients notice, say and mend."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect
from streamsched.connect.stream import read_stream
from streamsched.contract.errors import UnknownJob
from streamsched.contract.keys import Keys
from streamsched.engine import partition
from streamsched.node.node import Node
from streamsched.node.reconciler import LOST
from streamsched.node.task import Assignment
from streamsched.server.embedded import EmbeddedServer
from streamsched.worker.worker import Worker

from ..support.live import facts, until
from ..support.servers.aof import SYNCED, log_of

pytestmark = pytest.mark.anyio


class Losing:
    """A server whose disk can be taken back to an earlier moment."""

    def __init__(self, folder: Path) -> None:
        self.server = EmbeddedServer(folder / "data", append_only=True, options=SYNCED)
        self._kept = folder / "kept"

    async def remember(self) -> None:
        """This is the moment: with ``appendfsync always`` the file holds everything that was answered."""
        shutil.copytree(self.server.data, self._kept)

    async def lose(self) -> None:
        """Crash, and come back as it was then."""
        self.server.kill()
        shutil.rmtree(self.server.data / "appendonlydir")
        shutil.copytree(self._kept / "appendonlydir", self.server.data / "appendonlydir")
        await anyio.to_thread.run_sync(self.server.start)


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[Losing]:
    losing = Losing(tmp_path)
    with losing.server:
        yield losing


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the partitions of this process report as errors."""
    outcome: list[dict[str, Any]] = []

    class Log:
        def error(self, event: str, **details: Any) -> None:
            outcome.append({"event": event, **details})

        def info(self, event: str, **details: Any) -> None:
            pass

    monkeypatch.setattr(partition, "log", Log())
    return outcome


@pytest.fixture
async def scheduler(losing: Losing, keys: Keys) -> AsyncIterator[Scheduler]:
    worker = Worker(losing.server.url, keys)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        async with Scheduler.connect(losing.server.url, keys.namespace) as scheduler:
            yield scheduler
        worker.stop()


def job(job_id: str) -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")


async def test_a_job_whose_end_was_lost_is_handed_back_and_carried_out_again(
    losing: Losing, scheduler: Scheduler
) -> None:
    begun: list[str] = []

    async def carry_out(assignment: Assignment) -> str:
        begun.append(assignment.attempt)
        if len(begun) == 1:
            await losing.remember()
        return f"{len(begun)}"

    async with Node(scheduler, "n1", pools=["en-zh"]) as node, anyio.create_task_group() as group:
        group.start_soon(node.run, carry_out)
        submitted = await scheduler.submit(job("j1"))
        assert (await submitted.result(timeout=20)).result_json == "1"

        async def answered() -> bool:
            return not node._held.reports.ending

        await until(answered)  # or it would tell the end once more
        await losing.lose()

        async def again() -> bool:
            return len(begun) == 2

        await until(again)
        result = await (await scheduler.submit(job("j1"))).result(timeout=20)
        node.stop()
    assert (result.status, result.result_json) == ("finished", "2")
    assert begun[0] != begun[1]


async def test_what_a_node_still_carries_out_is_not_handed_back(losing: Losing, scheduler: Scheduler) -> None:
    begun: list[str] = []
    done = anyio.Event()

    async def carry_out(assignment: Assignment) -> str:
        begun.append(assignment.attempt)
        await done.wait()
        return "done"

    async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=50) as node, anyio.create_task_group() as group:
        group.start_soon(node.run, carry_out)
        submitted = await scheduler.submit(job("j1"))

        async def running() -> bool:
            return bool(begun)

        await until(running)
        losing.server.kill()
        await anyio.to_thread.run_sync(losing.server.start)

        async def looked() -> bool:
            assert node._inbox is not None
            return bool(node._inbox._reconciler._running)

        await until(looked)
        assert node._inbox is not None
        inbox = node._inbox
        since = inbox._answered_at

        async def read_on() -> bool:
            return inbox._answered_at > since

        await until(read_on)
        done.set()
        assert (await submitted.result(timeout=20)).result_json == "done"
        node.stop()
    assert len(begun) == 1
    assert [fact for fact in await facts(scheduler) if fact["type"] == "job.declined"] == []


async def test_a_client_whose_acknowledged_events_are_gone_says_so_once(
    losing: Losing, keys: Keys, heard: list[dict[str, Any]]
) -> None:
    async with Scheduler.connect(losing.server.url, keys.namespace) as scheduler:  # alone: a worker would say so, too
        await scheduler.submit(job("kept"))
        await losing.remember()
        await scheduler.submit(job("lost"))
        redis: Any = scheduler.partition.redis
        lost = (await redis.xrevrange(scheduler.partition.keys("events"), count=1))[0][0]
        await losing.lose()
        await scheduler.submit(job("after"))
        await scheduler.submit(job("later"))
        ours = [outcome for outcome in heard if outcome["lost"] == lost]
    assert [(outcome["event"], outcome["see"]) for outcome in ours] == [
        ("the log has lost its end, and with it what was acknowledged", "docs/durability.md")
    ]


async def test_a_restart_that_loses_nothing_is_no_loss(
    losing: Losing, scheduler: Scheduler, heard: list[dict[str, Any]]
) -> None:
    await scheduler.submit(job("j1"))
    losing.server.kill()
    await anyio.to_thread.run_sync(losing.server.start)
    await scheduler.submit(job("j2"))
    # what was archived and trimmed off is no loss either, though the last event known here may be among it
    redis: Any = scheduler.partition.redis
    known = scheduler.partition._known
    await redis.xtrim(scheduler.partition.keys("events"), maxlen=0)
    losing.server.kill()
    await anyio.to_thread.run_sync(losing.server.start)
    await scheduler.submit(job("j3"))
    assert scheduler.partition._known != known
    assert heard == []


async def test_a_server_that_comes_back_empty_is_reported_and_used(
    losing: Losing, scheduler: Scheduler, heard: list[dict[str, Any]]
) -> None:
    await losing.remember()
    await scheduler.submit(job("lost"))
    await losing.lose()
    await scheduler.submit(job("after"))
    assert heard
    redis: Any = scheduler.partition.redis
    assert await redis.hget(scheduler.partition.keys.job("after"), "status") == "created"


async def test_a_wait_for_a_lost_job_ends_with_an_error(losing: Losing, scheduler: Scheduler) -> None:
    await scheduler.submit(job("kept"))
    await losing.remember()
    submitted = await scheduler.submit(job("lost"))
    async with anyio.create_task_group() as group:
        group.start_soon(losing.lose)
        with pytest.raises(UnknownJob, match="job lost: the log has lost it"):
            await submitted.result(timeout=20)
    assert (await scheduler.submit(job("lost"))).job_id == "lost"


async def test_deliveries_are_in_no_file_and_are_made_again_after_a_restart(
    losing: Losing, scheduler: Scheduler, keys: Keys
) -> None:
    redis: Any = scheduler.partition.redis

    async def carry_out(assignment: Assignment) -> str:
        return "done"

    async with Node(scheduler, "n1", pools=["en-zh"], heartbeat_ms=50) as node, anyio.create_task_group() as group:
        group.start_soon(node.run, carry_out)
        node.pause_inbox()
        submitted = await scheduler.submit(job("j1"))

        async def assigned() -> bool:
            return bool(await redis.xlen(keys.inbox("n1")))

        await until(assigned)
        losing.server.kill()
        written = log_of(losing.server.data).read_bytes()
        assert b"job.dispatched" in written
        assert b"job.assigned" not in written
        await anyio.to_thread.run_sync(losing.server.start)
        node.resume_inbox()
        assert (await submitted.result(timeout=20)).result_json == "done"
        node.stop()
    declined = [fact for fact in await facts(scheduler) if fact["type"] == "job.declined"]
    assert [(fact["job_id"], fact["reason"]) for fact in declined] == [("j1", LOST)]


async def test_a_stream_that_lost_its_end_is_read_on_where_it_parts_from_what_was_read(keys: Keys) -> None:
    key = keys.inbox("n1")
    with EmbeddedServer() as server:

        async def write(*ids: str) -> None:
            redis: Any = connect(server.url)
            for entry_id in ids:
                await redis.xadd(key, {"n": entry_id}, id=entry_id)
            await redis.aclose()

        async with aclosing(read_stream(server.url, key, "0-0")) as reading:
            await write("10-1", "20-1", "30-1", "40-1")
            seen: list[str | None] = []
            async for entries in reading:
                seen += [None] if entries is None else [entry_id for entry_id, _ in entries]
                if seen[-1:] == ["40-1"]:
                    server.kill()
                    await anyio.to_thread.run_sync(server.start)
                    await write("10-1", "20-1", "25-1", "35-1")  # another clock, behind the first one
                if seen[-1:] == ["35-1"]:
                    break
    assert seen == [None, "10-1", "20-1", "30-1", "40-1", None, "25-1", "35-1"]
