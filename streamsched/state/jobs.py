"""Jobs, as the folded state has them."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from ..contract.keys import Keys


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
