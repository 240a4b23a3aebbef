"""Every caller that waits for a result gets one, and the right one.

Reports of the kind: taskforcesh/bullmq #3298, taskforcesh/bullmq #2341, n8n-io/n8n #30756 (a caller waits for an
event that was lost).
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from streamsched import Assignment, JobConflict, JobState, Keys, Node, Scheduler, SchedulerError, SubmitRequest
from streamsched.client import results
from streamsched.contract.errors import SchedulerClosed
from streamsched.contract.events import SourceAdmitted, SourceRevoked, SourceRole
from streamsched.replay.rebuild import rebuild
from streamsched.server.embedded import EmbeddedServer

from ..support.live import running

pytestmark = pytest.mark.anyio

WITHIN_S = 30


def job(job_id: str, payload: str = '"hi"') -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id=job_id, src_lang="en", tgt_lang="zh", payload_json=payload)


async def echo(assignment: Assignment) -> str:
    return assignment.payload_json


async def test_a_job_that_waits_is_not_unknown_while_the_state_is_rebuilt(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "LOOK_S", 0.01)
    async with running(server, keys) as scheduler, anyio.create_task_group() as group:
        jobs = await scheduler.submit_many([job(f"j{n}") for n in range(3000)])
        await scheduler.partition.advance(10_000)
        for _ in range(4):
            await rebuild(scheduler.partition.redis, keys)
            await anyio.sleep(0.05)
        async with Node(scheduler, "n1", pools=["en-zh"], concurrency=500) as node:
            group.start_soon(node.run, echo)
            with anyio.fail_after(WITHIN_S):
                for submitted in jobs:
                    assert (await submitted.result()).status is JobState.FINISHED
            node.stop()


async def test_a_lost_result_is_looked_up_although_the_reply_stream_is_never_silent(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "LOOK_S", 0.3)
    async with (
        running(server, keys) as scheduler,
        Scheduler.connect(server.url, keys.namespace) as busy,
        Node(scheduler, "n1", pools=["en-zh"], concurrency=8) as node,
        anyio.create_task_group() as group,
    ):
        group.start_soon(node.run, echo)
        await (await scheduler.submit(job("lost"))).result(WITHIN_S)
        lost = busy.results.expect("lost")  # its outcome went to the other process
        with anyio.fail_after(WITHIN_S):
            for n in range(10_000):
                await (await busy.submit(job(f"j{n}"))).result()
                if lost.done():
                    break
        assert lost.result().status is JobState.FINISHED
        node.stop()


@pytest.mark.parametrize("again", ["refused", "cancelled", "in a batch that is refused"])
async def test_a_second_submission_takes_nothing_from_the_caller_of_the_first(
    server: EmbeddedServer, keys: Keys, again: str
) -> None:
    async with running(server, keys) as scheduler, anyio.create_task_group() as group:
        first = await scheduler.submit(job("j1"))
        if again == "refused":
            with pytest.raises(JobConflict):
                await scheduler.submit(job("j1", '"other"'))
        elif again == "cancelled":
            with anyio.move_on_after(0):
                await scheduler.submit(job("j1"))
        else:
            with pytest.raises(SchedulerError):
                await scheduler.submit_many([job("j1"), job("j2", "\ud800")])
        async with Node(scheduler, "n1", pools=["en-zh"]) as node:
            group.start_soon(node.run, echo)
            assert (await first.result(WITHIN_S)).status is JobState.FINISHED
            node.stop()


async def test_two_callers_of_one_job_both_get_its_outcome(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler, anyio.create_task_group() as group:
        both = [await scheduler.submit(job("j1")) for _ in range(2)]
        async with Node(scheduler, "n1", pools=["en-zh"]) as node:
            group.start_soon(node.run, echo)
            reported = [await submitted.result(WITHIN_S) for submitted in both]
            node.stop()
    assert [result.status for result in reported] == [JobState.FINISHED] * 2


async def test_a_waiting_caller_gets_an_error_when_the_scheduler_closes(server: EmbeddedServer, keys: Keys) -> None:
    reported: list[Any] = []

    async def wait(submitted: Any) -> None:
        try:
            await submitted.result()
        except SchedulerClosed as problem:
            reported.append(problem.code)

    async with anyio.create_task_group() as group:
        async with running(server, keys) as scheduler:
            submitted = await scheduler.submit(job("j1"))
            group.start_soon(wait, submitted)
            await anyio.sleep(0.05)
        with anyio.fail_after(WITHIN_S), pytest.raises(SchedulerClosed):
            await submitted.result()
    assert reported == ["CLOSED"]


async def test_a_producer_that_waits_for_many_jobs_forgets_them_after_their_outcomes(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with (
        running(server, keys) as scheduler,
        Node(scheduler, "n1", pools=["en-zh"], concurrency=64) as node,
        anyio.create_task_group() as group,
    ):
        group.start_soon(node.run, echo)
        for submitted in await scheduler.submit_many([job(f"j{n}") for n in range(500)]):
            await submitted.result(WITHIN_S)
        assert not scheduler.results._waiting
        assert not scheduler.results._accepted
        node.stop()


@pytest.mark.parametrize(("how", "code"), [("never admitted", "UNKNOWN_SOURCE"), ("revoked", "NOT_PERMITTED")])
async def test_a_producer_behind_an_ingress_learns_that_no_worker_reads_it(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    monkeypatch.setattr(results, "LOOK_S", 0.1)
    async with running(server, keys) as admin:
        if how == "revoked":
            await admin.append(SourceAdmitted(source="web", role=SourceRole.PRODUCER))
            await admin.append(SourceRevoked(source="web"))
        async with Scheduler.connect(server.url, keys.namespace, source="web") as producer:
            submitted = [await producer.submit(job(f"j{n}")) for n in range(2)]
            submitted += await producer.submit_many([job("j8"), job("j9")])
            for one in submitted:
                with pytest.raises(SchedulerError) as reported:
                    await one.result(WITHIN_S)
                assert reported.value.code == code


async def test_a_producer_behind_an_ingress_learns_what_was_dropped_of_its_backlog(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "LOOK_S", 0.1)
    async with Scheduler.connect(server.url, keys.namespace) as admin:
        await admin.append(SourceAdmitted(source="web", role=SourceRole.PRODUCER, backlog=10))
        async with Scheduler.connect(server.url, keys.namespace, source="web") as producer:
            submitted = await producer.submit_many([job(f"j{n}") for n in range(30)])
            async with (
                running(server, keys) as scheduler,
                Node(scheduler, "n1", pools=["en-zh"], concurrency=30) as node,
                anyio.create_task_group() as group,
            ):
                group.start_soon(node.run, echo)
                reported = []
                for one in submitted:
                    try:
                        reported.append((await one.result(WITHIN_S)).status.value)
                    except SchedulerError as problem:
                        reported.append(problem.code)
                node.stop()
    assert reported == ["UNKNOWN_JOB"] * 20 + ["finished"] * 10
