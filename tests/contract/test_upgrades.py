"""Old logs fold to the same for ever, old events are read, and newer logs are left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamsched.contract.entries import Chunk
from streamsched.contract.errors import NewerLog
from streamsched.contract.keys import Keys
from streamsched.contract.wire import EVENTS
from streamsched.engine.script import script
from streamsched.engine.source import facts, sources
from streamsched.replay.rebuild import rebuild, refold
from streamsched.replay.scratch import Scratch
from streamsched.replay.values import read_state

from ..golden.fold import digest_of, recorded
from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.ndjson"))


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
async def test_the_log_of_a_release_folds_to_the_same_digest_for_ever(
    path: Path, batch: int, redis: Redis, keys: Keys
) -> None:
    log, digest = recorded(path)
    scratch = Scratch(redis, keys)
    for start in range(0, len(log.entries), batch):
        await scratch.feed(Chunk(log.entries[start : start + batch], log.buried))
    assert await digest_of(redis, keys) == digest


def test_the_golden_logs_hold_every_event_and_every_decision() -> None:
    logs = [recorded(path)[0] for path in GOLDEN]
    types = {entry.flat[1].decode() for log in logs for entry in log.entries if entry.id not in log.buried}
    assert types == (set(EVENTS) | set(facts())) - {"scheduler.upgraded"}
    assert len({reason.split()[0] for log in logs for reason in log.buried.values()}) >= 8


@contextmanager
def version(number: int) -> Iterator[None]:
    """Run with the folds of another version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamsched.engine.source.FOLD_VERSION", number)
        sources.cache_clear()
        script.cache_clear()
        yield
    sources.cache_clear()
    script.cache_clear()


PERMIT = ["type", "scheduler.configured", "fold_version"]


async def test_a_newer_program_folds_by_the_version_in_force_until_an_operator_permits_its_own(
    redis: Redis, keys: Keys
) -> None:
    ledger = Ledger(redis, keys)
    await ledger.node()
    with version(2):
        await ledger.submit("j0")
        assert "scheduler.upgraded" not in await ledger.types()
    await ledger.submit("j1")  # an older program works on beside it
    await ledger.append([*PERMIT, "2"])
    assert "scheduler.upgraded" not in await ledger.types()
    with version(2):
        await ledger.submit("j2")
        await ledger.submit("j3")
        assert (await ledger.types()).count("scheduler.upgraded") == 1
        assert (await ledger.hash("meta"))["fold_version"] == "2"
        await ledger.check()
        await ledger.redis.delete(ledger.keys("meta"))
        await rebuild(ledger.redis, ledger.keys)
        assert (await ledger.hash("meta"))["fold_version"] == "2"


async def test_an_older_program_leaves_a_newer_log_alone(redis: Redis, keys: Keys) -> None:
    ledger = Ledger(redis, keys)
    await ledger.node()
    with version(2):
        await ledger.append([*PERMIT, "2"])
        await ledger.advance()
    before, length = await read_state(redis, keys), await ledger.redis.xlen(keys("events"))
    for call in (
        lambda: ledger.advance(),
        lambda: ledger.submit("j2"),
        lambda: rebuild(redis, keys),
        lambda: refold(redis, keys, Keys("scratch")),
    ):
        with pytest.raises(NewerLog, match="upgrade it"):
            await call()
    assert await read_state(redis, keys) == before
    assert (await ledger.redis.xlen(keys("events")), await ledger.dead()) == (length, [])


async def test_a_rebuild_that_meets_a_newer_program_half_way_never_says_that_it_is_whole(
    redis: Redis, keys: Keys
) -> None:
    ledger = Ledger(redis, keys)
    await ledger.node()
    with version(2):
        await ledger.append([*PERMIT, "2"])
        await ledger.advance()
    await ledger.redis.delete(keys("meta"))
    with pytest.raises(NewerLog):
        await rebuild(redis, keys)
    assert await ledger.redis.hget(keys("meta"), "rebuilding") == "fold"
    with version(2):
        await rebuild(redis, keys)
        await ledger.check()


async def test_a_version_that_no_program_can_fold_stops_nothing(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.append([*PERMIT, "99"])
    await ledger.submit("j1")
    assert (await ledger.job("j1"))["status"] == "dispatched"
    assert "scheduler.upgraded" not in await ledger.types()


async def test_a_forged_upgrade_is_refused(ledger: Ledger) -> None:
    await ledger.add({"type": "scheduler.upgraded", "fold_version": "9"})
    await ledger.advance()
    assert (await ledger.dead())[0]["code"] == "FORGED_DECISION"


UPCAST = """local NEWEST = { ['job.cancelled'] = 2 }
local UPCASTS = { ['job.cancelled'] = { function(e)
  return { type = e.type, job_id = e.job_id, reason = e.because }
  end } }
"""


async def test_an_event_of_an_older_version_folds_as_the_one_it_has_become(redis: Redis, keys: Keys) -> None:
    ledger = Ledger(redis, keys)
    source = sources()["call/event"]
    body = source.body
    source.body = re.sub(r"local NEWEST = .*\nlocal UPCASTS = .*\n", UPCAST, body)
    script.cache_clear()
    try:
        for job_id in ("old", "new"):
            await ledger.submit(job_id, src="xx", tgt="yy")
        await ledger.append(["type", "job.cancelled", "job_id", "old", "because", "user left"])
        await ledger.append(["type", "job.cancelled", "job_id", "new", "reason", "user left", "v", "2"])
        await ledger.append(["type", "job.cancelled", "job_id", "new", "v", "3"])
        old, new = await ledger.job("old"), await ledger.job("new")
        assert (old["status"], old["error"]) == (new["status"], new["error"]) == ("cancelled", "user left")
        assert [letter["code"] for letter in await ledger.dead()] == ["UNSUPPORTED_VERSION"]
        await ledger.check_refold()  # the model has never heard of a second version
    finally:
        source.body = body
        script.cache_clear()


def test_golden_logs_are_small_enough_to_live_in_a_checkout() -> None:
    assert GOLDEN
    assert sum(path.stat().st_size for path in GOLDEN) < 300_000
    assert all(json.loads(path.read_text().splitlines()[-1])["digest"] for path in GOLDEN)
