"""What is archived is whole, chained and checked; what is damaged is named; what is alive stays in the log."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.archive import archiver, segment
from streamsched.archive.archiver import Archiver
from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.entries import Entry
from streamsched.contract.errors import ArchiveDamaged, ArchiveLocked, LogFork, LogGap, ServerOutOfMemory
from streamsched.contract.events import JobSubmitted
from streamsched.contract.keys import Keys
from streamsched.history.history import open_history
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log may be trimmed, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def story(log: Ledger, jobs: int = 6) -> None:
    """A node, jobs that end, a dead letter, a value that no column can hold."""
    if not await log.redis.exists(log.keys("meta")):
        await log.node()
    for _ in range(jobs):
        request = JobSubmitted(session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}")
        answer = await log.answer(request)
        job_id = f"s1:{answer[1]}"
        await log.tell("completed", job_id, status="finished")
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.add({"type": "session.released", "session_id": "s1", "note": b"\xff"})
    await log.advance()


async def archive(live: LiveLog, folder: Path, max_events: int = 5, trim: bool = False) -> Archiver:
    with ArchiveWriter(folder, live.keys) as writer:
        archiver = Archiver(live, writer, max_events=max_events, trim=trim)
        await archiver.once()
    return archiver


def entries(kept: Archive, after: str = "0-0", until: str = "+") -> list[Entry]:
    return [entry for chunk in kept.read(after, until, 3) for entry in chunk.entries]


async def logged(live: LiveLog) -> list[Entry]:
    return [Entry(entry_id.decode(), flat) for entry_id, flat in await live.redis.xrange(live.keys("events"))]


async def test_an_archive_holds_the_log_and_its_dead_letters_to_the_byte(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    await archive(live, tmp_path)
    kept = Archive.open(tmp_path, live.keys)
    assert entries(kept) == await logged(live)
    assert len(kept.segments) > 2
    letters = await live.redis.xrange(live.keys("dead"))
    assert [[entry.id.encode(), entry.flat] for entry in kept.letters()] == letters
    buried = {entry_id for chunk in kept.read(count=2) for entry_id in chunk.buried}
    assert buried == {letter["id"] for letter in await log.dead()}


async def test_a_second_run_goes_on_where_the_first_ended(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    before = Archive.open(tmp_path).segments
    await story(log)
    await archive(live, tmp_path)
    kept = Archive.open(tmp_path)
    assert kept.segments[: len(before)] == before
    assert entries(kept) == await logged(live)
    some = entries(kept)
    assert entries(kept, some[4].id, some[11].id) == some[5:12]


async def test_log_and_archive_are_one_history_with_the_overlap_found_by_id(
    server: EmbeddedServer, log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    await archive(live, tmp_path)
    everything = await logged(live)
    await archive(live, tmp_path, trim=True)
    assert len(await logged(live)) < len(everything)
    await story(log)
    newer = [entry for entry in await logged(live) if entry not in everything]
    async with open_history(server.url, live.keys, tmp_path) as history:
        found = [entry async for chunk in history.chunks(count=4) for entry in chunk.entries]
        span = await history.span()
    assert found == everything + newer
    assert (span.first, span.last, span.before, span.count) == (found[0].id, found[-1].id, 0, len(found))
    async with open_history(server.url, live.keys) as history:
        with pytest.raises(LogGap, match=f"were archived to {tmp_path}"):
            await history.whole()


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "bytes, its manifest says"),
    "bit-flipped": (lambda path: path.write_bytes(flipped(path.read_bytes())), "was altered"),
    "exchanged": (lambda path: exchange(path), "its manifest says|was altered"),
}


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def exchange(path: Path) -> None:
    shutil.copy(sorted(path.parent.glob("*.parquet"))[0], path)


@pytest.mark.parametrize("how", DAMAGE)
async def test_a_damaged_segment_is_named_and_gives_no_entry(
    how: str, log: Ledger, live: LiveLog, tmp_path: Path, cli: Cli
) -> None:
    await story(log)
    await archive(live, tmp_path)
    piece = Archive.open(tmp_path).segments[1]
    damage, words = DAMAGE[how]
    damage(tmp_path / piece.name)
    with pytest.raises(ArchiveDamaged, match=f"{piece.name}.*({words}).*restore it"):
        entries(Archive.open(tmp_path))
    checked = cli.run("archive", "--to", str(tmp_path), "--check", "--json")
    assert checked.code == 1
    assert [piece.name in problem for problem in json.loads(checked.out)["problems"]] == [True]


async def test_a_check_needs_no_server_and_reads_every_row(
    log: Ledger, live: LiveLog, tmp_path: Path, cli: Cli
) -> None:
    await story(log)
    await archive(live, tmp_path)
    held = Archive.open(tmp_path)
    checked = cli.run("archive", "--to", str(tmp_path), "--check", STREAMSCHED_URL="redis://127.0.0.1:1")
    assert checked.code == 0
    assert f"{len(held.segments)} segments with {held.count} events" in checked.out


async def test_a_manifest_that_leaves_a_segment_out_is_refused(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["segments"][1]
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArchiveDamaged, match="does not follow on"):
        Archive.open(tmp_path)


async def test_the_archive_of_another_partition_is_refused(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    with pytest.raises(ArchiveDamaged, match="give the right folder, --namespace"):
        Archive.open(tmp_path, Keys("other"))


async def test_a_segment_is_bounded_by_its_bytes_however_few_its_events(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiver, "MAX_BYTES", 1000)
    monkeypatch.setattr(archiver, "READ", 1)
    await log.node()
    for n in range(6):
        await log.submit(f"j{n}", src="xx", tgt="yy", traceparent="x" * 250)
    kept = (await archive(live, tmp_path / "kept", max_events=1000)).writer.archive
    assert len(kept.segments) > 1
    assert all(piece.events < 12 for piece in kept.segments)


async def test_what_is_held_of_the_dead_letters_does_not_grow_with_them(
    log: Ledger, live: LiveLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamsched.log.live.CHUNK", 1)
    for _ in range(9):
        await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()
    watermark, _ = await live.watermark()
    async for chunk in live.chunks("0-0", watermark, 1):
        assert list(chunk.buried) == [chunk.entries[-1].id]
        assert len(live._letters) <= 1, "a letter is read when its event is near, and forgotten behind it"


async def test_only_one_archiver_writes_to_a_folder(live: LiveLog, tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path, live.keys), pytest.raises(ArchiveLocked, match="is written by process"):
        ArchiveWriter(tmp_path, live.keys)
    with ArchiveWriter(tmp_path, live.keys):
        pass


async def test_a_full_disk_leaves_nothing_half_done_and_the_next_try_is_whole(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log)
    whole = segment.write

    def full(path: Path, tables: Any, metadata: dict[str, str]) -> None:
        whole(path, tables, metadata)
        with path.open("r+b") as file:
            file.truncate(100)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with ArchiveWriter(tmp_path, live.keys) as writer:
        archiver = Archiver(live, writer)
        monkeypatch.setattr(segment, "write", full)
        with pytest.raises(OSError, match="No space left"):
            await archiver.once()
        assert [path.name for path in tmp_path.iterdir()] == ["lock"] or not list(tmp_path.glob("*.par*"))
        monkeypatch.undo()
        await archiver.once()
    assert entries(Archive.open(tmp_path)) == await logged(live)


@pytest.mark.parametrize("left", ["1-0.parquet.part", "9-0.parquet", "manifest.json.part"])
async def test_what_a_killed_archiver_left_half_done_is_swept_away(
    left: str, log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    await archive(live, tmp_path)
    (tmp_path / left).write_bytes(b"half of it")
    await story(log)
    await archive(live, tmp_path)
    assert not (tmp_path / left).exists()
    assert entries(Archive.open(tmp_path)) == await logged(live)


async def test_trimming_stops_at_the_submission_of_a_job_still_alive(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    alive = await log.submit("alive", src="xx", tgt="yy")
    await story(log)
    done = await archive(live, tmp_path, trim=True)
    assert done.trimmed > 0
    assert (await logged(live))[0].id == alive["submit_id"]
    await log.append(["type", "job.cancelled", "job_id", "alive"])
    await archive(live, tmp_path, trim=True)
    assert await logged(live) == []


async def test_after_a_trim_everything_goes_on_and_no_gap_is_seen(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path, trim=True)
    await story(log)
    await archive(live, tmp_path, trim=True)
    assert (await log.submit("later"))["status"] == "dispatched"
    kept = Archive.open(tmp_path)
    assert (kept.before, kept.count) == (0, int((await log.hash("meta"))["folded"]) - 2)


async def test_nothing_is_trimmed_beyond_what_is_folded_or_archived(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    await story(log)
    unfolded = await log.add({"type": "session.released", "session_id": "s1"})
    with ArchiveWriter(tmp_path, live.keys) as writer:
        archived = writer.archive.last
        await Archiver(live, writer)._trim()
    left = [entry.id for entry in await logged(live)]
    assert left[0] > archived
    assert left[-1] == unfolded
    await log.advance()


async def renamed_server(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["replication_id"] = "0" * 40
    (folder / MANIFEST).write_text(json.dumps(manifest))


async def test_a_log_that_lost_its_end_is_reported_as_a_fork_and_nothing_is_written(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    await archive(live, tmp_path)
    kept = Archive.open(tmp_path)
    await live.redis.xdel(live.keys("events"), kept.last)
    await renamed_server(tmp_path)
    with pytest.raises(LogFork, match=f"{kept.last}, which the log has lost"):
        await archive(live, tmp_path)
    assert Archive.open(tmp_path).segments == kept.segments


async def test_another_event_under_the_same_id_is_a_fork(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    last = Archive.open(tmp_path).last
    state = await live.redis.dump(live.keys("events"))
    await live.redis.delete(live.keys("events"))
    await log.redis.xadd(log.keys("events"), {"type": "other"}, id=last)
    await renamed_server(tmp_path)
    with pytest.raises(LogFork):
        await archive(live, tmp_path)
    assert state


async def test_a_promoted_replica_with_the_same_log_is_followed(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path)
    await renamed_server(tmp_path)
    await story(log)
    await archive(live, tmp_path)
    assert entries(Archive.open(tmp_path)) == await logged(live)
    assert Archive.open(tmp_path).manifest.replication_id != "0" * 40


async def test_entries_trimmed_before_they_were_archived_are_reported(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    await archive(live, tmp_path)
    await story(log)
    await live.redis.xtrim(live.keys("events"), maxlen=2, approximate=False)
    with pytest.raises(LogGap, match="were trimmed unarchived"):
        await archive(live, tmp_path)


async def test_the_process_archives_while_the_log_grows_and_writes_the_rest_when_it_is_stopped(
    cli: Cli, servers: dict[str, EmbeddedServer], tmp_path: Path
) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    await story(log)
    process = cli.start("archive", "--to", "kept", "--max-events", "4", "--json")
    eventually(lambda: (tmp_path / "kept" / MANIFEST).exists() and Archive.open(tmp_path / "kept").count > 4)
    await story(log)
    assert cli.stop(process) == 0
    kept = Archive.open(tmp_path / "kept", cli.keys)
    assert kept.count == await redis.xlen(cli.keys("events"))
    assert json.loads(cli.output(process).splitlines()[-1])["events"] == kept.count
    await redis.aclose()


@pytest.mark.parametrize(("before", "behind", "ends"), [(6, 0, True), (0, 3, True), (6, 3, True), (0, 4, False)])
async def test_failures_before_the_stop_of_an_archiver_take_none_of_its_last_tries(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, behind: int, ends: bool
) -> None:
    await story(log)
    with ArchiveWriter(tmp_path, live.keys) as writer:
        archiver = Archiver(live, writer)
        whole, calls = archiver.once, 0

        async def moved(flush: bool) -> None:
            nonlocal calls
            calls += 1
            if calls == before + 1:
                archiver.stopping.set()
            if calls <= before + 1 + behind:
                raise RedisConnectionError("the slot has moved")
            await whole(flush)

        monkeypatch.setattr(archiver, "once", moved)
        with nullcontext() if ends else pytest.raises(RedisConnectionError):
            await archiver.run()
    assert calls == before + 1 + behind + ends
    assert archiver.archived == (len(await logged(live)) if ends else 0)


def holds_more(folder: Path, events: int) -> bool:
    return (folder / MANIFEST).exists() and Archive.open(folder).count > events


async def test_an_archiver_killed_again_and_again_loses_and_doubles_nothing_while_it_trims(
    cli: Cli, servers: dict[str, EmbeddedServer], tmp_path: Path
) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    live = LiveLog(connect(cli.url, decode=False), cli.keys)
    folder, written = tmp_path / "kept", dict[str, Entry]()
    for turn in range(6):
        await story(log, jobs=20)
        written |= {entry.id: entry for entry in await logged(live)}
        known = Archive.open(folder).count if (folder / MANIFEST).exists() else 0
        process = cli.start("archive", "--to", "kept", "--max-events", "3", "--trim", "--yes")
        enough = known + turn
        eventually(partial(holds_more, folder, enough))
        cli.stop(process, signal.SIGKILL)
    assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    assert cli.run("archive", "--to", "kept", "--check").code == 0
    assert entries(Archive.open(folder)) == list(written.values())
    await live.redis.aclose()
    await redis.aclose()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process is Linux's to change")
async def test_an_archiver_out_of_space_trims_nothing_and_goes_on_once_there_is_room(
    cli: Cli, servers: dict[str, EmbeddedServer], tmp_path: Path
) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    process = cli.start("archive", "--to", "kept", "--max-age", "0", "--trim", "--yes")
    eventually(lambda: (tmp_path / "kept" / MANIFEST).exists())
    # the kernel refuses what a file would grow beyond it, in the middle of the segment
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
    await story(log, jobs=10)
    length = await redis.xlen(cli.keys("events"))
    eventually(lambda: "not archived" in cli.output(process))
    assert await redis.xlen(cli.keys("events")) == length
    eventually(lambda: not list((tmp_path / "kept").glob("*.par*")))  # between two tries nothing half done stays
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: Archive.open(tmp_path / "kept").count == length)
    assert cli.stop(process) == 0
    await redis.aclose()


async def test_a_server_out_of_memory_is_relieved_by_trimming(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log, jobs=50)
    await live.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(ServerOutOfMemory):
            await log.submit("too much")
        done = await archive(live, tmp_path, max_events=1000, trim=True)
        assert done.trimmed > 0
        assert (await live.span()).count == 0
    finally:
        await live.redis.config_set("maxmemory", 0)


async def test_an_archiver_outlasts_a_state_that_is_being_rebuilt(cli: Cli, tmp_path: Path) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    await story(log)
    length = await redis.xlen(cli.keys("events"))
    await redis.hset(cli.keys("meta"), "begin", "torn")
    process = cli.start("archive", "--to", "kept", "--max-age", "0", "--trim", "--yes")
    eventually(lambda: "not archived" in cli.output(process))
    await redis.hset(cli.keys("meta"), "begin", await redis.hget(cli.keys("meta"), "done"))
    eventually(lambda: cli.redis.xlen(cli.keys("events")) < length)
    assert cli.stop(process) == 0
    await redis.aclose()


async def test_trimming_asks_first(cli: Cli) -> None:
    refused = cli.run("archive", "--to", "kept", "--trim", "--once")
    assert refused.code == 2
    assert "--yes" in refused.err


async def test_any_tool_can_read_a_segment(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path, max_events=1000)
    table = pq.read_table(next(tmp_path.glob("*.parquet")))
    finished = [row for row in table.to_pylist() if row["type"] == "job.completed" and row["stream"] == "events"]
    assert {row["status"] for row in finished} == {"finished"}
