"""How much a source may have that has not ended: beyond that it is refused, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


async def submit(ledger: Ledger, source: str, job_id: str, payload: str = '"four"') -> None:
    said = ("session_id", "s", "src_lang", "xx", "tgt_lang", "yy", "payload_json", payload, "job_id", job_id)
    await ledger.say(source, "job.submitted", *said)
    await ledger.take_in(source)


async def refusals(ledger: Ledger) -> list[str]:
    return [letter["reason"] for letter in await ledger.dead() if letter["code"] == "QUOTA_EXCEEDED"]


@pytest.mark.parametrize("limits", [{"jobs": 2}, {"bytes": 12}])
async def test_a_source_is_refused_what_is_beyond_its_jobs_until_one_has_ended(
    ledger: Ledger, limits: dict[str, Any]
) -> None:
    await ledger.admit("web", **limits)
    await ledger.admit("other")
    for name in ("a", "b", "c"):
        await submit(ledger, "web", name)
    assert [reason.split(":")[0] for reason in await refusals(ledger)] == [
        "source web has 2 jobs that have not ended, with 12 bytes of payloads, and may have "
        + ("2 with 268435456" if "jobs" in limits else "100000 with 12")
    ]
    await submit(ledger, "other", "a")
    await submit(ledger, "web", "a")  # known: the same once more
    assert len(await refusals(ledger)) == 1
    await ledger.say("web", "job.cancelled", "job_id", "a")
    await submit(ledger, "web", "d")
    assert len(await refusals(ledger)) == 1
    assert (await ledger.job("web/d"))["status"] == "created"
    assert (await ledger.hash("source", "web"))["living"] == "2"


async def test_a_revoked_source_is_counted_until_its_jobs_have_ended(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(["type", "scheduler.configured", "node_retention_ms", "1000"])
    await ledger.admit("web")
    await submit(ledger, "web", "a")
    await ledger.append(["type", "source.revoked", "source", "web"])
    await ledger.pass_time(2000)
    assert (await ledger.hash("source", "web"))["living"] == "1"
    await ledger.append(["type", "job.cancelled", "job_id", "web/a"])
    await ledger.advance()
    assert await ledger.hash("source", "web") == {}
