"""One reading of what an event does to a job, for the dashboard, the metrics and the demo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from redis.asyncio import Redis

import streamsched
from streamsched.contract.entries import job_id_of, position
from streamsched.contract.events import SchedulerConfigured
from streamsched.dashboard.log_index.index import Index
from streamsched.demo.tally import Tally
from streamsched.history.history import History
from streamsched.history.lifecycle import Lifecycle, Step, What
from streamsched.history.query import collect_tail, database
from streamsched.history.story import trace
from streamsched.log.live import LiveLog
from streamsched.metrics.stages import Stages

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

RAW = {"type": "job.submitted", "session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"job_id": "j1", "request_id": "r7"}, "j1"),
        ({"request_id": "r7"}, "s1:r7"),
        ({}, "s1:5-0"),
        ({"job_id": ""}, "s1:5-0"),
    ],
)
def test_a_submission_without_a_job_id_is_named_by_its_request_or_its_entry(fields: dict[str, str], name: str) -> None:
    text = {**RAW, **fields}
    raw = {key.encode(): value.encode() for key, value in text.items()}
    assert (job_id_of(text, "5-0"), job_id_of(raw, b"5-0")) == (name, name.encode())


async def readers_of(history: History) -> tuple[Index, Stages]:
    """The dashboard's index and the durations of the metrics, over a whole history."""
    index, stages = Index(), Stages()
    async for chunk in history.chunks():
        index.add(chunk)
        for entry in chunk.entries:
            e = dict(zip(entry.flat[::2], entry.flat[1::2], strict=True))
            stages.follow(e[b"type"], entry.id, position(entry.id)[0], e)
    return index, stages


async def test_a_raw_submission_with_a_request_id_has_one_name_for_every_reader(
    ledger: Ledger, redis: Redis, live: LiveLog, tmp_path: Path
) -> None:
    await ledger.node()
    await ledger.add({**RAW, "request_id": "r7"})
    await ledger.advance()
    job = await ledger.job("s1:r7")
    assert job["status"] == "dispatched"
    await ledger.tell("completed", "s1:r7", status="finished")

    history = History(ledger.keys, live, None)
    index, stages = await readers_of(history)
    assert index._jobs.get(b"s1:r7") is None, "it has ended"
    assert not index._jobs._jobs, "a job stays open for ever"
    assert {stage: sum(one.counts) for stage, one in stages.took.items()}["waiting"] == 1

    tally = Tally()
    await tally.read(redis, ledger.keys)
    assert tally.outcomes == {"s1:r7": "finished"}
    assert set(tally.submitted) == {"s1:r7"}

    outcome = [step.type async for step in trace(history, "job", "s1:r7")]
    assert outcome == ["job.submitted", "job.dispatched", "job.completed"]

    with database(None, await collect_tail(history, tmp_path)) as connection:
        rows = connection.execute("SELECT job_id, status FROM jobs").fetchall()
    assert rows == [("s1:r7", "finished")]


@pytest.mark.parametrize("max_attempts", [1, 2])
async def test_a_job_has_ended_for_every_reader_when_its_last_permitted_attempt_has_failed(
    ledger: Ledger, redis: Redis, live: LiveLog, max_attempts: int
) -> None:
    history, tally = History(ledger.keys, live, None), Tally()
    assert (await ledger.answer(SchedulerConfigured(retry_backoff_ms=1)))[0] == ""
    await ledger.node()
    await ledger.submit(max_attempts=max_attempts)
    for attempt in range(max_attempts):
        await ledger.pass_time(10)  # a retry pauses first
        await ledger.tell("completed", status="failed", error=f"the GPU failed at attempt {attempt}")
        await tally.read(redis, ledger.keys)  # a reader that follows sees each failed attempt as the last event
    assert (await ledger.job())["status"] == "failed"

    index, stages = await readers_of(history)
    for jobs in (index._jobs, stages._jobs, tally._jobs):
        assert jobs.get(b"j1") is None
        assert not jobs._jobs, "a job stays open for ever"
    assert (tally.outcomes, tally.where) == ({"j1": "failed"}, {"j1": "ended"})
    assert [step.type async for step in trace(history, "job", "j1")][-1] == "job.completed", "no event follows"


async def test_a_block_of_the_index_names_the_session_of_a_job_that_is_retried(ledger: Ledger, live: LiveLog) -> None:
    await ledger.node()
    await ledger.submit(session_id="s7", max_attempts=2)
    await ledger.tell("completed", status="failed")
    await ledger.advance()
    index = Index()
    async for chunk in History(ledger.keys, live, None).chunks():
        for entry in chunk.entries:
            index._names = set()
            index.add(chunk._replace(entries=[entry]))
    assert b"s7" in index._names, "job.requeued, the last event, belongs to the session"


def test_the_name_of_a_job_is_formed_in_one_place() -> None:
    package = Path(streamsched.__file__).parent
    forming = re.compile(r"session_id.*:.*request_id|request_id.*or entry_id")
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.suffix in (".py", ".sql") and forming.search(path.read_text())
    }
    # SQL cannot call Python for each row: the test above holds it against the others
    assert found == {"contract/entries.py", "history/views.sql"}


def steps(*events: tuple[int, str, dict[str, str]]) -> list[Step | None]:
    lifecycle = Lifecycle()
    followed = []
    for ms, kind, fields in events:
        e = {name.encode(): text.encode() for name, text in {"job_id": "j1", **fields}.items()}
        followed.append(lifecycle.follow(f"job.{kind}".encode(), f"{ms}-0", ms, e))
    return followed


SUBMITTED = (1, "submitted", {"session_id": "s1"})
DISPATCHED = (5, "dispatched", {"node_id": "n1", "nonce": "x"})
BY_N1 = {"node_id": "n1", "attempt": "5-0-x"}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([SUBMITTED, SUBMITTED], [What.SUBMITTED, None]),
        ([DISPATCHED], [What.DISPATCHED]),
        ([SUBMITTED, (7, "started", BY_N1)], [What.SUBMITTED, None]),
        ([SUBMITTED, DISPATCHED, (7, "started", BY_N1)], [What.SUBMITTED, What.DISPATCHED, What.STARTED]),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "status": "failed"}), (8, "requeued", {})],
            [What.SUBMITTED, What.DISPATCHED, What.ENDED, What.WAITS_AGAIN],
        ),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "status": "failed"}), (8, "exhausted", {})],
            [What.SUBMITTED, What.DISPATCHED, What.ENDED, What.ENDED],
        ),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "status": "failed"}), (8, "cancelled", {})],
            [What.SUBMITTED, What.DISPATCHED, What.ENDED, What.ENDED],
        ),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "status": "failed"}), SUBMITTED],
            [What.SUBMITTED, What.DISPATCHED, What.ENDED, None],
        ),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "attempt": "4-0-y", "status": "finished"})],
            [What.SUBMITTED, What.DISPATCHED, None],
        ),
        (
            [SUBMITTED, DISPATCHED, (7, "completed", {**BY_N1, "status": "finished"}), (9, "cancelled", {})],
            [What.SUBMITTED, What.DISPATCHED, What.ENDED, None],
        ),
        ([SUBMITTED, DISPATCHED, (7, "declined", BY_N1)], [What.SUBMITTED, What.DISPATCHED, What.WAITS_AGAIN]),
    ],
)
def test_each_event_is_the_step_that_the_fold_makes_of_it(
    events: list[tuple[int, str, dict[str, str]]], expected: list[What | None]
) -> None:
    assert [step and step.what for step in steps(*events)] == expected
