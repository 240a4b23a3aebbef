"""The story of one job, node, session, pool or pair, from the history: its events in plain words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from ..contract.config import DEFAULTS, RETRY
from ..contract.entries import before, fields_of, job_id_of, position
from .history import History

Fields = dict[str, str]


class Step(msgspec.Struct, kw_only=True):
    """One event of a story."""

    id: str
    ts: int
    """ms since the epoch."""
    after_ms: int | None
    """Since the step before; ``None`` for the first."""
    type: str
    words: str
    refused: str = ""
    """Code and reason, if the event became a dead letter: it changed nothing."""
    fields: Fields


def _because(fields: Fields, name: str = "reason") -> str:
    return f": {fields[name]}" if fields.get(name) else ""


def _by(fields: Fields) -> str:
    return f"  (source {fields['source']})" if "source_id" in fields and "source" in fields else ""


def _pair(fields: Fields) -> str:
    return f"{fields['src_lang']} → {fields['tgt_lang']}"


def _changes(fields: Fields) -> str:
    return "configured: " + " ".join(f"{name}={fields[name]}" for name in DEFAULTS if name in fields)


CHOICE = {
    "session": "the session's node",
    "expected_finish": "one of the fastest that had room",
    "random": "a random one",
    "two_choices": "the one of two that held fewer jobs",
    "only": "the only candidate",
    "last_resort": "tried before, but there is no other",
}
"""The text for each ``why`` of a dispatch."""


def choice(fields: Fields) -> str:
    """Return why a job was dispatched to its node."""
    words = CHOICE.get(fields.get("why", ""), fields.get("why", ""))
    if fields.get("seen"):
        words += f" ({'run times' if fields.get('why') == 'expected_finish' else 'held'}: {fields['seen']})"
    broken = fields.get("affinity", "")
    if broken not in ("", "kept", "new", "none"):
        words += f"; not the session's node: {broken}"
    return words


def _after(e: Fields) -> str:
    return f" after {e['ran_ms']} ms" if e.get("ran_ms") else ""


def _began_on(e: Fields) -> str:
    return f"; it began on {', '.join(e['nodes'].splitlines())}" if e.get("nodes") else ""


WORDS: dict[str, Callable[[Fields], str]] = {
    "job.submitted": lambda e: (
        f"submitted by session {e.get('session_id')}, {e.get('src_lang')} → {e.get('tgt_lang')}"
        + (f"; carried here from {e['carries']}" if e.get("carries") else "")
    ),
    "job.dispatched": lambda e: f"to node {e['node_id']} of pool {e['pool_id']}: {choice(e)}",
    "job.started": lambda e: f"node {e.get('node_id')} started it",
    "job.progressed": lambda e: f"node {e.get('node_id')} reports progress",
    "job.declined": lambda e: (
        f"node {e.get('node_id')} hands it back{', it may have begun' if e.get('begun') == 'true' else ''}{_because(e)}"
    ),
    "job.completed": lambda e: f"node {e.get('node_id')} reports {e.get('status')}{_after(e)}{_because(e, 'error')}",
    "job.requeued": lambda e: f"waits again, away from {e['node_id']}: {e['cause']}",
    "job.due": lambda e: "its time has come",
    "job.extended": lambda e: "its time limit restarts: the scheduler was away",
    "job.refused": lambda e: f"refused: {e['code']} {e['detail']}",
    "job.expired": lambda e: "its deadline has passed",
    "job.exhausted": lambda e: f"failed for good: {e['cause']}{_began_on(e)}",
    "job.cancelled": lambda e: f"cancelled{_because(e)}",
    "session.released": lambda e: "the session is over",
    "node.registered": lambda e: f"registers for {e.get('pool_names_json') or 'no pool'}",
    "node.heartbeat": lambda e: "online" if e.get("online") == "true" else "reports that it goes offline",
    "node.offline": lambda e: f"offline{_because(e)}",
    "node.cordoned": lambda e: f"cordoned{_because(e)}",
    "node.uncordoned": lambda e: f"may have jobs again{_because(e)}",
    "node.drained": lambda e: f"drained{_because(e)}",
    "node.retired": lambda e: f"forgotten{_because(e)}",
    "node.expired": lambda e: f"silent since {e['last_heartbeat_ts']}: offline, its jobs go elsewhere",
    "node.recovered": lambda e: "a heartbeat arrived: online",
    "pool.paused": lambda e: f"pool {e['pool_id']} has no new jobs{_because(e)}",
    "pool.resumed": lambda e: f"pool {e['pool_id']} may have jobs again{_because(e)}",
    "pool.retired": lambda e: f"pool {e['pool_id']} has had no node for long: forgotten",
    "pair.paused": lambda e: f"jobs of {_pair(e)} wait{_because(e)}",
    "pair.resumed": lambda e: f"jobs of {_pair(e)} go to nodes again{_because(e)}",
    "scheduler.configured": lambda e: _changes(e) + _because(e),
    "source.admitted": lambda e: f"source {e.get('source')} may write, as a {e.get('role')}{_because(e)}",
    "source.revoked": lambda e: f"source {e.get('source')} may no longer write{_because(e)}",
    "source.retired": lambda e: f"source {e['source']} was revoked long ago: forgotten",
    "source.limited": lambda e: (
        f"source {e['source']} exceeded its limit: {e['cause']}: {e['dropped']} entries dropped"
    ),
    "node.reported": lambda e: (
        "online" + (", not accepting" if e["accepting"] == "false" else ", accepting")
        if e["online"] == "true"
        else "reports that it goes offline"
    ),
}
"""The text of each event type; a type without one shows its fields."""


def event_words(kind: str, e: Fields) -> str:
    """Return an event in words; if a field is missing, its fields."""
    try:
        return WORDS[kind](e)
    except KeyError:
        return " ".join(f"{name}={text}" for name, text in e.items() if name != "type")


def _names_pool(e: Fields, pool_id: str) -> bool:
    """Return whether a registration names a pool, by its id or, for a pool without an id, by its name."""
    try:
        entries = msgspec.json.decode(e.get("pool_names_json") or "[]")
        return any(str(entry.get("id") or entry.get("name")) == pool_id for entry in entries)
    except (msgspec.DecodeError, AttributeError, TypeError):
        return False  # it was refused


class Story:
    """Picks the events of one job, node, session, pool or language pair out of a history.

    Args:
        kind: ``job``, ``node``, ``session``, ``pool`` or ``pair``.
        name: its id; of a pair ``src:tgt``.
    """

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self._jobs: set[str] = {name} if kind == "job" else set()
        self._holders: dict[str, str] = {}  # job -> its node
        self._at = ""  # the session's node before

    def words(self, entry_id: str, e: Fields) -> str | None:
        """Return the text of an event in this story, or ``None`` if it belongs to another one."""
        kind = e.get("type", "")
        if self.kind in ("pool", "pair"):
            return self._of_place(kind, e)
        job_id = job_id_of(e, entry_id) if kind.startswith("job.") else ""
        if kind == "job.submitted" and self.kind == "session" and e.get("session_id") == self.name:
            self._jobs.add(job_id)
        if self.kind == "node":
            if e.get("node_id") != self.name:
                return None
            return f"job {job_id} " + event_words(kind, e) if job_id else event_words(kind, e)
        if job_id in self._jobs:
            return self._of_job(kind, job_id, e)
        if kind == "session.released" and self.kind == "session" and e.get("session_id") == self.name:
            return event_words(kind, e)
        lost = kind in ("node.expired", "node.offline", "node.drained") or e.get("online") == "false"
        if lost and e.get("node_id") in self._holders.values():
            return f"its node {e['node_id']} {event_words(kind, e)}"
        return None

    def _of_place(self, kind: str, e: Fields) -> str | None:
        """For a pool or a pair: pauses and resumes, the configuration, and registrations for a pool."""
        if kind == "node.registered" and self.kind == "pool" and _names_pool(e, self.name):
            return f"node {e.get('node_id')} {event_words(kind, e)}"
        name = e.get("pool_id") if self.kind == "pool" else f"{e.get('src_lang')}:{e.get('tgt_lang')}"
        steered = kind in (f"{self.kind}.paused", f"{self.kind}.resumed") and name == self.name
        return event_words(kind, e) if steered or kind == "scheduler.configured" else None

    def _of_job(self, kind: str, job_id: str, e: Fields) -> str:
        words = event_words(kind, e)
        if RETRY in e:
            words += f" (dead letter {e[RETRY]}, retried)"
        if kind == "job.dispatched":
            self._holders[job_id] = e["node_id"]
            if self.kind == "session" and self._at and self._at != e["node_id"]:
                words += f"  ← moved from {self._at}"
            self._at = e["node_id"]
        elif kind not in ("job.submitted", "job.started", "job.progressed", "job.extended"):
            self._holders.pop(job_id, None)
        return f"job {job_id} {words}" if self.kind == "session" else words


async def _begins_behind(history: History, kind: str, name: str) -> str:
    """Return an id after which a story begins. For a job that the live state or the latest snapshot knows: right
    before its submission, so that one job does not cost a read of a million events. Otherwise the first event.
    """
    if kind != "job":
        return "0-0"
    submitted = None
    if history.live is not None:
        submitted = await history.live.redis.hget(history.keys.job(name), "submit_id")
    if submitted is None and history.archive is not None:
        from ..archive.snapshot import kept_hash  # imported here, because the Parquet extra may be missing

        job = await kept_hash(history.archive, history.keys, f"job:{name}")
        submitted = job and job.get(b"submit_id")
    return before(submitted.decode()) if submitted else "0-0"


async def trace(history: History, kind: str, name: str) -> AsyncIterator[Step]:
    """Yield the story of one job, node, session, pool or pair, in the order of the log.

    Raises:
        ArchiveDamaged: a segment or snapshot does not match its manifest or its own header.
    """
    story, last_ts = Story(kind, name), None
    async for chunk in history.about({name}).chunks(await _begins_behind(history, kind, name)):
        for entry in chunk.entries:
            fields = fields_of(entry)
            words = story.words(entry.id, fields)
            if words is None:
                continue
            ts = position(entry.id)[0]
            yield Step(
                id=entry.id,
                ts=ts,
                after_ms=None if last_ts is None else ts - last_ts,
                type=fields.get("type", ""),
                words=words + _by(fields),
                refused=chunk.buried.get(entry.id, ""),
                fields=fields,
            )
            last_ts = ts


def span_words(ms: int) -> str:
    """Return a time between two steps, for people."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 60_000:.0f} min" if ms < 7_200_000 else f"{ms / 3_600_000:.1f} h"
