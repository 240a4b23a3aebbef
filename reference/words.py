"""What the contract does not contain: the sender of an event, the meaning of its fields, and an example."""

from __future__ import annotations

from streamsched.contract.config import DEFAULTS
from streamsched.contract.kinds import LIMITS

SENDERS = {
    "node": (
        "node.registered",
        "node.heartbeat",
        "node.offline",
        "job.started",
        "job.progressed",
        "job.declined",
        "job.completed",
    ),
    "producer": ("job.submitted", "job.cancelled", "session.released"),
    "operator": (
        "node.cordoned",
        "node.uncordoned",
        "node.drained",
        "node.retired",
        "pool.paused",
        "pool.resumed",
        "pair.paused",
        "pair.resumed",
        "source.admitted",
        "source.revoked",
        "scheduler.configured",
        "letter.dropped",
    ),
}
"""Who sends what. A trusted sender appends to the log; an untrusted node or producer has an ingress stream."""

FIELDS: dict[str, str] = {
    "node_id": "The node. Keep the id after a restart.",
    "cap_json": "What the node can do. People and programs may read it; the choice of a node does not use it.",
    "pool_names_json": "The pools that the node belongs to from now on. An entry is a `name` (languages joined "
    "by `-`), an `id` (by default the name), and `languages` where a code itself holds a hyphen. Left out: none.",
    "mailbox": "The inbox for the node's assignments, such as that of its gateway.",
    "incarnation": "Which process of the node this is. A later one with the same `node_id` supersedes it.",
    "pool_id": "The pool, by its id.",
    "ran_ms": "How long the job ran, if it ended before `job.started` was sent. `job.started` is then not needed.",
    "request_id": "Chosen before the first try, so that a repeat takes effect once. Remembered for an hour.",
    "online": "Whether the node is online.",
    "load_json": "How busy the node is. People may read it; the choice of a node does not use it.",
    "trouble": "What is wrong with the node, such as why it cannot read its inbox. People may read it; the choice of a "
    "node does not use it. Left out: nothing is wrong.",
    "room": "How many assignments the node would take now, beside the jobs that it has begun. Left out: what it said "
    "last, less each job that began since then, plus each that ended.",
    "accepting": "Whether the node takes more jobs. Left out: unchanged.",
    "reason": "The reason; kept in the log.",
    "job_id": "The job.",
    "session_id": "The session of the job. Jobs of a session stay on one node if possible.",
    "src_lang": "Language to translate from.",
    "tgt_lang": "Language to translate to; another one.",
    "payload_json": "The payload for the node.",
    "priority": "A higher priority goes first, over all language pairs.",
    "deadline_ts": "The job expires if it has not ended by this time. Must be in the future.",
    "not_before_ts": "The job waits at least until this time. Must be before `deadline_ts`.",
    "max_attempts": "The number of attempts before the job fails.",
    "affinity": "Whether the job follows its session to its node.",
    "reply_to": "The client for the outcome: it is added to the stream `scheduler:{0}:reply:<reply_to>`.",
    "traceparent": "Trace context (W3C), passed to the node.",
    "immediate": "Dispatch at once or refuse, instead of waiting for a node.",
    "carries": "The id of the entry with the submission that this one repeats: from then on the job does not keep the "
    "log before this one. See `streamsched carry`.",
    "deliver": "Whether the assignment goes into the node's inbox. `false`: the submitter delivers the job.",
    "attempt": "The token of the attempt, from the inbox.",
    "progress_json": "The progress; kept with the job.",
    "status": "How the attempt ended.",
    "result_json": "The result, passed to the client that waits for it.",
    "error": "The error.",
    "source": "The source's name.",
    "role": "The role: a producer with its own jobs, or one node.",
    "rate": "Events a second that workers copy from it.",
    "size": "Bytes of its largest entry.",
    "backlog": "Entries that may wait in its stream; beyond that the oldest are dropped.",
    "cancel": "Whether its jobs that have not ended are cancelled, some in each call, until none is left or it is "
    "admitted again.",
    "jobs": "Its jobs that have not ended; more are refused.",
    "max_age_ms": "Time from the submission of a job to its end, in ms; then it expires.",
    "pools": "For a node: ids of the pools that it may create, joined by commas; `*`: any. Without it those that begin "
    "with the source's name and a dot.",
    "bytes": "Bytes of the payloads of these jobs; also of its ended jobs that are kept, and of its node's results.",
    "heartbeat_timeout_ms": "Silence after which a node expires; 0: never. A shorter timeout applies to an online node "
    "when the scheduler next checks it: after the old timeout at the latest.",
    "accept_timeout_ms": "How long an assignment may be neither started nor declined; 0 means without limit.",
    "job_timeout_ms": "How long an attempt may run without progress; 0 means without limit.",
    "retry_backoff_ms": f"Pause before the second attempt; doubles with each attempt, up to {LIMITS['backoff_ms']} ms.",
    "retention_ms": "How long an ended job stays in the state.",
    "node_retention_ms": "How long a node stays in the state while it is offline, a pool while it has no member, and a "
    "source after it was revoked; 0: for ever.",
    "policy": "How a node is chosen. `expected_finish`: one of the fastest nodes with room. `two_choices`: of two "
    "random candidates the one that holds fewer jobs; also used where no node says its room. `random`: any.",
    "max_waiting": "Jobs that may wait; more submissions are refused with `OVERLOADED`.",
    "max_lag": "Lag of the fold, in events, beyond which calls that append a submission are refused.",
    "shed_memory_percent": "Use of the server's `maxmemory`, in percent, beyond which submissions are refused.",
    "fold_version": "The highest version of the folds that operators permit. `streamsched upgrade` raises it.",
    "max_letters": "Dead letters about heartbeats and about entries of ingresses that are kept; the oldest go first.",
    "max_letters_bytes": "Bytes that these letters may hold together.",
    "letter": "The id of the dead letter in the stream `scheduler:{0}:dead`.",
}
"""The meaning of a field in every event, except those in :data:`ELSEWHERE`."""

ELSEWHERE: dict[tuple[str, str], str] = {
    (
        "job.submitted",
        "job_id",
    ): "The name of the job, which lets a repeat count once. Left out: `<session_id>:<request_id>`, or "
    "`<session_id>:<id of the entry>`.",
    ("job.declined", "attempt"): "The token of the attempt. Left out: the attempt that the node holds.",
    (
        "job.declined",
        "reason",
    ): "`full` without a `room` closes the node until one of its jobs has ended. Any other reason concerns only this "
    "job.",
    (
        "job.declined",
        "begun",
    ): "Whether the attempt may have begun: then it counts. Left out: it counts if `job.started` was sent.",
    (
        "job.completed",
        "attempt",
    ): "The token of the attempt. Send it: without it a late completion of an earlier attempt counts.",
    ("node.heartbeat", "request_id"): "For a goodbye (`online` false), which must count once.",
    ("source.admitted", "node_id"): "The node; required for the role `node`, and only allowed there.",
    ("source.admitted", "priority"): "The highest priority of its jobs.",
}

DOES = {
    "node.heartbeat": "The heartbeat of a node. It brings an offline node online. Without a heartbeat for "
    "`heartbeat_timeout_ms` the node expires, and its jobs go to other nodes. `online` false is a goodbye. Heartbeats "
    "go to the heartbeat stream; the log accepts them too.",
}
"""What an event does, if the comment of its fold is not for its sender."""

DEFAULT_OF: dict[str, str] = {
    **{name: str(value) for name, value in DEFAULTS.items()},
    "mailbox": "`node_id`",
    "priority": "0",
    "affinity": "prefer",
    "immediate": "false",
    "deliver": "true",
    "rate": str(LIMITS["source_rate"]),
    "size": str(LIMITS["source_size"]),
    "backlog": str(LIMITS["source_backlog"]),
    "jobs": str(LIMITS["source_jobs"]),
    "bytes": str(LIMITS["source_bytes"]),
    "max_age_ms": str(LIMITS["source_age_ms"]),
}
"""The value without the field; for the configuration, the value before the first `scheduler.configured`."""

EXAMPLES: dict[str, str] = {
    "node.registered": """node_id n1 cap_json '{"services":["NMT"]}' pool_names_json '[{"name":"en-zh"}]'""",
    "node.heartbeat": """node_id n1 online true load_json '{"gpu":0.4}'""",
    "node.offline": "node_id n1 reason 'power cut'",
    "node.cordoned": "node_id n1 reason 'runs hot' request_id c1",
    "node.uncordoned": "node_id n1 request_id u1",
    "node.drained": "node_id n1 reason 'new driver' request_id d1",
    "node.retired": "node_id n2 reason 'sold' request_id x1",
    "pool.paused": "pool_id en-zh reason 'new model' request_id p1",
    "pool.resumed": "pool_id en-zh request_id p2",
    "pair.paused": "src_lang zh tgt_lang en reason 'bad model' request_id p3",
    "pair.resumed": "src_lang zh tgt_lang en request_id p4",
    "job.submitted": """job_id j2 session_id s1 src_lang zh tgt_lang en payload_json '{"text":"你好"}' reply_to app1""",
    "job.started": 'job_id j1 node_id n1 attempt "$ATTEMPT"',
    "job.progressed": """job_id j1 node_id n1 attempt "$ATTEMPT" progress_json '{"done":0.5}'""",
    "job.declined": 'job_id j1 node_id n1 attempt "$ATTEMPT" reason full',
    "job.completed": """job_id j1 node_id n1 attempt "$ATTEMPT" status finished result_json '{"text":"hello"}'""",
    "job.cancelled": "job_id j1 reason 'the caller hung up'",
    "session.released": "session_id s1",
    "source.admitted": "source web2 role producer rate 200",
    "source.revoked": "source web reason 'left the project'",
    "scheduler.configured": "heartbeat_timeout_ms 15000 job_timeout_ms 60000",
    "letter.dropped": "letter \"$LETTER\" reason 'sent by a test'",
}
"""The fields of an example, as a shell takes them. ``$ATTEMPT`` is a token, ``$LETTER`` the id of a dead letter."""


def sender(kind: str) -> str:
    """Return who sends an event."""
    found = [who for who, kinds in SENDERS.items() if kind in kinds]
    if len(found) != 1:
        raise LookupError(f"who sends {kind}? Add it to SENDERS in reference/words.py")
    return found[0]


def meaning(kind: str, field: str) -> str:
    """Return what a field of an event means."""
    words = ELSEWHERE.get((kind, field)) or FIELDS.get(field)
    if words is None:
        raise LookupError(f"what does {field} of {kind} mean? Add it to FIELDS in reference/words.py")
    return words


def example(kind: str) -> str:
    """Return the fields of an example, as a shell takes them."""
    if kind not in EXAMPLES:
        raise LookupError(f"{kind} has no example: add one to EXAMPLES in reference/words.py")
    return EXAMPLES[kind]
