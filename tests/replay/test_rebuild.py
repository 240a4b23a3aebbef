"""Rebuilding a damaged state from its log: what interrupts it, who comes late, and what must not be believed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from streamsched.contract.errors import LogGap, PartitionHalted, PartitionRebuilding, ServerForbids
from streamsched.contract.keys import SHAPES, Keys
from streamsched.engine.script import script
from streamsched.replay.rebuild import empty, rebuild, rebuild_if_damaged

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


async def torn(ledger: Ledger) -> None:
    """What a server leaves behind that dies between the first write of a call and its last."""
    await ledger.redis.hset(ledger.keys("meta"), "begin", "1-1")


async def replay(ledger: Ledger, batch: int) -> None:
    """One call of a rebuild."""
    streams: dict[str, Any] = {name: ledger.keys(name) for name in ("events", "dead")}
    await script("replay")(ledger.redis, **streams, prefix=ledger.keys.prefix, batch=batch, in_place=1)


async def condemn(ledger: Ledger) -> str:
    phase: str = await script("begin_rebuild")(
        ledger.redis, events=ledger.keys("events"), prefix=ledger.keys.prefix, at_will=0
    )
    return phase


async def some_work(ledger: Ledger) -> None:
    await ledger.node()
    for n in range(4):
        await ledger.submit(f"j{n}")
    await ledger.tell("started", "j0")


async def test_a_torn_rebuild_starts_over_and_believes_the_same_facts(ledger: Ledger) -> None:
    await some_work(ledger)
    before = await ledger.state(ledger.keys)
    await torn(ledger)
    assert await condemn(ledger) == "drop"
    await empty(ledger.redis, ledger.keys)
    await replay(ledger, batch=3)
    await torn(ledger)
    with pytest.raises(PartitionHalted):
        await replay(ledger, batch=3)
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    assert await ledger.state(ledger.keys) == before
    await ledger.advance()
    assert await ledger.dead() == [], "no fact was taken for a forged one"


async def test_a_rebuild_whose_drop_is_cut_off_still_knows_how_far_the_state_was(ledger: Ledger) -> None:
    await some_work(ledger)
    before, watermark = await ledger.state(ledger.keys), (await ledger.hash("meta"))["watermark"]
    await torn(ledger)
    await condemn(ledger)
    # the call ended behind its first write, and what the state had been is gone
    await ledger.redis.hset(ledger.keys("meta"), "rebuild_until", watermark)
    await ledger.redis.hdel(ledger.keys("meta"), "watermark", "begin", "done")
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    assert await ledger.state(ledger.keys) == before
    await ledger.advance()
    assert await ledger.dead() == []


async def test_a_worker_that_comes_late_leaves_a_whole_state_alone(ledger: Ledger) -> None:
    await some_work(ledger)
    before, meta = await ledger.state(ledger.keys), await ledger.hash("meta")
    assert await rebuild_if_damaged(ledger.redis, ledger.keys) is None
    assert await condemn(ledger) == ""
    assert (await ledger.state(ledger.keys), await ledger.hash("meta")) == (before, meta)


async def test_a_state_is_not_condemned_while_its_log_is_not_whole(redis: Redis, keys: Keys) -> None:
    ledger = Ledger(redis, keys)  # without the check at the end: this log is trimmed
    await some_work(ledger)
    await redis.xtrim(keys("events"), maxlen=2, approximate=False)
    await torn(ledger)
    before = await ledger.state(keys)
    for call in (rebuild_if_damaged, rebuild):
        with pytest.raises(LogGap, match="rebuild from the archive that holds them"):
            await call(redis, keys)
    assert "rebuilding" not in await ledger.hash("meta")
    assert await ledger.state(keys) == before


async def test_a_torn_restore_starts_over(ledger: Ledger) -> None:
    await some_work(ledger)
    await ledger.redis.hset(
        ledger.keys("meta"), mapping={"rebuilding": "fold", "rebuild_from": "archive", "begin": "1-1"}
    )
    with pytest.raises(PartitionRebuilding, match="run it again"):
        await rebuild_if_damaged(ledger.redis, ledger.keys)
    assert (await ledger.hash("meta"))["rebuilding"] == "drop"
    await ledger.redis.hdel(ledger.keys("meta"), "rebuild_from")
    await rebuild_if_damaged(ledger.redis, ledger.keys)


async def test_a_worker_believes_nothing_where_nothing_was_folded(ledger: Ledger) -> None:
    forged = await ledger.add({"type": "job.expired", "job_id": "j1"})
    await torn(ledger)  # the very first call
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [(letter["id"], letter["code"]) for letter in await ledger.dead()] == [(forged, "FORGED_DECISION")]


async def wiped(ledger: Ledger) -> None:
    """The remains after all but the streams was deleted: the watermark is gone with the state."""
    prefix = ledger.keys.prefix
    kept = {ledger.keys(name) for name in ("events", "heartbeats", "dead")}
    found = [key async for key in ledger.redis.scan_iter(prefix + "*") if key not in kept]
    await ledger.redis.delete(*found)


async def test_without_a_watermark_too_no_unfolded_event_is_missed(ledger: Ledger) -> None:
    await some_work(ledger)
    wrong = await ledger.add({"type": "job.cancelled", "job_id": "never"})
    fields = {"session_id": "s9", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"}
    await ledger.add({"type": "job.submitted", "job_id": "late", **fields})
    for worker in "ab":  # woken by one entry each, and dead before they folded it: the group's cursor is ahead
        await ledger.redis.xreadgroup("fold", worker, {ledger.keys("events"): ">"}, count=1, noack=True)
    await wiped(ledger)
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [(letter["id"], letter["code"]) for letter in await ledger.dead()] == [(wrong, "UNKNOWN_JOB")]
    assert (await ledger.job("late"))["status"] == "dispatched"


async def test_without_a_watermark_decisions_after_the_cursor_are_taken_back_and_made_again(
    ledger: Ledger,
) -> None:
    await ledger.node()
    submission = (await ledger.submit())["submit_id"]
    before = await ledger.job()
    assert before["status"] == "dispatched"
    # as a call leaves it that wants a worker woken: there is something to do before one would look by itself
    await ledger.redis.xgroup_setid(ledger.keys("events"), "fold", submission)
    await wiped(ledger)
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [letter["code"] for letter in await ledger.dead()] == ["FORGED_DECISION"]
    now = await ledger.job()
    assert now["status"] == "dispatched"
    assert now["attempt"] != before["attempt"]
    outcome = await ledger.tell("completed", status="finished", attempt=before["attempt"])
    assert outcome[0] == "STALE_ATTEMPT", "the attempt that was taken back cannot end the job"


async def test_what_an_operator_has_folded_from_a_copied_log_is_folded_or_a_dead_letter(ledger: Ledger) -> None:
    await some_work(ledger)
    await ledger.add({"type": "job.cancelled", "job_id": "never"})
    await ledger.advance()
    copy = Ledger(ledger.redis, Keys(f"{ledger.keys.namespace}-copy"))
    for entry_id, fields in await ledger.redis.xrange(ledger.keys("events")):
        await copy.redis.xadd(copy.keys("events"), fields, id=entry_id)
    await rebuild(copy.redis, copy.keys)
    assert await copy.state(copy.keys) == await ledger.state(ledger.keys)
    assert [letter["code"] for letter in await copy.dead()] == ["UNKNOWN_JOB"]
    await copy.check()


async def test_what_the_server_does_not_let_a_fold_read_blames_no_event_and_halts_nothing(
    ledger: Ledger,
) -> None:
    await ledger.node()
    await ledger.submit()
    job = await ledger.job()
    readable = [f"~{ledger.keys.prefix}{shape.replace('%s', '*')}" for name, shape in SHAPES.items() if name != "job"]
    await ledger.redis.acl_setuser("narrow", enabled=True, nopass=True, commands=["+@all"], keys=[], reset=True)
    await ledger.redis.execute_command("ACL", "SETUSER", "narrow", *readable)
    pool = ledger.redis.connection_pool.connection_kwargs
    where = {"host": pool["host"], "port": pool["port"]}
    narrow = Redis(**where, username="narrow", password="-", protocol=2, decode_responses=True)
    try:
        started = {"type": "job.started", "job_id": "j1", "node_id": "n1", "attempt": job["attempt"]}
        await ledger.add(started)
        with pytest.raises(ServerForbids, match=r"(?i)key"):
            await Ledger(narrow, ledger.keys).advance()
    finally:
        await narrow.aclose()
        await ledger.redis.acl_deluser("narrow")
    assert await ledger.dead() == []
    assert await rebuild_if_damaged(ledger.redis, ledger.keys) is None
    await ledger.advance()
    assert (await ledger.job())["status"] == "running"


async def test_a_key_of_another_type_that_is_met_before_the_first_write_is_mended_too(ledger: Ledger) -> None:
    await ledger.freeze()
    await some_work(ledger)
    before = await ledger.state(ledger.keys)
    await ledger.redis.set(ledger.keys("expiry"), "in the way")
    with pytest.raises(PartitionHalted, match="WRONGTYPE"):
        await ledger.advance()
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    await ledger.advance()
    assert await ledger.state(ledger.keys) == before


async def test_no_two_calls_in_a_row_raise_the_same_fence(ledger: Ledger) -> None:
    """Else the second, torn, would look like the first, whole."""
    await ledger.node()
    marks = []
    for _ in range(4):
        await ledger.append(["type", "node.heartbeat", "node_id", "n1", "online", "true"])
        meta = await ledger.hash("meta")
        assert meta["begin"] == meta["done"]
        marks.append(meta["begin"])
    assert all(one != other for one, other in pairwise(marks)), marks


async def test_the_error_of_a_script_is_text_with_a_code_where_it_is_the_servers(redis: Redis) -> None:
    """What the folds lean on to tell the server's refusals from a mistake of their own."""
    catch = "local done, problem = pcall(function() {} end) return type(problem) .. ' ' .. tostring(problem)"
    await redis.set("text", "1")
    refused = await redis.eval(catch.format("redis.call('HGET', 'text', 'f')"), 0)
    assert refused.startswith("string WRONGTYPE ")
    mistaken = await redis.eval(catch.format("local none return none.field"), 0)
    assert mistaken.startswith("string user_script:1: attempt to index")
    with pytest.raises(ResponseError, match="wrong kind of value"):
        await redis.eval("return redis.call('HGET', 'text', 'f')", 0)


async def test_a_beat_that_a_torn_call_refused_has_one_letter_after_the_rebuild(ledger: Ledger) -> None:
    await some_work(ledger)
    meta = await ledger.hash("meta")
    await ledger.add({"type": "node.heartbeat", "node_id": "never", "online": "true"}, "heartbeats")
    await ledger.advance()
    # the call that buried it was torn before it said how far the beats are read
    outcome = {"heartbeats_watermark": meta["heartbeats_watermark"], "begin": "1-1"}
    await ledger.redis.hset(ledger.keys("meta"), mapping=outcome)
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [letter["code"] for letter in await ledger.dead()] == ["UNKNOWN_NODE"]


async def test_a_node_has_its_whole_timeout_from_the_end_of_a_rebuild_on(ledger: Ledger) -> None:
    """Not from the beginning of that second: a node that beats just in time would be lost."""
    await ledger.node()
    await torn(ledger)
    seconds, micros = await ledger.redis.time()
    await rebuild_if_damaged(ledger.redis, ledger.keys)
    assert int(await ledger.redis.hget(ledger.keys("meta"), "rebuilt_ts")) >= seconds * 1000 + micros // 1000
