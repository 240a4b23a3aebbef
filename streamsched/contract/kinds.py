"""The bounds of the contract, how long, how many and how late: a part of ``events.py``, which hands them on."""

from __future__ import annotations

LIMITS: dict[str, int] = {
    "id": 256,  # bytes of an id or a name
    "text": 4096,  # bytes of a reason or an error
    "json": 65_536,  # bytes of cap_json, pool_names_json, load_json, progress_json
    "payload": 1_048_576,  # bytes of payload_json and result_json
    "priority": 100,  # -100 .. 100
    "attempts": 1000,  # the most max_attempts may be
    "pools": 64,  # pools of one node
    "languages": 32,  # languages of one pool
    "window": 256,  # assignments a node may have that it neither started nor declined
    "backoff_ms": 60_000,  # the longest pause between two attempts
    "sleep_ms": 1_000,  # the longest a worker blocks: a wake-up may die with another worker
    "outage_ms": 5_000,  # silence between two calls from which on the scheduler counts as absent; see resume.lua
    "inbox": 65_536,  # entries an inbox keeps for a reader that stays away
    "heartbeats": 131_072,  # beats kept: more than a large fleet sends while every worker is away for a moment
    "reply": 65_536,  # outcomes kept for a client that stays away
    "reply_ms": 3_600_000,  # and how long after the last one
    "source_rate": 1000,  # events a second that are taken in from a source, unless it was admitted with another rate
    "source_size": 1_200_000,  # bytes of one entry of its: the largest payload, and the rest of a submission
    "source_backlog": 10_000,  # entries that wait in its ingress, until the oldest are dropped
    "source_weight": 4096,  # bytes of an entry for which it counts as one more
    "source_fields": 64,  # of one entry
    "source_trim": 5000,  # entries that one call drops of a backlog
    "ahead_ms": 60_000,  # how far ahead of the clock the id of an entry may be
    "limited_ms": 10_000,  # between two records of what a source lost
    "memory_ms": 1_000,  # between two looks at the server's memory
    "least_shed_ms": 1_000,  # the shortest time after which a submitter who was turned away is to come back
    "most_shed_ms": 60_000,  # and the longest
    "request_ms": 3_600_000,  # how long a request_id is remembered at least, by the time of the log
}
"""Bounds that Lua reads as ``limit.<name>``. Sizes are bytes, ``_ms`` are milliseconds."""

ORDER_STEP = 2**40
"""A step of priority in a waiting job's order: more submissions than a partition will see, and
``100 * 2**40 + 2**40`` is still exact in the double that a sorted set keeps."""
