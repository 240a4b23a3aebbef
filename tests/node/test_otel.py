"""OpenTelemetry: one trace over submitter, scheduler and node, and nothing without tracing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from streamsched.client.requests import DispatchRequest, SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import JobFailed, NoPoolForLangPair
from streamsched.contract.events import JobSubmitted, SourceAdmitted, SourceRole
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.node.tracing import traced
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.live import facts, running
from ..support.processes import SUBMIT, Cli

pytestmark = pytest.mark.anyio

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A program that traces; OpenTelemetry lets a process choose its provider only once, so it is put in its place."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def request(job_id: str, **more: Any) -> SubmitRequest:
    return SubmitRequest(session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}", job_id=job_id, **more)


def spans(outcome: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans by the first word of their names."""
    found = {span.name.partition(" ")[0]: span for span in outcome.get_finished_spans()}
    assert len(found) == len(outcome.get_finished_spans()), "two of a name"
    return found


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def times(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


async def carried_out(scheduler: Scheduler, handler: Any, **more: Any) -> JobState:
    """Submit a job to a node that carries it out so, and return how it ended."""
    async with Node(scheduler, "n1", pools=["en-zh"]) as node, anyio.create_task_group() as group:
        group.start_soon(node.run, handler)
        job = await scheduler.submit(request("j1", max_attempts=1, **more))
        result = await job.result(20)
        node.stop()
    return result.status


async def test_a_job_is_one_trace_over_submitter_scheduler_and_node(
    server: EmbeddedServer, keys: Keys, outcome: InMemorySpanExporter
) -> None:
    inner: list[str] = []

    async def translate(assignment: Assignment) -> str:
        with trace.get_tracer("handler").start_as_current_span("model"):
            inner.append(assignment.traceparent or "")
        return "ok"

    async with running(server, keys) as scheduler:
        with trace.get_tracer("caller").start_as_current_span("request"):
            assert await carried_out(scheduler, translate) is JobState.FINISHED
        (submitted,) = [fact for fact in await facts(scheduler) if fact["type"] == "job.submitted"]
        (dispatched,) = [fact for fact in await facts(scheduler) if fact["type"] == "job.dispatched"]
        job = await scheduler.partition.redis.hgetall(keys.job("j1"))
    found = spans(outcome)
    assert found.keys() == {"request", "submit", "wait", "dispatch", "execute", "model"}
    assert len({span.context.trace_id for span in found.values()}) == 1
    parents = {name: span.parent.span_id if span.parent else None for name, span in found.items()}
    submit = found["submit"].context.span_id
    assert parents == {
        "request": None,
        "submit": found["request"].context.span_id,
        "wait": submit,
        "dispatch": submit,
        "execute": submit,
        "model": found["execute"].context.span_id,
    }
    assert submitted["traceparent"] == inner[0]
    assert inner[0][:52] == f"00-{found['submit'].context.trace_id:032x}-{submit:016x}"
    kinds = {name: found[name].kind for name in ("submit", "execute", "wait")}
    assert kinds == {"submit": SpanKind.PRODUCER, "execute": SpanKind.CONSUMER, "wait": SpanKind.INTERNAL}
    ms = 1_000_000
    assert times(found["wait"]) == (int(job["created_ts"]) * ms, int(job["dispatched_ts"]) * ms)
    assert times(found["dispatch"])[0] == int(job["dispatched_ts"]) * ms
    assert times(found["dispatch"])[1] == max(times(found["execute"])[0], times(found["dispatch"])[0])
    place = keys.prefix.removesuffix(":")
    assert found["execute"].name == f"execute {place}"
    common = {
        "messaging.system": "streamsched",
        "messaging.destination.name": place,
        "messaging.message.id": "j1",
        "messaging.message.conversation_id": "s1",
        "streamsched.src_lang": "en",
        "streamsched.tgt_lang": "zh",
    }
    assert said(found["submit"]) == {
        **common,
        "messaging.operation.name": "submit",
        "messaging.operation.type": "send",
    }
    at_node = {**common, "streamsched.node_id": dispatched["node_id"], "streamsched.attempts": 1}
    assert said(found["execute"]) == {
        **at_node,
        "messaging.operation.name": "execute",
        "messaging.operation.type": "process",
    }
    assert said(found["wait"]) == {**at_node, "messaging.operation.name": "wait"}


async def blocking_failure(assignment: Assignment) -> None:
    raise JobFailed("no model for it")


def failure_in_a_thread(assignment: Assignment) -> None:
    raise JobFailed("no model for it")


def failure_awaited(assignment: Assignment) -> Any:
    return blocking_failure(assignment)


@pytest.mark.parametrize("handler", [blocking_failure, failure_in_a_thread, failure_awaited])
async def test_the_span_of_any_kind_of_handler_holds_its_exception(
    handler: Any, servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    async with running(servers["valkey"], keys) as scheduler:
        assert await carried_out(scheduler, handler) is JobState.FAILED
    execute = spans(outcome)["execute"]
    assert execute.status.status_code is StatusCode.ERROR
    assert said(execute)["error.type"] == "JobFailed"
    (event,) = execute.events
    assert (event.attributes or {})["exception.message"] == "no model for it"


async def test_a_handler_in_a_thread_is_within_the_span(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    current: list[int] = []

    def translate(assignment: Assignment) -> str:
        current.append(trace.get_current_span().get_span_context().span_id)
        return "ok"

    async with running(servers["valkey"], keys) as scheduler:
        assert await carried_out(scheduler, translate) is JobState.FINISHED
    assert current == [spans(outcome)["execute"].context.span_id]


async def test_a_job_that_is_taken_away_says_why_in_its_span(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    async def translate(assignment: Assignment) -> None:
        await anyio.sleep_forever()

    async with running(servers["valkey"], keys) as scheduler:
        seconds, micros = await scheduler.partition.redis.time()
        soon = seconds * 1000 + micros // 1000 + 300
        assert await carried_out(scheduler, translate, deadline_ts=soon) is JobState.EXPIRED
        while "execute" not in spans(outcome):
            await anyio.sleep(0.01)
    status = spans(outcome)["execute"].status
    assert (status.status_code, status.description) == (StatusCode.ERROR, "deadline passed")


async def test_a_trace_that_began_elsewhere_goes_on_and_one_that_is_not_recorded_stays_so(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def translate(assignment: Assignment) -> str:
        return "ok"

    async with running(servers["valkey"], keys) as scheduler:
        assert await carried_out(scheduler, translate, traceparent=REMOTE) is JobState.FINISHED
        found = spans(outcome)
        assert found.keys() == {"wait", "dispatch", "execute"}
        assert {f"{span.context.trace_id:032x}" for span in found.values()} == {REMOTE[3:35]}
        assert {f"{span.parent.span_id:016x}" for span in found.values() if span.parent} == {REMOTE[36:52]}
        outcome.clear()
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
        async with Node(scheduler, "n1", pools=["en-zh"]) as node, anyio.create_task_group() as group:
            group.start_soon(node.run, translate)
            job = await scheduler.submit(request("j2"))
            assert (await job.result(20)).status is JobState.FINISHED
            node.stop()
        assert not outcome.get_finished_spans()
        last = [fact for fact in await facts(scheduler) if fact["type"] == "job.submitted"][-1]
        assert not int(last["traceparent"][-2:], 16) & 1  # the trace is marked as not recorded


async def test_a_job_of_no_trace_begins_one_when_it_is_carried_out(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    async def translate(assignment: Assignment) -> str:
        return "ok"

    asked: dict[str, Any] = {"session_id": "s", "src_lang": "en", "tgt_lang": "zh", "payload_json": "{}"}
    async with (
        running(servers["valkey"], keys) as scheduler,
        Node(scheduler, "n1", pools=["en-zh"]) as node,
        anyio.create_task_group() as group,
    ):
        with trace.get_tracer("node").start_as_current_span("main"):
            group.start_soon(node.run, translate)  # which is no part of what was current then
        await scheduler.append(JobSubmitted(job_id="j1", **asked))
        await scheduler.append(JobSubmitted(job_id="j2", traceparent="nonsense", **asked))
        while len(outcome.get_finished_spans()) < 3:
            await anyio.sleep(0.01)
        node.stop()
    found = outcome.get_finished_spans()
    assert sorted(span.name.partition(" ")[0] for span in found) == ["execute", "execute", "main"]
    assert [span.parent for span in found] == [None] * 3


async def test_a_trace_passes_through_the_ingresses_of_a_producer_and_a_node(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    async def translate(assignment: Assignment) -> str:
        return "ok"

    url, namespace = servers["valkey"].url, keys.namespace
    async with running(servers["valkey"], keys) as scheduler:
        await scheduler.append(SourceAdmitted(source="gate", role=SourceRole.PRODUCER))
        await scheduler.append(SourceAdmitted(source="far", role=SourceRole.NODE, node_id="n1", pools="*"))
        async with (
            Scheduler.connect(url, namespace, source="gate") as producer,
            Scheduler.connect(url, namespace, source="far") as behind,
            Node(behind, "n1", pools=["en-zh"], heartbeat_ms=100) as node,
            anyio.create_task_group() as group,
        ):
            group.start_soon(node.run, translate)
            job = await producer.submit(request("j1"))
            assert (await job.result(20)).status is JobState.FINISHED
            node.stop()
    found = spans(outcome)
    assert found.keys() == {"submit", "dispatch", "execute"}  # it may not ask when the job was submitted
    assert len({span.context.trace_id for span in found.values()}) == 1
    assert said(found["submit"])["messaging.message.id"] == said(found["execute"])["messaging.message.id"] == "gate/j1"


async def test_dispatch_task_carries_the_trace_and_a_refusal_marks_its_span(
    servers: dict[str, EmbeddedServer], keys: Keys, outcome: InMemorySpanExporter
) -> None:
    async with running(servers["valkey"], keys) as scheduler:
        asked = DispatchRequest(session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")
        with pytest.raises(NoPoolForLangPair):
            await scheduler.dispatch_task(asked)
        (submitted,) = [fact for fact in await facts(scheduler) if fact["type"] == "job.submitted"]
    submit = spans(outcome)["submit"]
    assert submitted["traceparent"][36:52] == f"{submit.context.span_id:016x}"
    assert submit.status.status_code is StatusCode.ERROR


async def test_the_same_job_submitted_again_in_another_trace_is_the_same_job(ledger: Ledger) -> None:
    for n in range(2):
        job = await ledger.submit("j1", traceparent=f"{REMOTE[:-4]}{n}-01")
    assert job["traceparent"] == f"{REMOTE[:-4]}0-01"
    assert await ledger.dead() == []


# --- without tracing


async def test_a_node_that_does_not_trace_carries_out_jobs_as_ever(
    servers: dict[str, EmbeddedServer], keys: Keys
) -> None:
    async def carry_out(handler: Any, task: Any) -> None: ...

    async with running(servers["valkey"], keys) as scheduler:
        assert traced(carry_out, scheduler.partition) is carry_out
        await scheduler.submit(request("j1"), reply=False)
        assert "traceparent" not in (await facts(scheduler))[-1]


def test_nothing_of_opentelemetry_is_imported_where_it_is_not_used() -> None:
    program = (
        "import sys, builtins\n"
        "found = builtins.__import__\n"
        "def absent(name, *rest):\n"
        "    if name.partition('.')[0] == 'opentelemetry': raise ImportError(name)\n"
        "    return found(name, *rest)\n"
        "builtins.__import__ = absent\n"
        "from streamsched.client import tracing\n"
        "from streamsched.contract.keys import Keys\n"
        "from streamsched.node import program\n"
        "assert tracing.current_traceparent() is None\n"
        "with tracing.submitting(Keys(), 'j', 's', ('en', 'zh'), None) as traceparent: assert traceparent is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_program_gets_the_trace_through_its_environment_and_passes_it_on(cli: Cli) -> None:
    worker, node = cli.start("worker"), cli.start(
        "node", "n1", "--pools", "en-zh", "--exec", "sh -c 'cat > /dev/null; printf %s $TRACEPARENT'"
    )  # fmt: skip
    done = cli.run(*SUBMIT, "--timeout", "30", "hello", TRACEPARENT=REMOTE)
    assert (done.code, done.out) == (0, REMOTE + "\n")
    assert (cli.stop(worker), cli.stop(node)) == (0, 0)
