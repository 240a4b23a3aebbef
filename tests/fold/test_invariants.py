"""The invariants of the design, each by its number. What the other test modules show of them is not repeated here."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.contract.errors import LogGap, PartitionHalted
from streamsched.contract.events import NodeHeartbeat, SchedulerConfigured, SessionReleased
from streamsched.contract.keys import Keys
from streamsched.engine.composition import Composition
from streamsched.engine.script import script
from streamsched.engine.symbols import chunk
from streamsched.replay.rebuild import rebuild, rebuild_if_damaged
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

PAIRS = [("zh", "en"), ("de", "fr"), ("es", "it")]


async def one_call(ledger: Ledger, batch: int, nonce: str = "5eed") -> list[Any]:
    reply: list[Any] = await script("advance")(ledger.redis, **ledger.given(batch, nonce))
    return reply


def submission(n: int, **more: str) -> dict[str, str]:
    src, tgt = PAIRS[n % 3]
    fields = {"type": "job.submitted", "job_id": f"j{n}", "session_id": f"s{n % 7}", "src_lang": src, "tgt_lang": tgt}
    return fields | {"payload_json": "{}"} | more


def traffic() -> list[dict[str, str]]:
    """A stretch of log with good and bad events of many kinds; one node a pair, so that no choice is left to chance."""
    log: list[dict[str, str]] = []
    for n, pair in enumerate(PAIRS):
        pools = f'[{{"name":"{"-".join(pair)}"}}]'
        log.append({"type": "node.registered", "node_id": f"n{n}", "cap_json": "{}", "pool_names_json": pools})
        log.append({"type": "node.heartbeat", "node_id": f"n{n}", "online": "true"})
    for n in range(40):
        log.append(submission(n, priority=str(n % 4), **({"immediate": "true"} if n % 5 == 0 else {})))
        if n % 6 == 0:
            log.append({"type": "job.cancelled", "job_id": f"j{n // 2}"})
        if n % 8 == 0:
            log.append({"type": "job.completed", "job_id": f"j{n}", "node_id": "n0", "status": "finished"})
        if n % 9 == 0:
            log.append({"type": "node.offline" if n % 2 else "node.cordoned", "node_id": f"n{n % 3}"})
        if n % 9 == 4:
            log.append({"type": "node.heartbeat", "node_id": f"n{n % 3}", "online": "true", "accepting": "true"})
            log.append({"type": "node.uncordoned", "node_id": f"n{(n + 2) % 3}"})
        if n % 11 == 0:
            log.append({"type": "session.released", "session_id": f"s{n % 7}"})
            log.append({"type": "node.expired", "node_id": "n1"})
    return log


async def test_invariant_01_state_equals_the_fold_of_the_log_up_to_the_watermark_at_every_instant(
    ledger: Ledger,
) -> None:
    for fields in traffic():
        await ledger.add(fields)
    scratch = Keys(f"{ledger.keys.namespace}-instant")
    more, calls = 1, 0
    while more:
        more = (await one_call(ledger, 5))[0]
        watermark = (await ledger.hash("meta"))["watermark"]
        reached = "0-0"
        while reached != watermark:
            _, reached, _ = await script("replay")(
                ledger.redis,
                events=ledger.keys("events"),
                dead=ledger.keys("dead"),
                prefix=scratch.prefix,
                batch=1,
                in_place=0,
            )
        assert await ledger.state(ledger.keys) == await ledger.state(scratch)
        calls += 1
    assert calls > 15


async def test_invariant_01_any_division_of_the_log_into_calls_gives_the_same_state(redis: Redis, keys: Keys) -> None:
    states: list[dict[str, Any]] = []
    start = await Ledger(redis, keys).now()
    for batch in (1, 2, 7, 64, 1000):
        ledger = Ledger(redis, Keys(f"{keys.namespace}-by{batch}"))
        for n, fields in enumerate(traffic()):
            await ledger.redis.xadd(ledger.keys("events"), fields, id=f"{start}-{n + 1}")
        await redis.hset(ledger.keys("meta"), "last_call_ts", str(start + 20_000))  # for all of them the same time
        ledger.frozen = True
        await ledger.advance(batch)
        states.append(await ledger.state(ledger.keys))
        await ledger.check()
    for state in states[1:]:
        assert state == states[0]
    assert Counter(await ledger.types())["job.dispatched"] > 5


async def test_invariant_02_many_callers_fold_every_event_exactly_once(ledger: Ledger, server: EmbeddedServer) -> None:
    good = [submission(n) for n in range(300)]
    bad = [{"type": "job.cancelled", "job_id": f"x{n}"} for n in range(100)]
    ids = [await ledger.add(fields) for pair in zip(good[:100], bad, strict=True) for fields in pair]
    ids += [await ledger.add(fields) for fields in good[100:]]
    clients = [Redis.from_url(server.url, decode_responses=True, protocol=2) for _ in range(8)]
    callers = [Ledger(client, ledger.keys) for client in clients]
    await asyncio.gather(*(caller.advance(batch=9) for caller in callers))
    for client in clients:
        await client.aclose()
    counters = await ledger.hash("counters")
    assert (counters["submitted"], counters["waiting"], counters["dead"]) == ("300", "300", "100")
    folded = {(await ledger.job(f"j{n}"))["submit_id"] for n in range(300)}
    buried = [letter["id"] for letter in await ledger.dead()]
    assert len(buried) == len(set(buried))
    assert folded | set(buried) == set(ids)
    assert not folded & set(buried)


async def test_invariant_02_the_group_shows_how_far_the_fold_has_come(ledger: Ledger) -> None:
    for n in range(10):
        await ledger.add(submission(n))
    await one_call(ledger, 4)
    (group,) = await ledger.redis.xinfo_groups(ledger.keys("events"))
    assert (group["name"], group["lag"], group["pending"]) == ("fold", 6, 0)
    assert group["last-delivered-id"] == (await ledger.hash("meta"))["watermark"]
    await ledger.advance()
    (group,) = await ledger.redis.xinfo_groups(ledger.keys("events"))
    assert group["lag"] == 0


def folding() -> dict[str, str]:
    """Every function that takes part in a fold, and the folds themselves, with their text."""
    composition = Composition("replay_entries")
    whole = chunk("", "fold_event() reindex()")
    found = {name: one.text for one in composition.reached([whole]) for name in one.names}
    for source, own, text in composition.folds:
        found |= {name: one.text for one in own for name in one.names} | {source.name: text}
    return found


UNORDERED_BUT_HARMLESS = {
    "dead_letter": "sorts the names",
    "config": "into a table that is read by name",
    "scheduler.configured": "each name to a field of its own",
    "reindex_nodes_and_pools": "each name to indexes of its own",
    "reindex": "each name to indexes of its own",
}


def test_invariant_03_a_fold_reads_no_clock_no_chance_and_no_unordered_reply() -> None:
    forbidden = re.compile(
        r"'(TIME|SMEMBERS|SRANDMEMBER|SPOP|HRANDFIELD|ZRANDMEMBER|S?SCAN|HSCAN|HKEYS|HVALS|KEYS|RANDOMKEY)'"
    )
    names = folding()
    assert {"job.dispatched", "job.submitted", "release", "reindex_node", "purge_ended"} <= set(names)
    for name, body in sorted(names.items()):
        assert not forbidden.search(body), name
        assert "math.random" not in body, name
        assert not re.search(r"\bos\.", body), name
        assert not re.search(r"\bsort\(\w+\)", body), (
            f"{name} sorts as the server's locale does: sort with bytes_before"
        )
        if re.search(r"\bpairs\(|HGETALL|SINTER|SUNION|SDIFF", body.replace("ipairs(", "")):
            assert name in UNORDERED_BUT_HARMLESS, f"{name} reads in an order that differs between servers"


BACKWARDS = """
comment_char %
escape_char /
LC_COLLATE
order_start forward
<U0062>
<U0061>
order_end
END LC_COLLATE
"""


@pytest.fixture
def backwards(tmp_path: Path) -> Path:
    """A folder with a locale of that name, in which b stands before a."""
    if shutil.which("localedef") is None:
        pytest.skip("only glibc brings localedef, and with it such locales")
    (tmp_path / "source").write_text(BACKWARDS)
    define = ["localedef", "--force", "-i", str(tmp_path / "source"), str(tmp_path / "backwards")]
    subprocess.run(define, capture_output=True, check=False, timeout=60)  # it ends with 1: it misses all but the order
    return tmp_path


async def test_invariant_03_the_order_of_a_servers_locale_leaves_no_trace_in_the_state(
    backwards: Path, monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer, keys: Keys
) -> None:
    monkeypatch.setenv("LOCPATH", str(backwards))
    monkeypatch.setenv("LC_ALL", "backwards")
    with EmbeddedServer(binary=server.binary) as abroad:
        ledger = Ledger(Redis.from_url(abroad.url, decode_responses=True, protocol=2), keys)
        assert await ledger.redis.eval("return tostring('b' < 'a')", 0) == "true", "the locale is in force"
        pools = '[{"id":"b","name":"en-zh"},{"id":"a","name":"de-en"}]'
        await ledger.append(["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", pools])
        assert (await ledger.info())["pools"] == "a b"
        await ledger.check()
        await ledger.redis.aclose()


async def test_invariant_03_no_fold_runs_before_its_event_or_by_another_time_than_its_own(ledger: Ledger) -> None:
    now = await ledger.now()
    await ledger.redis.xadd(ledger.keys("events"), submission(0), id=f"{now - 86_400_000}-0")
    await ledger.advance()
    assert (await ledger.job("j0"))["created_ts"] == str(now - 86_400_000)


async def test_invariant_04_plan_then_commit_a_call_that_finds_a_torn_one_halts_until_the_log_is_folded_again(
    ledger: Ledger,
) -> None:
    await ledger.node()
    await ledger.submit("j1")
    before = await ledger.state(ledger.keys)
    # what a server leaves behind that dies, or is cut off, between the first write of a call and its last
    await ledger.redis.hset(ledger.keys("meta"), "begin", "1-1")
    await ledger.redis.delete(ledger.keys("job", "j1"))
    for call in (ledger.advance, ledger.submit):
        with pytest.raises(PartitionHalted, match="torn at 1-1"):
            await call()
    assert await rebuild(ledger.redis, ledger.keys) == 3
    assert await ledger.state(ledger.keys) == before
    assert (await ledger.submit("j2"))["status"] == "dispatched"


@pytest.mark.parametrize("on_the_log", [True, False])
async def test_invariant_04_a_commit_that_breaks_half_way_halts_and_heals_from_the_log(
    ledger: Ledger, on_the_log: bool
) -> None:
    await ledger.node()
    deadline_ts = str(await ledger.now() + 60_000)
    await ledger.redis.set(ledger.keys("deadlines"), "written, never read, by the fold of a submission")
    fields = submission(0, deadline_ts=deadline_ts)
    if on_the_log:
        await ledger.add(fields)
    own = [[text for pair in fields.items() for text in pair]] if not on_the_log else []
    with pytest.raises(PartitionHalted, match="WRONGTYPE"):
        await ledger.append(*own)
    assert await ledger.job("j0") != {}, "the first half is there, and no call may continue from here"
    with pytest.raises(PartitionHalted):
        await ledger.advance()
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    assert (await ledger.job("j0"))["node_id"] == "n1"
    assert await ledger.redis.zscore(ledger.keys("deadlines"), "j0") == int(deadline_ts)


async def test_invariant_04_a_rebuild_keeps_an_unfolded_bad_event_as_a_dead_letter(ledger: Ledger) -> None:
    await ledger.add({"type": "nonsense", "n": "0"})
    await ledger.advance()
    await ledger.redis.hset(ledger.keys("meta"), "begin", "1-1")
    late = await ledger.add({"type": "nonsense", "n": "1"})
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [(letter["n"], letter["code"]) for letter in await ledger.dead()] == [
        ("0", "UNKNOWN_TYPE"),
        ("1", "UNKNOWN_TYPE"),
    ]
    assert (await ledger.dead())[-1]["id"] == late


async def test_invariant_04_calls_are_refused_while_the_state_is_being_rebuilt(ledger: Ledger) -> None:
    await ledger.submit()
    await ledger.redis.hset(ledger.keys("meta"), "rebuilding", "drop")
    for call in (ledger.advance, ledger.submit):
        with pytest.raises(Exception, match="REBUILDING"):
            await call()
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()


async def test_invariant_04_a_lost_state_is_folded_again_and_not_taken_for_a_new_one(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    before = await ledger.state(ledger.keys)
    for name in before:  # everything but the log, its neighbours and what was delivered: a partly wiped server
        await ledger.redis.delete(ledger.keys.prefix + name)
    for call in (ledger.advance, ledger.submit):
        with pytest.raises(PartitionHalted, match="its state is gone"):
            await call()
    assert await rebuild_if_damaged(ledger.redis, ledger.keys) is not None
    assert await ledger.state(ledger.keys) == before
    assert await ledger.dead() == []


async def test_invariant_01_a_log_restored_onto_an_empty_server_gives_back_its_state(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await ledger.submit("j2", immediate=True)
    await ledger.add({"type": "node.expired", "node_id": "n1"})
    await ledger.advance()
    restored = Ledger(ledger.redis, Keys(f"{ledger.keys.namespace}-restored"))
    for stream in ("events", "dead"):
        for entry_id, fields in await ledger.redis.xrange(ledger.keys(stream)):
            await ledger.redis.xadd(restored.keys(stream), fields, id=entry_id)
    await rebuild(restored.redis, restored.keys)
    assert await restored.state(restored.keys) == await ledger.state(ledger.keys)
    await restored.advance()
    assert len(await restored.dead()) == len(await ledger.dead())


async def test_invariant_05_an_attempt_is_named_by_its_fact_and_a_nonce_that_the_fact_holds(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.add(submission(0))
    await one_call(ledger, 256, nonce="a1b2")
    (entry,) = [
        entry for entry in await ledger.redis.xrange(ledger.keys("events")) if entry[1]["type"] == "job.dispatched"
    ]
    assert entry[1]["nonce"] == "a1b2"
    assert (await ledger.job("j0"))["attempt"] == f"{entry[0]}-a1b2"


async def test_invariant_05_of_all_attempts_only_the_last_can_complete_and_only_once(ledger: Ledger) -> None:
    for node_id in ("n1", "n2", "n3"):
        await ledger.node(node_id)
    job, attempts = await ledger.submit(), []
    for _ in range(3):
        attempts.append((job["node_id"], job["attempt"]))
        holders = [node_id for node_id in ("n1", "n2", "n3") if "j1" in await ledger.held(node_id)]
        assert holders == [job["node_id"]]
        await ledger.tell("declined", reason="another one, please")
        await ledger.pass_time(2_000)
        job = await ledger.job()
    attempts.append((job["node_id"], job["attempt"]))
    assert len({attempt for _, attempt in attempts}) == 4
    answers = [
        (await ledger.tell("completed", status="finished", node_id=node_id, attempt=attempt))[0]
        for node_id, attempt in attempts
    ]
    assert answers == ["STALE_ATTEMPT"] * 3 + [""]


async def test_invariant_06_every_accepted_job_is_in_exactly_one_count(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.submit("expires", deadline_ts=await ledger.now() + 1_000)
    await ledger.submit("finishes")
    await ledger.submit("fails", max_attempts=1)
    await ledger.submit("refused", src="xx", immediate=True)
    await ledger.submit("cancelled", src="xx")
    await ledger.submit("waits", src="xx")
    await ledger.submit("held")
    await ledger.tell("completed", "finishes", status="finished")
    await ledger.tell("completed", "fails", status="failed")
    await ledger.append(["type", "job.cancelled", "job_id", "cancelled"])
    await ledger.pass_time(1_000)
    counters = {name: int(count) for name, count in (await ledger.hash("counters")).items()}
    places = ("waiting", "held", "finished", "failed", "cancelled", "expired", "refused")
    assert {place: counters[place] for place in places} == dict.fromkeys(places, 1)
    assert counters["submitted"] == len(places)


async def test_invariant_07_a_forgery_that_a_torn_call_never_judged_is_refused_after_a_rebuild(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await ledger.redis.hset(ledger.keys("meta"), "begin", "1-1")
    forged = await ledger.add({"type": "job.exhausted", "job_id": "j1", "cause": "made up"})
    true = await ledger.add(submission(2))
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [(letter["id"], letter["code"]) for letter in await ledger.dead()] == [(forged, "FORGED_DECISION")]
    assert (await ledger.job("j1"))["status"] == "dispatched"
    assert (await ledger.job("j2"))["submit_id"] == true


async def test_invariant_02_what_a_torn_call_had_buried_has_one_letter_after_the_rebuild(ledger: Ledger) -> None:
    await ledger.node()
    watermark = (await ledger.hash("meta"))["watermark"]
    await ledger.add({"type": "nonsense"})
    await ledger.advance()
    # the call that buried it was torn before it moved the watermark
    await ledger.redis.hset(ledger.keys("meta"), mapping={"watermark": watermark, "begin": "1-1"})
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    assert [letter["code"] for letter in await ledger.dead()] == ["UNKNOWN_TYPE"]


async def test_invariant_07_a_forged_decision_among_true_ones_is_refused_live_and_on_replay(ledger: Ledger) -> None:
    await ledger.node()
    job = await ledger.submit()
    true = await ledger.last("job.dispatched")
    await ledger.add(true)
    await ledger.add(true | {"node_id": "n9", "nonce": "evil"})
    await ledger.add({"type": "job.exhausted", "job_id": "j1", "cause": "because"})
    await ledger.advance()
    assert [letter["code"] for letter in await ledger.dead()] == ["FORGED_DECISION"] * 3
    assert await ledger.job() == job
    before = await ledger.state(ledger.keys)
    await rebuild(ledger.redis, ledger.keys)
    assert await ledger.state(ledger.keys) == before
    assert len(await ledger.dead()) == 3


Grow = Callable[[Ledger, int], Awaitable[None]]


async def more_nodes(ledger: Ledger, many: int) -> None:
    pools = '[{"id":"en-zh","name":"en-zh"}]'
    for n in range(many):
        await ledger.add({"type": "node.registered", "node_id": f"m{n}", "cap_json": "{}", "pool_names_json": pools})
        await ledger.add({"type": "node.heartbeat", "node_id": f"m{n}", "online": "true"})


async def more_pools(ledger: Ledger, many: int) -> None:
    for n in range(many):
        pools = f'[{{"id":{n},"name":"en-zh"}}]'
        await ledger.add({"type": "node.registered", "node_id": f"p{n}", "cap_json": "{}", "pool_names_json": pools})
        await ledger.add({"type": "node.heartbeat", "node_id": f"p{n}", "online": "true"})


async def more_waiting(ledger: Ledger, many: int) -> None:
    for n in range(many):
        await ledger.add(submission(3 * n + 1))


async def more_finished(ledger: Ledger, many: int) -> None:
    await more_waiting(ledger, many)
    for n in range(many):
        await ledger.add({"type": "job.cancelled", "job_id": f"j{3 * n + 1}"})


async def more_sessions(ledger: Ledger, many: int) -> None:
    await ledger.node("k1", "de-fr")
    for n in range(many):
        await ledger.add(submission(3 * n + 1) | {"session_id": f"k{n}", "affinity": "none"})
    await ledger.advance()


UNBOUNDED = {
    "smembers",
    "keys",
    "scan",
    "sscan",
    "hscan",
    "zscan",
    "hkeys",
    "hvals",
    "sinter",
    "sunion",
    "sdiff",
    "sort",
}


@pytest.mark.parametrize("grow", [more_nodes, more_pools, more_waiting, more_finished, more_sessions])
async def test_invariant_08_one_job_costs_the_same_commands_however_much_there_is(ledger: Ledger, grow: Grow) -> None:
    """Counted, not timed: each command leans on no more than a logarithm of what it meets."""

    async def cost_of_a_job(job_id: str) -> dict[str, int]:
        await ledger.redis.config_resetstat()
        await ledger.submit(job_id, session_id=job_id)
        assert (await ledger.tell("started", job_id))[0] == ""
        assert (await ledger.tell("completed", job_id, status="finished"))[0] == ""
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        stats = await ledger.redis.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}
        return {name: calls[name] for name in calls if name not in ("info", "config|resetstat", "eval", "evalsha")}

    for node_id in ("n1", "n2"):
        await ledger.node(node_id, "en-zh", "zh-en")
    await grow(ledger, 3)
    await ledger.advance()
    few = await cost_of_a_job("few")
    await grow(ledger, 300)
    await ledger.advance()
    many = await cost_of_a_job("many")
    assert sum(many.values()) <= sum(few.values()) + 5, (
        "which of two random pools comes first may cost two; a new rank of a node costs three in two pools"
    )
    assert not UNBOUNDED & many.keys()


async def test_invariant_09_a_call_reads_no_more_of_a_queue_than_it_may_dispatch(ledger: Ledger) -> None:
    """Also where its bound is reached with the last of the jobs that it has read."""
    for n in range(5):
        await ledger.node(f"n{n}")
    for n in range(100):
        await ledger.add(submission(3 * n) | {"src_lang": "en", "tgt_lang": "zh"})
    read: list[list[str]] = []
    async with ledger.redis.monitor() as monitor:
        for _ in range(8):
            await ledger.call(batch=32)
        await ledger.redis.echo("the end")
        async for command in monitor.listen():
            words = command["command"].split()
            if words[0].upper() == "ECHO":
                break
            if words[0].upper() == "ZRANGE" and ":waiting:" in words[1]:
                read.append(words[2:4])
    assert read
    assert all(0 <= int(first) <= int(last) < 32 for first, last in read), read


async def test_invariant_09_a_call_folds_no_more_than_its_batch_and_says_that_there_is_more(ledger: Ledger) -> None:
    for n in range(100):
        await ledger.add(submission(n))
    assert [(await one_call(ledger, 40))[0:4:3] for _ in range(3)] == [[1, "40"], [1, "80"], [0, "100"]]


async def test_invariant_09_a_call_decides_no_more_than_its_batch(ledger: Ledger) -> None:
    for n in range(10):
        await ledger.node(f"n{n}")
    for n in range(60):
        await ledger.add(submission(3 * n))
    await one_call(ledger, 60)
    counts = []
    more = 1
    while more:
        more = (await one_call(ledger, 25))[0]
        counts.append(len(await ledger.facts("job.dispatched")))
    assert counts == [25, 50, 60]


@pytest.mark.parametrize("batch", [1, 2, 3])
async def test_invariant_09_the_smallest_bounds_still_get_everything_done(ledger: Ledger, batch: int) -> None:
    for fields in traffic():
        await ledger.add(fields)
    await ledger.advance(batch)
    await ledger.pass_time(31_000)
    await ledger.advance(batch)
    assert (await one_call(ledger, 256))[0] == 0


async def test_invariant_09_an_append_behind_a_long_log_helps_to_fold_it_and_appends_nothing_yet(
    ledger: Ledger,
) -> None:
    for n in range(30):
        await ledger.add(submission(n))
    call = ledger.given(10) | {"own": '[["type","session.released","session_id","s"]]'}
    for folded in ("10", "20", "30"):
        reply = await script("append")(ledger.redis, **call)
        assert (reply[0], reply[2]) == (1, [])
        assert (await ledger.hash("meta"))["folded"] == folded
    assert len(await ledger.types()) == 30
    reply = await script("append")(ledger.redis, **call)
    assert reply[2][0][0] == ""
    assert len(await ledger.types()) == 31


async def delete_one(ledger: Ledger) -> None:
    entries = await ledger.redis.xrange(ledger.keys("events"))
    await ledger.redis.xdel(ledger.keys("events"), entries[-2][0])


async def trim(ledger: Ledger) -> None:
    await ledger.redis.xtrim(ledger.keys("events"), maxlen=1, approximate=False)


async def wipe(ledger: Ledger) -> None:
    await ledger.redis.delete(ledger.keys("events"))
    await asyncio.sleep(0.002)  # within one millisecond, the new log's first entry may get the id of the watermark
    await ledger.add(submission(9))


async def lie_about_ids(ledger: Ledger) -> None:
    await ledger.advance()
    await ledger.redis.execute_command(
        "XSETID", ledger.keys("events"), f"{await ledger.now()}-99", "ENTRIESADDED", "99", "MAXDELETEDID", "0-0"
    )


@pytest.mark.parametrize("harm", [delete_one, trim, wipe, lie_about_ids])
async def test_invariant_10_what_vanished_unfolded_stops_every_decision(
    redis: Redis, keys: Keys, harm: Callable[[Ledger], Awaitable[None]]
) -> None:
    ledger = Ledger(redis, keys)  # without the check at the end: this log is not whole
    await ledger.node()
    for n in range(3):
        await ledger.add(submission(3 * n))
    await harm(ledger)
    length = await ledger.redis.xlen(keys("events"))
    for _ in range(2):
        for call in (ledger.advance, ledger.submit):
            with pytest.raises(LogGap, match="trimmed or deleted unread"):
                await call()
    assert await ledger.redis.xlen(keys("events")) == length, "nothing is appended or decided"


async def test_invariant_10_what_was_folded_may_go(redis: Redis, keys: Keys) -> None:
    ledger = Ledger(redis, keys)
    await ledger.node()
    await ledger.submit("j1")
    first = (await ledger.redis.xrange(keys("events"), count=1))[0][0]
    await ledger.redis.xdel(keys("events"), first)
    assert (await ledger.submit("j2"))["status"] == "dispatched"


async def test_invariant_11_the_clock_of_the_decisions_never_runs_back(ledger: Ledger) -> None:
    await ledger.freeze()
    ahead = await ledger.now()
    await ledger.node()
    await ledger.submit()
    ids = [tuple(map(int, entry[0].split("-"))) for entry in await ledger.redis.xrange(ledger.keys("events"))]
    assert ids == sorted(ids)
    assert {ms for ms, _ in ids} == {ahead}
    reply = await ledger.advance()
    assert int(reply[2]) == ahead


async def test_invariant_11_where_the_clock_was_set_back_time_goes_on_at_half_its_pace(ledger: Ledger) -> None:
    """It stood still: for an hour behind a clock that jumped an hour ahead and back no timeout and no retry came."""
    await ledger.node()
    await ledger.submit()
    ahead = await ledger.now() + 3_600_000
    await ledger.pass_time(3_600_000)
    clock = int((await ledger.redis.time())[0]) * 1000
    await ledger.redis.hset(ledger.keys("meta"), "clock_ts", str(clock - 60_001))  # a minute ago by the server's clock
    first = int((await ledger.advance())[2])
    assert ahead + 30_000 <= first < ahead + 60_000
    assert first <= int((await ledger.advance())[2])
    assert (await ledger.last("job.requeued"))["cause"] == "accept timeout"


async def test_invariant_11_time_counted_call_by_call_is_as_long_as_counted_at_once(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.pass_time(3_600_000)
    began, ahead = await _clock(ledger), int((await ledger.advance())[2])
    for _ in range(200):
        now = int((await ledger.advance())[2])
    assert abs((now - ahead) - (await _clock(ledger) - began) / 2) < 20


async def _clock(ledger: Ledger) -> int:
    seconds, micros = await ledger.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_invariant_11_an_entry_from_a_clock_ahead_carries_the_scheduler_with_it(ledger: Ledger) -> None:
    await ledger.node()
    ahead = await ledger.now() + 7_200_000
    await ledger.redis.xadd(ledger.keys("events"), submission(0), id=f"{ahead}-5")
    await ledger.advance()
    assert (await ledger.job("j0"))["created_ts"] == str(ahead)
    await ledger.append(SessionReleased(session_id="s"))
    last = (await ledger.redis.xrevrange(ledger.keys("events"), count=1))[0][0]
    assert ahead <= int(last.split("-")[0]) < ahead + 60_000


async def test_invariant_11_an_outage_of_the_scheduler_expires_no_node(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(job_timeout_ms=8_000))
    await ledger.node("n1")
    await ledger.submit("accepted")
    await ledger.submit("offered")
    await ledger.tell("started", "accepted")
    since = await ledger.now()
    await ledger.pass_time_unattended(600_000)
    now = await ledger.now()
    assert (await ledger.last("scheduler.resumed"))["since_ts"] == str(since)
    until = {fact["job_id"]: int(fact["until_ts"]) for fact in await ledger.facts("job.extended")}
    assert until == {"accepted": now + 8_000, "offered": now + 10_000}
    assert await ledger.facts("node.expired") == []
    assert (await ledger.job("accepted"))["status"] == "running"
    await ledger.pass_time(8_000)
    assert (await ledger.last("job.requeued"))["cause"] == "job timeout", "a fresh timeout, not an endless one"
    await ledger.pass_time(2_000)
    assert (await ledger.last("job.requeued"))["cause"] == "accept timeout"
    await ledger.pass_time(20_000)
    assert (await ledger.last("node.expired"))["node_id"] == "n1"


async def test_invariant_11_an_outage_is_noticed_behind_a_backlog_of_many_calls(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.submit()
    later = await ledger.now() + 60_000
    for n in range(30):
        fields = {"type": "session.released", "session_id": "s"}
        await ledger.redis.xadd(ledger.keys("events"), dict(fields), id=f"{later}-{n}")
    await ledger.advance(batch=7)
    assert [fact["job_id"] for fact in await ledger.facts("job.extended")] == ["j1"]
    assert await ledger.facts("job.requeued") == []


async def test_invariant_11_a_second_outage_takes_nothing_from_what_the_first_left_to_be_extended(
    ledger: Ledger,
) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.submit("j1")
    await ledger.submit("j2")
    for pause in (60_000, 20_000):
        later = await ledger.now() + pause
        await ledger.redis.xadd(ledger.keys("events"), {"type": "session.released", "session_id": "-"}, id=f"{later}-0")
        await one_call(ledger, 3)  # notices, extends one, and its worker dies
    await ledger.advance()
    assert {fact["job_id"] for fact in await ledger.facts("job.extended")} == {"j1", "j2"}
    assert await ledger.facts("job.requeued") == []


async def test_invariant_09_a_beat_that_finds_its_call_used_up_waits_for_the_next_one(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.submit()
    later = await ledger.now() + 60_000
    await ledger.redis.xadd(ledger.keys("events"), {"type": "session.released", "session_id": "-"}, id=f"{later}-0")
    beat = ["type", "node.heartbeat", "node_id", "n1", "online", "true"]
    answers = await ledger.append(beat, batch=2)  # folds one, notices the absence, and may do no more
    assert [answer[0] for answer in answers] == [""]
    await ledger.advance()
    assert "halted" not in await ledger.redis.hgetall(ledger.keys("meta"))
    assert len(await ledger.facts("scheduler.resumed")) == 1


async def test_invariant_11_a_short_silence_is_no_outage(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.submit()
    await ledger.pass_time(6_000)
    await ledger.pass_time_unattended(5_000)
    assert await ledger.facts("scheduler.resumed") == []
    assert (await ledger.last("job.requeued"))["cause"] == "accept timeout"


@pytest.mark.parametrize("timeouts", [(2_500, 10_000), (30_000, 2_500)])
async def test_invariant_11_an_absence_shorter_than_usual_counts_where_a_timeout_is_shorter_still(
    ledger: Ledger, timeouts: tuple[int, int]
) -> None:
    """A server that stood still for 4 s expired every node of a fleet with a timeout of 2.5 s."""
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=timeouts[0], accept_timeout_ms=timeouts[1]))
    await ledger.node()
    await ledger.submit()
    await ledger.pass_time_unattended(4_000)
    assert len(await ledger.facts("scheduler.resumed")) == 1
    assert await ledger.facts("node.expired") == []
    assert await ledger.facts("job.requeued") == []
    await ledger.pass_time(timeouts[0])
    assert (await ledger.last("node.expired"))["node_id"] == "n1", "a fresh timeout, not an endless one"


async def test_invariant_11_the_sleep_of_an_idle_worker_is_no_absence(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=500))
    await ledger.node()
    await ledger.pass_time_unattended(1_000)
    assert await ledger.facts("scheduler.resumed") == []
    assert (await ledger.last("node.expired"))["node_id"] == "n1"


async def test_invariant_11_after_a_rebuild_every_node_has_a_full_timeout_to_show_itself(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.node()
    await ledger.pass_time(20_000)
    await ledger.append(SessionReleased(session_id="s"))
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    info = await ledger.info()
    assert info["last_heartbeat_ts"] == info["since_ts"], "of its beats the log knows the registration alone"
    await ledger.pass_time(29_999)
    assert (await ledger.info())["online"] == "true"
    await ledger.pass_time(1)
    assert (await ledger.info())["online"] == "false"
