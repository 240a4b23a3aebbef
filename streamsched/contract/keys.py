"""Every Redis key of a partition. No other module knows the shapes.

The Lua sources write ``key.job(job_id)``; the loader replaces that text by the shape given here, so that the
two languages cannot disagree and a script pays no more than one concatenation for a key.
"""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_NAMESPACE = "scheduler"

GROUP = "fold"
"""The consumer group of the log and of the heartbeats. Its cursor follows the watermark."""


class Key(NamedTuple):
    """One kind of key."""

    shape: str
    """The part after the prefix ``<namespace>:{<partition>}:``; each ``%s`` takes one id."""
    type: str
    """The Redis type."""
    writers: str
    """Who writes it: ``fold``, ``index``, ``call``, ``producers``, ``nodes``, ``operators``."""
    meaning: str
    """Its content, in one sentence: a row of ``docs/state.md``."""


KEYS: dict[str, Key] = {
    # streams
    "events": Key(
        "events", "stream", "producers, nodes, operators, call", "The log: every fact in the order in which it counts."
    ),
    "heartbeats": Key("heartbeats", "stream", "nodes", "Heartbeats. They are not part of the log."),
    "dead": Key("dead", "stream", "call", "Dead letters: each event that was refused, with its code and its reason."),
    "dead_codes": Key(
        "dead:codes", "hash", "call", "Number of dead letters by code. It belongs to the letters and not to the state."
    ),
    "dead_ordered": Key(
        "dead:ordered",
        "stream",
        "operators, call",
        "While `rebuild --replace` runs: the dead letters in the order of two logs.",
    ),
    "dead_ordered_codes": Key(
        "dead:ordered:codes", "hash", "call", "While `rebuild --replace` runs: counts to be added to `dead:codes`."
    ),
    "inbox": Key(
        "inbox:%s", "stream", "call, nodes", "Assignments for the nodes of a mailbox. The node trims what it has read."
    ),
    "reply": Key("reply:%s", "stream", "call", "Outcomes of the jobs that one client submitted with `reply_to`."),
    "ingress": Key(
        "in:%s",
        "stream",
        "producers, nodes",
        "Events from a source that may not append to the log, until a worker copies them into the log.",
    ),
    # nodes and pools
    "nodes": Key("nodes", "set", "fold", "Ids of the nodes that have registered and were not retired."),
    "online": Key("online", "set", "fold", "Ids of the nodes that are online."),
    "node_info": Key(
        "node:info:%s",
        "hash",
        "fold",
        "A node: capabilities, pools, mailbox, liveness, cordon, window, last heartbeat.",
    ),
    "node_jobs": Key("node:jobs:%s", "set", "fold", "Ids of the jobs that a node holds."),
    "lost": Key("lost", "set", "index", "Ids of offline nodes that still hold jobs."),
    "mailboxes": Key("mailboxes", "hash", "fold", "How many nodes have their assignments put into each inbox."),
    "gone": Key(
        "gone",
        "sorted set",
        "fold",
        "Offline nodes, pools without a member and revoked sources, by the time since when: they are retired later.",
    ),
    "expiry": Key(
        "expiry",
        "sorted set",
        "fold, call",
        "For each online node the time at which a call next checks its last heartbeat.",
    ),
    "troubled": Key("troubled", "set", "fold", "Ids of the nodes whose last heartbeat says that something is wrong."),
    "pools": Key("pools", "set", "fold", "Ids of all pools."),
    "pool_info": Key("pool:%s:info", "hash", "fold", "A pool: its name and its languages."),
    "pool_members": Key("pool:%s:members", "set", "fold", "Ids of the nodes that registered with the pool."),
    "pool_online": Key("pool:%s:online", "set", "index", "Ids of the members that may receive a job now."),
    "lang": Key("lang:%s:%s", "set", "fold", "Ids of the pools that serve the pair."),
    "open": Key(
        "open:%s:%s",
        "set",
        "index",
        "Ids of the pools of the pair that are not paused and have a node that may receive a job now.",
    ),
    "paused": Key("paused", "hash", "fold", "Pools and pairs that an operator has paused: since when, and why."),
    # jobs and sessions
    "job": Key(
        "job:%s", "hash", "fold", "A job: status, session, pair, payload, attempt, node, times, result or error."
    ),
    "session": Key("session:%s", "hash", "fold", "A session: the pool and the node of its last job."),
    "waiting": Key(
        "waiting:%s:%s", "sorted set", "fold", "Waiting jobs of the pair, by priority, then by order of submission."
    ),
    "ready": Key(
        "ready", "sorted set", "index", "Pairs that have both a waiting job and an open pool, by their first job."
    ),
    "timers": Key("timers", "sorted set", "fold", "For each job the one time at which it next needs a decision."),
    "deadlines": Key("deadlines", "sorted set", "fold", "Jobs with a deadline that have not ended, by deadline."),
    "ended": Key(
        "ended", "sorted set", "fold", "Jobs that have ended, by the time of their end, until their retention is over."
    ),
    "requests": Key(
        "requests",
        "sorted set",
        "fold",
        "Each `request_id` of the last hour, by the time at which it was first folded.",
    ),
    "letters": Key("letters", "hash", "fold", "Dead letters that were retried or dropped, and by which event."),
    "handled": Key("handled", "list", "fold", "The same dead letters, in the order in which they were handled first."),
    # sources
    "sources": Key("sources", "set", "fold", "Names of the sources that are admitted."),
    "source": Key("source:%s", "hash", "fold", "A source: role, limits, and the last entry of its that is in the log."),
    # the partition itself
    "meta": Key(
        "meta",
        "hash",
        "call",
        "The partition: watermark, number of folded events, fence, fold version, overload, rebuild phase.",
    ),
    "config": Key("config", "hash", "fold", "The configuration: what `scheduler.configured` has set."),
    "counters": Key("counters", "hash", "fold", "Totals: submitted, waiting, finished, failed, dead and so on."),
}
"""Every key of a partition, by the name under which the Lua sources use it (``key.<name>``)."""

SHAPES: dict[str, str] = {name: key.shape for name, key in KEYS.items()}
"""``{name: shape}``, as the loader puts it into the Lua sources."""

STREAMS = ("events", "heartbeats", "dead", "inbox", "reply", "in")
"""What a rebuild must not drop: the log, the streams beside it, deliveries, and entries that wait in an ingress."""

SOFT_KEYS = ("expiry", "troubled")
SOFT_NODE_FIELDS = ("last_heartbeat_ts", "load_json", "trouble", "left_ts")
SOFT_SOURCE_FIELDS = ("tokens", "tokens_ts", "over", "told_ts", "foreign")
SOFT_META_FIELDS = (
    "begin",
    "done",
    "halted",
    "rebuilding",
    "dead_cursor",
    "last_call_ts",
    "clock_ts",
    "look_ts",
    "memory_ts",
    "shed",
    "troubled",
    "heartbeats_watermark",
    "rebuilt_ts",
    "rebuild_from",
    "rebuild_until",
    "archived",
    "archive",
    "archiver",
    "log",
    "wiped",
    "lost",
    "forgotten",
    "carried_after",
    "evicted_keys",
    "evicts",
    "adopted",
)
"""Not part of ``state == fold(log)``: they come from calls, heartbeats and ingresses, not from the log."""


def soft_fields(name: str) -> tuple[str, ...]:
    """Return the soft fields of a hash, given by its key without the prefix."""
    if name == "meta":
        return SOFT_META_FIELDS
    if name.startswith("node:info:"):
        return SOFT_NODE_FIELDS
    return SOFT_SOURCE_FIELDS if name.startswith("source:") else ()


class Keys:
    """The keys of one partition, for example ``Keys().job("j1") == "scheduler:{0}:job:j1"``."""

    def __init__(self, namespace: str = DEFAULT_NAMESPACE, partition: int = 0) -> None:
        if not namespace or any(c in namespace for c in "{}*?[]\\ \t\n"):
            raise ValueError(f"namespace {namespace!r}: give a name without braces, blanks or glob characters")
        self.namespace = namespace
        self.partition = partition
        self.prefix = f"{namespace}:{{{partition}}}:"

    def __call__(self, name: str, *ids: str) -> str:
        """Return the key ``name`` of :data:`SHAPES`, its ``%s`` filled with ``ids``."""
        return self.prefix + (SHAPES[name] % ids)

    def job(self, job_id: str) -> str:
        """Return the hash of a job."""
        return self("job", job_id)

    def node_info(self, node_id: str) -> str:
        """Return the hash of a node."""
        return self("node_info", node_id)

    def inbox(self, mailbox: str) -> str:
        """Return the stream of assignments for a mailbox."""
        return self("inbox", mailbox)

    def reply(self, client: str) -> str:
        """Return the stream of outcomes for one client process."""
        return self("reply", client)

    def is_state(self, key: str) -> bool:
        """Return whether ``key`` belongs to the folded state, which a rebuild drops."""
        if not key.startswith(self.prefix):
            return False
        rest = key[len(self.prefix) :]
        return rest.split(":", 1)[0] not in STREAMS
