"""What sources say through their ingress streams: who says it, what each may say, and how much, to no other's harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.exceptions import ResponseError

from streamsched.contract.errors import PartitionHalted
from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS
from streamsched.engine.script import Script, script
from streamsched.replay.rebuild import rebuild_if_damaged

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

SUBMIT = ("job.submitted", "session_id", "s1", "src_lang", "zh", "tgt_lang", "en", "payload_json", "{}")
POOLS = json.dumps([{"name": "en-zh"}])
REGISTER = ("node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", POOLS)
HIGHEST = f"{2**64 - 1}-{2**64 - 1}"


async def copies(ledger: Ledger, source: str = "web") -> list[dict[str, str]]:
    """What the log holds of a source, in order."""
    entries = await ledger.redis.xrange(ledger.keys("events"))
    return [fields for _, fields in entries if fields.get("source") == source and "source_id" in fields]


async def limits(ledger: Ledger, source: str = "web") -> list[tuple[str, int]]:
    """What was recorded of a source's limits: cause, and entries dropped."""
    found = await ledger.facts("source.limited")
    return [(fact["cause"], int(fact["dropped"])) for fact in found if fact["source"] == source]


async def test_events_of_a_source_carry_its_name_and_its_jobs_are_its_own(ledger: Ledger) -> None:
    await ledger.admit("web")
    mine = await ledger.say("web", *SUBMIT, "job_id", "j1", "reply_to", "c", "source", "admin", "source_id", "1-1")
    nameless = await ledger.say("web", *SUBMIT, "retry_of", "1-1")
    named = await ledger.say("web", *SUBMIT, "request_id", "r1")
    await ledger.say("web", *SUBMIT, "job_id", "web/j1", "reply_to", "web/c")
    assert await ledger.take_in("web") == {}
    taken = await copies(ledger)
    assert [(copy["job_id"], copy["session_id"], copy["source_id"]) for copy in taken[:3]] == [
        ("web/j1", "web/s1", mine),
        (f"web/s1:{nameless}", "web/s1", nameless),
        ("web/s1:r1", "web/s1", named),
    ]
    assert not any("retry_of" in copy for copy in taken)
    assert taken[0]["reply_to"] == "web/c"
    assert (await ledger.hash("counters"))["submitted"] == "3", "the last one was the first one once more"
    assert await ledger.waiting("web") == 0
    assert await ledger.dead() == []
    await ledger.say("web", "job.cancelled", "job_id", "j1")
    await ledger.say("web", "session.released", "session_id", "s1")
    await ledger.take_in("web")
    assert (await ledger.job("web/j1"))["status"] == "cancelled"
    assert await ledger.dead() == []


async def test_a_node_does_all_its_work_through_its_ingress(ledger: Ledger) -> None:
    await ledger.admit("gpu", "n1")
    await ledger.say("gpu", *REGISTER)
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.take_in("gpu")
    job = await ledger.submit()
    assert job["node_id"] == "n1"
    about = ("job_id", "j1", "node_id", "n1", "attempt", job["attempt"])
    await ledger.say("gpu", "job.started", *about)
    await ledger.say("gpu", "job.progressed", *about)
    await ledger.say("gpu", "job.completed", *about, "status", "finished", "result_json", "1")
    await ledger.take_in("gpu")
    assert (await ledger.job())["status"] == "finished"
    await ledger.say("gpu", "node.offline", "node_id", "n1")
    await ledger.take_in("gpu")
    assert (await ledger.info())["online"] == "false"
    assert await ledger.dead() == []
    assert "node.heartbeat" not in await ledger.types(), "beats are no part of the log"


async def test_a_beat_from_before_the_goodbye_does_not_take_it_back(ledger: Ledger) -> None:
    await ledger.admit("gpu", "n1")
    await ledger.say("gpu", *REGISTER)
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.take_in("gpu")
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.say("gpu", "node.offline", "node_id", "n1")
    await ledger.take_in("gpu")
    assert (await ledger.info())["online"] == "false"
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.take_in("gpu")
    assert (await ledger.info())["online"] == "true"


ABOUT = ("job_id", "theirs", "node_id", "n2", "attempt", "1-1-x")
FORBIDDEN: list[tuple[str, tuple[str, ...], str]] = [
    ("web", ("node.registered", "node_id", "n9", "cap_json", "{}"), "may not say this"),
    ("web", ("node.offline", "node_id", "n2"), "may not say this"),
    ("web", ("node.heartbeat", "node_id", "n2", "online", "true"), "may not say this"),
    ("web", ("node.cordoned", "node_id", "n2"), "may not say this"),
    ("web", ("job.completed", *ABOUT, "status", "finished"), "may not say this"),
    ("web", ("scheduler.configured", "max_attempts", "9"), "may not say this"),
    ("web", ("source.admitted", "source", "mine", "role", "node", "node_id", "n2"), "may not say this"),
    ("web", ("source.revoked", "source", "gpu"), "may not say this"),
    ("web", ("letter.dropped", "letter", "1-1"), "may not say this"),
    ("web", ("job.dispatched", "job_id", "theirs", "node_id", "n2"), "may not say this"),
    ("web", ("source.limited", "source", "gpu", "cause", "size", "dropped", "1"), "may not say this"),
    ("web", ("nonsense",), "may not say this"),
    ("web", (*SUBMIT, "priority", "1"), "may not ask for a priority above 0"),
    ("web", (*SUBMIT, "deliver", "false"), "may not deliver jobs by itself"),
    ("gpu", SUBMIT, "may not say this"),
    ("gpu", ("job.cancelled", "job_id", "theirs"), "may not say this"),
    ("gpu", ("session.released", "session_id", "s1"), "may not say this"),
    ("gpu", ("node.cordoned", "node_id", "n1"), "may not say this"),
    ("gpu", ("node.drained", "node_id", "n1"), "may not say this"),
    ("gpu", ("node.offline", "node_id", "n2"), "may not report for node"),
    ("gpu", ("node.offline",), "may not report for node"),
    ("gpu", ("node.registered", "node_id", "n2", "cap_json", "{}"), "may not report for node"),
    ("gpu", ("node.heartbeat", "node_id", "n2", "online", "false"), "may not report for node"),
    ("gpu", ("job.started", *ABOUT), "may not report for node"),
    ("gpu", ("job.progressed", *ABOUT), "may not report for node"),
    ("gpu", ("job.declined", *ABOUT), "may not report for node"),
    ("gpu", ("job.completed", *ABOUT, "status", "finished"), "may not report for node"),
    ("gpu", (*REGISTER, "mailbox", "n2"), "may not have its jobs put into another inbox"),
    (
        "gpu",
        ("node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", '[{"id":"en-zh","name":"en-fr"}]'),
        "may join it, but not change what it serves",
    ),
]


@pytest.mark.parametrize(
    ("source", "said", "why"), FORBIDDEN, ids=[f"{source}: {' '.join(said[:3])}" for source, said, _ in FORBIDDEN]
)
async def test_what_a_source_may_not_say_is_a_dead_letter_that_names_it_the_type_and_the_remedy(
    ledger: Ledger, source: str, said: tuple[str, ...], why: str
) -> None:
    await ledger.node("n2")
    await ledger.submit("theirs")
    await ledger.admit("web")
    await ledger.admit("gpu", "n1")
    before = await ledger.trace()
    entry_id = await ledger.say(source, *said)
    await ledger.take_in(source)
    (letter,) = await ledger.dead()
    assert (letter["code"], letter["source"], letter["source_id"]) == ("NOT_PERMITTED", source, entry_id)
    assert why in letter["reason"]
    assert f"source {source}" in letter["reason"]
    after = await ledger.trace()
    heard = {f"source:{source}": after[f"source:{source}"] | {"last_id": before[f"source:{source}"]["last_id"]}}
    assert after | heard == before, "it left no other trace but that it was heard"
    await ledger.say(source, *said)
    await ledger.take_in(source)
    assert len(await ledger.dead()) == 2, "and the source is heard on"


async def test_events_of_an_unknown_or_revoked_source_are_refused(ledger: Ledger) -> None:
    await ledger.admit("web")
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    await ledger.say("stranger", *SUBMIT, "job_id", "j2")
    await ledger.append(["type", "source.revoked", "source", "web", "reason", "it sent spam"])
    assert await ledger.take_in("web", "stranger") == {}
    assert (await ledger.waiting("web"), await ledger.waiting("stranger")) == (1, 1)
    assert not await ledger.job("web/j1")
    assert await ledger.redis.smembers(ledger.keys("sources")) == set()
    await ledger.admit("web")
    await ledger.take_in("web")
    assert (await ledger.job("web/j1"))["status"] == "created"
    (refused,) = await ledger.append(["type", "source.revoked", "source", "stranger"])
    assert refused[0] == "UNKNOWN_SOURCE"


async def test_an_event_that_names_a_source_which_was_never_admitted_is_an_ordinary_event(
    ledger: Ledger,
) -> None:
    for n, stamp in enumerate(("5-5", "nonsense", "")):
        said = [*SUBMIT, "job_id", f"j{n}", "source", "web", "source_id", stamp]
        await ledger.add(dict(zip(["type", *said][::2], ["type", *said][1::2], strict=True)))
    await ledger.advance()
    assert [(await ledger.job(f"j{n}"))["status"] for n in range(3)] == ["created"] * 3
    assert await ledger.dead() == []


async def test_a_registration_that_names_a_source_and_was_taken_in_from_none_is_an_ordinary_one(ledger: Ledger) -> None:
    for name in ("en-zh", "de-en"):  # the second one changes what the pool serves
        pools = f'[{{"id":1,"name":"{name}"}}]'
        flat = ["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", pools]
        await ledger.append([*flat, "source", "a"])
    assert await ledger.dead() == []
    assert (await ledger.hash("pool_info", "1"))["languages"] == "de en"


async def test_what_was_taken_in_cannot_be_taken_in_once_more(ledger: Ledger) -> None:
    await ledger.admit("web")
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    await ledger.take_in("web")
    (copy,) = await copies(ledger)
    await ledger.add(copy | {"job_id": "web/j2"})
    await ledger.advance()
    assert "may not be heard twice" in (await ledger.dead())[0]["reason"]


async def test_a_refused_submission_is_reported_on_the_reply_stream_of_its_producer(ledger: Ledger) -> None:
    await ledger.admit("web")
    await ledger.say("web", *SUBMIT, "job_id", "j1", "reply_to", "c", "priority", "7")
    await ledger.take_in("web")
    ((_, outcome),) = await ledger.redis.xrange(ledger.keys.reply("web/c"))
    assert (outcome["job_id"], outcome["status"]) == ("web/j1", "refused")
    assert outcome["error"].startswith("NOT_PERMITTED ")
    assert await ledger.redis.pttl(ledger.keys.reply("web/c")) > 0


async def test_a_letter_of_a_source_can_be_retried_once_it_may_say_that(ledger: Ledger) -> None:
    await ledger.admit("web")
    await ledger.say("web", *SUBMIT, "job_id", "j1", "priority", "7")
    await ledger.say("web", *SUBMIT, "job_id", "j2")
    await ledger.take_in("web")
    (letter_id,) = await ledger.letter_ids()
    (letter,) = await ledger.dead()
    event = {name: letter[name] for name in letter if name not in ("id", "stream", "code", "reason")}
    retry = ["type", event.pop("type"), *(part for pair in event.items() for part in pair), "retry_of", letter_id]
    assert (await ledger.answer(retry))[0] == "NOT_PERMITTED"
    await ledger.admit("web", priority=7)
    assert (await ledger.answer(retry))[0] == ""
    assert (await ledger.job("web/j1"))["priority"] == "7"


async def test_more_than_the_rate_waits_and_is_recorded_now_and_then(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web", rate=10)
    for n in range(25):
        await ledger.say("web", *SUBMIT, "job_id", f"j{n}")
    held = await ledger.take_in("web")
    assert (await ledger.waiting("web"), held) == (15, {"web": 100})
    await ledger.pass_time(500)
    await ledger.take_in("web")
    assert await ledger.waiting("web") == 10
    await ledger.pass_time(60_000)
    await ledger.take_in("web")
    assert await ledger.waiting("web") == 0, "no more than a second's worth is saved up, and just that is left"
    assert [copy["job_id"] for copy in await copies(ledger)] == [f"web/j{n}" for n in range(25)]
    assert await limits(ledger) == [("rate", 0), ("rate", 0)], "at once, and what followed within seconds, together"


async def test_a_large_entry_counts_as_several_and_a_registration_as_half_a_second_of_them(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web", rate=10)
    large = (*SUBMIT[:-1], json.dumps("x" * 5 * LIMITS["weight"]))
    for n in range(3):
        await ledger.say("web", *large, "job_id", f"j{n}")
    await ledger.take_in("web")
    assert await ledger.waiting("web") == 1
    await ledger.admit("gpu", "n1", rate=10)
    for _ in range(2):
        await ledger.say("gpu", *REGISTER)
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    assert await ledger.take_in("gpu") == {"gpu": 100}
    assert await ledger.waiting("gpu") == 1


async def test_an_entry_that_is_too_large_is_dropped_and_its_beginning_kept(ledger: Ledger) -> None:
    await ledger.admit("web", size=1000)
    await ledger.say("web", *SUBMIT[:-1], json.dumps("x" * 1000), "job_id", "j1")
    await ledger.say("web", *SUBMIT, *(f"f{n}" for n in range(2 * LIMITS["source_fields"])))
    await ledger.say("web", *SUBMIT, "job_id", "j2")
    await ledger.take_in("web")
    assert [copy["job_id"] for copy in await copies(ledger)] == ["web/j2"]
    assert await limits(ledger) == [("size", 2)]
    large, many = await ledger.dead()
    assert (large["stream"], large["code"], len(large["payload_json"])) == ("in:web", "NOT_PERMITTED", LIMITS["id"])
    assert "source web may not send an entry of 1" in large["reason"]
    assert "in 69 fields" in many["reason"]
    assert (await ledger.hash("counters"))["sources_dropped"] == "2"
    assert "dead" not in await ledger.hash("counters"), "what never was in the log is none of its dead"


async def test_of_a_backlog_the_oldest_are_dropped_and_counted_to_the_last_one(ledger: Ledger) -> None:
    await ledger.freeze()
    await ledger.admit("web", backlog=10, rate=5)
    for n in range(50):
        await ledger.say("web", *SUBMIT, "job_id", f"j{n}")
    await ledger.take_in("web")
    assert [copy["job_id"] for copy in await copies(ledger)] == [f"web/j{n}" for n in range(40, 45)]
    for n in range(50, 60):
        await ledger.say("web", *SUBMIT, "job_id", f"j{n}")
    await ledger.take_in("web")
    assert await limits(ledger) == [("backlog", 40), ("rate", 0)], "a flood is not answered by a flood of facts"
    for _ in range(3):
        await ledger.pass_time(1000)
        await ledger.take_in("web")
    assert await ledger.waiting("web") == 0
    assert (await limits(ledger))[-1] == ("backlog", 5), "nothing that was dropped is left unsaid"
    assert len(await copies(ledger)) + 45 == 60
    source = await ledger.hash("source", "web")
    assert (source["dropped"], source["limited_cause"], source["limited"]) == ("45", "backlog", "3")


@pytest.mark.parametrize("highest", [HIGHEST, f"{2**63}-7", "99999999999999-0"])
async def test_a_bricked_ingress_loses_what_is_ahead_of_the_clock_and_goes_on(ledger: Ledger, highest: str) -> None:
    await ledger.admit("web")
    first = await ledger.say("web", *SUBMIT, "job_id", "j1")
    await ledger.say("web", *SUBMIT, "job_id", "j2", entry_id=highest)
    await ledger.take_in("web")
    assert [copy["job_id"] for copy in await copies(ledger)] == ["web/j1"]
    assert await limits(ledger) == [("id", 1)]
    (letter,) = await ledger.dead()
    assert (letter["stream"], letter["id"], letter["job_id"]) == ("in:web", highest, "j2")
    about = await ledger.redis.xinfo_stream(ledger.keys("ingress", "web"))
    assert about["last-generated-id"] == first, "nothing that comes now is taken for something that came before"
    await ledger.say("web", *SUBMIT, "job_id", "j3")
    await ledger.take_in("web")
    assert (await ledger.job("web/j3"))["status"] == "created"


async def test_an_ingress_of_another_type_is_recorded_once_and_passed_over(ledger: Ledger) -> None:
    await ledger.admit("web")
    await ledger.admit("shop")
    await ledger.redis.set(ledger.keys("ingress", "web"), "x")
    await ledger.say("shop", *SUBMIT, "job_id", "j1")
    for _ in range(3):
        assert await ledger.take_in("web", "shop") == {"web": LIMITS["sleep_ms"]}
    assert (await ledger.job("shop/j1"))["status"] == "created"
    assert await limits(ledger) == [("type", 0)]
    await ledger.redis.delete(ledger.keys("ingress", "web"))
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    assert await ledger.take_in("web", "shop") == {}
    assert (await ledger.job("web/j1"))["status"] == "created"


async def test_a_flood_of_one_source_does_not_hold_up_another(ledger: Ledger) -> None:
    await ledger.admit("flood")
    await ledger.admit("web")
    for n in range(300):
        await ledger.say("flood", *SUBMIT, "job_id", f"j{n}")
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    reply = await script("ingest")(ledger.redis, **ledger.given(40), speakers="flood web")
    assert reply[5] == ["flood", "0"]
    assert (await ledger.job("web/j1"))["status"] == "created"
    assert len(await copies(ledger, "flood")) == 10


async def test_what_is_taken_in_leaves_room_for_what_it_brings_about(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.admit("web")
    for n in range(20):
        await ledger.say("web", *SUBMIT, "job_id", f"j{n}")
    reply = await script("ingest")(ledger.redis, **ledger.given(16), speakers="web")
    assert len(await copies(ledger)) == 8
    assert len(await ledger.facts("job.dispatched")) >= 7
    assert reply[-1] == (await ledger.hash("meta"))["watermark"]


async def test_while_the_memory_is_nearly_full_submissions_wait_in_the_ingress_and_node_events_do_not(
    ledger: Ledger,
) -> None:
    await ledger.admit("web")
    await ledger.admit("gpu", "n1")
    await ledger.take_in("web", "gpu")  # the server has the script: to read it takes memory, too
    await ledger.redis.hset(ledger.keys("meta"), "memory_ts", 0)
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    await ledger.say("gpu", *REGISTER)
    used = int((await ledger.redis.info("memory"))["used_memory"])
    await ledger.redis.config_set("maxmemory", used * 100 // 95)
    try:
        assert await ledger.take_in("web", "gpu") == {"web": LIMITS["sleep_ms"]}
        assert await ledger.info("n1")
    finally:
        await ledger.redis.config_set("maxmemory", 0)
    await ledger.redis.hset(ledger.keys("meta"), "memory_ts", 0)
    assert await ledger.take_in("web", "gpu") == {}
    assert (await ledger.job("web/j1"))["status"] == "dispatched"


async def test_the_status_shows_who_waits_and_which_limit_bit(log: Ledger, cli: Cli) -> None:
    await log.admit("web", backlog=2, rate=1)
    await log.admit("gpu", "n1")
    for _ in range(5):
        await log.say("web", *SUBMIT)
    await log.take_in("web")
    shown = cli.run("status")
    assert "web" in shown.out
    assert "backlog, " in shown.out or "rate, " in shown.out
    outcome = json.loads(cli.run("status", "--json").out)
    assert [(row["source"], row["role"], row["dropped"]) for row in outcome["sources"]] == [
        ("gpu", "node", 0),
        ("web", "producer", 3),
    ]


def torn(name: str, at: int) -> Script:
    """An entry script whose ``at``-th command fails, as if the server's memory had ended there."""
    cut = Script(name)
    before = "local rcall = redis.call"
    assert before in cut.text
    breaking = f"""function(...)
        calls = calls + 1
        if calls == {at} then error({{ halt = 'TORN there' }}) end
        return redis.call(...)
    end"""
    cut.text = "local calls = 0\n" + cut.text.replace(before, before.replace("redis.call", breaking))
    cut.sha = "0" * 40
    return cut


async def test_a_call_torn_at_any_command_loses_nothing_and_takes_nothing_in_twice(redis: Any, keys: Keys) -> None:
    at, tears, whole = 0, 0, False
    while not whole:
        at += 1
        ledger = Ledger(redis, Keys(f"{keys.namespace}-{at}"))
        await ledger.node("n2", "en-fr")
        await ledger.admit("web")
        await ledger.admit("gpu", "n1")
        await ledger.say("gpu", *REGISTER)
        await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
        for n in range(3):
            await ledger.say("web", *SUBMIT, "job_id", f"j{n}")
        await ledger.say("web", "nonsense")
        await ledger.say("web", *SUBMIT, "job_id", "j3", entry_id=HIGHEST)
        try:
            await torn("ingest", at)(redis, **ledger.given(), speakers="web gpu")
            whole = True
        except PartitionHalted:
            tears += 1
        except ResponseError:
            pass  # before the first write: nothing has happened
        await rebuild_if_damaged(redis, ledger.keys)
        assert await ledger.take_in("web", "gpu") == {}
        assert [copy["job_id"] for copy in await copies(ledger) if "job_id" in copy] == ["web/j0", "web/j1", "web/j2"]
        assert len(await copies(ledger, "gpu")) == 1
        assert (await ledger.info("n1"))["online"] == "true"
        codes = [letter["code"] for letter in await ledger.dead() if letter["stream"] == "events"]
        # a decision of the torn call never took effect
        assert [code for code in codes if code != "FORGED_DECISION"] == ["NOT_PERMITTED"], await ledger.dead()
        assert (await ledger.waiting("web"), await ledger.waiting("gpu")) == (0, 0)
        await ledger.say("web", *SUBMIT, "job_id", "j4")
        await ledger.take_in("web")
        assert (await ledger.job("web/j4"))["status"] == "dispatched"
        await ledger.check()
        await redis.flushdb()
    assert tears > 50


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"source": "a b", "role": "producer"}, "source is"),
        ({"source": "a/b", "role": "producer"}, "use letters, digits, dot, hyphen"),
        ({"source": "a*", "role": "producer"}, "source is"),
        ({"source": "x" * 65, "role": "producer"}, "keep it within 64"),
        ({"source": "web", "role": "boss"}, "give producer or node"),
        ({"source": "web", "role": "node"}, "node_id is missing"),
        ({"source": "web", "role": "producer", "node_id": "n1"}, "does not go with role producer"),
        ({"source": "web", "role": "producer", "rate": "0"}, "rate is"),
        ({"source": "web", "role": "producer", "size": "-1"}, "size is"),
        ({"source": "web", "role": "producer", "backlog": "many"}, "backlog is"),
        ({"source": "web", "role": "producer", "priority": "101"}, "priority is"),
    ],
)
async def test_a_source_that_cannot_be_admitted_is_refused_with_the_field_and_the_remedy(
    ledger: Ledger, fields: dict[str, str], why: str
) -> None:
    answer = await ledger.answer(["type", "source.admitted", *(part for pair in fields.items() for part in pair)])
    assert answer[0] == "INVALID_FIELD"
    assert why in answer[1]


async def test_a_source_admitted_again_keeps_its_place_and_takes_its_new_limits(ledger: Ledger) -> None:
    await ledger.admit("web", rate=7)
    entry_id = await ledger.say("web", *SUBMIT)
    await ledger.take_in("web")
    await ledger.admit("web", backlog=3)
    source = await ledger.hash("source", "web")
    assert (source["rate"], source["backlog"], source["last_id"]) == (str(LIMITS["source_rate"]), "3", entry_id)
