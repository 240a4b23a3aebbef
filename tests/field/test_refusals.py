"""A refusal is understood for what it speaks of: partition, server or rights, and not the event.

Found where a job ended during six seconds of a gap: its result was lost, and it stayed running for ever.

Reports of the kind: hibiken/asynq #854, immich-app/immich #17600, redis-rs/redis-rs #2115 (a refusal of the server is
taken for the job's).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched import Assignment, JobState, Keys, Node, Scheduler, SubmitRequest, Worker
from streamsched.contract.errors import ERRORS, About, NotPermitted, ServerForbids, is_of_event, passes
from streamsched.server.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

WITHIN_S = 30
KEYS = Keys()
LOG = KEYS("events")

Change = Callable[[Any], Coroutine[Any, Any, None]]


async def config(admin: Any, name: str, value: str) -> None:
    await admin.execute_command("CONFIG", "SET", name, value)


async def fill(admin: Any) -> None:
    await config(admin, "maxmemory", "1")


async def empty(admin: Any) -> None:
    await config(admin, "maxmemory", "0")


async def demote(admin: Any) -> None:
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")


async def promote(admin: Any) -> None:
    await admin.execute_command("REPLICAOF", "NO", "ONE")


async def ask_for_replicas(admin: Any) -> None:
    await config(admin, "min-replicas-to-write", "1")


async def ask_for_none(admin: Any) -> None:
    await config(admin, "min-replicas-to-write", "0")


async def break_disk(admin: Any) -> None:
    await config(admin, "save", "3600 1000000")
    await config(admin, "dir", "/proc")
    await admin.execute_command("BGSAVE")
    while (await admin.info("persistence"))["rdb_last_bgsave_status"] == "ok":
        await anyio.sleep(0.01)


async def mend_disk(admin: Any) -> None:
    await config(admin, "save", "")
    await config(admin, "dir", "/tmp")


async def open_gap(admin: Any) -> None:
    await admin.hincrby(KEYS("meta"), "folded", -1)


async def close_gap(admin: Any) -> None:
    await admin.hincrby(KEYS("meta"), "folded", 1)


async def replace_log(admin: Any) -> None:
    await admin.rename(LOG, "aside")
    await admin.set(LOG, "foreign")


async def put_log_back(admin: Any) -> None:
    await admin.delete(LOG)
    await admin.rename("aside", LOG)


REFUSALS: dict[str, tuple[Change, Change]] = {
    "OOM": (fill, empty),
    "READONLY": (demote, promote),
    "NOREPLICAS": (ask_for_replicas, ask_for_none),
    "MISCONF": (break_disk, mend_disk),
    "GAP": (open_gap, close_gap),
    "WRONGTYPE": (replace_log, put_log_back),
}


@asynccontextmanager
async def serving(server: EmbeddedServer, handler: Any) -> AsyncIterator[tuple[Any, Scheduler]]:
    with server:
        admin: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        worker = Worker(server.url, KEYS)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            async with (
                Scheduler.connect(server.url, patience_s=1) as scheduler,
                Node(scheduler, "n1", pools=["en-zh"], concurrency=2, heartbeat_ms=200, grace_ms=2000) as node,
            ):
                group.start_soon(node.run, handler)
                yield admin, scheduler
                node.stop()
            worker.stop()
        await admin.aclose()


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_job_that_ends_while_nothing_is_accepted_keeps_its_result(binary: Path, code: str) -> None:
    begun, may_end, runs = anyio.Event(), anyio.Event(), []

    async def slow(assignment: Assignment) -> str:
        runs.append(assignment.job_id)
        if assignment.job_id == "j1":
            begun.set()
            await may_end.wait()
        return "done"

    server = EmbeddedServer(binary=binary, options={"enable-protected-configs": "yes"})
    refuse, accept = REFUSALS[code]
    async with serving(server, slow) as (admin, scheduler):
        submitted = await scheduler.submit(
            SubmitRequest(job_id="j1", session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")
        )
        await begun.wait()
        await refuse(admin)
        may_end.set()
        await anyio.sleep(2.5)  # longer than any call waits
        await accept(admin)
        with anyio.fail_after(WITHIN_S):
            result = await submitted.result()
            assert (result.status, result.result_json) == (JobState.FINISHED, "done")
            again = await scheduler.submit(
                SubmitRequest(job_id="j2", session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")
            )
            assert (await again.result()).status is JobState.FINISHED
        assert runs == ["j1", "j2"]


def test_every_code_says_what_it_speaks_of() -> None:
    about = {code: kind.about for code, kind in ERRORS.items() if kind.about is not About.EVENT}
    assert about == {
        "HALTED": About.PARTITION,
        "REBUILDING": About.PARTITION,
        "GAP": About.PARTITION,
        "WIPED": About.PARTITION,
        "NEWER_LOG": About.PARTITION,
        "OOM": About.SERVER,
        "READONLY": About.SERVER,
        "NOREPLICAS": About.SERVER,
        "MISCONF": About.SERVER,
        "WRONGTYPE": About.SERVER,
        "SERVER_TOO_OLD": About.SERVER,
        "UNREACHABLE": About.SERVER,
    }
    lasting = {code for code in about if not passes(ERRORS[code]())}
    assert lasting == {"GAP", "WIPED", "NEWER_LOG", "WRONGTYPE", "SERVER_TOO_OLD"}
    assert is_of_event(NotPermitted("a source"))
    assert not is_of_event(ServerForbids("an ACL"))
