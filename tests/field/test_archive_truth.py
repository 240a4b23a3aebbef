"""An archive holds the truth for every reader: found with archivers that lag, manifests from
yesterday, shares without locks and copies that were taken while an archiver ran."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.archive import archiver as archiver_module
from streamsched.archive import writer as writer_module
from streamsched.archive.archiver import Archiver
from streamsched.archive.copies import copy_archive
from streamsched.archive.manifest import MANIFEST, Segment
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.entries import Entry, before, position, refusal
from streamsched.contract.errors import ArchiveDamaged, ArchiveLocked
from streamsched.contract.keys import Keys
from streamsched.history.history import open_history
from streamsched.log.live import LiveLog
from streamsched.replay.at import state_at
from streamsched.replay.restore import restore
from streamsched.replay.values import read_state
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.live import until
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio

NUMBERS = itertools.count()


@pytest.fixture
async def log(redis: Redis, keys: Keys) -> Ledger:
    """A partition whose log may be trimmed, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def story(log: Ledger, jobs: int = 8) -> None:
    """Jobs, and among them forged decisions: one about a job that was accepted, one that lacks a field."""
    if not await log.redis.exists(log.keys("meta")):
        await log.node()
    for n in range(jobs):
        job_id = f"j{next(NUMBERS)}"
        assert (await log.submit(job_id))["status"] == "dispatched"
        await log.add({"type": "job.refused", "job_id": job_id, "code": "EMPTY_POOL", "reason": "forged"})
        await log.add({"type": "job.dispatched", "job_id": job_id, "node_id": "n1"})
        await log.advance()
        if n % 2:
            await log.tell("completed", job_id, status="finished")
        else:
            await log.append(["type", "job.cancelled", "job_id", job_id])
            await log.advance()


async def archive(live: LiveLog, folder: Path, max_events: int = 7, trim: bool = False) -> Archiver:
    with ArchiveWriter(folder, live.keys) as writer:
        archiver = Archiver(live, writer, max_events=max_events, trim=trim)
        await archiver.once()
    return archiver


def entries(kept: Archive, until: str = "+") -> list[Entry]:
    return [entry for chunk in kept.read(until=until) for entry in chunk.entries]


def letters_by_event(kept: Archive) -> dict[str, str]:
    return dict(about for letter in kept.letters() if (about := refusal(letter)))


def as_older_archivers_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write every letter that there is into the segment that is open."""

    async def all_letters(self: Archiver, after: str, until: str) -> Any:
        letters = [letter async for some in self.live.letters(after) for letter in some]
        return letters, letters[-1].id if letters else after

    def older(**fields: Any) -> Segment:
        return Segment(**{**fields, "own_letters": False})

    monkeypatch.setattr(archiver_module.Archiver, "_letters", all_letters)
    monkeypatch.setattr(writer_module, "Segment", older)


@pytest.mark.parametrize("older", [False, True], ids=["as written now", "as older archivers wrote"])
async def test_a_reader_that_begins_anywhere_knows_what_was_refused(
    older: bool, log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log)
    with monkeypatch.context() as patched:
        if older:
            as_older_archivers_did(patched)
        await archive(live, tmp_path)  # which has not run before: it is many segments behind
    kept = Archive.open(tmp_path)
    assert len(kept.segments) > 4
    refused = letters_by_event(kept)
    assert len(refused) >= 16
    ids = [entry.id for chunk in kept.read() for entry in chunk.entries]
    for start in ["0-0", *ids]:
        seen = {event_id: why for chunk in kept.read(start) for event_id, why in chunk.buried.items()}
        assert seen == {e: why for e, why in refused.items() if position(e) > position(start)}, start
    for piece in kept.segments:
        kept.check(piece)


async def test_the_state_at_each_segments_end_is_the_same_from_a_snapshot_as_from_the_beginning(
    log: Ledger, live: LiveLog, keys: Keys, tmp_path: Path
) -> None:
    from streamsched.replay.snapshot import write

    await story(log)
    await archive(live, tmp_path)
    kept = Archive.open(tmp_path)

    async def state(until: str, folder: Path, keep: bool = False) -> dict[str, Any]:
        async with open_history(None, keys, folder) as history:
            with EmbeddedServer() as server:
                async with state_at(server.url, history, until, lambda done: None, decode=False) as scratch:
                    if keep:
                        await write(scratch, kept)
                    return dict(await read_state(scratch.redis, keys))

    bare = tmp_path / "bare"
    copy_archive(tmp_path, bare)
    for piece in kept.segments:
        await state(before(piece.last), tmp_path, keep=True)
        assert await state(piece.last, tmp_path) == await state(piece.last, bare), piece.name


async def test_a_letter_in_the_segment_of_another_event_is_found_by_the_check(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(log)
    with monkeypatch.context() as patched:
        as_older_archivers_did(patched)
        patched.setattr(writer_module, "Segment", Segment)
        await archive(live, tmp_path)
    kept = Archive.open(tmp_path)
    problems = []
    for piece in kept.segments:
        try:
            kept.check(piece)
        except ArchiveDamaged as problem:
            problems.append(problem.detail)
    assert problems
    assert all("an event of another segment" in problem for problem in problems)


@pytest.mark.parametrize("lost", ["none", "all", "all but the first", "the latest"])
async def test_a_segment_that_the_manifest_lacks_is_listed_again_and_never_dropped(
    lost: str, log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    manifests: list[bytes | None] = [None]
    for _ in range(4):
        await story(log, 2)
        await archive(live, tmp_path, max_events=100, trim=True)
        manifests.append((tmp_path / MANIFEST).read_bytes())
    segments = [piece.name for piece in Archive.open(tmp_path).segments]
    count = Archive.open(tmp_path).count
    restored = manifests[{"none": 4, "all": 0, "all but the first": 1, "the latest": 3}[lost]]
    (tmp_path / MANIFEST).unlink()
    if restored is not None:
        (tmp_path / MANIFEST).write_bytes(restored)
    await archive(live, tmp_path, trim=True)
    kept = Archive.open(tmp_path)
    assert [piece.name for piece in kept.segments] == segments
    assert kept.count == count
    for piece in kept.segments:
        kept.check(piece)


async def test_a_segment_that_does_not_follow_on_stops_the_archiver_and_stays(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    for n in range(3):
        await story(log, 2)
        await archive(live, tmp_path, max_events=100, trim=True)
        if n == 0:
            first = (tmp_path / MANIFEST).read_bytes()
    second = Archive.open(tmp_path).segments[1].name
    (tmp_path / MANIFEST).write_bytes(first)
    (tmp_path / second).rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveDamaged, match="does not follow on"):
        await archive(live, tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 2


async def test_of_two_archivers_that_see_no_lock_one_stops_and_nothing_is_lost(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    await story(log, 2)
    await archive(live, tmp_path, trim=True)
    with ArchiveWriter(tmp_path, live.keys) as one, ArchiveWriter(tmp_path, live.keys) as other:
        first, second = (Archiver(live, writer, max_events=7, trim=True) for writer in (one, other))
        await story(log, 2)
        await first.once()
        await story(log, 2)
        with pytest.raises(ArchiveLocked, match="another archiver wrote"):
            await second.once()
        await first.once()
    kept = Archive.open(tmp_path)
    for piece in kept.segments:
        kept.check(piece)
    logged = [entry_id.decode() for entry_id, _ in await live.redis.xrange(live.keys("events"))]
    held = {entry.id for chunk in kept.read() for entry in chunk.entries}
    assert kept.count == len(held)
    assert held >= set(logged)


@pytest.mark.parametrize("order", ["segments first", "manifest first", "interrupted"])
async def test_a_copy_taken_while_the_archiver_runs_is_usable_up_to_its_last_whole_segment(
    order: str, log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    kept, copy = tmp_path / "kept", tmp_path / "copy"
    copy.mkdir()

    async def grow() -> None:
        await story(log, 2)
        await archive(live, kept, max_events=5)

    def take(*names: str) -> None:
        for name in names:
            shutil.copy(kept / name, copy / name)

    await grow()
    if order == "manifest first":
        take(MANIFEST)
        await grow()
        take(*sorted(path.name for path in kept.glob("*.parquet")))
    else:
        take(*sorted(path.name for path in kept.glob("*.parquet")))
        await grow()
        take(MANIFEST)
        if order == "interrupted":
            (copy / "manifest.json.part").write_bytes(b"half")
    usable = Archive.open(copy)
    whole = Archive.open(kept)
    assert 0 < usable.count < whole.count
    assert [e for c in usable.read() for e in c.entries] == [
        e for c in whole.read(until=usable.last) for e in c.entries
    ]
    await archive(live, copy, max_events=5)  # and an archiver goes on from it
    assert [e for c in Archive.open(copy).read() for e in c.entries] == [e for c in whole.read() for e in c.entries]


async def test_the_command_copies_an_archive_and_brings_the_copy_up_to_date(cli: Cli, tmp_path: Path) -> None:
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    log = Ledger(redis, cli.keys)
    for _ in range(2):
        await story(log, 2)
        assert cli.run("archive", "--to", "kept", "--once", "--max-events", "5").code == 0
        copied = cli.run("archive", "--to", "kept", "--copy", "copy")
        assert copied.code == 0, copied.err
        assert Archive.open(tmp_path / "copy").count == Archive.open(tmp_path / "kept").count
    assert cli.run("archive", "--to", "copy", "--check").code == 0
    assert "takes no other action" in cli.run("archive", "--to", "kept", "--copy", "copy", "--once").err
    await redis.aclose()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_scratch_server_ends_with_the_program_that_started_it(signum: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import sys, time; from streamsched.server.embedded import EmbeddedServer\n"
        "server = EmbeddedServer().start(); print(server.pid, server.data, flush=True); time.sleep(60)"
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    pid, folder = program.stdout.readline().split()
    assert Path(f"/proc/{pid}").exists()
    os.kill(program.pid, signum)
    program.wait()

    def gone() -> bool:
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().split()[2] == "Z"

    eventually(gone)
    eventually(lambda: not Path(folder).exists())


async def test_an_archiver_that_another_one_has_superseded_trims_nothing_more_and_says_so(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log)
    with ArchiveWriter(tmp_path / "earlier", live.keys) as writer:
        earlier = Archiver(live, writer, trim=True)
        await earlier.once()
        assert earlier.trimmed
        await log.redis.hdel(
            log.keys("meta"), "archiver"
        )  # lost with the partition's hash: the first that trims has it
        await earlier.once()
        shutil.copytree(tmp_path / "earlier", tmp_path / "later")  # on a share where no lock is seen
        await archive(live, tmp_path / "later", trim=False)
        await earlier.once()
        await archive(live, tmp_path / "later", trim=True)
        await story(log)
        kept = [await log.redis.xlen(log.keys(name)) for name in ("events", "dead")]
        with pytest.raises(ArchiveLocked, match=f"another archiver took over: it archives to {tmp_path}/later"):
            await earlier.run()
        assert [await log.redis.xlen(log.keys(name)) for name in ("events", "dead")] == kept


async def test_what_an_archiver_read_before_a_flush_is_not_in_the_archive_of_the_restored_log(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    with ArchiveWriter(tmp_path, live.keys) as writer:
        archiver = Archiver(live, writer, max_age_s=3600)
        await story(log, 2)
        await archiver.once()
        kept = Archive.open(tmp_path, live.keys)
        before = [entry.id for entry in entries(kept)]
        await story(log, 2)
        await archiver.once(flush=False)  # read, and not yet written
        await log.redis.flushdb()
        await restore(log.redis, live, kept, replace=True)
        await story(log, 2)
        await archiver.once()
    logged = [entry_id for entry_id, _ in await log.redis.xrange(log.keys("events"))]
    assert [entry.id for entry in entries(Archive.open(tmp_path))] == before + logged


@pytest.mark.parametrize(("taken", "given_back"), [("-@all", "+@all"), ("resetpass", ">secret")])
async def test_an_archiver_waits_for_a_right_or_a_password_that_comes_back(
    binary: Path, tmp_path: Path, taken: str, given_back: str
) -> None:
    with EmbeddedServer(binary=binary) as server:
        admin: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        await admin.execute_command("ACL", "SETUSER", "archiver", "on", ">secret", "~*", "+@all")
        raw = connect(server.url.replace("redis://", "redis://archiver:secret@"), decode=False)
        log = Ledger(admin, Keys())
        await story(log, 1)

        async def refused() -> bool:
            return bool(await admin.execute_command("ACL", "LOG"))

        async def archived() -> bool:
            newest = (await log.hash("meta"))["watermark"]
            return (tmp_path / MANIFEST).exists() and Archive.open(tmp_path).last == newest

        with ArchiveWriter(tmp_path, log.keys) as writer:
            archiver = Archiver(LiveLog(raw, log.keys), writer, max_age_s=0)
            async with anyio.create_task_group() as group:
                group.start_soon(archiver.run)
                await until(archived)
                await admin.execute_command("ACL", "SETUSER", "archiver", taken)
                await admin.execute_command("CLIENT", "KILL", "USER", "archiver")
                await story(log, 1)
                await until(refused)
                await admin.execute_command("ACL", "SETUSER", "archiver", given_back)
                await until(archived)
                archiver.stopping.set()
        await raw.aclose()
        await admin.aclose()


async def test_a_rebuild_keeps_who_archives(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log)
    await archive(live, tmp_path / "kept", trim=True)
    claim = await log.redis.hget(log.keys("meta"), "archiver")
    await restore(log.redis, live, Archive.open(tmp_path / "kept", log.keys))
    assert claim
    assert await log.redis.hget(log.keys("meta"), "archiver") == claim
