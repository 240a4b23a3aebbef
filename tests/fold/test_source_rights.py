"""What a source of each role may send, over every type of event there is, and what sources cannot do to each other."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from streamsched.contract.events import NodeOffline, SourceRole
from streamsched.contract.wire import EVENTS
from streamsched.engine.source import facts

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

PRODUCER, NODE = SourceRole.PRODUCER, SourceRole.NODE
SPEAKER = {PRODUCER: "web", NODE: "gpu"}
SUBMIT = ("job.submitted", "session_id", "s1", "src_lang", "zh", "tgt_lang", "en", "payload_json", "{}")
POOLS = json.dumps([{"name": "en-zh"}])
HELD = ("job_id", "web/j1", "node_id", "n1", "attempt", "@attempt")
"""The job that the node holds."""

TABLE: dict[str, tuple[tuple[str, ...], frozenset[SourceRole]]] = {
    "node.registered": (("node_id", "n1", "cap_json", "{}", "pool_names_json", POOLS), frozenset({NODE})),
    "node.heartbeat": (("node_id", "n1", "online", "true", "request_id", "r"), frozenset({NODE})),
    "node.offline": (("node_id", "n1"), frozenset({NODE})),
    "node.cordoned": (("node_id", "n1"), frozenset()),
    "node.uncordoned": (("node_id", "n1"), frozenset()),
    "node.drained": (("node_id", "n1"), frozenset()),
    "node.retired": (("node_id", "n1"), frozenset()),
    "pool.paused": (("pool_id", "en-zh"), frozenset()),
    "pool.resumed": (("pool_id", "en-zh"), frozenset()),
    "pair.paused": (("src_lang", "en", "tgt_lang", "zh"), frozenset()),
    "pair.resumed": (("src_lang", "en", "tgt_lang", "zh"), frozenset()),
    "job.submitted": (SUBMIT[1:], frozenset({PRODUCER})),
    "job.started": (HELD, frozenset({NODE})),
    "job.progressed": (HELD, frozenset({NODE})),
    "job.declined": ((*HELD, "reason", "full"), frozenset({NODE})),
    "job.completed": ((*HELD, "status", "finished"), frozenset({NODE})),
    "job.cancelled": (("job_id", "j1"), frozenset({PRODUCER})),
    "session.released": (("session_id", "s1"), frozenset({PRODUCER})),
    "source.admitted": (("source", "mine", "role", "producer"), frozenset()),
    "source.revoked": (("source", "shop"), frozenset()),
    "scheduler.configured": (("max_attempts", "9"), frozenset()),
    "letter.dropped": (("letter", "@letter"), frozenset()),
}
"""Each type that may come from outside: a good event of it, and the roles that may send it."""

FORGED: dict[str, tuple[tuple[str, ...], frozenset[SourceRole]]] = {
    kind: (("job_id", "web/j1", "node_id", "n1", "attempt", "@attempt"), frozenset()) for kind in facts()
}


async def stage(ledger: Ledger) -> dict[str, str]:
    """A node, two producers, a job that the node holds, a letter of one producer; returns what a row may refer to."""
    await ledger.admit("gpu", "n1")
    await ledger.admit("web")
    await ledger.admit("shop")
    await ledger.say("gpu", "node.registered", *TABLE["node.registered"][0])
    await ledger.say("gpu", *("node.heartbeat", "node_id", "n1", "online", "true"))
    await ledger.take_in("gpu")
    await ledger.say("web", *SUBMIT, "job_id", "j1")
    await ledger.say("shop", *SUBMIT, "job_id", "j1", "priority", "7")
    await ledger.take_in("web", "shop")
    job = await ledger.job("web/j1")
    assert job["status"] == "dispatched"
    return {"@attempt": job["attempt"], "@letter": (await ledger.letter_ids())[0]}


def test_the_table_covers_every_event_and_every_role() -> None:
    assert set(TABLE) == set(EVENTS), "a new type of event: say here who may send it through an ingress"
    assert set(SPEAKER) == set(SourceRole), "a new role: say here what it may send"
    assert {role for _, roles in TABLE.values() for role in roles} == set(SourceRole)


@pytest.mark.parametrize("role", SourceRole)
@pytest.mark.parametrize("kind", [*TABLE, *FORGED, "no.such"])
async def test_a_source_may_send_the_events_of_its_role_and_no_others(
    ledger: Ledger, role: SourceRole, kind: str
) -> None:
    known = await stage(ledger)
    fields, roles = {**TABLE, **FORGED}.get(kind, ((), frozenset()))
    before, letters = await ledger.trace(), len(await ledger.dead())
    source = SPEAKER[role]
    entry_id = await ledger.say(source, kind, *(known.get(part, part) for part in fields))
    await ledger.take_in(source)
    entries = await ledger.redis.xrange(ledger.keys("events"))
    stamped = [(e["source"], e["source_id"]) for _, e in entries if "source_id" in e]
    assert stamped[-1] == (source, entry_id), "its event is in the log, with its name"
    refused = (await ledger.dead())[letters:]
    if role in roles:
        assert refused == []
        return
    assert [letter["code"] for letter in refused] == ["NOT_PERMITTED"]
    after = await ledger.trace()
    heard = f"source:{source}"
    assert after | {heard: after[heard] | {"last_id": before[heard]["last_id"]}} == before


# --- what two sources cannot do to each other


async def test_a_source_retries_no_letter_of_another_by_naming_it(ledger: Ledger) -> None:
    letter = (await stage(ledger))["@letter"]
    for source, said in (
        ("web", (*SUBMIT, "job_id", "j2")),
        ("web", ("job.cancelled", "job_id", "j1")),
        ("gpu", ("node.offline", "node_id", "n1")),
    ):
        await ledger.say(source, *said, "retry_of", letter)
        await ledger.take_in(source)
    assert await ledger.redis.exists(ledger.keys("letters")) == 0, "the letter stays open"
    assert (await ledger.job("web/j2"))["status"] == "created", "the rest of the event counts"
    assert not await ledger.job("shop/j1")
    assert len(await ledger.dead()) == 1


async def test_a_request_id_that_another_source_has_used_takes_effect_all_the_same(ledger: Ledger) -> None:
    await stage(ledger)
    await ledger.admit("gpu2", "n2")
    await ledger.node("n3")
    await ledger.say("gpu", "node.offline", "node_id", "n1", "request_id", "r")
    await ledger.say("gpu2", "node.registered", "node_id", "n2", "cap_json", "{}", "pool_names_json", POOLS)
    await ledger.say("gpu2", "node.heartbeat", "node_id", "n2", "online", "true")
    await ledger.take_in("gpu", "gpu2")
    assert (await ledger.info("n2"))["online"] == "true"
    await ledger.say("gpu2", "node.offline", "node_id", "n2", "request_id", "r")
    await ledger.take_in("gpu2")
    assert (await ledger.info("n2"))["online"] == "false"
    await ledger.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    await ledger.take_in("gpu")
    assert (await ledger.info("n1"))["online"] == "true"
    await ledger.append(NodeOffline(node_id="n1", request_id="r"))
    assert (await ledger.info("n1"))["online"] == "false", "nor does it swallow what an operator says"
    assert len(await ledger.dead()) == 1


async def test_jobs_and_sessions_of_the_same_name_are_two(ledger: Ledger) -> None:
    await stage(ledger)
    await ledger.submit("j1")
    for source in ("web", "shop"):
        await ledger.say(source, *SUBMIT, "job_id", "both", "request_id", "r")
        await ledger.say(source, *SUBMIT, "request_id", "r")
    await ledger.take_in("web", "shop")
    ids = ("web/both", "shop/both", "web/s1:r", "shop/s1:r", "web/j1", "j1")
    assert [bool(await ledger.job(job_id)) for job_id in ids] == [True] * 6
    await ledger.say("web", "job.cancelled", "job_id", "shop/both")
    soon = str(int(time.time() * 1000) + 60_000)
    await ledger.say("web", *SUBMIT, "job_id", "shop/both", "deadline_ts", soon)
    await ledger.say("web", "session.released", "session_id", "shop/s1", "request_id", "q")
    await ledger.say("web", "session.released", "session_id", "s1", "request_id", "q")
    await ledger.take_in("web")
    assert (await ledger.job("shop/both"))["deadline_ts"] != soon
    assert (await ledger.job("shop/both"))["status"] != "cancelled"
    assert (await ledger.job("web/shop/both"))["deadline_ts"] == soon
    assert [letter["code"] for letter in (await ledger.dead())[1:]] == ["UNKNOWN_JOB"], "there was no web/shop/both yet"


async def test_a_node_says_nothing_of_a_job_that_another_node_holds(ledger: Ledger) -> None:
    known = await stage(ledger)
    await ledger.admit("gpu2", "n2")
    await ledger.say("gpu2", "node.registered", "node_id", "n2", "cap_json", "{}", "pool_names_json", POOLS)
    await ledger.take_in("gpu2")
    before = await ledger.job("web/j1")
    about: tuple[Any, ...] = ("job_id", "web/j1", "attempt", known["@attempt"], "node_id")
    for kind, more in (("started", ()), ("progressed", ()), ("declined", ()), ("completed", ("status", "finished"))):
        for node_id in ("n1", "n2"):
            await ledger.say("gpu2", f"job.{kind}", *about, node_id, *more)
    await ledger.take_in("gpu2")
    assert await ledger.job("web/j1") == before
    assert [letter["code"] for letter in (await ledger.dead())[1:]] == ["NOT_PERMITTED", "NODE_MISMATCH"] * 4
