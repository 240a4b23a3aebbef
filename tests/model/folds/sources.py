"""Who may speak through an ingress: what each may say, and how much of it has been heard."""

from __future__ import annotations

import re

from ..contract import (
    SOURCE_AGE_MS,
    SOURCE_BACKLOG,
    SOURCE_JOBS,
    SOURCE_PAIRS,
    SOURCE_PAYLOADS,
    SOURCE_POOLS,
    SOURCE_PROGRESS,
    SOURCE_RATE,
    SOURCE_SIZE,
)
from ..refusals import Refused, require
from ..state import Source, State
from .registry import Entry, folds

ENTRY = re.compile(r"(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")
GRANT = re.compile(r"[A-Za-z0-9._,-]+")
NUMBER = re.compile(r"-?[0-9]+")
LONGEST_ENTRY = 41
OF_THEMSELVES = ("node.registered", "node.heartbeat", "node.offline")
OF_NODES = (*OF_THEMSELVES, "job.started", "job.progressed", "job.declined", "job.completed")
OF_PRODUCERS = ("job.submitted", "job.cancelled", "session.released")
OWNED = ("job_id", "session_id", "reply_to")


def speaker(state: State, raw: dict[str, str]) -> Source | None:
    """Return the source of an entry; ``None`` if its producer appended it directly."""
    return state.sources.get(raw["source"]) if stamped(raw) else None


def stamped(raw: dict[str, str]) -> bool:
    """Whether an entry says which entry of an ingress it is a copy of."""
    stamp = raw.get("source_id", "")
    return "source" in raw and len(stamp) <= LONGEST_ENTRY and ENTRY.fullmatch(stamp) is not None


def order(entry_id: str) -> tuple[int, int]:
    """Return an id as what it counts."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence)


def permit(state: State, entry: Entry) -> None:
    """Refuse what a source was not admitted for."""
    raw = entry.raw
    source = speaker(state, raw)
    if source is None:
        if "retry_of" in raw and stamped(raw):
            raise Refused("UNKNOWN_SOURCE")
        return
    kind, name = raw.get("type", ""), raw["source"]
    lawful = not source.revoked and kind in (OF_NODES if source.role == "node" else OF_PRODUCERS)
    lawful = lawful and ("retry_of" in raw or order(raw["source_id"]) > order(source.last_id))
    if source.role == "node":
        lawful = lawful and len(raw.get("progress_json", "").encode(errors="surrogateescape")) <= SOURCE_PROGRESS
        lawful = lawful and raw.get("node_id") == source.node_id and raw.get("mailbox") in (None, source.node_id)
    else:
        lawful = lawful and all(raw[field].startswith(f"{name}/") for field in OWNED if field in raw)
        lawful = lawful and raw.get("deliver") != "false" and not asks_too_much(source, raw)
    if not lawful:
        raise Refused("NOT_PERMITTED")


def asks_too_much(source: Source, raw: dict[str, str]) -> bool:
    """Whether a submission asks for more than its source may; what is no number is refused for that."""
    priority = raw.get("priority", "0")
    return NUMBER.fullmatch(priority) is not None and int(priority) > source.priority


def charge(source: Source, jobs: int, payload_bytes: int) -> None:
    """Count a job that begins or ends."""
    source.living = (source.living or 0) + jobs
    source.living_bytes = (source.living_bytes or 0) + payload_bytes
    source.cancelling = source.cancelling and source.living > 0


def charge_pools(state: State, raw: dict[str, str], created: dict[str, int]) -> None:
    """Count the pools that a source creates, given with their language pairs."""
    source = speaker(state, raw)
    if source is None or not created:
        return
    granted = source.pools.split(",")
    if source.pools != "*" and not all(name in granted or name.startswith(f"{raw['source']}.") for name in created):
        raise Refused("NOT_PERMITTED")
    pairs = (source.own_pairs or 0) + sum(created.values())
    if len(source.own_pools) + len(created) > SOURCE_POOLS or pairs > SOURCE_PAIRS:
        raise Refused("QUOTA_EXCEEDED")
    source.own_pairs = pairs
    source.own_pools |= created.keys()


def discharge_pool(state: State, pool_id: str, charged: str | None) -> None:
    """A pool is no more: its source may create another one."""
    name, _, pairs = (charged or "").rpartition(" ")
    source = state.sources.get(name)
    if source and pool_id in source.own_pools:
        source.own_pools.remove(pool_id)
        source.own_pairs = (source.own_pairs or 0) - int(pairs)


def heard(state: State, entry: Entry) -> None:
    """Remember the last entry taken from a source, accepted or not."""
    source = speaker(state, entry.raw)
    if source is not None and "retry_of" not in entry.raw:
        source.last_id = max(source.last_id, entry.raw["source_id"], key=order)


@folds("source.admitted")
def admitted(
    state: State,
    entry: Entry,
    source: str,
    role: str,
    node_id: str | None,
    rate: int | None,
    size: int | None,
    backlog: int | None,
    priority: int | None,
    jobs: int | None,
    bytes: int | None,
    max_age_ms: int | None,
    pools: str | None,
    reason: str | None,
) -> None:
    """A source is admitted, or its rights change."""
    if (role == "node") != (node_id is not None):
        raise Refused("INVALID_FIELD")
    if pools not in (None, "*") and not GRANT.fullmatch(pools):
        raise Refused("INVALID_FIELD")
    known = state.sources.setdefault(source, Source(last_id=state.sources_fence or "0-0"))
    known.role, known.node_id, known.revoked = role, node_id or "", False
    known.rate, known.size, known.backlog = rate or SOURCE_RATE, size or SOURCE_SIZE, backlog or SOURCE_BACKLOG
    known.priority, known.reason, known.since_ts = priority or 0, reason or "", entry.at
    known.cancelling = False
    known.jobs, known.bytes = jobs or SOURCE_JOBS, bytes or SOURCE_PAYLOADS
    known.max_age_ms, known.pools = max_age_ms or SOURCE_AGE_MS, pools or ""
    state.sources_event = entry.entry_id


@folds("source.revoked")
def revoked(state: State, entry: Entry, source: str, cancel: str | None, reason: str | None) -> None:
    """A source is revoked."""
    if source not in state.sources:
        raise Refused("UNKNOWN_SOURCE")
    known = state.sources[source]
    known.revoked, known.reason, known.since_ts = True, reason or "", entry.at
    known.cancelling = known.cancelling or (cancel == "true" and bool(known.living))
    state.sources_event = entry.entry_id


@folds("source.retired")
def retired(state: State, entry: Entry, source: str) -> None:
    """A source that was revoked is forgotten."""
    known = state.sources.get(source)
    if known is None or not known.revoked or known.living:
        return
    kept_ms = state.config("node_retention_ms")
    require(entry.at >= known.since_ts + kept_ms, f"{source} has been revoked since {known.since_ts} only")
    if order(known.last_id)[0] <= entry.at and order(known.last_id) > order(state.sources_fence or "0-0"):
        state.sources_fence = known.last_id
    del state.sources[source]


@folds("source.limited")
def limited(state: State, entry: Entry, source: str, cause: str, dropped: str) -> None:
    """A source exceeded a limit."""
    require(source in state.sources, f"{source} was never admitted")
    require(cause in ("backlog", "id", "rate", "size", "type"), f"{cause} is no limit")
    require((int(dropped) == 0) == (cause in ("rate", "type")), f"{dropped} entries dropped for {cause}")
    known = state.sources[source]
    known.dropped, known.limited = known.dropped + int(dropped), known.limited + 1
    known.limited_ts, known.limited_cause = entry.at, cause
    state.counted["sources_limited"] += 1
    state.counted["sources_dropped"] += int(dropped)
