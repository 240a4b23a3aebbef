"""How much a source may have that has not ended: beyond that it is refused, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamsched.state.sources import read_cancelling, read_sources

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


async def test_a_source_that_is_revoked_with_cancel_loses_its_jobs_some_in_each_call(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh")
    for name in ("web", "other"):
        await ledger.admit(name)
        for n in range(40):
            await submit(ledger, name, f"j{n}")
    await ledger.say(
        "web",
        "job.submitted",
        "session_id",
        "s",
        "src_lang",
        "en",
        "tgt_lang",
        "zh",
        "payload_json",
        "1",
        "job_id",
        "held",
    )
    await ledger.take_in("web")
    assert (await ledger.job("web/held"))["status"] == "dispatched"
    await ledger.append(["type", "source.revoked", "source", "web", "cancel", "true"])
    left = []
    for _ in range(7):
        left.append(int((await ledger.hash("source", "web"))["living"]))
        (shown,) = await read_sources(ledger.redis, ledger.keys, ["web"])
        assert (shown.living, shown.cancelling) == (left[-1], left[-1] > 0)
        await ledger.call(batch=8)  # no room for as many
    assert left == [41, 33, 25, 17, 9, 1, 0]
    cancelled = await ledger.job("web/j7")
    assert (cancelled["status"], cancelled["error"]) == ("cancelled", "source web was revoked")
    assert (await ledger.inbox())[-1]["type"] == "job.cancelled"
    assert (await ledger.hash("source", "other"))["living"] == "40"


async def test_a_source_that_is_admitted_again_keeps_the_jobs_that_are_not_cancelled_yet(ledger: Ledger) -> None:
    await ledger.admit("web")
    for n in range(40):
        await submit(ledger, "web", f"j{n}")
    await ledger.append(["type", "source.revoked", "source", "web", "cancel", "true"])
    await ledger.call(batch=8)
    await ledger.admit("web")
    await ledger.advance()
    assert (await ledger.hash("source", "web"))["living"] == "32"
    assert await read_cancelling(ledger.redis, ledger.keys, 9) == []


@pytest.mark.parametrize(("asked", "held_for"), [(None, 5000), (60_000, 5000), (3000, 3000)])
async def test_a_job_of_a_source_ends_at_the_age_that_the_source_may_ask_for(
    ledger: Ledger, asked: int | None, held_for: int
) -> None:
    await ledger.freeze()
    await ledger.admit("web", max_age_ms=5000)
    deadline = [] if asked is None else ["deadline_ts", str(await ledger.now() + asked)]
    said = ("session_id", "s", "src_lang", "xx", "tgt_lang", "yy", "payload_json", "1", "job_id", "a", *deadline)
    submitted_ts = await ledger.now()
    for _ in range(2):  # the second time it is known
        await ledger.say("web", "job.submitted", *said)
        await ledger.take_in("web")
    assert await ledger.dead() == []
    assert (await ledger.job("web/a"))["deadline_ts"] == str(submitted_ts + held_for)
    await ledger.pass_time(held_for)
    await ledger.advance()
    assert (await ledger.job("web/a"))["status"] == "expired"


async def test_a_source_may_not_ask_for_a_time_beyond_the_age_of_its_jobs(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web", max_age_ms=5000)
    later = str(await ledger.now() + 6000)
    said = ("session_id", "s", "src_lang", "xx", "tgt_lang", "yy", "payload_json", "1", "not_before_ts", later)
    await ledger.say("web", "job.submitted", *said)
    await ledger.take_in("web")
    (letter,) = await ledger.dead()
    assert (letter["code"], "could never run" in letter["reason"]) == ("INVALID_FIELD", True)


def pools(*ids: str, name: str = "en-zh") -> str:
    return json.dumps([{"id": pool_id, "name": name} for pool_id in ids])


async def register(ledger: Ledger, listed: str) -> list[str]:
    """Register the node of the source ``gpu``; returns the codes of all refusals so far."""
    about = ("node_id", "n1", "cap_json", "{}", "pool_names_json", listed)
    await ledger.pass_time(1000)  # a registration counts as half a second's worth of events
    await ledger.say("gpu", "node.registered", *about)
    await ledger.take_in("gpu")
    return [letter["code"] for letter in await ledger.dead()]


@pytest.mark.parametrize(
    ("granted", "created", "refused"),
    [
        (None, ("gpu.a", "gpu.1"), ("en-zh", "gpu", "gpu2.a", "1")),
        ("1,en-zh", ("1", "en-zh", "gpu.a"), ("2", "en-zh.x", ",")),
        ("*", ("anything",), ()),
    ],
)
async def test_a_source_creates_pools_under_its_own_name_or_those_that_it_was_granted(
    ledger: Ledger, granted: str | None, created: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    await ledger.freeze()
    await ledger.admit("gpu", "n1", pools=granted)
    for name in created:
        assert await register(ledger, pools(name)) == []
    for name in refused:
        codes = await register(ledger, pools("gpu.ok", name))
        assert codes[-1] == ("INVALID_FIELD" if name == "," else "NOT_PERMITTED")
    if refused:
        reason = next(letter["reason"] for letter in await ledger.dead() if letter["code"] == "NOT_PERMITTED")
        assert f"admit the source with pools={refused[0]}" in reason
    assert set(await ledger.redis.smembers(ledger.keys("pools"))) == set(created)


async def test_a_source_joins_a_pool_of_others_that_serves_the_same_languages(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node("n2", "en-zh")
    await ledger.admit("gpu", "n1", pools=None)
    assert await register(ledger, pools("en-zh")) == []
    assert await ledger.online("en-zh") == {"n1", "n2"}
    assert await register(ledger, pools("en-zh", name="de-fr")) == ["NOT_PERMITTED"]


async def test_a_source_creates_a_bounded_number_of_pools_until_some_are_retired(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(["type", "scheduler.configured", "node_retention_ms", "60000"])
    await ledger.admit("gpu", "n1", pools=None)
    for batch in range(4):
        assert await register(ledger, pools(*(f"gpu.{batch}-{n}" for n in range(64)))) == []
    assert await register(ledger, pools("gpu.more")) == ["QUOTA_EXCEEDED"]
    await ledger.pass_time(61_000)
    await ledger.advance()
    assert await register(ledger, pools("gpu.more")) == [
        "QUOTA_EXCEEDED"
    ]  # the pools that its node had left are retired
    assert await ledger.redis.scard(ledger.keys("source_pools", "gpu")) == 65


async def test_a_source_creates_pools_of_a_bounded_number_of_pairs(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("gpu", "n1", pools=None)
    codes = [f"{a}{b}" for a in "abcd" for b in "abcdefgh"]
    for n in range(4):
        assert await register(ledger, pools(*(f"gpu.{n}.{m}" for m in range(4)), name="-".join(codes))) == []
    assert await register(ledger, pools("gpu.more", name="-".join(codes))) == ["QUOTA_EXCEEDED"]
    assert (await ledger.hash("source", "gpu"))["own_pairs"] == str(16 * 32 * 31)
    assert await register(ledger, pools("gpu.small")) == ["QUOTA_EXCEEDED"]  # there is room for that


async def cancelled(ledger: Ledger, *names: str) -> None:
    """Submit jobs of the source ``web``, and end them."""
    for name in names:
        await submit(ledger, "web", name, "x" * 1000)
        await ledger.say("web", "job.cancelled", "job_id", name)
        await ledger.take_in("web")


async def test_beyond_the_bytes_of_a_source_its_oldest_ended_jobs_go_before_their_retention(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web", bytes=3 * (1000 + 1024))
    await ledger.submit("trusted", src="xx", tgt="yy")
    await ledger.append(["type", "job.cancelled", "job_id", "trusted"])
    await cancelled(ledger, *"abcde")
    kept = [name for name in "abcde" if await ledger.job(f"web/{name}")]
    assert kept == ["c", "d", "e"]
    assert await ledger.job("trusted") != {}
    assert (await ledger.hash("source", "web"))["kept_bytes"] == str(3 * 2024)
    await submit(ledger, "web", "a")  # an id that is free again, and whose first job is still among the ended ones
    await ledger.pass_time(3_600_000)
    for _ in range(9):
        await ledger.append(["type", "session.released", "session_id", "s"])
    assert [name for name in "abcde" if await ledger.job(f"web/{name}")] == ["a"]
    assert (await ledger.hash("source", "web"))["kept_bytes"] == "0"


async def completed(ledger: Ledger, job_id: str) -> dict[str, str]:
    """Let the node of the source ``gpu`` end a job with a result of a thousand bytes."""
    job = await ledger.submit(job_id, src="en", tgt="zh", reply_to="me")
    about = ("job_id", job_id, "node_id", "n1", "attempt", job["attempt"], "status", "finished")
    await ledger.say("gpu", "job.completed", *about, "result_json", "r" * 1000)
    await ledger.take_in("gpu")
    return await ledger.job(job_id)


async def test_results_beyond_the_bytes_of_a_nodes_source_are_delivered_and_not_kept(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("gpu", "n1", bytes=2500)
    await register(ledger, pools("en-zh"))
    jobs = [await completed(ledger, f"j{n}") for n in range(3)]
    assert ["result_json" in job for job in jobs] == [True, True, False]
    assert jobs[2]["error"] == "the result of 1000 bytes is not kept: source gpu has as many bytes of results as it may"
    outcomes = await ledger.redis.xrange(ledger.keys.reply("me"))
    assert [outcome["result_json"] for _, outcome in outcomes] == ["r" * 1000] * 3
    await ledger.pass_time(3_600_000)
    await ledger.append(["type", "session.released", "session_id", "s1"])
    await register(ledger, pools("en-zh"))
    assert "result_json" in await completed(ledger, "j4")
    assert (await ledger.hash("source", "gpu"))["result_bytes"] == "1000"


async def test_a_nodes_source_keeps_little_progress_with_a_job(ledger: Ledger) -> None:
    await ledger.admit("gpu", "n1")
    await register(ledger, pools("en-zh"))
    job = await ledger.submit("j1", src="en", tgt="zh")
    about = ("job_id", "j1", "node_id", "n1", "attempt", job["attempt"])
    for size in (4096, 4097):
        await ledger.say("gpu", "job.progressed", *about, "progress_json", "1" * size)
        await ledger.take_in("gpu")
    assert [letter["code"] for letter in await ledger.dead()] == ["NOT_PERMITTED"]


async def test_an_inbox_and_a_reply_stream_keep_fewer_large_entries(ledger: Ledger) -> None:
    for stream in (ledger.keys.inbox("n1"), ledger.keys.reply("me")):
        for _ in range(1000):
            await ledger.redis.xadd(stream, {"small": "1"})
    await ledger.node("n1")
    job_id, large = "large", "x" * 1_048_576
    said = ("session_id", "s", "src_lang", "en", "tgt_lang", "zh", "payload_json", large, "reply_to", "me")
    await ledger.append(["type", "job.submitted", "job_id", job_id, *said])
    await ledger.tell("completed", job_id, status="finished", result_json=large)
    for stream in (ledger.keys.inbox("n1"), ledger.keys.reply("me")):
        assert await ledger.redis.xlen(stream) < 256 + 100  # the server trims blocks of a hundred


async def test_of_an_ingress_that_holds_too_many_bytes_the_oldest_entries_are_dropped(ledger: Ledger) -> None:
    await ledger.admit("web")
    large = "x" * 1_048_576
    for _ in range(320):
        await ledger.say("web", "job.cancelled", "job_id", large)
    await ledger.take_in("web", batch=16)
    dropped = [int(fact["dropped"]) for fact in await ledger.facts("source.limited") if fact["cause"] == "backlog"]
    assert 48 <= sum(dropped) <= 128  # a megabyte takes up to a quarter more


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
