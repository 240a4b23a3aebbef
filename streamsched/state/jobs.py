"""Jobs, as the folded state has them."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from ..contract.entries import position
from ..contract.jobs import ENDED
from ..contract.keys import Keys

LONG_MS = 3_600_000
"""An hour: how long a job may keep the log before it is worth a word."""


class JobView(msgspec.Struct, kw_only=True):
    """One job. Times are ms since the epoch, ``None`` where it has not come that far."""

    job_id: str
    status: str
    session_id: str
    src_lang: str
    tgt_lang: str
    payload_json: str
    node_id: str = ""
    pool_id: str = ""
    attempt: str = ""
    attempts: int = 0
    priority: int = 0
    cause: str = ""
    """Why it last went back to waiting."""
    created_ts: int | None = None
    dispatched_ts: int | None = None
    started_ts: int | None = None
    finished_ts: int | None = None
    deadline_ts: int | None = None
    not_before_ts: int | None = None
    result_json: str | None = None
    error: str | None = None


async def read_job(redis: Redis, keys: Keys, job_id: str) -> JobView | None:
    """Read one job; ``None`` if there is none of this id, or its retention is over."""
    fields = await redis.hgetall(keys.job(job_id))
    if not fields:
        return None
    present = {name: text for name, text in fields.items() if text != ""}
    return msgspec.convert({**present, "job_id": job_id}, JobView, strict=False)


class Pin(msgspec.Struct, frozen=True):
    """A job that has not ended, and keeps the log from being trimmed: its submission must stay until then."""

    job_id: str
    status: str
    src_lang: str
    tgt_lang: str
    since_ts: int
    """When it was submitted, ms since the epoch."""

    def words(self, now_ts: int) -> str:
        """Say what it costs and what to do; empty while it has not lasted for long."""
        if now_ts - self.since_ts < LONG_MS:
            return ""
        return (
            f"the log is kept for {(now_ts - self.since_ts) / 3_600_000:.0f} h: job {self.job_id} "
            f"({self.src_lang} to {self.tgt_lang}) is {self.status} since then. Serve its pair, `streamsched carry "
            f"{self.job_id}`, or `streamsched cancel {self.job_id}`"
        )


async def read_pin(redis: Any, keys: Keys, meta: dict[str, str]) -> Pin | None:
    """Return the job at which the archiver last stopped trimming, if it has not ended since.

    Raises:
        RedisError: the server is away.
    """
    submit_id, _, job_id = meta.get("pinned", "").partition(" ")
    if not job_id:
        return None
    status, found, src, tgt = await redis.hmget(keys.job(job_id), "status", "submit_id", "src_lang", "tgt_lang")
    if found != submit_id or status in ENDED:
        return None
    return Pin(job_id, status, src, tgt, position(submit_id)[0])
