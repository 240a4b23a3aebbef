"""An archive and a log that part: a replica is promoted that lacks what was archived, and what is done then."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from streamsched.archive.archiver import Archiver
from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.entries import Entry
from streamsched.contract.errors import LogFork, StaleAttempt, UnknownJob
from streamsched.contract.events import JobCompleted, JobStatus, JobSubmitted, NodeHeartbeat, NodeRegistered
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.engine.script import script
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

from ..campaign.proxy import Proxy
from ..support.ledger import Ledger
from ..support.live import until
from ..support.processes import Cli
from ..support.servers.watched import AT_ONCE

pytestmark = pytest.mark.anyio


class Pair:
    """A master and its replica, and one address that leads to whichever of them is in charge."""

    def __init__(self, keys: Keys, master: EmbeddedServer, replica: EmbeddedServer, door: Proxy) -> None:
        self.keys, self.replica, self.door = keys, replica, door
        self.master = master
        self.clients: list[Any] = [connect(server.url) for server in (master, replica)]
        self.log, self.promoted = (Ledger(client, keys) for client in self.clients)

    async def part(self) -> None:
        """Promote the replica once it has all there is: what the master takes in from here on is lost."""
        one, other = self.clients

        async def in_step() -> bool:
            folded = [await client.hget(self.keys("meta"), "folded") for client in (one, other)]
            return folded[0] is not None and folded[0] == folded[1]

        await until(in_step)
        await other.execute_command("REPLICAOF", "NO", "ONE")

    def lead_over(self) -> None:
        """From here on the address is that of the replica."""
        self.door.lead_to(self.replica.port)


@pytest.fixture
async def pair(keys: Keys) -> AsyncIterator[Pair]:
    with EmbeddedServer(options=AT_ONCE) as master:
        follows = {**AT_ONCE, "replicaof": f"127.0.0.1 {master.port}"}
        with EmbeddedServer(options=follows) as replica, Proxy(master.port) as door:
            pair = Pair(keys, master, replica, door)
            yield pair
            for client in pair.clients:
                await client.aclose()
            master.kill()  # on a clean stop it would wait for its replica


@pytest.fixture
async def live(pair: Pair) -> AsyncIterator[LiveLog]:
    raw = connect(pair.door.url, decode=False)
    yield LiveLog(raw, pair.keys)
    await raw.aclose()


async def jobs(log: Ledger, count: int) -> None:
    """Submit jobs and have them carried out: five events for each."""
    if not await log.redis.exists(log.keys("meta")):
        await log.node()
    for _ in range(count):
        job_id = f"j{await log.redis.incr('jobs')}"
        await log.submit(job_id)
        await log.tell("completed", job_id, status="finished")


def entries(archive: Archive) -> list[Entry]:
    return [entry for chunk in archive.read() for entry in chunk.entries]


async def whole(server: EmbeddedServer, keys: Keys) -> list[Entry]:
    """The log as it is now."""
    raw: Any = LiveLog(connect(server.url, decode=False), keys)
    found = await raw.redis.xrange(keys("events"))
    await raw.redis.aclose()
    return [Entry(entry_id.decode(), flat) for entry_id, flat in found]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "lock"}


async def test_an_archive_that_holds_what_was_lost_is_reported_kept_and_gone_on_from(
    pair: Pair, tmp_path: Path
) -> None:
    cli = Cli(pair.door.url, pair.keys, tmp_path)
    once = ("archive", "--once", "--max-events", "4", "--trim", "--yes")
    await jobs(pair.log, 5)
    assert cli.run(*once, "--to", "kept").code == 0
    await jobs(pair.log, 3)
    await pair.part()
    await jobs(pair.log, 4)
    doomed = await whole(pair.master, pair.keys)
    assert cli.run(*once, "--to", "kept").code == 0
    before = files(tmp_path / "kept")

    pair.lead_over()
    await jobs(pair.promoted, 6)
    refused = cli.run(*once, "--to", "kept")
    assert refused.code == 1
    assert "FORK" in refused.err
    assert files(tmp_path / "kept") == before

    remedy = re.search(r"`streamsched (archive --to NEW --from [^`]+)`", refused.err)
    assert remedy, refused.err
    went_on = cli.run(*shlex.split(remedy[1]), "--once", "--trim", "--yes", "--max-events", "4")
    assert went_on.code == 0, went_on.err
    assert files(tmp_path / "kept") == before
    assert cli.run("archive", "--to", "NEW", "--check").code == 0
    assert cli.run("verify", "--archive", "NEW").code == 0

    # what was lost can be seen from the archive that was left, and handed in again
    shared = re.search(r"took over \d+ events, up to (\d+)-(\d+)", went_on.out)
    assert shared, went_on.out
    ids = {entry.id for entry in entries(Archive.open(tmp_path / "NEW"))}
    lost = {entry.id for entry in doomed} - ids
    sql = f"SELECT id FROM events WHERE (ms, seq) > ({shared[1]}, {shared[2]})"
    outcome = cli.run("query", sql, "--archive", "kept", "--offline", "--json")
    assert lost <= {json.loads(row)["id"] for row in outcome.out.splitlines()}

    state = await pair.promoted.state(pair.keys)
    rebuilt = cli.run("rebuild", "--from", "NEW", "--yes")
    assert rebuilt.code == 0, rebuilt.err
    assert await pair.promoted.state(pair.keys) == state


async def test_an_archive_goes_on_only_in_an_empty_folder_and_only_from_its_own_log(pair: Pair, tmp_path: Path) -> None:
    cli = Cli(pair.door.url, pair.keys, tmp_path)
    await jobs(pair.log, 3)
    assert cli.run("archive", "--once", "--to", "kept").code == 0
    assert cli.run("archive", "--once", "--to", "other", "--from", "kept").code == 0
    again = cli.run("archive", "--once", "--to", "other", "--from", "kept")
    assert again.code == 1
    assert "give an empty folder, or leave --from out" in again.err
    await pair.log.redis.flushall()
    await jobs(pair.log, 3)
    foreign = cli.run("archive", "--once", "--to", "third", "--from", "kept")
    assert foreign.code == 1
    assert "nothing of the archive in kept is of this log" in foreign.err
    assert cli.run("archive", "--once", "--to", "third").code == 0


async def test_what_was_read_and_not_yet_written_is_dropped_with_the_log_that_lost_it(
    pair: Pair, live: LiveLog, tmp_path: Path
) -> None:
    await jobs(pair.log, 3)
    with ArchiveWriter(tmp_path / "kept", pair.keys) as writer:
        archiver = Archiver(live, writer, max_age_s=3600)
        await archiver.once()
        await pair.part()
        await jobs(pair.log, 2)
        await archiver.once(flush=False)
        assert archiver._entries
        pair.lead_over()
        await jobs(pair.promoted, 2)
        await until_reconnected(live)
        await archiver.once()
        assert entries(writer.archive) == await whole(pair.replica, pair.keys)


async def until_reconnected(live: LiveLog) -> None:
    """The first call on a connection that was cut fails; a running archiver waits and tries again."""

    async def answers() -> bool:
        try:
            return bool(await live.redis.ping())
        except (RedisError, OSError):
            return False

    await until(answers)


async def test_a_failover_between_reading_and_writing_mixes_no_two_histories(
    pair: Pair, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await jobs(pair.log, 3)
    with ArchiveWriter(tmp_path / "kept", pair.keys) as writer:
        archiver = Archiver(live, writer)
        await archiver.once()
        await pair.part()
        await jobs(pair.log, 2)
        letters = live.letters

        async def after_a_failover(after: str) -> AsyncIterator[list[Entry]]:
            monkeypatch.undo()
            pair.lead_over()
            await jobs(pair.promoted, 2)
            await until_reconnected(live)
            async for page in letters(after):
                yield page

        monkeypatch.setattr(live, "letters", after_a_failover)
        await archiver.once()
        assert entries(writer.archive) == await whole(pair.replica, pair.keys)


async def test_a_log_is_not_trimmed_by_an_archive_that_holds_another_one(pair: Pair, tmp_path: Path) -> None:
    await jobs(pair.log, 2)
    await pair.part()
    await jobs(pair.log, 2)
    archived = (await whole(pair.master, pair.keys))[-1].id
    await jobs(pair.promoted, 2)
    kept = await whole(pair.replica, pair.keys)
    given = {"events": pair.keys("events"), "prefix": pair.keys.prefix, "batch": 1000, "archive": "kept"}
    given |= {"archiver": "me", "takes_over": 1}
    with pytest.raises(LogFork, match="which the log has lost: it is not trimmed"):
        await script("trim_log")(pair.clients[1], **given, archived=archived)
    assert await whole(pair.replica, pair.keys) == kept
    assert not (tmp_path / MANIFEST).exists()


async def test_the_holder_of_a_lost_attempt_is_refused_and_the_job_goes_on_under_another_token(pair: Pair) -> None:
    old, new = (Partition(connect(server.url), pair.keys, patience_s=5) for server in (pair.master, pair.replica))
    node = NodeRegistered(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]')

    def submitted(job_id: str) -> JobSubmitted:
        return JobSubmitted(job_id=job_id, session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")

    async def held(partition: Partition, job_id: str) -> str:
        """Have a node come online, and return the token it holds the job under."""
        await partition.append(node)
        await partition.append(NodeHeartbeat(node_id="n1", online=True))
        await partition.advance()
        redis: Any = partition.redis
        return str(await redis.hget(pair.keys.job(job_id), "attempt"))

    def ended(job_id: str, attempt: str) -> JobCompleted:
        return JobCompleted(job_id=job_id, node_id="n1", attempt=attempt, status=JobStatus.FINISHED)

    await old.append(submitted("waits"))
    await pair.part()
    lost = await held(old, "waits")
    answer = await old.append(submitted("lost"))
    assert lost
    assert answer.job is not None
    issued = await held(new, "waits")
    assert issued
    assert issued.rpartition("-")[2] != lost.rpartition("-")[2]
    with pytest.raises(StaleAttempt):
        await new.append(ended("waits", lost))
    with pytest.raises(UnknownJob):
        await new.append(ended("lost", answer.job[4]))
    await new.append(ended("waits", issued))
    assert (await pair.promoted.job("waits"))["status"] == "finished"
    await new.append(submitted("lost"))
    await pair.promoted.check()
    for partition in (old, new):
        await partition.close()


async def test_an_archive_is_announced_when_it_holds_a_segment(pair: Pair, live: LiveLog, tmp_path: Path) -> None:
    await jobs(pair.log, 1)
    meta = live.keys("meta")
    with ArchiveWriter(tmp_path, live.keys) as writer:
        archiver = Archiver(live, writer, max_age_s=3600)
        await archiver.once(flush=False)
        # if the log were lost now, there would be nothing to wait for
        assert await live.redis.hget(meta, "archive") is None
        await archiver.once()
    assert await live.redis.hget(meta, "archive")
