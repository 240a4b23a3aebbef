"""What the contract does not say of itself: who sends an event, what its fields mean, and an example of it."""

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
"""Who sends what. A trusted sender appends to the log; a node or a producer that is not has its ingress."""

FIELDS: dict[str, str] = {
    "node_id": "The node. The same after a restart.",
    "cap_json": "What the node can do; kept for people and programs to read, not used to choose.",
    "pool_names_json": "The pools that the node belongs to from now on. An entry is a `name` (languages joined "
    "by `-`), an `id` (by default the name), and `languages` where a code itself holds a hyphen. Left out: none.",
    "mailbox": "Whose inbox the node's assignments go to: its gateway's, say.",
    "pool_id": "The pool, by its id.",
    "ran_ms": "How long it ran, where it was over before `job.started` was sent, which then is not needed.",
    "request_id": "Made up before the first try, so that a repeat takes effect once; remembered for an hour.",
    "online": "Whether the node is there.",
    "load_json": "How busy it is; for people to read, not used to choose.",
    "accepting": "Whether it takes more jobs. Left out: as before.",
    "reason": "Why; kept in the log.",
    "job_id": "The job.",
    "session_id": "The conversation that the job belongs to; its jobs stay on one node where they can.",
    "src_lang": "Language to translate from.",
    "tgt_lang": "Language to translate to; another one.",
    "payload_json": "What the node is given.",
    "priority": "A higher one goes first, over all language pairs.",
    "deadline_ts": "If it has not ended by then it expires. In the future.",
    "not_before_ts": "It waits until then, at least. Before `deadline_ts`.",
    "max_attempts": "How often the job may be tried before it has failed.",
    "affinity": "Whether the job follows its session to its node.",
    "reply_to": "Where the outcome is to be told: the stream `scheduler:{0}:reply:<reply_to>`.",
    "traceparent": "Trace context (W3C), handed on to the node.",
    "immediate": "Dispatch at once or refuse, instead of waiting for a node.",
    "deliver": "Whether the assignment goes into the node's inbox. `false`: whoever submits delivers it.",
    "attempt": "The attempt's token, as the inbox said it.",
    "progress_json": "How far it is; kept with the job.",
    "status": "How the attempt ended.",
    "result_json": "The result, handed to whoever waits for it.",
    "error": "What went wrong.",
    "source": "The source's name.",
    "role": "What it is: a producer of jobs of its own, or one node.",
    "rate": "Events a second that are taken in from it.",
    "size": "Bytes of its largest entry.",
    "backlog": "Entries of it that may wait; of more the oldest are dropped.",
    "heartbeat_timeout_ms": "Silence after which a node expires. A shorter one counts for a node that is online "
    "already from when it is next looked at: after the old one, at most.",
    "accept_timeout_ms": "How long an assignment may lie in an inbox, neither started nor declined; 0 means for ever.",
    "job_timeout_ms": "How long an attempt may run without progress; 0 means for ever.",
    "retry_backoff_ms": f"Pause before the second attempt; doubles with each, up to {LIMITS['backoff_ms']} ms.",
    "retention_ms": "How long an ended job stays in the state.",
    "policy": "How a node is chosen: of two random candidates the one that holds fewer jobs.",
    "max_waiting": "Jobs that may wait; further submissions are refused with `OVERLOADED`.",
    "max_lag": "Events that the fold may be behind before a call that appends a submission is refused.",
    "shed_memory_percent": "How full the server's `maxmemory` may be before submissions are refused.",
    "letter": "Id of the dead letter, in the stream `scheduler:{0}:dead`.",
}
"""The meaning of a field, wherever it stands; what an event means otherwise is in :data:`ELSEWHERE`."""

ELSEWHERE: dict[tuple[str, str], str] = {
    (
        "job.submitted",
        "job_id",
    ): "Its name, and what makes a repeat count once. Left out: `<session_id>:<request_id>`, or else "
    "`<session_id>:<id of the entry>`.",
    ("job.declined", "attempt"): "The attempt's token. Left out: whatever the node holds of the job.",
    (
        "job.declined",
        "reason",
    ): "`full` closes the node until one of its jobs has ended; anything else speaks of this job.",
    ("job.completed", "attempt"): "The attempt's token. Give it: without it a late word of an earlier attempt counts.",
    ("node.heartbeat", "request_id"): "For a goodbye (`online` false), which counts once.",
    ("source.admitted", "node_id"): "Which node; for the role `node` only, and needed there.",
    ("source.admitted", "priority"): "The highest that its jobs may ask for.",
}

DOES = {
    "node.heartbeat": "A node is alive. A node that was offline comes online with its next beat; without one for "
    "`heartbeat_timeout_ms` it "
    "expires, and what it held goes elsewhere. `online` false is a goodbye. Beats go to the heartbeat stream; the log "
    "takes them, too.",
}
"""What an event does, where the words of its fold are not for whoever sends it."""

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
}
"""What holds without the field; for those of the configuration, before they are first configured."""

EXAMPLES: dict[str, str] = {
    "node.registered": """node_id n1 cap_json '{"services":["NMT"]}' pool_names_json '[{"name":"en-zh"}]'""",
    "node.heartbeat": """node_id n1 online true load_json '{"gpu":0.4}'""",
    "node.offline": "node_id n1 reason 'power cut'",
    "node.cordoned": "node_id n1 reason 'runs hot' request_id c1",
    "node.uncordoned": "node_id n1 request_id u1",
    "node.drained": "node_id n1 reason 'new driver' request_id d1",
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
"""An example's fields, as a shell takes them. ``$ATTEMPT`` is what the inbox said, ``$LETTER`` a dead letter's id."""


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
