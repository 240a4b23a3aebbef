"""The bounds of the contract, how long, how many and how late: a part of ``events.py``, which hands them on."""

from __future__ import annotations

from typing import NamedTuple

LIMITS: dict[str, int] = {
    "id": 256,  # bytes of an id or a name
    "lang": 35,  # of a language code: the length that RFC 5646, section 4.4.1, asks buffers to allow
    "text": 4096,  # bytes of a reason or an error
    "json": 65_536,  # bytes of cap_json, pool_names_json, load_json, progress_json
    "payload": 1_048_576,  # bytes of payload_json and result_json
    "fields": 128,  # fields of one event, with those that the contract does not name
    "event": 2_097_152,  # bytes of one event that a caller hands to a script
    "events": 1024,  # events that a caller hands to a script at once
    "weight": 4096,  # bytes of an entry for which it counts as one more
    "dropped": 4_194_304,  # bytes of jobs that one call drops from the state
    "read": 16,  # entries that a script reads at once: each may hold a megabyte
    "slice": 2000,  # names that one command of a script asks about
    "priority": 100,  # -100 .. 100
    "misses": 100,  # how often a job may be handed back without being begun, but for "full"
    "attempts": 1000,  # the most max_attempts may be
    "pools": 64,  # pools of one node
    "languages": 32,  # languages of one pool
    "pairs": 4096,  # language pairs of all pools of one node: each costs something when the node registers
    "sets": 256,  # sets of languages that serve one pair: a job that comes first in its pair is noted for each
    "window": 256,  # assignments a node may have that it neither started nor declined
    "run_ms": 3_600_000,  # a job that runs longer says no more of its node's speed than one of this length
    "forget_ms": 600_000,  # a node's speed goes half the way back to the mean in this time without a job
    "no_room": 1_000_000,  # the rank of a node that does not say its room: behind all that do
    "backoff_ms": 60_000,  # the longest pause between two attempts
    "sleep_ms": 1_000,  # the longest a worker blocks: a wake-up may die with another worker
    "outage_ms": 5_000,  # silence between two calls from which on the scheduler counts as absent
    "inbox": 65_536,  # entries an inbox keeps for a reader that stays away, of 4 kB; fewer larger ones
    "heartbeats": 131_072,  # beats kept: more than a large fleet sends while every worker is away for a moment
    "reply": 65_536,  # outcomes kept for a client that stays away, of 4 kB; fewer larger ones
    "reply_ms": 3_600_000,  # and how long after the last one
    "source_rate": 1000,  # events a second that are taken in from a source, unless it was admitted with another rate
    "source_size": 1_200_000,  # bytes of one entry of a source: the largest payload, and the rest of a submission
    "source_backlog": 10_000,  # entries waiting in an ingress; beyond it, the oldest are dropped
    "source_jobs": 100_000,  # jobs of a source that have not ended, unless it was admitted with another number
    "source_bytes": 268_435_456,  # bytes of their payloads
    "source_age_ms": 86_400_000,  # after which a job of a source expires
    "source_pools": 256,  # pools that one source has created and that are not retired
    "source_pairs": 16_384,  # language pairs of these pools
    "source_progress": 4096,  # bytes of progress_json that a source may keep with a job
    "kept_job": 1024,  # bytes that an ended job counts for its source, beside its payload and its result
    "kept_drops": 2048,  # ended jobs of a source that one more of them may push out
    "held_bytes": 268_435_456,  # bytes of an inbox or a reply stream for a reader that stays away, or of an ingress
    "source_fields": 64,  # of one entry
    "source_trim": 5000,  # entries that one call drops of a backlog
    "least_ts": 10**11,  # a smaller time is no time in ms, but in seconds
    "never_ms": 3_600_000,  # between two looks at an online node while heartbeat_timeout_ms is 0
    "ahead_ms": 60_000,  # how far ahead of the clock the id of an entry may be
    "limited_ms": 10_000,  # between two records of what a source lost
    "memory_ms": 1_000,  # between two looks at the server's memory
    "least_shed_ms": 1_000,  # the shortest retry delay after a refusal for overload
    "most_shed_ms": 60_000,  # and the longest
    "letters": 100_000,  # handled dead letters that are remembered: the latest
    "request_ms": 3_600_000,  # how long a request_id is remembered at least, by the time of the log
}
"""Bounds that Lua reads as ``limit.<name>``. Sizes are bytes, ``_ms`` are milliseconds."""

ORDER_STEP = 2**40
"""A step of priority in a waiting job's order: more submissions than a partition will see, and
``100 * 2**40 + 2**40`` is still exact in the double that a sorted set keeps."""


class Kind(NamedTuple):
    """How the folds check a field: by the Lua function ``check_<check>``, with these bounds."""

    check: str
    bounds: tuple[int | str, ...]


KINDS: dict[str, Kind] = {
    "id": Kind("id", (LIMITS["id"],)),
    "lang": Kind("lang", (LIMITS["lang"],)),
    "text": Kind("utf8", (LIMITS["text"],)),
    "json": Kind("json", (LIMITS["json"],)),
    "payload": Kind("utf8", (LIMITS["payload"],)),  # only the node reads it: it is not parsed
    "pools": Kind("pools", (LIMITS["json"],)),
    "ts": Kind("number", (0, 10**15 - 1)),
    "ms": Kind("number", (0, 365 * 24 * 3600 * 1000)),
    "count": Kind("number", (1, LIMITS["attempts"])),
    "bound": Kind("number", (1, 10**12 - 1)),
    "amount": Kind("number", (1, 10**9)),
    "room": Kind("number", (0, 10**6)),
    "percent": Kind("number", (1, 100)),
    "priority": Kind("number", (-LIMITS["priority"], LIMITS["priority"])),
    "flag": Kind("choice", ("true", "false")),
    "affinity": Kind("choice", ("prefer", "none")),
    "status": Kind("choice", ("finished", "failed")),
    "role": Kind("choice", ("producer", "node")),
    "policy": Kind("choice", ("expected_finish", "two_choices", "random")),
    "source": Kind("source", (64,)),
    "entry": Kind("entry", (41,)),
}
"""The kinds of fields: bytes of a text, the least and the most of a whole number, or the words to choose from."""
