"""Why a job went where it went; or, if it waits, what speaks against every node that could take it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from .entries import fields_of
from .history import History
from .keys import Keys
from .state import JobView, read_job
from .trace import WORDS, Fields, Step, choice, trace

MEMBERS = 20
"""Members of each pool that are looked at; the others are counted."""


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
    """What speaks against it; empty if it may receive the job."""


class Pool(msgspec.Struct, kw_only=True):
    """A pool that serves a waiting job's pair."""

    pool_id: str
    members_total: int
    members: list[Member]


class Explanation(msgspec.Struct, kw_only=True):
    """Everything that is known about where a job is, and why."""

    job_id: str
    status: str
    summary: str
    """The answer in one sentence."""
    attempts: list[Attempt]
    pools: list[Pool]
    """Of a waiting job only."""


ENDS = ("job.completed", "job.requeued", "job.declined", "job.exhausted", "job.expired", "job.cancelled", "job.refused")


async def explain(redis: Any, history: History, job_id: str) -> Explanation | None:
    """Explain a job; ``None`` if nothing is known of it.

    Args:
        redis: a client of a server that holds the state of the moment: the live one, or a scratch.
        history: the log, archive, or both, that led to it.
        job_id: the job.
    """
    keys = history.keys
    attempts: list[Attempt] = []
    last: Step | None = None
    async for step in trace(history, "job", job_id):
        if step.refused:
            continue
        if step.type == "job.dispatched":
            e = step.fields
            attempts.append(Attempt(ts=step.ts, node_id=e["node_id"], pool_id=e["pool_id"], why=choice(e)))
        elif step.type in ENDS and attempts and not attempts[-1].end:
            attempts[-1].end = step.words
        last = step
    job = await read_job(redis, keys, job_id)
    if job is None:
        return _forgotten(job_id, attempts, last)
    if job.status != "created":
        return Explanation(job_id=job_id, status=job.status, summary=_where(job, attempts), attempts=attempts, pools=[])
    pools = await _pools(redis, keys, job, await _marks(history))
    summary = await _why_waiting(redis, keys, job, pools)
    return Explanation(job_id=job_id, status="waiting", summary=summary, attempts=attempts, pools=pools)


def _forgotten(job_id: str, attempts: list[Attempt], last: Step | None) -> Explanation | None:
    if last is None:
        return None
    summary = f"its retention is over, or its submission was refused; the last that the log says: {last.words}"
    return Explanation(job_id=job_id, status="gone", summary=summary, attempts=attempts, pools=[])


def _where(job: JobView, attempts: list[Attempt]) -> str:
    if job.status in ("dispatched", "running"):
        return f"{job.status} on node {job.node_id}: {attempts[-1].why if attempts else ''}"
    if job.status == "refused":
        return f"refused: {job.error}"
    where = f", on node {job.node_id}" if job.node_id else ""
    return job.status + (f": {job.error}" if job.error else "") + where


async def _marks(history: History) -> dict[str, str]:
    """Collect for every node what was last said of its presence, its cordon and its acceptance, with the time."""
    marks: dict[str, str] = {}
    async for chunk in history.chunks():
        for entry in chunk.entries:
            e: Fields = fields_of(entry)
            kind = e.get("type", "")
            if kind.startswith("node.") and entry.id not in chunk.buried and kind != "node.registered":
                marks[f"{e['node_id']} {_topic(kind, e)}"] = f"{_time(entry.id)} {WORDS[kind](e)}"
    return marks


def _topic(kind: str, e: Fields) -> str:
    if kind in ("node.cordoned", "node.uncordoned", "node.drained"):
        return "cordoned"
    return "accepting" if kind == "node.reported" and e.get("online") == "true" else "online"


def _time(entry_id: str) -> str:
    when = datetime.fromtimestamp(int(entry_id.split("-")[0]) / 1000, UTC)
    return when.isoformat(sep=" ", timespec="seconds")[:-6]


async def _pools(redis: Any, keys: Keys, job: JobView, marks: dict[str, str]) -> list[Pool]:
    excluded = (await redis.hget(keys.job(job.job_id), "excluded") or "").split("\n")
    pools: list[Pool] = []
    for pool_id in sorted(await redis.smembers(keys("lang", job.src_lang, job.tgt_lang))):
        total = await redis.scard(keys("pool_members", pool_id))
        names = sorted(await redis.srandmember(keys("pool_members", pool_id), MEMBERS))
        members = [await _member(redis, keys, name, name in excluded, marks) for name in names]
        pools.append(Pool(pool_id=pool_id, members_total=total, members=members))
    return pools


async def _member(redis: Any, keys: Keys, node_id: str, tried: bool, marks: dict[str, str]) -> Member:
    info = await redis.hgetall(keys.node_info(node_id))
    held = await redis.scard(keys("node_jobs", node_id))
    against: list[str] = []
    if info.get("online") != "true":
        against.append(f"offline since {marks.get(f'{node_id} online', 'it registered: no beat was ever heard')}")
    if info.get("cordoned") == "true":
        against.append(f"cordoned since {marks.get(f'{node_id} cordoned', info.get('cordon_reason', ''))}")
    if info.get("accepting") == "false":
        against.append(f"not accepting since {marks.get(f'{node_id} accepting', 'its last beat')}")
    if "full_at" in info and held >= int(info["full_at"]):
        against.append(f"full: it holds {held} jobs, and handed one back when it held {int(info['full_at'])}")
    if int(info.get("pending", 0)) >= int(info.get("window", 1)):
        against.append(f"{info['pending']} assignments are unread, as many as it is trusted with")
    if tried:
        against.append("tried before; it is taken again only if there is no other")
    return Member(node_id=node_id, against=against)


async def _why_waiting(redis: Any, keys: Keys, job: JobView, pools: list[Pool]) -> str:
    pair = f"{job.src_lang} → {job.tgt_lang}"
    due = await redis.zscore(keys("timers"), job.job_id)
    now = int((await redis.hget(keys("meta"), "last_call_ts")) or 0)
    if due is not None and due > now:
        cause = f"after {job.cause}" if job.cause else "as its not_before_ts asks"
        return f"it waits until {_time(f'{int(due)}-0')}, {cause}"
    if not pools:
        return f"no pool serves {pair}: register a node with such a pool"
    if not any(pool.members_total for pool in pools):
        return f"the pools of {pair} have no member: register a node"
    ahead = await redis.zrank(keys("waiting", job.src_lang, job.tgt_lang), job.job_id) or 0
    free = [m.node_id for pool in pools for m in pool.members if not m.against]
    if free:
        return f"node {free[0]} may take it: {ahead} jobs of {pair} are ahead, or no worker runs (`streamsched status`)"
    return f"no node of {pair} may receive a job now; {ahead} jobs of the pair are ahead of it"
