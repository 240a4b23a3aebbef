"""Explains why a job went to its node or, if it waits, why each possible node cannot take it."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.entries import fields_of, position
from ..contract.keys import Keys
from ..contract.moments import utc
from ..state.jobs import JobView, read_job
from ..state.pauses import PauseView, read_pause
from .history import History
from .story import Fields, Step, choice, event_words, trace

MEMBERS = 20
"""Members of each pool to examine; the others are only counted."""


SENTENCES = {
    "offline": "offline since {mark}",
    "never_heard": "offline since it registered: it never sent a heartbeat",
    "cordoned": "cordoned since {mark}",
    "not_accepting": "not accepting since {mark}",
    "full": "full: it holds {held} jobs, and handed one back when it held {full_at}",
    "unread": "{pending} assignments are unread, as many as it is trusted with",
    "no_room": "it says that it has room for {room} more jobs, and {pending} assignments are on their way to it",
    "tried": "tried before; it is taken again only if there is no other",
    "later": "it waits until {time}, after {cause}",
    "not_before": "it waits until {time}, as its not_before_ts asks",
    "no_pool": "no pool serves {src} → {tgt}: register a node with such a pool",
    "no_member": "the pools of {src} → {tgt} have no member: register a node",
    "no_node": "no node of {src} → {tgt} may receive a job now; {ahead} jobs of the pair are ahead of it",
    "pair_paused": "{src} → {tgt} is paused since {time}{because}; "
    "`streamsched resume --pair {src}:{tgt}` lets its jobs go on",
    "pools_paused": "every pool of {src} → {tgt} that has members is paused; "
    "`streamsched resume --pool {pool}` lets one go on",
    "in_line": "node {node} may take it: {ahead} jobs of {src} → {tgt} are ahead, or no worker runs "
    "(`streamsched status`)",
    "gone": "its retention is over, or its submission was refused; the last event in the log: {last}",
    "held": "{status} on node {node}: {why}",
    "refused": "refused: {error}",
    "ended": "{status}{error}{where}",
}
"""The sentences, by a name under which the dashboard translates them."""


class Reason(msgspec.Struct, kw_only=True):
    """A statement: a name in :data:`SENTENCES`, and its parameters."""

    code: str
    given: dict[str, str]

    @property
    def words(self) -> str:
        """The statement in English."""
        return SENTENCES[self.code].format(**self.given)


def _reason(code: str, **given: object) -> Reason:
    return Reason(code=code, given={name: str(value) for name, value in given.items()})


class Attempt(msgspec.Struct, kw_only=True):
    """One dispatch of a job."""

    ts: int
    """ms since the epoch."""
    node_id: str
    pool_id: str
    why: str
    """Why this node."""
    end: str = ""
    """How it ended; empty while the node holds the job."""


class Member(msgspec.Struct, kw_only=True):
    """A node that could serve a waiting job's pair."""

    node_id: str
    against: list[str]
    """Why it cannot receive the job; empty if it can."""
    reasons: list[Reason]
    """The same as statements."""


class Pool(msgspec.Struct, kw_only=True):
    """A pool that serves a waiting job's pair."""

    pool_id: str
    paused: bool
    """Whether an operator has paused it."""
    members_total: int
    members: list[Member]


class Explanation(msgspec.Struct, kw_only=True):
    """Where a job is, and why."""

    job_id: str
    status: str
    summary: str
    """The answer in one sentence."""
    reason: Reason
    """The same as a statement."""
    attempts: list[Attempt]
    pools: list[Pool]
    """For a waiting job only."""


ENDS = ("job.completed", "job.requeued", "job.declined", "job.exhausted", "job.expired", "job.cancelled", "job.refused")


async def explain(redis: Any, history: History, job_id: str) -> Explanation | None:
    """Explain a job; ``None`` if it is unknown.

    Args:
        redis: a client of the server with the state: the live one, or a scratch.
        history: the history of that state: the log, the archive, or both.
        job_id: the job.
    """
    keys = history.keys
    attempts: list[Attempt] = []
    last: Step | None = None
    chosen: Fields = {}
    async for step in trace(history, "job", job_id):
        if step.refused:
            continue
        if step.type == "job.dispatched":
            e = chosen = step.fields
            attempts.append(Attempt(ts=step.ts, node_id=e["node_id"], pool_id=e["pool_id"], why=choice(e)))
        elif step.type in ENDS and attempts and not attempts[-1].end:
            attempts[-1].end = step.words
        last = step
    job = await read_job(redis, keys, job_id)
    if job is None:
        return _told(job_id, "gone", _reason("gone", last=last.words), attempts) if last else None
    if job.status != "created":
        return _told(job_id, job.status, _where(job, chosen), attempts)
    members = await _members(redis, keys, job)
    marks = await _marks(history, {name for _, names in members.values() for name in names})
    pools = await _pools(redis, keys, job, members, marks)
    return _told(job_id, "waiting", await _why_waiting(redis, keys, job, pools), attempts, pools)


def _told(
    job_id: str, status: str, reason: Reason, attempts: list[Attempt], pools: list[Pool] | None = None
) -> Explanation:
    return Explanation(
        job_id=job_id, status=status, summary=reason.words, reason=reason, attempts=attempts, pools=pools or []
    )


def _where(job: JobView, chosen: Fields) -> Reason:
    if job.status in ("dispatched", "running"):
        said = {name: chosen.get(name, "") for name in ("seen", "affinity")}
        return _reason(
            "held", status=job.status, node=job.node_id, why=choice(chosen), choice=chosen.get("why", ""), **said
        )
    if job.status == "refused":
        return _reason("refused", error=job.error)
    where = f", on node {job.node_id}" if job.node_id else ""
    error = f": {job.error}" if job.error else ""
    return _reason("ended", status=job.status, error=error, where=where, node=job.node_id)


async def _marks(history: History, nodes: set[str]) -> dict[str, Reason]:
    """Collect, for some nodes, the last events about presence, cordon and acceptance, with the time."""
    marks: dict[str, Reason] = {}
    async for chunk in history.about(nodes).chunks():
        for entry in chunk.entries:
            e: Fields = fields_of(entry)
            kind = e.get("type", "")
            if not kind.startswith("node.") or kind == "node.registered" or entry.id in chunk.buried:
                continue
            code = _topic(kind, e)
            if e.get("node_id") in nodes:
                mark = f"{_time(entry.id)} {event_words(kind, e)}"
                ts, reason = entry.id.split("-")[0], e.get("reason", "")
                marks[f"{e['node_id']} {code}"] = _reason(code, mark=mark, type=kind, ts=ts, reason=reason)
    return marks


def _topic(kind: str, e: Fields) -> str:
    """Return the statement that an event about a node supports."""
    if kind in ("node.cordoned", "node.uncordoned", "node.drained"):
        return "cordoned"
    return "not_accepting" if kind == "node.reported" and e.get("online") == "true" else "offline"


def _time(entry_id: str) -> str:
    return utc(int(entry_id.split("-")[0]), "seconds")


async def _members(redis: Any, keys: Keys, job: JobView) -> dict[str, tuple[int, list[str]]]:
    """Return the pools of a job's pair: the number of members, and a few of them."""
    found: dict[str, tuple[int, list[str]]] = {}
    sets = await redis.zrange(keys("serving", job.src_lang, job.tgt_lang), 0, -1)
    pools = [pool_id for languages in sets for pool_id in await redis.smembers(keys("set_pools", languages))]
    for pool_id in sorted(pools):
        total = await redis.scard(keys("pool_members", pool_id))
        found[pool_id] = total, sorted(await redis.srandmember(keys("pool_members", pool_id), MEMBERS))
    return found


async def _pools(
    redis: Any, keys: Keys, job: JobView, members: dict[str, tuple[int, list[str]]], marks: dict[str, Reason]
) -> list[Pool]:
    excluded = (await redis.hget(keys.job(job.job_id), "excluded") or "").split("\n")
    return [
        Pool(
            pool_id=pool_id,
            paused=await read_pause(redis, keys, f"pool {pool_id}") is not None,
            members_total=total,
            members=[await _member(redis, keys, name, name in excluded, marks) for name in names],
        )
        for pool_id, (total, names) in members.items()
    ]


async def _member(redis: Any, keys: Keys, node_id: str, tried: bool, marks: dict[str, Reason]) -> Member:
    info = await redis.hgetall(keys.node_info(node_id))
    held = await redis.scard(keys("node_jobs", node_id))
    against: list[Reason] = []
    if info.get("online") != "true":
        against.append(marks.get(f"{node_id} offline") or _reason("never_heard"))
    if info.get("cordoned") == "true":
        unknown = _reason("cordoned", mark=info.get("cordon_reason", ""), type="", ts="", reason="")
        against.append(marks.get(f"{node_id} cordoned") or unknown)
    if info.get("accepting") == "false":
        unknown = _reason("not_accepting", mark="its last beat", type="", ts="", reason="")
        against.append(marks.get(f"{node_id} not_accepting") or unknown)
    if "full_at" in info and held >= int(info["full_at"]):
        against.append(_reason("full", held=held, full_at=int(info["full_at"])))
    pending = int(info.get("pending", 0))
    if "room" in info:
        if pending >= int(info["room"]):
            against.append(_reason("no_room", pending=pending, room=max(0, int(info["room"]))))
    elif pending >= int(info.get("window", 1)):
        against.append(_reason("unread", pending=pending))
    if tried:
        against.append(_reason("tried"))
    return Member(node_id=node_id, against=[reason.words for reason in against], reasons=against)


async def _why_waiting(redis: Any, keys: Keys, job: JobView, pools: list[Pool]) -> Reason:
    pair = {"src": job.src_lang, "tgt": job.tgt_lang}
    due = await redis.zscore(keys("timers"), job.job_id)
    watermark, called = await redis.hmget(keys("meta"), ("watermark", "last_call_ts"))
    now = max(position(watermark or "0-0")[0], int(called or 0))  # a past state does not hold the calls
    if due is not None and due > now:
        at = {"time": _time(f"{int(due)}-0"), "ts": f"{int(due)}"}
        return _reason("later", **at, cause=job.cause) if job.cause else _reason("not_before", **at)
    if pause := await read_pause(redis, keys, f"pair {job.src_lang}:{job.tgt_lang}"):
        return _pair_paused(pair, pause)
    if not pools:
        return _reason("no_pool", **pair)
    if not any(pool.members_total for pool in pools):
        return _reason("no_member", **pair)
    ahead = await redis.zrank(keys("waiting", job.src_lang, job.tgt_lang), job.job_id) or 0
    peopled = [pool for pool in pools if pool.members_total]
    if all(pool.paused for pool in peopled):
        return _reason("pools_paused", **pair, pool=peopled[0].pool_id)
    free = [m.node_id for pool in pools for m in pool.members if not m.against and not pool.paused]
    if free:
        return _reason("in_line", **pair, node=free[0], ahead=ahead)
    return _reason("no_node", **pair, ahead=ahead)


def _pair_paused(pair: dict[str, str], pause: PauseView) -> Reason:
    at = {"time": _time(f"{pause.since_ts}-0"), "ts": f"{pause.since_ts}"}
    because = f" ({pause.reason})" if pause.reason else ""
    return _reason("pair_paused", **pair, **at, reason=pause.reason, because=because)
