"""The parts of the state that do not follow from the log: a replay leaves them out, and a comparison ignores them."""

from __future__ import annotations

SOFT_KEYS = ("expiry", "troubled", "members")
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
    "loaded",
    "pinned",
)
"""Not part of ``state == fold(log)``: they come from calls, heartbeats and ingresses, not from the log."""


def soft_fields(name: str) -> tuple[str, ...]:
    """Return the soft fields of a hash, given by its key without the prefix."""
    if name == "meta":
        return SOFT_META_FIELDS
    if name.startswith("node:info:"):
        return SOFT_NODE_FIELDS
    return SOFT_SOURCE_FIELDS if name.startswith("source:") else ()
