"""OpenTelemetry on the node's side, where its program uses it: how long a job waited, how long it was on its way, and
its execution, as spans of the trace in which it was submitted.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import RedisError

from ..client.tracing import attributes, name_of, tracer_in_use
from ..engine.partition import Partition
from .runner import Handler
from .task import Task

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

log = structlog.get_logger(__name__)

CarryOut = Callable[[Handler, Task], Coroutine[Any, Any, None]]


def traced(carry_out: CarryOut, partition: Partition) -> CarryOut:
    """Return what carries out jobs within spans; where the program does not trace, just what was given."""
    tracer = tracer_in_use()
    if tracer is None:
        return carry_out

    async def with_spans(handler: Handler, task: Task) -> None:
        execution = Execution(tracer, partition, task)
        await carry_out(execution.within(handler), task)
        await execution.tell_before()

    return with_spans


class Execution:
    """The spans of one attempt of a job."""

    def __init__(self, tracer: Tracer, partition: Partition, task: Task) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer, self._partition, self._task = tracer, partition, task
        carrier = {"traceparent": task.assignment.traceparent or ""}
        # of a trace that was current when the node began, no job is a part
        self._parent = TraceContextTextMapPropagator().extract(carrier, Context())
        self._began_ns = 0
        self._sampled = False

    def within(self, handler: Handler) -> Handler:
        """Return a handler of the same kind that runs within the span ``execute``."""
        if inspect.iscoroutinefunction(handler):

            async def run(assignment: Any) -> Any:
                return await self._awaited(self._begin(), handler(assignment))

            return run

        def call(assignment: Any) -> Any:
            span = self._begin()
            with self._current(span, end=False):
                result = handler(assignment)
            if isinstance(result, Awaitable):
                return self._awaited(span, result)
            span.end()
            return result

        return call

    async def tell_before(self) -> None:
        """Record the earlier spans once the job is reported: a read before that would delay the result."""
        from opentelemetry.trace import get_current_span

        if not self._sampled or not get_current_span(self._parent).get_span_context().is_valid:
            return
        dispatched_ms = int(self._task.assignment.attempt.partition("-")[0])
        created_ms = await self._created_ms()
        if created_ms is not None:
            self._past("wait", created_ms * 1_000_000, dispatched_ms * 1_000_000)
        self._past("dispatch", dispatched_ms * 1_000_000, self._began_ns)

    def _begin(self) -> Span:
        from opentelemetry.trace import SpanKind

        self._began_ns = time.time_ns()
        span = self._tracer.start_span(
            name_of("execute", self._partition.keys),
            self._parent,
            SpanKind.CONSUMER,
            self._attributes("execute", "process"),
            start_time=self._began_ns,
        )
        self._sampled = span.get_span_context().trace_flags.sampled
        return span

    async def _awaited(self, span: Span, result: Awaitable[Any]) -> Any:
        with self._current(span, end=True):
            return await result

    @contextmanager
    def _current(self, span: Span, end: bool) -> Iterator[None]:
        """Make a span the current one; it says what the handler raised, and why a job was taken away."""
        from opentelemetry.trace import Status, StatusCode, use_span

        try:
            with use_span(span):
                yield
        except asyncio.CancelledError:
            span.set_status(Status(StatusCode.ERROR, self._task.revoked or "cancelled"))
            span.end()
            raise
        except Exception as problem:
            span.set_attribute("error.type", type(problem).__qualname__)
            span.end()
            raise
        if end:
            span.end()

    def _past(self, step: str, start_ns: int, end_ns: int) -> None:
        keys = self._partition.keys
        span = self._tracer.start_span(
            name_of(step, keys), self._parent, attributes=self._attributes(step, ""), start_time=start_ns
        )
        span.end(max(start_ns, end_ns))  # this machine's clock may be behind the scheduler's

    def _attributes(self, step: str, kind: str) -> dict[str, str | int]:
        a = self._task.assignment
        pair = a.src_lang, a.tgt_lang
        given = attributes(step, kind, self._partition.keys, a.job_id, a.session_id, pair)
        return {**given, "streamsched.node_id": a.node_id, "streamsched.attempts": a.attempts}

    async def _created_ms(self) -> int | None:
        """Return when the job was submitted; ``None`` where that is not what it waited for, or may not be asked."""
        if self._task.assignment.attempts > 1 or self._partition.source is not None:
            return None
        redis: Any = self._partition.redis
        try:
            created = await redis.hget(self._partition.keys.job(self._task.assignment.job_id), "created_ts")
        except (RedisError, OSError) as problem:
            log.debug("no span for the wait", job_id=self._task.assignment.job_id, problem=str(problem))
            return None
        return int(created) if created else None
