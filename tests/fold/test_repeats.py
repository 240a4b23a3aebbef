"""Any event may be appended again until it is answered: from any client path, with other events in between.

The table has a row for each type of event: what others do before its repeat comes, and the code that refuses the repeat
if things have moved on meanwhile. The state before the repeat must be the state behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, cast

import pytest

from streamsched.cli.operate.append import append_one
from streamsched.client.requests import (
    CompleteTaskRequest,
    DispatchRequest,
    HeartbeatRequest,
    RegisterNodeRequest,
    SubmitRequest,
)
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import SchedulerError
from streamsched.contract.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobStatus,
    JobSubmitted,
    NodeCordoned,
    NodeUncordoned,
    SchedulerConfigured,
    SourceAdmitted,
    SourceRole,
)
from streamsched.contract.wire import EVENTS, event_type, repeatable, to_wire
from streamsched.engine.partition import Partition
from streamsched.node.node import Node
from streamsched.node.reports import Reports
from streamsched.node.task import Assignment, Task
from streamsched.server.embedded import EmbeddedServer

from ..support.example_events import EXAMPLES, GONE, JOB, OTHER_POOLS, Example
from ..support.ledger import Ledger
from ..support.lossy import Lossy
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

Meanwhile = Callable[[Ledger], Awaitable[Any]]


@pytest.fixture
async def lossy(server: EmbeddedServer) -> AsyncIterator[Lossy]:
    client = cast(Lossy, Lossy.from_url(server.url, decode_responses=True, protocol=2))
    yield client
    await client.aclose()


async def world(ledger: Ledger) -> None:
    """n1 holds j1 of session s1, n0 is offline; a failed attempt is tried again at once; a letter, a source."""
    await ledger.append(SchedulerConfigured(retry_backoff_ms=0), JobCancelled(job_id="j2"))
    await ledger.append(*GONE, SourceAdmitted(source="web", role=SourceRole.PRODUCER))
    await ledger.node("n1")
    await ledger.submit("j1")


# --- what others do meanwhile


def says(kind: str, **fields: str) -> Meanwhile:
    async def meanwhile(ledger: Ledger) -> None:
        flat = ["type", kind, *(part for pair in fields.items() for part in pair)]
        assert (await ledger.answer(flat))[0] == "", flat

    return meanwhile


async def comes_back(ledger: Ledger) -> None:
    await ledger.add({"type": "node.heartbeat", "node_id": "n1", "online": "true"})
    await ledger.advance()


async def works_off(ledger: Ledger) -> None:
    for job_id in await ledger.held():
        await ledger.tell("completed", job_id, status="finished")


async def hands_back(ledger: Ledger) -> None:
    assert (await ledger.tell("declined", reason="no model"))[0] == ""


async def begins_again(ledger: Ledger) -> None:
    job = await ledger.job()
    assert (job["status"], job["node_id"]) == ("dispatched", "n1"), "its node has it again"
    assert (await ledger.tell("started"))[0] == ""


async def gets_on(ledger: Ledger) -> None:
    assert (await ledger.tell("progressed", progress_json="2"))[0] == ""


async def submits(ledger: Ledger) -> None:
    await ledger.submit("j5")


async def retries(ledger: Ledger) -> None:
    letter = (await ledger.letter_ids())[0]
    await ledger.submit("j2")
    assert (await ledger.answer(["type", "job.cancelled", "job_id", "j2", "retry_of", letter]))[0] == ""


class Row(NamedTuple):
    meanwhile: Meanwhile
    outcome: str = ""
    """The code that refuses the repeat, because things have moved on; empty where it is answered as at first."""
    event: Example | None = None
    """Another event than the example of its type."""

    def event_of(self, name: str) -> Example:
        return self.event or EXAMPLES[name]


USUAL_POOLS = '[{"id":"en-zh","name":"en-zh"}]'

TABLE: dict[str, Row] = {
    "node.registered": Row(says("node.registered", node_id="n1", cap_json="{}", pool_names_json=USUAL_POOLS)),
    "node.heartbeat": Row(comes_back),
    "node.offline": Row(comes_back),
    "node.cordoned": Row(says("node.uncordoned", node_id="n1")),
    "node.uncordoned": Row(says("node.cordoned", node_id="n1")),
    "node.drained": Row(says("node.uncordoned", node_id="n1")),
    "node.retired": Row(says("node.registered", node_id="n0", cap_json="{}")),
    "job.submitted": Row(works_off),
    "job.submitted, unnamed": Row(works_off, event=lambda attempt, letter: JobSubmitted(**JOB)),
    "job.started": Row(hands_back, "STALE_ATTEMPT"),
    "job.progressed": Row(gets_on),
    "job.declined": Row(begins_again),
    "job.completed": Row(begins_again),
    "job.completed, unsigned": Row(
        begins_again, event=lambda attempt, letter: JobCompleted(job_id="j1", node_id="n1", status=JobStatus.FAILED)
    ),
    "job.cancelled": Row(submits),
    "session.released": Row(submits),
    "scheduler.configured": Row(says("scheduler.configured", max_attempts="7")),
    "pool.paused": Row(says("pool.resumed", pool_id="en-zh")),
    "pool.resumed": Row(says("pool.paused", pool_id="en-zh")),
    "pair.paused": Row(says("pair.resumed", src_lang="zh", tgt_lang="en")),
    "pair.resumed": Row(says("pair.paused", src_lang="zh", tgt_lang="en")),
    "source.admitted": Row(says("source.revoked", source="web")),
    "source.revoked": Row(says("source.admitted", source="web", role="producer")),
    "letter.dropped": Row(retries),
}


def test_every_event_of_the_contract_has_a_row() -> None:
    assert {name.split(",")[0] for name in TABLE} == set(EVENTS)
    for name, row in TABLE.items():
        assert event_type(row.event_of(name)("1-0-x", "1-0")) == name.split(",")[0]


Way = Callable[[Ledger, Lossy, Event], Awaitable[str]]
"""Appends an event, whose reply is lost, so often that it is answered; returns the code, empty if it was accepted."""


async def client(ledger: Ledger, lossy: Lossy, event: Event) -> str:
    try:
        await Partition(lossy, ledger.keys, patience_s=5).append(event)
    except SchedulerError as problem:
        return problem.code
    return ""


async def command(ledger: Ledger, lossy: Lossy, event: Event) -> str:
    code = await append_one(Partition(lossy, ledger.keys, patience_s=5), to_wire(event), as_json=True)
    return "" if code == 0 else (await ledger.dead())[-1]["code"]


async def raw(ledger: Ledger, lossy: Lossy, event: Event) -> str:
    """A producer in any language: it names the event where nothing else does, and repeats its XADD."""
    flat = repeatable(to_wire(event))
    letters = len(await ledger.letter_ids())
    for _ in range(2):
        await ledger.add(dict(zip(flat[::2], flat[1::2], strict=True)))
        await ledger.advance()
        if lossy.between is not None:
            between, lossy.between = lossy.between, None
            await between()
    dead = await ledger.dead()
    return dead[-1]["code"] if len(dead) > letters else ""


async def pipelined(ledger: Ledger, lossy: Lossy, event: Event) -> str:
    """A producer whose whole pipeline is sent once more, and folded only when it is there twice."""
    flat = repeatable(to_wire(event))
    letters = len(await ledger.letter_ids())
    fields: dict[Any, Any] = dict(zip(flat[::2], flat[1::2], strict=True))
    async with ledger.redis.pipeline(transaction=False) as pipe:
        for _ in range(2):
            pipe.xadd(ledger.keys("events"), fields)
            pipe.xadd(ledger.keys("events"), {"type": "session.released", "session_id": "other"})
        await pipe.execute()
    await ledger.advance()
    assert lossy.between is not None
    between, lossy.between = lossy.between, None
    await between()
    await ledger.add(fields)
    await ledger.advance()
    dead = await ledger.dead()
    return dead[-1]["code"] if len(dead) > letters else ""


@pytest.mark.parametrize("way", [client, command, raw, pipelined])
@pytest.mark.parametrize("name", TABLE)
async def test_an_event_that_comes_again_behind_others_changes_nothing(
    ledger: Ledger, lossy: Lossy, name: str, way: Way
) -> None:
    row = TABLE[name]
    await world(ledger)
    before = await ledger.trace()
    event = row.event_of(name)((await ledger.job())["attempt"], (await ledger.letter_ids())[0])
    seen: list[Any] = []

    async def between() -> None:
        assert name == "job.progressed" or (await ledger.trace()) != before, "the first one took effect"
        await row.meanwhile(ledger)
        seen.append(await ledger.trace())

    lossy.between = between
    assert await way(ledger, lossy, event) == row.outcome
    assert [await ledger.trace()] == seen


# --- the calls of the client and the node


async def node_of(scheduler: Scheduler) -> Node:
    return Node(scheduler, "n1", pools=["en-zh"])


async def task_of(scheduler: Scheduler) -> Task:
    attempt = await scheduler.partition.redis.hget(scheduler.partition.keys.job("j1"), "attempt")
    given: dict[str, Any] = dict.fromkeys(("session_id", "src_lang", "tgt_lang", "payload_json"), "")
    job = Assignment(job_id="j1", node_id="n1", attempt=str(attempt), attempts=1, **given)
    return Task(job, Reports(scheduler, "n1"), lambda task: None)


async def leave(scheduler: Scheduler) -> None:
    await (await node_of(scheduler)).__aexit__(None, None, None)


async def progress(scheduler: Scheduler) -> None:
    await (await task_of(scheduler)).progress("1")


async def fail(scheduler: Scheduler) -> None:
    await (await task_of(scheduler)).fail("no")


async def hand_back(scheduler: Scheduler) -> None:
    await (await task_of(scheduler)).hand_back("no")


CALLS: dict[str, tuple[str, Callable[[Scheduler], Awaitable[Any]]]] = {
    "register_node": (
        "node.registered",
        lambda scheduler: scheduler.register_node(
            RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json=OTHER_POOLS)
        ),
    ),
    "heartbeat": (
        "node.heartbeat",
        lambda scheduler: scheduler.heartbeat(HeartbeatRequest(node_id="n1", online=False)),
    ),
    "submit": ("job.submitted", lambda scheduler: scheduler.submit(SubmitRequest(**JOB))),
    "dispatch_task": ("job.submitted", lambda scheduler: scheduler.dispatch_task(DispatchRequest(**JOB))),
    "complete_task": (
        "job.completed",
        lambda scheduler: scheduler.complete_task(
            CompleteTaskRequest(job_id="j1", node_id="n1", status=JobStatus.FAILED)
        ),
    ),
    "cancel": ("job.cancelled", lambda scheduler: scheduler.cancel("j1")),
    "release_session": ("session.released", lambda scheduler: scheduler.release_session("s1")),
    "a node leaves": ("node.offline", leave),
    "a task gets on": ("job.progressed", progress),
    "a task fails": ("job.completed", fail),
    "a task is handed back": ("job.declined", hand_back),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_whose_reply_was_lost_acts_once(
    ledger: Ledger, lossy: Lossy, server: EmbeddedServer, call: str
) -> None:
    name, act = CALLS[call]
    await world(ledger)
    seen: list[Any] = []

    async def between() -> None:
        await TABLE[name].meanwhile(ledger)
        seen.append(await ledger.trace())

    lossy.between = between
    await act(Scheduler(server.url, Partition(lossy, ledger.keys, patience_s=5)))
    assert [await ledger.trace()] == seen


# --- what is remembered, and for how long


async def cordon(ledger: Ledger, request_id: str, node_id: str = "n1") -> str:
    return (await ledger.answer(NodeCordoned(node_id=node_id, request_id=request_id)))[0]


async def test_a_request_is_remembered_for_an_hour_and_makes_room_for_the_next(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    for n in range(6):
        assert await cordon(ledger, f"r{n}") == ""
    assert await ledger.redis.zcard(ledger.keys("requests")) == 6
    await ledger.pass_time(3_599_999)
    await ledger.append(NodeUncordoned(node_id="n1"))
    await cordon(ledger, "r0")
    assert (await ledger.info())["cordoned"] == "false"
    await ledger.pass_time(1)
    for n, left in enumerate((5, 4, 3, 4)):
        await cordon(ledger, f"s{n}")
        assert await ledger.redis.zcard(ledger.keys("requests")) == left
    await ledger.append(NodeUncordoned(node_id="n1"))
    await cordon(ledger, "r0")
    assert (await ledger.info())["cordoned"] == "true", "after an hour it is another request"


async def test_a_request_is_about_one_thing_and_of_one_type(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.node("n2")
    for node_id in ("n1", "n2"):
        assert await cordon(ledger, "batch-7", node_id) == ""
        assert (await ledger.info(node_id))["cordoned"] == "true"
        await ledger.append(NodeUncordoned(node_id=node_id, request_id="batch-7"))
        assert (await ledger.info(node_id))["cordoned"] == "false"


async def test_a_refused_request_is_not_remembered_and_may_come_again(ledger: Ledger) -> None:
    assert await cordon(ledger, "r1") == "UNKNOWN_NODE"
    await ledger.node()
    assert await cordon(ledger, "r1") == ""
    assert (await ledger.info())["cordoned"] == "true"


async def test_a_job_remembers_the_last_eight_things_said_of_it(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    for n in range(10):
        await ledger.tell("progressed", progress_json=str(n), request_id=f"r{n}")
    for n, shown in ((2, "9"), (9, "9"), (1, "1")):
        await ledger.tell("progressed", progress_json=str(n), request_id=f"r{n}")
        assert (await ledger.job())["progress_json"] == shown


async def test_a_submission_named_by_its_request_is_known_by_that_name(ledger: Ledger) -> None:
    fields = {"type": "job.submitted", **JOB, "request_id": "r1"}
    for _ in range(2):
        await ledger.add(fields)
    await ledger.advance()
    assert (await ledger.job("s2:r1"))["status"] == "created"
    assert (await ledger.hash("counters"))["submitted"] == "1"
    answer = await ledger.answer([part for pair in fields.items() for part in pair])
    assert answer[2] == "s2:r1"


async def test_without_a_name_nothing_is_remembered(ledger: Ledger) -> None:
    await world(ledger)
    await ledger.append(NodeCordoned(node_id="n1"))
    await ledger.tell("progressed")
    assert not await ledger.redis.exists(ledger.keys("requests"))
    assert "requests" not in await ledger.job()


async def test_a_submission_that_comes_again_after_its_retention_is_a_new_job(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(retention_ms=60_000))
    await ledger.submit("j1")
    await ledger.append(JobCancelled(job_id="j1"))
    await ledger.submit("j1")
    assert (await ledger.job())["status"] == "cancelled"
    await ledger.pass_time(60_000)
    await ledger.submit("j1")
    assert (await ledger.job())["status"] == "created"


async def test_a_job_named_by_its_request_has_a_story_and_a_row_and_its_log_stays(log: Ledger, cli: Cli) -> None:
    await log.add({"type": "job.submitted", **JOB, "request_id": "r1"})
    await log.advance()
    assert "submitted by session s2" in cli.run("trace", "job", "s2:r1").out
    assert '"job_id":"s2:r1"' in cli.run("query", "SELECT job_id FROM jobs", "--json").out
    assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    assert (await log.types())[0] == "job.submitted"
