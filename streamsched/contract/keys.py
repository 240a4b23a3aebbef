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
    bound: str
    """Why it does not grow for ever: the event, the time or the limit that takes away from it."""


KEYS: dict[str, Key] = {
    # streams
    "events": Key(
        "events",
        "stream",
        "producers, nodes, operators, call",
        "The log: every fact in the order in which it counts.",
        "`archive --trim`: archived events go, up to the submission of a job that has not ended.",
    ),
    "heartbeats": Key(
        "heartbeats",
        "stream",
        "nodes",
        "Heartbeats. They are not part of the log.",
        "Folded heartbeats are trimmed; at most about 131 072 wait.",
    ),
    "dead": Key(
        "dead",
        "stream",
        "call",
        "Dead letters: each event that was refused, with its code and its reason.",
        "About the log: as the log. About heartbeats and ingresses: `max_letters` and `max_letters_bytes`.",
    ),
    "dead_codes": Key(
        "dead:codes",
        "hash",
        "call",
        "Number of dead letters by code. It belongs to the letters and not to the state.",
        "One field for each code.",
    ),
    "dead_others": Key(
        "dead:others",
        "hash",
        "call",
        "Dead letters that are about no entry of the log: how many there are, their bytes, and how many were lost.",
        "A fixed set of fields.",
    ),
    "dead_ordered": Key(
        "dead:ordered",
        "stream",
        "operators, call",
        "While `rebuild --replace` runs: the dead letters in the order of two logs.",
        "Gone when the rebuild has ended.",
    ),
    "dead_ordered_codes": Key(
        "dead:ordered:codes",
        "hash",
        "call",
        "While `rebuild --replace` runs: counts to be added to `dead:codes`.",
        "Gone when the rebuild has ended.",
    ),
    "inbox": Key(
        "inbox:%s",
        "stream",
        "call, nodes",
        "Assignments for the nodes of a mailbox. The node trims what it has read.",
        "65 536 entries. Goes when its last node is retired; expires an hour after its last node changed its mailbox.",
    ),
    "reply": Key(
        "reply:%s",
        "stream",
        "call",
        "Outcomes of the jobs that one client submitted with `reply_to`.",
        "65 536 entries. Expires an hour after the last outcome.",
    ),
    "ingress": Key(
        "in:%s",
        "stream",
        "producers, nodes",
        "Events from a source that may not append to the log, until a worker copies them into the log.",
        "The backlog of the source. Goes when the source is retired.",
    ),
    # nodes and pools
    "nodes": Key(
        "nodes",
        "set",
        "fold",
        "Ids of the nodes that have registered and were not retired.",
        "Nodes are retired after `node_retention_ms` offline.",
    ),
    "online": Key("online", "set", "fold", "Ids of the nodes that are online.", "As `nodes`."),
    "node_info": Key(
        "node:info:%s",
        "hash",
        "fold",
        "A node: capabilities, pools, mailbox, liveness, cordon, room, window, learned speed, last heartbeat.",
        "As `nodes`.",
    ),
    "node_jobs": Key(
        "node:jobs:%s",
        "set",
        "fold",
        "Ids of the jobs that a node holds.",
        "Jobs leave it when they end or the node is lost.",
    ),
    "lost": Key("lost", "set", "index", "Ids of offline nodes that still hold jobs.", "As `nodes`."),
    "mailboxes": Key(
        "mailboxes", "hash", "fold", "How many nodes have their assignments put into each inbox.", "As `nodes`."
    ),
    "gone": Key(
        "gone",
        "sorted set",
        "fold",
        "Offline nodes, pools without a member and revoked sources, by the time since when: they are retired later. "
        "At 0: revoked sources whose jobs are being cancelled.",
        "Its members are retired after `node_retention_ms`. Those at 0 go with their last job.",
    ),
    "expiry": Key(
        "expiry",
        "sorted set",
        "fold, call",
        "For each online node the time at which a call next checks its last heartbeat.",
        "As `nodes`.",
    ),
    "troubled": Key(
        "troubled", "set", "fold", "Ids of the nodes whose last heartbeat says that something is wrong.", "As `nodes`."
    ),
    "pools": Key(
        "pools",
        "set",
        "fold",
        "Ids of all pools.",
        "Pools are retired after `node_retention_ms` without a member. A paused pool stays until it is resumed.",
    ),
    "pool_info": Key("pool:%s:info", "hash", "fold", "A pool: its name and its languages.", "As `pools`."),
    "pool_members": Key(
        "pool:%s:members", "set", "fold", "Ids of the nodes that registered with the pool.", "As `nodes`."
    ),
    "pool_online": Key(
        "pool:%s:online", "set", "index", "Ids of the members that may receive a job now.", "As `nodes`."
    ),
    "pool_ranked": Key(
        "pool:%s:ranked",
        "sorted set",
        "index",
        "The same members by their learned speed, the fastest first; those that do not say their room come last.",
        "As `nodes`.",
    ),
    "run_means": Key(
        "run_means",
        "hash",
        "fold",
        "The mean run time of the jobs of each pair, as 1024 for each ms, to learn the speed of nodes.",
        "The pairs that a pool serves.",
    ),
    "lang": Key("lang:%s:%s", "set", "fold", "Ids of the pools that serve the pair.", "As `pools`."),
    "serving": Key(
        "serving:%s:%s",
        "sorted set",
        "fold",
        "The sets of languages that serve the pair, each as its languages in order, joined by blanks. Scores are 0.",
        "256 sets for each pair; as `pools`.",
    ),
    "set_pools": Key(
        "set:%s:pools", "set", "fold", "Ids of the pools that serve exactly this set of languages.", "As `pools`."
    ),
    "set_open": Key(
        "set:%s:open",
        "set",
        "index",
        "Those of them that are not paused and have a node that may receive a job now.",
        "As `nodes`.",
    ),
    "set_waiting": Key(
        "set:%s:waiting",
        "sorted set",
        "index",
        "Pairs of the set that have a waiting job and are not paused, by their first job.",
        "As `waiting`.",
    ),
    "open": Key("open", "set", "index", "The sets of languages that have an open pool.", "As `nodes`."),
    "paused": Key(
        "paused",
        "hash",
        "fold",
        "Pools and pairs that an operator has paused: since when, and why.",
        "Operators: one field for each pause that has not ended.",
    ),
    # jobs and sessions
    "job": Key(
        "job:%s",
        "hash",
        "fold",
        "A job: status, session, pair, payload, attempt, node, times, result or error.",
        "`retention_ms` after its end; `max_waiting` before a node has it.",
    ),
    "session": Key(
        "session:%s",
        "hash",
        "fold",
        "A session: the pool and the node of its last job.",
        "Goes with the last of its jobs, or is released.",
    ),
    "waiting": Key(
        "waiting:%s:%s",
        "sorted set",
        "fold",
        "Waiting jobs of the pair, by priority, then by order of submission.",
        "`max_waiting`.",
    ),
    "ready": Key(
        "ready",
        "sorted set",
        "index",
        "Sets of languages that have both a waiting pair and an open pool, by their first job.",
        "As `waiting`.",
    ),
    "timers": Key(
        "timers", "sorted set", "fold", "For each job the one time at which it next needs a decision.", "As `job`."
    ),
    "deadlines": Key(
        "deadlines", "sorted set", "fold", "Jobs with a deadline that have not ended, by deadline.", "As `job`."
    ),
    "ended": Key(
        "ended",
        "list",
        "fold",
        "Jobs that have ended, by the time of their end, until their retention is over.",
        "`retention_ms`.",
    ),
    "requests": Key(
        "requests",
        "sorted set",
        "fold",
        "Each `request_id` of the last hour, by the time at which it was first folded.",
        "An hour: each new one drops two that are older.",
    ),
    "letters": Key(
        "letters",
        "hash",
        "fold",
        "Dead letters that were retried or dropped, and by which event.",
        "The latest 100 000 that were handled.",
    ),
    "handled": Key(
        "handled",
        "sorted set",
        "fold",
        "The same dead letters, by the time at which each was handled first.",
        "As `letters`.",
    ),
    # sources
    "sources": Key(
        "sources",
        "set",
        "fold",
        "Names of the sources that are admitted.",
        "Operators: one member for each source that is admitted.",
    ),
    "source": Key(
        "source:%s",
        "hash",
        "fold",
        "A source: role, limits, and the last entry of its that is in the log.",
        "Sources are retired `node_retention_ms` after they were revoked.",
    ),
    "source_jobs": Key(
        "source_jobs:%s", "set", "fold", "Ids of the jobs of a source that have not ended.", "The quota of the source."
    ),
    "kept": Key(
        "kept:%s",
        "list",
        "fold",
        "Ended jobs of a source, each with the time of its end and the bytes that it counts.",
        "The `bytes` of the source: beyond them the oldest are dropped before their retention. As `ended`.",
    ),
    "source_pools": Key(
        "source_pools:%s",
        "set",
        "fold",
        "Ids of the pools that a source has created.",
        "256 pools of at most 16 384 pairs in all; as `pools`. Goes with the source.",
    ),
    # the partition itself
    "meta": Key(
        "meta",
        "hash",
        "call",
        "The partition: watermark, number of folded events, fence, fold version, overload, rebuild phase.",
        "A fixed set of fields.",
    ),
    "members": Key(
        "members",
        "hash",
        "call",
        "For each worker, node and client the highest fold version that it can fold, and when it last said so.",
        "Processes that made a call in the last minutes: a worker removes the others.",
    ),
    "config": Key(
        "config", "hash", "fold", "The configuration: what `scheduler.configured` has set.", "A fixed set of fields."
    ),
    "counters": Key(
        "counters",
        "hash",
        "fold",
        "Totals: submitted, waiting, finished, failed, dead and so on.",
        "A fixed set of fields.",
    ),
}
"""Every key of a partition, by the name under which the Lua sources use it (``key.<name>``)."""

SHAPES: dict[str, str] = {name: key.shape for name, key in KEYS.items()}
"""``{name: shape}``, as the loader puts it into the Lua sources."""

STREAMS = ("events", "heartbeats", "dead", "inbox", "reply", "in")
"""What a rebuild must not drop: the log, the streams beside it, deliveries, and entries that wait in an ingress."""


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
