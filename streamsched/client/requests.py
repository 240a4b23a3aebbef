"""The requests that a producer or a gateway makes."""

from __future__ import annotations

import msgspec

from ..contract.events import Affinity, JobStatus


class RegisterNodeRequest(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A node announces itself and comes online. Announcing again replaces its pools."""

    node_id: str
    cap_json: str
    """What it can do, as JSON; kept as it is."""
    pool_names_json: str | None = None
    """``[{"id": 1, "name": "en-zh"}, …]``; ``"languages"`` beside a name whose codes hold hyphens. Without it the node
    is in no pool."""


class HeartbeatRequest(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A node lives."""

    node_id: str
    online: bool
    load_json: str | None = None
    trouble: str | None = None
    """What is wrong with the node, for people; ``None`` (default) or an empty text: nothing is."""


class DispatchRequest(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A job that needs its node now."""

    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    job_id: str | None = None
    """The idempotency key; ``None`` generates one."""
    affinity: Affinity | None = None
    deliver: bool = False
    """Put the assignment into the node's inbox; by default the caller delivers it."""
    traceparent: str | None = None
    """W3C trace context that goes with the job; ``None`` takes that of a program that traces with OpenTelemetry."""


class SubmitRequest(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A job that may wait for its node."""

    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    job_id: str | None = None
    """The idempotency key; ``None`` generates one."""
    priority: int | None = None
    """-100 to 100, higher first; 0 by default."""
    deadline_ts: int | None = None
    """ms since the epoch; the job expires when it has not ended by then."""
    not_before_ts: int | None = None
    """ms since the epoch; the job waits at least until then."""
    max_attempts: int | None = None
    affinity: Affinity | None = None
    traceparent: str | None = None
    """W3C trace context that goes with the job; ``None`` takes that of a program that traces with OpenTelemetry."""


class CompleteTaskRequest(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A job has ended on its node."""

    job_id: str
    node_id: str
    status: JobStatus
    attempt: str | None = None
    """The attempt that ended; without it, the report counts for the job that the node holds."""
    result_json: str | None = None
    error: str | None = None
