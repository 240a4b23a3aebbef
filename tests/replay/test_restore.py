"""A state rebuilt from an archive: on an empty server, over a trimmed log, beside what producers appended meanwhile."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.archive.archiver import Archiver
from streamsched.archive.copies import copy_archive
from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.errors import LogFork, LogGap, LogWiped, PartitionRebuilding
from streamsched.contract.events import JobSubmitted
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.log.live import LiveLog
from streamsched.replay.rebuild import rebuild
from streamsched.replay.restore import restore
from streamsched.replay.values import read_state

from ..support.ledger import Job, Ledger
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log is archived and lost, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def story(log: Ledger, name: str) -> None:
    """Jobs that end, one that runs, one that waits, and a dead letter."""
    await log.node("n1")
    for n in range(4):
        await log.submit(f"{name}{n}")
        await log.tell("completed", f"{name}{n}", status="finished")
    await log.submit(f"{name}-runs")
    await log.tell("started", f"{name}-runs")
    await log.submit(f"{name}-waits", src="xx", tgt="yy")
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()


async def archived(live: LiveLog, folder: Path, trim: bool = False) -> Archive:
    with ArchiveWriter(folder, live.keys) as writer:
        await Archiver(live, writer, max_events=5, trim=trim).once()
    return Archive.open(folder, live.keys)


async def wipe(log: Ledger) -> None:
    await log.redis.flushdb()


async def state_of(log: Ledger) -> dict[str, Any]:
    return await read_state(log.redis, log.keys)


async def test_a_wiped_server_is_as_it_was_and_goes_on(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    before, letters = await state_of(log), await log.redis.xrange(log.keys("dead"))
    await wipe(log)
    assert await restore(log.redis, live, kept) == kept.count
    assert await state_of(log) == before
    assert await log.redis.xrange(log.keys("dead")) == letters
    await log.advance()
    assert (await log.submit("new"))["status"] == "dispatched"
    assert (await archived(live, tmp_path)).count == int((await log.hash("meta"))["folded"])


async def test_what_producers_append_to_a_wiped_server_is_folded_behind_the_archive(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await wipe(log)
    await log.add({"type": "job.cancelled", "job_id": "a-waits"})
    await log.add({"type": "node.expired", "node_id": "n1", "last_heartbeat_ts": "0"})
    await restore(log.redis, live, kept)
    await log.advance()
    assert (await log.job("a-waits"))["status"] == "cancelled"
    assert (await log.dead())[-1]["code"] == "FORGED_DECISION", "facts after the archive are forged"


async def test_a_trimmed_log_is_rebuilt_from_archive_and_log_with_the_overlap_found_by_id(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    await archived(live, tmp_path)
    for job_id in ("a-runs", "a-waits"):
        await log.append(["type", "job.cancelled", "job_id", job_id])
    await archived(live, tmp_path, trim=True)
    await story(log, "b")
    kept = await archived(live, tmp_path)
    await story(log, "c")
    before = await state_of(log)
    with pytest.raises(LogGap, match=rf"--from DIR`. They were archived to {tmp_path}"):
        await rebuild(log.redis, log.keys)
    assert await state_of(log) == before, "nothing was dropped"
    await restore(log.redis, live, kept)
    assert await state_of(log) == before
    await log.advance()


async def test_a_log_that_lost_its_end_is_mended_from_the_archive(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log, "a")
    early = await log.redis.dump(log.keys("events"))
    assert early
    entries = await live.redis.xrange(log.keys("events"))
    await story(log, "b")
    kept, before = await archived(live, tmp_path), await state_of(log)
    await wipe(log)
    for entry_id, flat in entries:
        await log.redis.execute_command("XADD", log.keys("events"), entry_id, *flat)
    await restore(log.redis, live, kept)
    assert await state_of(log) == before


async def test_a_wiped_partition_that_went_on_without_its_past_is_not_rebuilt_unasked(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await wipe(log)
    await story(log, "b")
    before = await state_of(log)
    with pytest.raises(LogWiped, match="--replace"):
        await restore(log.redis, live, kept)
    assert await state_of(log) == before


REISSUED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "the last one": lambda flat: [b"type", b"session.released", b"session_id", b"of what came since"],
    "another value": lambda flat: [*flat[:-1], b"another"],
    "one more field": lambda flat: [*flat, b"note", b"x"],
    "bytes that are no UTF-8": lambda flat: [*flat[:-1], b"\xff"],
}
"""What stands under the id of the last entry of a log that has lost what was behind it."""


@pytest.mark.parametrize("longer", [False, True], ids=["the archive is ahead", "the log is ahead"])
@pytest.mark.parametrize("reissued", REISSUED)
async def test_a_log_that_issued_lost_ids_again_is_not_rebuilt_by_the_archive_of_the_other_history(
    reissued: str, longer: bool, log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamsched.replay.restore.CHUNK", 4)
    await story(log, "a")
    entries = await live.redis.xrange(log.keys("events"))
    lost = len(entries) - 6
    kept = await archived(live, tmp_path)
    await wipe(log)
    for n, (entry_id, flat) in enumerate(entries[:lost]):
        fields = REISSUED[reissued](flat) if n == lost - 1 else flat
        await live.redis.execute_command("XADD", log.keys("events"), entry_id, *fields)
    await log.advance()
    if longer:
        await story(log, "b")
    before, held = await state_of(log), await live.redis.xrange(log.keys("events"))
    remedy = f"`streamsched archive --to NEW --from {tmp_path}`"
    parted = rf"not the same history from {entries[lost - 1][0].decode()} on; .*{remedy}"
    with pytest.raises(LogFork, match=parted):
        await restore(log.redis, live, kept)
    assert await live.redis.xrange(log.keys("events")) == held, "what came since is kept"
    assert await state_of(log) == before


async def test_letters_of_an_archive_of_another_history_bury_nothing(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await log.add({"type": "node.registered", "node_id": "n1", "cap_json": "{}"})
    await log.advance()
    entries = await live.redis.xrange(log.keys("events"))
    lost = await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()
    kept = await archived(live, tmp_path)
    await wipe(log)
    for entry_id, flat in entries:
        await live.redis.execute_command("XADD", log.keys("events"), entry_id, *flat)
    await log.redis.xadd(log.keys("events"), {"type": "node.cordoned", "node_id": "n1"}, id=lost)
    await log.advance()
    await log.append(["type", "node.registered", "node_id", "n2", "cap_json", "{}"])
    with pytest.raises(LogFork, match=f"not the same history from {lost} on"):
        await restore(log.redis, live, kept)
    assert (await log.hash("node_info", "n1"))["cordoned"] == "true"


async def test_after_that_refusal_its_remedy_leads_to_an_archive_the_log_can_be_rebuilt_from(
    cli: Cli, tmp_path: Path
) -> None:
    raw: Any = connect(cli.url, decode=False)
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log, live = Ledger(redis, cli.keys), LiveLog(raw, cli.keys)
    await story(log, "a")
    entries = await raw.xrange(log.keys("events"))
    assert cli.run("archive", "--to", "kept", "--once", "--max-events", "5").code == 0
    await redis.delete(*[key async for key in redis.scan_iter(match=cli.keys.prefix + "*")])
    for entry_id, flat in entries[:11]:
        await raw.execute_command("XADD", log.keys("events"), entry_id, *flat)
    await raw.execute_command("XADD", log.keys("events"), entries[11][0], "type", "node.cordoned", "node_id", "n1")
    while (await live.span()).count < 12:
        await log.advance()
    before = await read_state(redis, cli.keys)
    refused = cli.run("rebuild", "--from", "kept", "--yes")
    assert (refused.code, "FORK" in refused.err) == (1, True), refused.err
    remedy = re.search(r"`streamsched (archive --to NEW --from [^`]+)`", refused.err)
    assert remedy, refused.err
    assert cli.run(*shlex.split(remedy[1]), "--once").code == 0
    rebuilt = cli.run("rebuild", "--from", "NEW", "--yes")
    assert rebuilt.code == 0, rebuilt.err
    assert await read_state(redis, cli.keys) == before
    await redis.aclose()
    await raw.aclose()


async def test_events_missing_between_archive_and_log_are_reported_and_nothing_is_dropped(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await story(log, "b")
    await log.redis.xtrim(log.keys("events"), maxlen=3, approximate=False)
    before = await state_of(log)
    with pytest.raises(LogGap, match=rf"{kept.last}\b.*give an archive that reaches further"):
        await restore(log.redis, live, kept)
    assert await state_of(log) == before


async def test_an_archive_without_the_first_events_rebuilds_nothing(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log, "a")
    await log.redis.xtrim(log.keys("events"), maxlen=3, approximate=False)
    with pytest.raises(LogGap, match="events of the log"):
        await restore(log.redis, live, await archived(live, tmp_path))


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", range(1, 12))
async def test_a_restore_that_is_killed_is_never_read_as_whole_and_the_next_one_goes_on(
    after: int, log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log, "a")
    kept, before = await archived(live, tmp_path), await state_of(log)
    await wipe(log)
    monkeypatch.setattr("streamsched.replay.restore.CHUNK", 4)
    calls = 0
    execute = type(log.redis).execute_command

    async def dies(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += str(arguments[0]).startswith("EVAL")
        if calls > after:
            raise Killed
        return await execute(self, *arguments, **options)

    monkeypatch.setattr(type(log.redis), "execute_command", dies)
    ended = False
    try:
        await restore(log.redis, live, kept)
        ended = True
    except Killed:
        pass
    monkeypatch.undo()
    phase = await log.redis.hget(log.keys("meta"), "rebuilding")
    assert ended or phase or not await state_of(log)
    if phase in ("drop", "archive"):
        with pytest.raises(PartitionRebuilding, match="run it again"):
            await rebuild(log.redis, log.keys)  # as a worker would
    await restore(log.redis, live, kept)
    assert await state_of(log) == before


async def test_the_command_rebuilds_a_wiped_server_beside_a_running_worker(cli: Cli, tmp_path: Path) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    await story(log, "a")
    assert cli.run("archive", "--to", "kept", "--once").code == 0
    worker = cli.start("worker")
    eventually(lambda: "advancing" in cli.output(worker))
    cli.stop(worker)
    await redis.delete(*[key async for key in redis.scan_iter(match=cli.keys.prefix + "*")])
    rebuilt = cli.run("rebuild", "--from", "kept", "--yes")
    assert (rebuilt.code, rebuilt.err) == (0, "")
    assert "rebuilt from" in rebuilt.out
    worker = cli.start("worker")
    eventually(lambda: "advancing" in cli.output(worker))
    assert (await log.job("a-waits"))["status"] == "created"
    await redis.aclose()


async def test_an_empty_folder_is_no_archive(cli: Cli, tmp_path: Path) -> None:
    refused = cli.run("rebuild", "--from", str(tmp_path), "--yes")
    assert refused.code == 1
    assert "manifest.json is missing" in refused.err


async def test_a_rebuild_that_is_killed_again_and_again_is_never_read_as_whole(cli: Cli) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    async with redis.pipeline(transaction=False) as pipe:
        for n in range(10_000):
            waits = JobSubmitted(session_id=f"s{n}", src_lang="xx", tgt_lang="yy", payload_json="{}")
            pipe.execute_command("XADD", cli.keys("events"), "*", *to_wire(waits))
        await pipe.execute()
    while await redis.hget(cli.keys("meta"), "folded") != "10000":
        await log.advance()
    before, met = await read_state(redis, cli.keys), 0
    for _ in range(4):
        process = cli.start("rebuild", "--yes")
        eventually(lambda: cli.redis.hexists(cli.keys("meta"), "rebuilding"))
        cli.stop(process, signal.SIGKILL)
        if await redis.hexists(cli.keys("meta"), "rebuilding"):
            met += 1
            with pytest.raises(PartitionRebuilding):
                await log.advance()
    assert met, "every rebuild was over before it was killed"
    assert cli.run("rebuild", "--yes").code == 0
    assert await read_state(redis, cli.keys) == before
    await redis.aclose()


async def test_a_killed_restore_that_continues_with_a_longer_copy_of_the_archive_begins_again(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log, "a")
    yesterday = copy_archive((await archived(live, tmp_path / "kept")).folder, tmp_path / "yesterday")
    await story(log, "b")
    kept = await archived(live, tmp_path / "kept")
    before = await read_state(log.redis, log.keys)
    await wipe(log)
    with monkeypatch.context() as patch:
        patch.setattr("streamsched.replay.restore.fold_log", dies)
        with pytest.raises(Killed):
            await restore(log.redis, live, yesterday)
    await log.redis.hset(log.keys("meta"), "rebuilding", "archive")  # as if it had been killed a little earlier
    assert await restore(log.redis, live, kept) == kept.count
    assert await read_state(log.redis, log.keys) == before


async def dies(*_: Any) -> int:
    raise Killed


async def lost_and_begun_again(log: Ledger, live: LiveLog, folder: Path) -> tuple[Archive, list[Job]]:
    """Lose an archived log, and begin another one; returns the archive, and the dead letters of the lost log."""
    await story(log, "a")
    kept, letters = await archived(live, folder), await log.dead()
    await wipe(log)
    await log.node("n2")
    return kept, letters


async def test_a_replace_brings_the_letters_of_the_lost_log_back_where_the_new_one_has_none(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    kept, before = await lost_and_begun_again(log, live, tmp_path)
    await restore(log.redis, live, kept, replace=True)
    assert await log.dead() == before
    assert await log.hash("dead_codes") == {"UNKNOWN_JOB": "1"}


async def test_the_letters_of_a_new_server_whose_clock_is_behind_come_behind_those_of_the_lost_log(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    kept, before = await lost_and_begun_again(log, live, tmp_path)
    beat = {"type": "node.heartbeat", "node_id": "stranger", "online": "true"}
    await log.redis.xadd(
        log.keys("dead"), {"id": "1000-0", "stream": "heartbeats", "code": "UNKNOWN_NODE"} | beat, id="1-0"
    )
    await restore(log.redis, live, kept, replace=True)
    assert [letter["id"] for letter in await log.dead()] == [*(letter["id"] for letter in before), "1000-0"]


async def test_segments_that_are_listed_again_are_compared_with_the_log(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    manifest = (await archived(live, tmp_path)).folder / MANIFEST
    yesterday, entries = manifest.read_bytes(), await log.redis.xrange(log.keys("events"))
    await story(log, "b")
    await archived(live, tmp_path)
    manifest.write_bytes(yesterday)
    await log.redis.delete(log.keys("events"))  # the server lost the end of its log, and was not replaced
    for entry_id, fields in entries:
        await log.redis.xadd(log.keys("events"), fields, id=entry_id)
    with ArchiveWriter(tmp_path, live.keys) as writer, pytest.raises(LogFork, match="which the log has lost"):
        await Archiver(live, writer).once()
