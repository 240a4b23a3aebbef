"""Dead letters leave the server only once they are archived and no replay needs them, and are found after that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.archive import archiver
from streamsched.archive.archiver import Archiver
from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.entries import Entry, fields_of, position
from streamsched.contract.events import JobCancelled
from streamsched.contract.keys import Keys
from streamsched.deadletters import store as filed
from streamsched.deadletters.queue import DeadLetterQueue, LetterFilter, drop, retry
from streamsched.engine.partition import Partition
from streamsched.log.live import LiveLog
from streamsched.replay.restore import restore
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.letters import count_letters

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(redis: Any, keys: Keys) -> Ledger:
    """A partition whose log may be trimmed, so that no refold of it ends the test."""
    return Ledger(redis, keys)


@pytest.fixture(autouse=True)
def none_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on which not even the latest letters stay."""
    monkeypatch.setattr(archiver, "LETTERS_KEPT", 0)


async def refuse(log: Ledger, first: int, count: int) -> None:
    await log.append(*(JobCancelled(job_id=f"x{n}") for n in range(first, first + count)))


async def archive(live: LiveLog, folder: Path, max_events: int = 4) -> int:
    with ArchiveWriter(folder, live.keys) as writer:
        done = Archiver(live, writer, max_events=max_events, trim=True)
        await done.once()
    return done.letters_trimmed


def subjects(letters: list[Entry]) -> list[str]:
    return [fields_of(letter)["job_id"] for letter in letters]


async def kept(live: LiveLog) -> list[Entry]:
    return [letter async for page in live.letters("0-0") for letter in page]


async def test_only_letters_that_no_replay_of_the_log_would_meet_are_trimmed(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await log.node()
    await refuse(log, 0, 3)
    await log.submit("alive", src="xx", tgt="yy")
    await refuse(log, 3, 3)
    await log.add({"type": "node.heartbeat", "node_id": "nobody", "online": "true"}, "heartbeats")
    await log.advance()
    assert await archive(live, tmp_path) == 3
    assert subjects((await kept(live))[:-1]) == ["x3", "x4", "x5"]
    before = {name: await log.hash(name) for name in ("counters", "config", "meta")}
    await restore(log.redis, live, Archive.open(tmp_path, live.keys))
    assert await log.hash("counters") == before["counters"]
    assert (await log.job("alive"))["status"] == "created"
    await log.append(JobCancelled(job_id="alive"))
    assert await archive(live, tmp_path) == 4
    assert await kept(live) == []
    letters = list(Archive.open(tmp_path, live.keys).letters())
    assert subjects(letters[:-1]) == [f"x{n}" for n in range(6)]


async def test_the_latest_letters_stay_for_readers_without_an_archive(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiver, "LETTERS_KEPT", 5)
    monkeypatch.setattr(archiver, "LETTERS_BATCH", 2)
    await refuse(log, 0, 12)
    assert await archive(live, tmp_path) == 7
    assert subjects(await kept(live)) == [f"x{n}" for n in range(7, 12)]


class Dying:
    """A client whose program ends before its call number ``calls``."""

    def __init__(self, redis: Any, calls: int) -> None:
        self.redis, self.left = redis, calls

    def __getattr__(self, name: str) -> Any:
        if name in ("evalsha", "xrange", "info", "hmget", "xinfo_stream", "exists"):
            self.left -= 1
            if self.left < 0:
                raise RedisConnectionError("killed")
        return getattr(self.redis, name)


async def test_an_archiver_that_dies_before_any_of_its_calls_loses_no_letter_that_is_needed(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    written: dict[str, Entry] = {}
    ended, calls = False, 0
    while not ended:
        await refuse(log, calls, 2)
        written |= {letter.id: letter for letter in await kept(live)}
        dying: Any = Dying(live.redis, calls)
        try:
            await archive(LiveLog(dying, live.keys), tmp_path, max_events=3)
            ended = True
        except RedisConnectionError:
            calls += 1
        archived = (
            {letter.id: letter for letter in Archive.open(tmp_path).letters()} if (tmp_path / MANIFEST).exists() else {}
        )
        standing = await kept(live)
        assert {**archived, **{letter.id: letter for letter in standing}} == written
        refused = {fields_of(letter)["id"] for letter in standing}
        entries = await log.redis.xrange(live.keys("events"))
        assert {entry_id for entry_id, fields in entries if fields["type"] == "job.cancelled"} <= refused
    assert await kept(live) == []
    letters = [letter.id for letter in Archive.open(tmp_path).letters()]
    assert letters == sorted(written, key=position)


async def test_letters_of_a_call_that_was_torn_are_not_archived(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await refuse(log, 0, 2)
    watermark = (await log.hash("meta"))["watermark"]
    await refuse(log, 2, 2)
    await log.redis.hset(log.keys("meta"), "watermark", watermark)
    await log.redis.hset(log.keys("meta"), "folded", 2)
    with ArchiveWriter(tmp_path, live.keys) as writer:
        await Archiver(live, writer).once()
    assert subjects(list(Archive.open(tmp_path).letters())) == ["x0", "x1"]


async def test_a_letter_that_came_behind_the_archive_stays(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await refuse(log, 0, 2)
    with ArchiveWriter(tmp_path, live.keys) as writer:
        await Archiver(live, writer).once()
        await log.add({"type": "node.heartbeat", "node_id": "nobody", "online": "true"}, "heartbeats")
        await log.advance()
        await Archiver(live, writer, trim=True)._trim()
    assert [fields_of(letter)["node_id"] for letter in await kept(live)] == ["nobody"]


async def test_no_letter_is_trimmed_by_the_archive_of_another_history(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await refuse(log, 0, 2)
    with ArchiveWriter(tmp_path, live.keys) as writer:
        await Archiver(live, writer).once()
        await log.redis.xdel(log.keys("dead"), writer.archive.letters_last)
        await refuse(log, 2, 1)
        await Archiver(live, writer, trim=True)._trim()
    assert subjects(await kept(live)) == ["x0", "x2"]


# --- found after that


@pytest.fixture
async def letters(
    server: EmbeddedServer, log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DeadLetterQueue]:
    """Nine letters in segments of four events, of which the server holds the last three."""
    monkeypatch.setattr(filed, "PAGE", 2)
    monkeypatch.setattr(archiver, "LETTERS_KEPT", 3)
    await refuse(log, 0, 9)
    assert await archive(live, tmp_path) == 6
    raw = connect(server.url, decode=False)
    yield DeadLetterQueue(raw, log.keys, Archive.open(tmp_path))
    await raw.aclose()


async def test_log_and_archive_are_one_list_of_letters_in_either_order(letters: DeadLetterQueue) -> None:
    newest = [letter async for letter in letters.newest_first(LetterFilter())]
    assert [letter.fields["job_id"] for letter in newest] == [f"x{n}" for n in range(8, -1, -1)]
    oldest = [letter async for page in letters.oldest_first(LetterFilter()) for letter in page]
    assert oldest == newest[::-1]
    since = oldest[4].ts
    behind = [letter async for page in letters.oldest_first(LetterFilter(since_ts=since)) for letter in page]
    assert behind == [letter for letter in oldest if letter.ts >= since]
    assert await letters.get(oldest[1].letter) == oldest[1]
    alone = [letter async for letter in DeadLetterQueue(letters.redis, letters.keys).newest_first(LetterFilter())]
    assert alone == newest[:3]


async def test_a_trimmed_letter_is_retried_and_dropped_once_and_the_counts_go_on(
    log: Ledger, letters: DeadLetterQueue
) -> None:
    partition = Partition(log.redis, log.keys, patience_s=5)
    oldest = [letter async for page in letters.oldest_first(LetterFilter()) for letter in page]
    await log.submit("x0")
    await retry(partition, oldest[0])
    assert (await log.job("x0"))["status"] == "cancelled"
    await drop(partition, oldest[1])
    found = await count_letters(log.redis, log.keys)
    assert (found.all, found.open, found.by_code, found.trimmed) == (9, 7, {"UNKNOWN_JOB": 9}, 6)
    left = [letter.fields["job_id"] async for letter in letters.newest_first(LetterFilter())]
    assert left == [f"x{n}" for n in range(8, 1, -1)]


def test_the_command_says_that_letters_were_trimmed_and_finds_them_in_the_archive(cli: Cli) -> None:
    lines = [json.dumps({"type": "job.cancelled", "job_id": f"x{n}"}) for n in range(archiver.LETTERS_KEPT + 1003)]
    assert cli.run("append", "-", stdin="\n".join(lines)).code == 1
    done = json.loads(cli.run("archive", "--to", "kept", "--once", "--trim", "--yes", "--json").out)
    assert done["letters_trimmed"] == 3
    outcome = cli.run("dead", "list", "--limit", "2000").out
    assert "3 older letters were trimmed: --archive DIR finds them in" in outcome
    rows = cli.run("dead", "list", "--limit", "2000", "--archive", "kept", "--json").out.splitlines()
    assert [json.loads(row)["fields"]["job_id"] for row in rows] == [f"x{n}" for n in range(1002, -1, -1)]
    oldest = json.loads(rows[-1])["letter"]
    assert "UNKNOWN_JOB" in cli.run("dead", "show", oldest, "--archive", "kept").out
    assert cli.run("dead", "drop", oldest, "--archive", "kept", "--yes").out.endswith("1 dropped\n")
    wrong = cli.run("dead", "list", "--archive", "nowhere")
    assert "streamsched archive --to DIR" in wrong.err
