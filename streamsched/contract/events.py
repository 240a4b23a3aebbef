"""The wire contract: one struct per event that may be appended from outside, and the limits on its fields.

On the stream an event is flat: ``type`` first, then string fields, nested values as JSON in ``*_json``. What is
``None`` is left out. The Lua folds read the same fields; the loader checks their headers against these structs.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

Id = Annotated[str, "id"]

Lang = Annotated[str, "lang"]

Text = Annotated[str, "text"]

Json = Annotated[str, "json"]

Payload = Annotated[str, "payload"]

PoolNames = Annotated[str, "pools"]

Time = Annotated[int, "ts"]

Count = Annotated[int, "count"]

Duration = Annotated[int, "ms"]

Bound = Annotated[int, "bound"]

Room = Annotated[int, "room"]

Percent = Annotated[int, "percent"]

Priority = Annotated[int, "priority"]

Flag = Annotated[bool, "flag"]

Source = Annotated[str, "source"]

Amount = Annotated[int, "amount"]

EntryId = Annotated[str, "entry"]


class JobStatus(enum.StrEnum):
    """How a node says that a job ended. The only two words a completion may use."""

    FINISHED = "finished"
    FAILED = "failed"


class Affinity(enum.StrEnum):
    """Whether a job follows its session: ``prefer`` (default) keeps the session's node while it may receive jobs."""

    PREFER = "prefer"
    NONE = "none"


class Policy(enum.StrEnum):
    """How a node is chosen.

    ``expected_finish`` (default): one of the fastest nodes with room, and of two such nodes the emptier one. Where no
    node says its room, as ``two_choices``. ``two_choices``: of two random candidates the one that holds fewer jobs
    (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 2001). ``random``: any.
    """

    EXPECTED_FINISH = "expected_finish"
    TWO_CHOICES = "two_choices"
    RANDOM = "random"


class Event(msgspec.Struct, kw_only=True, tag_field="type", gc=False):
    """What all events share. Unknown extra fields on the wire are kept in the log and ignored by the fold.

    They hold text and numbers, in which no circle can hide: garbage collections pass them over (``gc=False``).

    Where nothing else tells an event from its repeat there is ``request_id``, made up before the first try: the same
    one about the same thing takes effect once. It is remembered for an hour; a job remembers the last eight.
    """


class NodeRegistered(Event, tag="node.registered"):
    node_id: Id
    cap_json: Json
    pool_names_json: PoolNames | None = None
    mailbox: Id | None = None
    incarnation: Id | None = None
    """Which process this is: a later one under the same ``node_id`` supersedes it. Without it, whichever it was."""
    request_id: Id | None = None


class NodeHeartbeat(Event, tag="node.heartbeat"):
    node_id: Id
    online: Flag
    load_json: Json | None = None
    accepting: Flag | None = None
    room: Room | None = None
    """How many assignments it would take now, beside the jobs that it has begun. Without it: as said before."""
    trouble: Text | None = None
    """What is wrong with the node. Without it, nothing is."""
    incarnation: Id | None = None
    """As registered: a beat of an earlier process is refused. Without it, no one asks."""
    request_id: Id | None = None


class NodeOffline(Event, tag="node.offline"):
    node_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class NodeCordoned(Event, tag="node.cordoned"):
    node_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class NodeUncordoned(Event, tag="node.uncordoned"):
    node_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class NodeDrained(Event, tag="node.drained"):
    node_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class NodeRetired(Event, tag="node.retired"):
    """A node is forgotten, with its inbox and its place in pools. Refused while it is online or holds jobs."""

    node_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class JobSubmitted(Event, tag="job.submitted"):
    session_id: Id
    src_lang: Lang
    tgt_lang: Lang
    payload_json: Payload
    job_id: Id | None = None
    priority: Priority | None = None
    deadline_ts: Time | None = None
    not_before_ts: Time | None = None
    max_attempts: Count | None = None
    affinity: Affinity | None = None
    reply_to: Id | None = None
    traceparent: Id | None = None
    immediate: Flag | None = None
    """Dispatch at once or refuse: what ``dispatch_task`` means. Default false: the job waits for a node."""
    deliver: Flag | None = None
    """Put the assignment into the node's inbox. Default true; ``dispatch_task`` delivers by itself."""
    carries: EntryId | None = None
    """The entry with the submission that this one takes over from: an operator repeats it whole, so that the log may be
    trimmed up to here."""
    request_id: Id | None = None


class JobStarted(Event, tag="job.started"):
    job_id: Id
    node_id: Id
    attempt: Id
    room: Room | None = None
    """How many more assignments the node would take now."""


class JobProgressed(Event, tag="job.progressed"):
    job_id: Id
    node_id: Id
    attempt: Id
    progress_json: Json | None = None
    request_id: Id | None = None


class JobDeclined(Event, tag="job.declined"):
    job_id: Id
    node_id: Id
    attempt: Id | None = None
    """Without it, any attempt that the node holds."""
    reason: Text | None = None
    begun: Flag | None = None
    """Whether the attempt may have begun, so that it counts; one that is noted as running counts anyway."""
    room: Room | None = None
    """How many assignments the node would take now. Without it, ``full`` says that it takes no more than it has."""
    request_id: Id | None = None


class JobCompleted(Event, tag="job.completed"):
    job_id: Id
    node_id: Id
    status: JobStatus
    attempt: Id | None = None
    result_json: Payload | None = None
    error: Text | None = None
    ran_ms: Duration | None = None
    """How long it ran, where it was over before ``job.started`` was sent: the log then needs no event for its begin."""
    room: Room | None = None
    """How many assignments the node would take now."""
    request_id: Id | None = None


class JobCancelled(Event, tag="job.cancelled"):
    job_id: Id
    reason: Text | None = None


class SessionReleased(Event, tag="session.released"):
    session_id: Id
    request_id: Id | None = None


class SourceRole(enum.StrEnum):
    """What a source is: a ``producer`` of jobs of its own, or one ``node``, which reports only its own events."""

    PRODUCER = "producer"
    NODE = "node"


class SourceAdmitted(Event, tag="source.admitted"):
    source: Source
    role: SourceRole
    node_id: Id | None = None
    """For a node: which one."""
    rate: Amount | None = None
    """Events a second, 1000 by default. One of more than 4 kB counts as several, a registration as half a second's."""
    size: Amount | None = None
    """Bytes of one entry, 1.2 MB by default."""
    backlog: Amount | None = None
    """Entries that may wait, 10 000 by default; of more the oldest are dropped."""
    priority: Priority | None = None
    """The highest that its jobs may have, 0 by default."""
    jobs: Amount | None = None
    """Its jobs that have not ended, 100 000 by default; more are refused with ``QUOTA_EXCEEDED``."""
    bytes: Amount | None = None
    """Bytes of their payloads, 256 MiB by default. The same bounds what is kept of its ended jobs, and of the
    results of its node."""
    max_age_ms: Bound | None = None
    """How long a job may take from its submission to its end, in ms, a day by default; then it expires. The log can be
    trimmed no further than to the submission of the oldest job that has not ended."""
    pools: Text | None = None
    """For a node: ids of the pools that it may create, joined by commas, or ``*`` for any; by default those that begin
    with the name of the source and a dot. It may join any pool whose languages it repeats."""
    reason: Text | None = None
    request_id: Id | None = None


class SourceRevoked(Event, tag="source.revoked"):
    source: Source
    cancel: Flag | None = None
    """Cancel its jobs that have not ended, some in each call, until none is left or it is admitted again."""
    reason: Text | None = None
    request_id: Id | None = None


class PoolPaused(Event, tag="pool.paused"):
    """No new jobs for a pool; what its nodes hold goes on, and they serve their other pools."""

    pool_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class PoolResumed(Event, tag="pool.resumed"):
    pool_id: Id
    reason: Text | None = None
    request_id: Id | None = None


class PairPaused(Event, tag="pair.paused"):
    """The jobs of a language pair, in this direction, wait; what nodes hold of it goes on."""

    src_lang: Lang
    tgt_lang: Lang
    reason: Text | None = None
    request_id: Id | None = None


class PairResumed(Event, tag="pair.resumed"):
    src_lang: Lang
    tgt_lang: Lang
    reason: Text | None = None
    request_id: Id | None = None


class SchedulerConfigured(Event, tag="scheduler.configured"):
    heartbeat_timeout_ms: Duration | None = None
    accept_timeout_ms: Duration | None = None
    job_timeout_ms: Duration | None = None
    max_attempts: Count | None = None
    retry_backoff_ms: Duration | None = None
    retention_ms: Duration | None = None
    node_retention_ms: Duration | None = None
    policy: Policy | None = None
    max_waiting: Bound | None = None
    """Jobs that may wait; further submissions are refused, except those that never wait."""
    max_lag: Bound | None = None
    """Events that the fold may be behind; beyond that, calls that must wait for it refuse submissions."""
    max_letters: Bound | None = None
    """Dead letters about heartbeats and entries of ingresses, which nothing else bounds; the oldest go."""
    max_letters_bytes: Bound | None = None
    """And what they may hold together."""
    shed_memory_percent: Percent | None = None
    """Percent of the server's ``maxmemory``, if it has one, above which submissions are refused."""
    fold_version: Count | None = None
    """The log is folded by this version once a program can: ``streamsched upgrade`` sees that all members can."""
    request_id: Id | None = None


class LetterDropped(Event, tag="letter.dropped"):
    letter: EntryId
    """Id of the dead letter, in their own stream."""
    reason: Text | None = None
