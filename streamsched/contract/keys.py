"""Every Redis key of a partition, and the only place that knows their shapes.

The Lua sources write ``key.job(job_id)``; the loader replaces that text by the shape given here, so that the
two languages cannot disagree and a script pays no more than one concatenation for a key.
"""

from __future__ import annotations

DEFAULT_NAMESPACE = "scheduler"

GROUP = "fold"
"""The consumer group of the log and of the heartbeats. Its cursor follows the watermark."""

# name -> shape behind the "<namespace>:{<partition>}:" prefix; each %s takes one id.
SHAPES: dict[str, str] = {
    # streams
    "events": "events",
    "heartbeats": "heartbeats",
    "dead": "dead",
    "dead_codes": "dead:codes",  # how many letters of each code there are; it goes with them, not with the state
    "inbox": "inbox:%s",
    "reply": "reply:%s",
    "ingress": "in:%s",  # what a source says that may not append to the log
    # nodes and pools
    "nodes": "nodes",
    "online": "online",
    "node_info": "node:info:%s",
    "node_jobs": "node:jobs:%s",
    "lost": "lost",  # offline nodes that still hold jobs
    "expiry": "expiry",  # soft: when each online node is to be looked at again
    "pools": "pools",
    "pool_info": "pool:%s:info",
    "pool_members": "pool:%s:members",
    "pool_online": "pool:%s:online",
    "lang": "lang:%s:%s",
    "open": "open:%s:%s",  # the pools of the pair with at least one node that may receive a job, but for paused ones
    "paused": "paused",  # pools and pairs that an operator has paused: since when, and why
    # jobs and sessions
    "job": "job:%s",
    "session": "session:%s",
    "waiting": "waiting:%s:%s",  # jobs of the pair by priority, then by order of submission
    "ready": "ready",  # pairs with both a waiting job and an open pool, by their first job
    "timers": "timers",  # the one moment at which each job next needs a decision
    "deadlines": "deadlines",
    "ended": "ended",  # terminal jobs in the order they ended, until their retention is over
    "requests": "requests",  # what need not be folded again, by the time of its first coming
    "letters": "letters",  # dead letters that somebody has seen to: how, and by which event
    # who may speak through an ingress
    "sources": "sources",
    "source": "source:%s",
    # the partition itself
    "meta": "meta",
    "config": "config",
    "counters": "counters",
}

STREAMS = ("events", "heartbeats", "dead", "inbox", "reply", "in")
"""What a rebuild must not drop: the log, its neighbours, what was delivered, and what waits to be taken in."""

SOFT_KEYS = ("expiry",)
SOFT_NODE_FIELDS = ("last_heartbeat_ts", "load_json", "left_ts")
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
    "heartbeats_watermark",
    "rebuilt_ts",
    "rebuild_from",
    "rebuild_until",
    "archived",
    "archive",
)
"""What ``state == fold(log)`` leaves aside: facts about the calls, the beats and the ingresses, not about the log."""


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
        """Tell whether ``key`` belongs to the folded state, so that a rebuild drops it."""
        if not key.startswith(self.prefix):
            return False
        rest = key[len(self.prefix) :]
        return rest.split(":", 1)[0] not in STREAMS
