"""What each event does to a job: the table of all statuses and events, then the claims behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamsched.contract.events import (
    Affinity,
    JobCancelled,
    JobSubmitted,
    NodeHeartbeat,
    SchedulerConfigured,
    SessionReleased,
)
from streamsched.contract.kinds import LIMITS

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

UNKNOWN, STALE, OVER, SAME = "UNKNOWN_JOB", "STALE_ATTEMPT", "ALREADY_TERMINAL", "same"
EVENTS = ("started", "progressed", "declined", "finished", "failed", "cancelled", "submitted")
TABLE = {
    # status before: what each event above leads to, a status or the code of the refusal
    "unknown": (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "dispatched"),
    "waiting": (STALE, STALE, STALE, STALE, STALE, "cancelled", SAME),
    "not due": (STALE, STALE, STALE, STALE, STALE, "cancelled", SAME),
    "dispatched": ("running", "dispatched", "created", "finished", "created", "cancelled", SAME),
    "running": (SAME, "running", "created", "finished", "created", "cancelled", SAME),
    "finished": (OVER, OVER, OVER, SAME, OVER, OVER, SAME),
    "failed": (OVER, OVER, OVER, OVER, SAME, OVER, SAME),
    "cancelled": (OVER, OVER, OVER, OVER, OVER, SAME, SAME),
    "expired": (OVER, OVER, OVER, OVER, OVER, OVER, SAME),
    "refused": (OVER, OVER, OVER, OVER, OVER, OVER, SAME),
}
CELLS = [(before, event, after) for before, row in TABLE.items() for event, after in zip(EVENTS, row, strict=True)]


async def bring_to(ledger: Ledger, status: str) -> None:
    """Bring job j1, with a session, a node and a pair of its own, to ``status``."""
    await ledger.node()
    if status in ("waiting", "not due", "expired", "refused"):
        await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    cases: dict[str, dict[str, Any]] = {
        "not due": {"not_before_ts": await ledger.now() + 60_000},
        "expired": {"deadline_ts": await ledger.now() + 5_000},
        "refused": {"immediate": True},
        "failed": {"max_attempts": 1},
    }
    if status != "unknown":
        await ledger.submit(**cases.get(status, {}))
    if status == "running":
        await ledger.tell("started")
    elif status in ("finished", "failed"):
        await ledger.tell("completed", status=status)
    elif status == "cancelled":
        await ledger.append(JobCancelled(job_id="j1"))
    elif status == "expired":
        await ledger.pass_time(5_001)


async def happen(ledger: Ledger, event: str) -> list[str]:
    if event == "submitted":
        job = await ledger.job()
        given = {name: int(job[name]) for name in ("deadline_ts", "not_before_ts", "max_attempts") if name in job}
        immediate = True if job.get("immediate") else None
        submission = JobSubmitted(
            job_id="j1",
            session_id="s1",
            src_lang="zh",
            tgt_lang="en",
            payload_json='{"text":"hm"}',
            immediate=immediate,
            deadline_ts=given.get("deadline_ts"),
            not_before_ts=given.get("not_before_ts"),
            max_attempts=given.get("max_attempts"),
        )
        return await ledger.answer(submission)
    if event == "cancelled":
        return await ledger.answer(JobCancelled(job_id="j1"))
    if event in ("finished", "failed"):
        return await ledger.tell("completed", status=event)
    return await ledger.tell(event, **({"reason": "full"} if event == "declined" else {}))


@pytest.mark.parametrize(("before", "event", "after"), CELLS, ids=[f"{b}-{e}" for b, e, _ in CELLS])
async def test_every_status_meets_every_event(ledger: Ledger, before: str, event: str, after: str) -> None:
    await bring_to(ledger, before)
    state, job = await ledger.trace(), await ledger.job()
    answer = await happen(ledger, event)
    if after.isupper():
        assert answer[0] == after
        assert "j1" in answer[1]
        assert await ledger.trace() == state
        letters = await ledger.dead()
        assert [(letter["code"], letter["job_id"]) for letter in letters] == [(after, "j1")]
        return
    assert answer[0] == ""
    assert await ledger.dead() == []
    if after == SAME:
        assert await ledger.trace() == state
    else:
        assert (await ledger.job())["status"] == after
    if event == "submitted" and job:
        assert answer[2:4] == ["j1", job["status"]], "a repeated submission is answered as the first one"


async def test_a_submission_waits_until_a_node_of_its_pair_is_there(ledger: Ledger) -> None:
    job = await ledger.submit()
    assert (job["status"], job["session_id"], job["src_lang"], job["tgt_lang"]) == ("created", "s1", "zh", "en")
    assert job["payload_json"] == '{"text":"hm"}'
    await ledger.node("n2", "de-fr")
    assert (await ledger.job())["status"] == "created"
    await ledger.node("n1", "en-zh")
    job = await ledger.job()
    assert (job["status"], job["node_id"], job["pool_id"]) == ("dispatched", "n1", "en-zh")
    assert await ledger.held("n1") == {"j1"}


async def test_a_job_without_an_id_is_named_after_its_session_and_its_submission(ledger: Ledger) -> None:
    answer = await ledger.answer(JobSubmitted(session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}"))
    assert answer[2] == f"s1:{answer[1]}"
    assert (await ledger.job(answer[2]))["submit_id"] == answer[1]


async def test_the_payload_reaches_the_node_byte_for_byte(ledger: Ledger) -> None:
    payload = '{ "a/b": [], "n": 12345678901234567890, "t": "你好 🙂" }'
    await ledger.node()
    await ledger.append(
        JobSubmitted(
            job_id="j1", session_id="s1", src_lang="zh", tgt_lang="en", payload_json=payload, traceparent="00-ab"
        )
    )
    job = await ledger.job()
    (assigned,) = await ledger.inbox()
    assert assigned == {
        "type": "job.assigned",
        "job_id": "j1",
        "node_id": "n1",
        "attempt": job["attempt"],
        "session_id": "s1",
        "src_lang": "zh",
        "tgt_lang": "en",
        "payload_json": payload,
        "accept_by_ts": str(int(job["dispatched_ts"]) + 10_000),
        "attempts": "1",
        "traceparent": "00-ab",
    }


async def test_an_immediate_job_is_dispatched_at_once(ledger: Ledger) -> None:
    await ledger.node()
    answer = await ledger.answer(
        JobSubmitted(
            job_id="j1", session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}", immediate=True, deliver=False
        )
    )
    job = await ledger.job()
    assert answer[2:] == ["j1", "dispatched", "n1", "en-zh", job["attempt"], ""]
    assert await ledger.inbox() == [], "who asks for no delivery delivers by himself"
    await ledger.pass_time(20_000)
    assert (await ledger.job())["status"] == "dispatched", "and has no accept timeout"


@pytest.mark.parametrize(
    ("around", "code", "remedy"),
    [
        ("nothing", "NO_POOL_FOR_LANG_PAIR", "register a node with such a pool"),
        ("no member", "EMPTY_POOL", "register a node"),
        ("offline", "NO_AVAILABLE_NODE", "offline, cordoned, full or not accepting"),
        ("cordoned", "NO_AVAILABLE_NODE", "offline, cordoned, full or not accepting"),
    ],
)
async def test_an_immediate_job_without_a_node_is_refused_with_the_reason(
    ledger: Ledger, around: str, code: str, remedy: str
) -> None:
    if around != "nothing":
        await ledger.node()
    if around == "no member":
        await ledger.node("n1", "de-fr")
    elif around in ("offline", "cordoned"):
        await ledger.append(["type", f"node.{around}", "node_id", "n1"])
    job = await ledger.submit(immediate=True)
    assert job["status"] == "refused"
    assert job["error"].startswith(f"{code} ")
    fact = await ledger.last("job.refused")
    assert (fact["job_id"], fact["code"]) == ("j1", code)
    assert remedy in fact["detail"]
    assert await ledger.dead() == [], "a refusal is a fact, not a bad event"


async def test_a_session_stays_on_its_node(ledger: Ledger) -> None:
    for node_id in ("n1", "n2", "n3"):
        await ledger.node(node_id)
    first = await ledger.submit("j0")
    assert (await ledger.last("job.dispatched"))["affinity"] == "new"
    for n in range(1, 6):
        job = await ledger.submit(f"j{n}")
        assert job["node_id"] == first["node_id"]
        fact = await ledger.last("job.dispatched")
        assert (fact["why"], fact["affinity"]) == ("session", "kept")
    session = await ledger.hash("session", "s1")
    assert session == {
        "preferred_pool": "en-zh",
        "last_lang_pair": "zh:en",
        "node_id": first["node_id"],
        "last_job": "j5",
    }


async def test_a_session_stays_on_its_node_across_the_pools_of_that_node(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh", "de-en")
    await ledger.submit("j1")
    await ledger.node("n2", "en-zh", "de-en")
    for n in range(2, 6):
        job = await ledger.submit(f"j{n}", src="de")
        assert (job["node_id"], job["pool_id"]) == ("n1", "de-en")


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (["type", "node.cordoned", "node_id", "n1"], "broken: cordoned"),
        (["type", "node.offline", "node_id", "n1"], "broken: offline"),
        (["type", "node.heartbeat", "node_id", "n1", "online", "true", "accepting", "false"], "broken: not accepting"),
    ],
)
async def test_affinity_is_broken_for_a_cause_that_the_fact_names(ledger: Ledger, event: list[str], cause: str) -> None:
    await ledger.node("n1")
    await ledger.submit("j1")
    await ledger.tell("completed", "j1", status="finished")
    await ledger.node("n2")
    await ledger.append(event)
    assert (await ledger.submit("j2"))["node_id"] == "n2"
    assert (await ledger.last("job.dispatched"))["affinity"] == cause
    assert (await ledger.hash("session", "s1"))["node_id"] == "n2"


async def test_affinity_is_broken_by_a_full_node_and_by_other_languages(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit("j1")
    await ledger.submit("j2")
    await ledger.node("n2", "en-zh", "de-fr")
    await ledger.tell("declined", "j2", reason="full")
    assert (await ledger.last("job.dispatched"))["affinity"] == "broken: full"
    await ledger.submit("j3", session_id="s2")
    assert (await ledger.job("j3"))["node_id"] == "n2"
    await ledger.node("n3", "es-it")
    await ledger.submit("j4", session_id="s2", src="es", tgt="it")
    assert (await ledger.last("job.dispatched"))["affinity"] == "broken: other languages"


async def test_a_job_with_affinity_none_does_not_follow_its_session(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit("j1")
    await ledger.submit("j2")
    await ledger.node("n2")
    answer = await ledger.answer(
        JobSubmitted(
            job_id="j3", session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}", affinity=Affinity.NONE
        )
    )
    assert answer[4] == "n2", "of two nodes the one that holds fewer jobs"
    fact = await ledger.last("job.dispatched")
    assert (fact["why"], fact["affinity"]) == ("two_choices", "none")
    assert sorted(fact["seen"].split()) == ["n1=2", "n2=0"]


async def test_a_released_session_starts_over(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit("j1")
    await ledger.append(SessionReleased(session_id="s1"))
    assert await ledger.hash("session", "s1") == {}
    await ledger.submit("j2")
    assert (await ledger.last("job.dispatched"))["affinity"] == "new"


async def test_a_started_job_is_running_and_starting_it_twice_changes_nothing(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    job = await ledger.job()
    assert job["status"] == "running"
    assert int(job["started_ts"]) >= int(job["dispatched_ts"])
    assert job["timer"] == "", "it has been accepted, and a job has no time limit unless one is configured"
    before = await ledger.trace()
    assert (await ledger.tell("started"))[0] == ""
    assert await ledger.trace() == before


async def test_progress_is_kept_with_its_time(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    await ledger.pass_time(100)
    await ledger.tell("progressed", progress_json='{"done":3}')
    job = await ledger.job()
    assert job["progress_json"] == '{"done":3}'
    assert int(job["progressed_ts"]) >= int(job["started_ts"]) + 100


async def test_a_completion_is_kept_and_frees_the_node(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    await ledger.tell("completed", status="finished", result_json='{"text":"well"}')
    job = await ledger.job()
    assert (job["status"], job["result_json"], job["node_id"]) == ("finished", '{"text":"well"}', "n1")
    assert await ledger.held() == set()
    assert (await ledger.hash("counters"))["finished"] == "1"


async def test_a_completion_needs_no_attempt_from_a_node_that_holds_the_job(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    flat = ["type", "job.completed", "job_id", "j1", "node_id", "n1", "status", "finished"]
    assert (await ledger.answer(flat))[0] == ""
    assert (await ledger.answer(flat))[0] == "", "and the same completion again is answered as the first time"
    assert await ledger.dead() == []


async def test_a_completion_by_another_node_is_refused(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    answer = await ledger.tell("completed", status="finished", node_id="n9")
    assert answer[0] == "NODE_MISMATCH"
    assert "n9 does not hold job j1: n1 does" in answer[1]
    assert (await ledger.job())["status"] == "dispatched"


async def test_a_late_completion_from_a_lost_attempt_is_refused(ledger: Ledger) -> None:
    await ledger.node("n1")
    old = await ledger.submit()
    await ledger.node("n2")
    await ledger.append(["type", "node.offline", "node_id", "n1"])
    new = await ledger.job()
    assert (new["node_id"], new["status"]) == ("n2", "dispatched")
    late = await ledger.tell("completed", status="finished", node_id="n1", attempt=old["attempt"])
    assert late[0] == "STALE_ATTEMPT"
    assert await ledger.job() == new
    assert (await ledger.tell("completed", status="finished"))[0] == ""


async def test_the_same_failure_twice_is_answered_as_the_first_time(ledger: Ledger) -> None:
    await ledger.node()
    job = await ledger.submit()
    first = await ledger.tell("completed", status="failed", error="no memory")
    before = await ledger.trace()
    second = await ledger.tell("completed", status="failed", error="no memory", node_id="n1", attempt=job["attempt"])
    assert (first[0], second[0]) == ("", "")
    assert await ledger.trace() == before
    assert await ledger.dead() == []


async def test_full_closes_the_node_until_something_ends(ledger: Ledger) -> None:
    await ledger.node()
    for n in (1, 2, 3):
        await ledger.submit(f"j{n}", session_id=f"s{n}")
    await ledger.tell("declined", "j3", reason="full")
    assert await ledger.held() == {"j1", "j2"}
    assert await ledger.online() == set()
    job = await ledger.job("j3")
    assert (job["status"], job["attempts"], job.get("excluded", "")) == ("created", "0", ""), (
        "full says nothing of the job"
    )
    await ledger.submit("j4", session_id="s4")
    assert (await ledger.job("j4"))["status"] == "created"
    await ledger.tell("completed", "j1", status="finished")
    assert await ledger.held() == {"j2", "j3"}, "one ended, so one more is given, the one that waited longest"
    assert (await ledger.job("j4"))["status"] == "created"


async def test_a_full_node_that_says_it_accepts_is_asked_again_with_one_job(ledger: Ledger) -> None:
    await ledger.node()
    for n in (1, 2, 3):
        await ledger.submit(f"j{n}")
    await ledger.tell("declined", "j1", reason="full")
    await ledger.tell("declined", "j2", reason="full")
    await ledger.tell("declined", "j3", reason="full")
    assert await ledger.held() == set()
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
    assert await ledger.held() == {"j1"}
    assert (await ledger.last("node.reported"))["accepting"] == "true"


async def test_any_other_reason_to_decline_excludes_the_node_from_the_job(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit()
    await ledger.node("n2")
    await ledger.tell("declined", reason="no such voice")
    job = await ledger.job()
    assert (job["node_id"], job["excluded"], job["attempts"]) == ("n2", "n1", "1")
    fact = await ledger.last("job.requeued")
    assert (fact["node_id"], fact["cause"], fact["refund"]) == ("n1", "declined: no such voice", "true")
    assert (await ledger.last("job.dispatched"))["affinity"] == "broken: tried before"
    assert "n1" in await ledger.online(), "it says nothing of the node"


async def test_cancelling_a_waiting_job_ends_it_at_once(ledger: Ledger) -> None:
    await ledger.submit()
    await ledger.append(JobCancelled(job_id="j1", reason="hung up"))
    job = await ledger.job()
    assert (job["status"], job["error"]) == ("cancelled", "hung up")
    await ledger.node()
    assert (await ledger.job())["status"] == "cancelled"
    assert await ledger.inbox() == []


async def test_cancelling_a_held_job_notifies_its_node(ledger: Ledger) -> None:
    await ledger.node()
    job = await ledger.submit()
    await ledger.tell("started")
    await ledger.append(JobCancelled(job_id="j1"))
    assert await ledger.held() == set()
    assert (await ledger.inbox())[-1] == {
        "type": "job.cancelled",
        "job_id": "j1",
        "node_id": "n1",
        "attempt": job["attempt"],
        "reason": "cancelled",
    }


async def test_a_higher_priority_goes_first_and_equals_go_in_order(ledger: Ledger) -> None:
    for n, priority in enumerate([0, 5, None, -5, 5, 100, -100]):
        await ledger.submit(f"j{n}", session_id=f"s{n}", priority=priority)
    await ledger.node()
    order = [entry["job_id"] for entry in await ledger.inbox()]
    assert order == ["j5", "j1", "j4", "j0", "j2", "j3", "j6"]


async def test_priority_holds_across_the_pairs_of_a_node(ledger: Ledger) -> None:
    languages = ["de", "en", "fr"]
    for n, (src, tgt) in enumerate([("de", "en"), ("fr", "en"), ("en", "de"), ("de", "en"), ("fr", "en")]):
        await ledger.submit(f"j{n}", session_id=f"s{n}", src=src, tgt=tgt, priority=n % 3)
    await ledger.node("n1", "-".join(languages))
    order = [entry["job_id"] for entry in await ledger.inbox()]
    assert order == ["j2", "j1", "j4", "j0", "j3"]


async def test_a_node_gets_no_more_unread_assignments_than_its_window(ledger: Ledger) -> None:
    await ledger.node()
    for n in range(600):
        await ledger.add({"type": "job.submitted", "job_id": f"j{n}", "session_id": "s", "src_lang": "zh"}
                         | {"tgt_lang": "en", "payload_json": "{}"})  # fmt: skip
    await ledger.advance()
    sizes: list[int] = []
    while len(held := await ledger.held()) and len(sizes) < 8:
        fresh = [job_id for job_id in held if (await ledger.job(job_id))["status"] == "dispatched"]
        sizes.append(len(fresh))
        for job_id in fresh:
            job = await ledger.job(job_id)
            await ledger.add({"type": "job.started", "job_id": job_id, "node_id": "n1", "attempt": job["attempt"]})
        await ledger.advance()
        if sum(sizes) == 600:
            break
    assert sizes == [8, 16, 32, 64, 128, 256, 96]
    info = await ledger.info()
    assert (info["window"], info["pending"]) == (str(LIMITS["window"]), "0")


async def test_one_call_deals_many_jobs_out_as_many_calls_would(ledger: Ledger) -> None:
    """What it remembers of nodes and pools on its way keeps up with what it does."""
    for node_id in ("n1", "n2"):
        await ledger.node(node_id)
    pair: dict[str, Any] = {"src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"}
    await ledger.append(*(JobSubmitted(job_id=f"j{n}", session_id=f"s{n}", **pair) for n in range(20)))
    assert [len(await ledger.held(node_id)) for node_id in ("n1", "n2")] == [8, 8]
    seen = [fact["seen"] for fact in await ledger.facts("job.dispatched")]
    total = [sum(int(count.split("=")[1]) for count in counts.split()) for counts in seen]
    assert total == [*range(15), 7], "each choice saw what the ones before it did; the last had one node left"


async def test_a_completion_that_skips_the_start_also_frees_the_window(ledger: Ledger) -> None:
    await ledger.node()
    for n in range(10):
        await ledger.submit(f"j{n}")
    assert len(await ledger.held()) == 8
    await ledger.tell("completed", "j0", status="finished")
    assert len(await ledger.held()) == 8
    assert (await ledger.info())["pending"] == "8"


async def test_outcomes_go_to_the_reply_address_of_the_submission(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1", reply_to="me")
    await ledger.submit("j2", reply_to="me", src="xx", immediate=True)
    await ledger.submit("j3", reply_to="me")
    await ledger.submit("j4")
    await ledger.tell("completed", "j1", status="finished", result_json="[1]")
    await ledger.append(JobCancelled(job_id="j3", reason="late"))
    await ledger.tell("completed", "j4", status="finished")
    key = ledger.keys.reply("me")
    replies = [fields for _, fields in await ledger.redis.xrange(key)]
    assert [(r["job_id"], r["status"], r["node_id"], r["result_json"]) for r in replies] == [
        ("j2", "refused", "", ""),
        ("j1", "finished", "n1", "[1]"),
        ("j3", "cancelled", "n1", ""),
    ]
    assert replies[0]["error"].startswith("NO_POOL_FOR_LANG_PAIR ")
    assert replies[2]["error"] == "late"
    assert 0 < await ledger.redis.pttl(key) <= LIMITS["reply_ms"]


async def test_the_same_submission_under_another_reply_address_is_the_same_submission(ledger: Ledger) -> None:
    await ledger.submit(reply_to="before")
    before = await ledger.trace()
    answer = await ledger.answer(
        JobSubmitted(
            job_id="j1",
            session_id="s1",
            src_lang="zh",
            tgt_lang="en",
            payload_json='{"text":"hm"}',
            reply_to="after the restart",
        )
    )
    assert answer[0] == ""
    assert await ledger.trace() == before


async def test_the_jobs_of_a_lost_node_go_to_others(ledger: Ledger) -> None:
    await ledger.node("n1")
    for n in range(3):
        await ledger.submit(f"j{n}")
    await ledger.tell("started", "j0")
    await ledger.node("n2")
    await ledger.append(["type", "node.offline", "node_id", "n1"])
    assert await ledger.held("n1") == set()
    assert await ledger.held("n2") == {"j0", "j1", "j2"}
    assert {fact["cause"] for fact in await ledger.facts("job.requeued")} == {"node lost"}
    attempts = {n: (await ledger.job(f"j{n}"))["attempts"] for n in range(3)}
    assert attempts == {0: "2", 1: "1", 2: "1"}, "an attempt counts once it started it"
    assert [entry["type"] for entry in await ledger.inbox("n1")].count("job.cancelled") == 3


async def test_a_job_that_its_caller_delivers_is_failed_when_its_node_is_lost(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.node("n2")
    job = await ledger.submit(immediate=True, deliver=False)
    await ledger.append(["type", "node.offline", "node_id", job["node_id"]])
    job = await ledger.job()
    assert job["status"] == "failed"
    assert "delivered by its caller" in job["error"]
    assert (await ledger.last("job.exhausted"))["job_id"] == "j1"


async def test_configuration_holds_for_what_comes_behind_it(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.append(SchedulerConfigured(accept_timeout_ms=77))
    job = await ledger.submit()
    timers = dict(await ledger.redis.zrange(ledger.keys("timers"), 0, -1, withscores=True))
    assert timers["j1"] == int(job["dispatched_ts"]) + 77
    assert await ledger.hash("config") == {"accept_timeout_ms": "77"}


async def test_a_gateway_gets_the_assignments_of_the_nodes_behind_it(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh", mailbox="gw")
    await ledger.node("n2", "de-fr", mailbox="gw")
    await ledger.submit("j1")
    await ledger.submit("j2", src="de", tgt="fr")
    assert [(e["job_id"], e["node_id"]) for e in await ledger.inbox("gw")] == [("j1", "n1"), ("j2", "n2")]
    assert await ledger.inbox("n1") == []
    await ledger.append(JobCancelled(job_id="j2"))
    assert (await ledger.inbox("gw"))[-1]["type"] == "job.cancelled"


async def test_events_may_come_in_any_spelling_of_a_number_that_is_whole(ledger: Ledger) -> None:
    later = await ledger.now() + 60_000
    await ledger.add(
        {"type": "job.submitted", "job_id": "j1", "session_id": "s1", "src_lang": "zh", "tgt_lang": "en"}
        | {"payload_json": json.dumps({}), "priority": "007", "not_before_ts": f"0{later}", "max_attempts": "02"}
    )
    await ledger.advance()
    assert (await ledger.job())["status"] == "created"
    assert await ledger.redis.zscore(ledger.keys("timers"), "j1") == later


async def test_a_zero_with_a_sign_is_zero(ledger: Ledger) -> None:
    await ledger.add({"type": "source.admitted", "source": "a", "role": "producer", "priority": "-0"})
    await ledger.advance()
    assert (await ledger.hash("source", "a"))["priority"] == "0"


@pytest.mark.parametrize("job_timeout_ms", [0, 60_000])
async def test_a_patient_job_that_its_caller_delivers_gets_no_inbox_entry_and_no_accept_timeout(
    ledger: Ledger, job_timeout_ms: int
) -> None:
    await ledger.append(SchedulerConfigured(job_timeout_ms=job_timeout_ms))
    await ledger.submit("j1", deliver=False)
    await ledger.node()
    job = await ledger.job()
    assert (job["status"], job["timer"]) == ("dispatched", "run" if job_timeout_ms else "")
    assert await ledger.inbox() == []
