"""A job that waits for long does not keep the log: its submission is repeated behind the tail."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamsched.archive.reader import Archive
from streamsched.contract.keys import Keys
from streamsched.history.history import History
from streamsched.history.story import trace
from streamsched.log.live import LiveLog
from streamsched.replay.restore import restore
from streamsched.replay.values import difference, read_state

from ..support.ledger import Ledger
from .test_archive import archive, logged, story

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log may be trimmed, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def test_a_submission_that_was_carried_behind_the_tail_lets_the_log_before_it_be_trimmed(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    options = ["priority", "7", "deadline_ts", str(await log.now() + 10**9), "affinity", "none"]
    said = ["session_id", "s9", "src_lang", "xx", "tgt_lang", "yy", "payload_json", '"嗯"', *options]
    await log.append(["type", "job.submitted", "job_id", "alive", "reply_to", "me", *said])
    before = await log.job("alive")
    await story(log)
    await log.append(["type", "job.submitted", "job_id", "alive", *said, "carries", before["submit_id"]])
    after = await log.job("alive")
    assert after == before | {"submit_id": after["submit_id"]} != before
    await log.append(["type", "job.submitted", "job_id", "alive", "request_id", "again", *said])
    assert await log.job("alive") == after, "a client's repeat is no carrying"
    await log.check()
    await archive(live, tmp_path, trim=True)
    (first, *_) = await logged(live)
    assert first.id == after["submit_id"]
    history = History(log.keys, live, None)
    words = [step.words async for step in trace(history, "job", "alive")]
    assert words[0] == f"submitted by session s9, xx → yy; carried here from {before['submit_id']}"
    state = await read_state(log.redis, log.keys)
    await restore(log.redis, live, Archive.open(tmp_path))
    assert difference(state, await read_state(log.redis, log.keys)) == {}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"job_id": "nothing"}, "UNKNOWN_JOB"),
        ({"payload_json": "2"}, "JOB_CONFLICT"),
        ({"carries": "never"}, "INVALID_FIELD"),
    ],
)
async def test_what_cannot_be_carried_is_refused(log: Ledger, changed: dict[str, str], code: str) -> None:
    job = await log.submit("j1", src="xx", tgt="yy")
    fields = {name: job[name] for name in ("session_id", "src_lang", "tgt_lang", "payload_json")}
    fields |= {"job_id": "j1", "carries": job["submit_id"]} | changed
    answer = await log.answer(["type", "job.submitted", *(part for pair in fields.items() for part in pair)])
    assert answer[0] == code
    assert (await log.job("j1"))["submit_id"] == job["submit_id"]


@pytest.mark.parametrize("carries", ["1-0", "of the first"])
async def test_only_the_present_submission_of_a_job_that_has_not_ended_is_carried(log: Ledger, carries: str) -> None:
    job = await log.submit("j1", src="xx", tgt="yy")
    fields = {name: job[name] for name in ("session_id", "src_lang", "tgt_lang", "payload_json")}
    if carries == "of the first":
        await log.append(["type", "job.cancelled", "job_id", "j1"])
        carries = job["submit_id"]
    fields |= {"job_id": "j1", "carries": carries}
    assert (await log.answer(["type", "job.submitted", *(part for pair in fields.items() for part in pair)]))[0] == ""
    assert (await log.job("j1"))["submit_id"] == job["submit_id"]
