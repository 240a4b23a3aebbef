"""OpenTelemetry on the submitter's side, where a program uses it: a span for a submission, and its context with it.

The program sets up OpenTelemetry as it pleases. Without it, nothing is imported and nothing is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from ..contract.keys import Keys

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SYSTEM = "streamsched"


def tracer_in_use() -> Tracer | None:
    """Return the program's tracer; ``None`` if it has set up none."""
    if "opentelemetry.trace" not in sys.modules:  # a program that traces has imported it
        return None
    from opentelemetry import trace

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    from ..version import __version__

    return trace.get_tracer(SYSTEM, __version__)


def current_traceparent() -> str | None:
    """Return the current span in W3C form; ``None`` without a span or without tracing."""
    if tracer_in_use() is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def name_of(step: str, keys: Keys) -> str:
    """Return the name of a step's span: what is done, and where, as the conventions for messaging want it."""
    return f"{step} {destination(keys)}"


def destination(keys: Keys) -> str:
    """Return what a partition is called in a span."""
    return keys.prefix.removesuffix(":")


def attributes(step: str, kind: str, keys: Keys, job_id: str, session_id: str, pair: tuple[str, str]) -> dict[str, str]:
    """Return what a span says of a job: the conventions for messaging, and its language pair.

    Args:
        step: what is done.
        kind: ``send``, ``process``, or empty where the conventions have no word for the step.
    """
    of_job = {
        "messaging.system": SYSTEM,
        "messaging.destination.name": destination(keys),
        "messaging.operation.name": step,
        "messaging.message.id": job_id,
        "messaging.message.conversation_id": session_id,
        "streamsched.src_lang": pair[0],
        "streamsched.tgt_lang": pair[1],
    }
    return of_job | ({"messaging.operation.type": kind} if kind else {})


def submitting(
    keys: Keys, job_id: str, session_id: str, pair: tuple[str, str], traceparent: str | None
) -> AbstractContextManager[str | None]:
    """Cover a submission with a span; the context is the ``traceparent`` that goes with the job.

    A ``traceparent`` that the caller gives goes with the job unchanged, without a new span.
    """
    tracer = tracer_in_use()
    if tracer is None or traceparent is not None:
        return nullcontext(traceparent)
    return _covered(tracer, name_of("submit", keys), attributes("submit", "send", keys, job_id, session_id, pair))


@contextmanager
def _covered(tracer: Tracer, name: str, given: dict[str, str]) -> Iterator[str | None]:
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=given):
        yield current_traceparent()
