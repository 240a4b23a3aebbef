"""What happens because time passes. The scheduler's clock is put ahead (``Ledger.pass_time``); nothing sleeps."""

from __future__ import annotations

import pytest

from streamsched.contract.events import NodeHeartbeat, SchedulerConfigured, SessionReleased
from streamsched.contract.kinds import LIMITS

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def frozen(ledger: Ledger) -> None:
    await ledger.freeze()


async def test_the_reply_says_when_something_falls_due_next(ledger: Ledger) -> None:
    assert (await ledger.advance())[1] == ""
    await ledger.node()
    expiry = int((await ledger.advance())[1])
    assert expiry == int((await ledger.info())["since_ts"]) + 30_000
    job = await ledger.submit()
    assert int((await ledger.advance())[1]) == int(job["dispatched_ts"]) + 10_000
    soon = await ledger.now() + 5_000
    await ledger.submit("j2", deadline_ts=soon)
    assert int((await ledger.advance())[1]) == soon


async def test_an_assignment_that_is_not_accepted_goes_to_another_node(ledger: Ledger) -> None:
    await ledger.node("n1")
    old = await ledger.submit()
    await ledger.node("n2")
    await ledger.pass_time(10_000)
    fact = await ledger.last("job.requeued")
    assert (fact["job_id"], fact["node_id"], fact["cause"]) == ("j1", "n1", "accept timeout")
    job = await ledger.job()
    assert (job["node_id"], job["attempts"], job["excluded"]) == ("n2", "1", "n1")
    assert job["attempt"] != old["attempt"]
    outcome = (await ledger.inbox("n1"))[-1]
    assert (outcome["type"], outcome["attempt"], outcome["reason"]) == (
        "job.cancelled",
        old["attempt"],
        "accept timeout",
    )


async def test_a_node_that_beats_but_takes_nothing_is_closed_until_it_says_that_it_accepts(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await ledger.submit("j2")
    await ledger.submit("j3")
    for job_id in ("j1", "j2", "j3"):
        await ledger.tell("started", job_id)
        await ledger.tell("completed", job_id, status="finished")
    assert (await ledger.info())["window"] == "16"
    await ledger.submit("j4")
    await ledger.submit("j5")
    await ledger.pass_time(10_000)
    assert (await ledger.info())["window"] == "8", "its credit is gone"
    assert await ledger.held() == set()
    assert await ledger.online() == set()
    await ledger.append(NodeHeartbeat(node_id="n1", online=True))
    await ledger.pass_time(1_000)
    assert await ledger.held() == set(), "it has beaten all the time: a beat alone says nothing"
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
    assert len(await ledger.held()) == 1, "it is asked again, with one job"


async def test_a_started_or_declined_assignment_has_no_accept_timeout(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    await ledger.pass_time(15_000)
    assert (await ledger.job())["status"] == "running"


async def test_a_running_job_has_no_time_limit_unless_one_is_configured(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    for _ in range(10):
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        await ledger.pass_time(25_000)
    assert (await ledger.job())["status"] == "running"


async def test_a_job_that_runs_too_long_is_tried_elsewhere(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(job_timeout_ms=2_000))
    await ledger.node("n1")
    await ledger.submit()
    await ledger.node("n2")
    await ledger.tell("started")
    await ledger.pass_time(1_999)
    assert (await ledger.job())["status"] == "running"
    await ledger.pass_time(1)
    fact = await ledger.last("job.requeued")
    assert fact["cause"] == "job timeout"
    assert (await ledger.job())["status"] == "created", "a pause comes first"
    await ledger.pass_time(500)
    job = await ledger.job()
    assert (job["status"], job["node_id"], job["attempts"]) == ("dispatched", "n2", "2")


async def test_progress_restarts_the_time_limit(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(job_timeout_ms=2_000))
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    for _ in range(4):
        await ledger.pass_time(1_500)
        await ledger.tell("progressed")
    assert (await ledger.job())["status"] == "running"
    await ledger.pass_time(2_000)
    assert (await ledger.last("job.requeued"))["cause"] == "job timeout"


async def test_progress_after_the_time_limit_was_lifted_does_not_end_the_job(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(job_timeout_ms=20_000))
    await ledger.node()
    await ledger.submit()
    await ledger.tell("started")
    await ledger.append(SchedulerConfigured(job_timeout_ms=0))
    await ledger.pass_time(10)
    await ledger.tell("progressed")
    await ledger.pass_time(10)
    assert (await ledger.job())["status"] == "running"


async def test_a_failure_is_tried_again_on_another_node_after_a_pause_that_doubles(ledger: Ledger) -> None:
    nodes = {"n1", "n2", "n3", "n4"}
    for node_id in nodes:
        await ledger.node(node_id)
    await ledger.append(SchedulerConfigured(retry_backoff_ms=100))
    job, tried = await ledger.submit(max_attempts=4), []
    for pause in (100, 200, 400):
        tried.append(job["node_id"])
        await ledger.tell("started")
        await ledger.tell("completed", status="failed", error="boom")
        assert int((await ledger.last("job.requeued"))["retry_ts"]) == await ledger.now() + pause
        await ledger.pass_time(pause - 1)
        assert (await ledger.job())["status"] == "created"
        await ledger.pass_time(1)
        job = await ledger.job()
        assert job["status"] == "dispatched"
    tried.append(job["node_id"])
    assert set(tried) == nodes
    await ledger.tell("completed", status="failed", error="boom again")
    job = await ledger.job()
    assert (job["status"], job["attempts"], job["error"]) == ("failed", "4", "boom again")


async def test_the_pause_before_a_retry_doubles_exactly_and_has_a_limit(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(retry_backoff_ms=20_000))
    await ledger.node()
    await ledger.submit(max_attempts=5)
    pauses = []
    for _ in range(4):
        await ledger.tell("completed", status="failed")
        pauses.append(int((await ledger.last("job.requeued"))["retry_ts"]) - await ledger.now())
        for _ in range(pauses[-1] // 10_000):
            await ledger.append(NodeHeartbeat(node_id="n1", online=True))
            await ledger.pass_time(10_000)
    assert pauses == [20_000, 40_000, LIMITS["backoff_ms"], LIMITS["backoff_ms"]]


async def test_the_same_node_tries_again_only_if_there_is_no_other(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.submit()
    await ledger.tell("completed", status="failed")
    await ledger.pass_time(500)
    assert (await ledger.job())["node_id"] == "n1"
    assert (await ledger.last("job.dispatched"))["why"] == "last_resort"
    await ledger.node("n2")
    await ledger.tell("completed", status="failed")
    await ledger.pass_time(1_000)
    assert (await ledger.job())["node_id"] == "n2"


@pytest.mark.parametrize("configured", [True, False])
async def test_max_attempts_comes_with_the_job_or_from_the_configuration(ledger: Ledger, configured: bool) -> None:
    if configured:
        await ledger.append(SchedulerConfigured(max_attempts=2))
    await ledger.node()
    await ledger.submit(max_attempts=None if configured else 2)
    await ledger.tell("completed", status="failed")
    await ledger.pass_time(500)
    await ledger.tell("completed", status="failed", error="boom")
    job = await ledger.job()
    assert (job["status"], job["error"]) == ("failed", "boom")
    assert await ledger.held() == set()


async def test_a_job_whose_last_attempt_is_lost_has_failed_and_says_so(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(job_timeout_ms=1_000))
    await ledger.node()
    await ledger.submit(max_attempts=1, reply_to="me")
    await ledger.tell("started")
    await ledger.pass_time(1_000)
    job = await ledger.job()
    assert (job["status"], job["error"]) == ("failed", "job timeout: attempt 1 of 1")
    assert (await ledger.last("job.exhausted"))["cause"] == job["error"]
    (outcome,) = await ledger.redis.xrange(ledger.keys.reply("me"))
    assert outcome[1]["status"] == "failed"


async def test_what_never_began_is_no_attempt_but_pauses_from_the_second_time_on(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit(max_attempts=1)
    await ledger.tell("declined", reason="not now")
    assert (await ledger.job())["status"] == "dispatched", "the first time it is asked elsewhere at once"
    await ledger.tell("declined", reason="not now")
    job = await ledger.job()
    assert (job["status"], job["attempts"], job["misses"]) == ("created", "0", "2")
    await ledger.pass_time(1_000)
    assert (await ledger.job())["status"] == "dispatched"


async def test_a_waiting_job_expires_at_its_deadline(ledger: Ledger) -> None:
    deadline_ts = await ledger.now() + 1_000
    await ledger.submit(deadline_ts=deadline_ts)
    await ledger.pass_time(1_000)
    job = await ledger.job()
    assert (job["status"], job["error"]) == ("expired", f"deadline_ts {deadline_ts} has passed")
    await ledger.node()
    assert await ledger.held() == set()
    assert await ledger.redis.exists(ledger.keys("deadlines")) == 0


async def test_a_held_job_expires_at_its_deadline_and_its_node_is_notified(ledger: Ledger) -> None:
    await ledger.node()
    job = await ledger.submit(deadline_ts=await ledger.now() + 1_000)
    await ledger.tell("started")
    await ledger.pass_time(1_000)
    assert (await ledger.job())["status"] == "expired"
    outcome = (await ledger.inbox())[-1]
    assert (outcome["type"], outcome["attempt"], outcome["reason"]) == (
        "job.cancelled",
        job["attempt"],
        "deadline passed",
    )
    assert (await ledger.tell("completed", status="finished"))[0] == "ALREADY_TERMINAL"


async def test_a_finished_job_has_no_deadline_any_more(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit(deadline_ts=await ledger.now() + 1_000)
    await ledger.tell("completed", status="finished")
    await ledger.pass_time(1_000)
    assert (await ledger.job())["status"] == "finished"


async def test_a_job_waits_for_its_time(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1", not_before_ts=await ledger.now() + 3_000)
    await ledger.submit("j2", priority=-100)
    assert await ledger.held() == {"j2"}, "it blocks no other job"
    await ledger.pass_time(2_999)
    assert (await ledger.job("j1"))["status"] == "created"
    await ledger.pass_time(1)
    assert (await ledger.job("j1"))["status"] == "dispatched"
    assert (await ledger.types())[-2:] == ["job.due", "job.dispatched"]


async def test_a_time_that_is_over_is_now(ledger: Ledger) -> None:
    await ledger.node()
    assert (await ledger.submit(not_before_ts=10**12))["status"] == "dispatched"


async def test_an_ended_job_is_kept_for_its_retention_and_then_dropped_by_event_time(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(retention_ms=5_000))
    await ledger.node()
    await ledger.submit()
    await ledger.tell("completed", status="finished")
    await ledger.pass_time(4_999)
    await ledger.append(SessionReleased(session_id="another"))
    assert (await ledger.job())["status"] == "finished"
    await ledger.pass_time(1)
    assert (await ledger.job())["status"] == "finished", "time alone drops nothing: a replay could not follow"
    await ledger.append(SessionReleased(session_id="another"))
    assert await ledger.job() == {}
    assert await ledger.hash("session", "s1") == {}, "a session goes with its last job"
    assert (await ledger.tell("completed", status="finished", node_id="n1"))[0] == "UNKNOWN_JOB"


async def test_a_session_outlives_its_earlier_jobs(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(retention_ms=5_000))
    await ledger.node()
    await ledger.submit("j1")
    await ledger.tell("completed", "j1", status="finished")
    await ledger.pass_time(3_000)
    await ledger.submit("j2")
    await ledger.tell("completed", "j2", status="finished")
    await ledger.pass_time(2_000)
    await ledger.append(SessionReleased(session_id="another"))
    assert await ledger.job("j1") == {}
    assert (await ledger.hash("session", "s1"))["last_job"] == "j2"
    assert (await ledger.submit("j3"))["status"] == "dispatched"
    assert (await ledger.last("job.dispatched"))["affinity"] == "kept"


async def test_no_event_drops_more_than_two_ended_jobs(ledger: Ledger) -> None:
    for n in range(5):
        await ledger.submit(f"j{n}", immediate=True)
    await ledger.pass_time(3_600_000)
    left = []
    for _ in range(3):
        await ledger.append(SessionReleased(session_id="another"))
        left.append(await ledger.redis.llen(ledger.keys("ended")))
    assert left == [3, 1, 0]


async def test_nothing_in_the_state_lives_by_a_clock_of_the_server(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit(reply_to="me")
    await ledger.tell("completed", status="finished")
    keys = [key async for key in ledger.redis.scan_iter(match=ledger.keys.prefix + "*", count=1000)]
    living = {key for key in keys if await ledger.redis.pttl(key) != -1}
    assert living == {ledger.keys.reply("me")}, "a reply is an effect, not state"


@pytest.mark.parametrize("said", [{}, {"begun": "true"}, {"begun": "false"}])
@pytest.mark.parametrize("started", [True, False])
async def test_an_attempt_that_may_have_begun_counts_when_it_is_handed_back(
    ledger: Ledger, said: dict[str, str], started: bool
) -> None:
    counts = started or said.get("begun") == "true"
    await ledger.node()
    await ledger.submit(max_attempts=2)
    if started:
        await ledger.tell("started")
    await ledger.tell("declined", reason="node restarted", **said)
    job = await ledger.job()
    assert (job["attempts"], job.get("begun_on"), "begun" in job) == (
        "2" if counts else "1",
        "n1" if counts else None,
        False,
    )
    assert ("refund" in await ledger.last("job.requeued")) is not counts
    await ledger.tell("declined", reason="node restarted", begun="true")
    assert (await ledger.job())["status"] == ("failed" if counts else "dispatched")
    if counts:
        end = await ledger.last("job.exhausted")
        assert (end["cause"], end["nodes"]) == ("declined: node restarted: attempt 2 of 2", "n1")


async def test_the_end_names_the_last_eight_nodes_that_attempts_began_on(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(retry_backoff_ms=0))
    for n in range(10):
        await ledger.node(f"n{n}")
    await ledger.submit(max_attempts=10)
    order = []
    for _ in range(10):
        order.append((await ledger.job())["node_id"])
        await ledger.tell("declined", reason="node restarted", begun="true")
        await ledger.advance()
    assert (await ledger.last("job.exhausted"))["nodes"].split("\n") == order[-8:]


async def test_what_never_begins_is_given_up_after_a_bound_that_a_full_node_does_not_count_for(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(retry_backoff_ms=0))
    await ledger.node()
    await ledger.submit(max_attempts=1)
    await ledger.tell("declined", reason="full")
    await ledger.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
    for n in range(LIMITS["misses"]):
        job = await ledger.job()
        assert (job["status"], job.get("misses", "0")) == ("dispatched", str(n))
        await ledger.tell("declined", reason="no such voice")
    end = await ledger.last("job.exhausted")
    assert end["cause"] == "declined: no such voice: handed back 100 times without being begun"
    assert "nodes" not in end
