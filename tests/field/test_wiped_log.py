"""A server that has lost the log, with the fleet running: every process says so, and an operator mends it.

Reports of the kind: nexi-lab/nexus #4341 and flightctl/flightctl #2227 (a server came back empty, and consumers did not
recover).
"""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched import JobState, Keys, Node, Scheduler, SubmitRequest
from streamsched.contract.entries import position
from streamsched.contract.errors import LogFork, LogWiped
from streamsched.contract.events import SessionReleased
from streamsched.engine.partition import Partition
from streamsched.log.live import LiveLog
from streamsched.replay.restore import restore
from streamsched.replay.values import read_state
from streamsched.server.embedded import EmbeddedServer, free_port

from ..replay.test_restore import archived, story
from ..support.ledger import Ledger
from ..support.live import until
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio

SPAN = "--max-age", "0.1"


@pytest.fixture
def cli(server: EmbeddedServer, keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    """The command line, on each server."""
    cli = Cli(server.url, keys, tmp_path)
    yield cli
    cli.end()


def probe(port: int) -> dict[str, Any]:
    """What the health probe of a worker answers; empty while it does not listen."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as reply:
            return dict(json.load(reply))
    except urllib.error.HTTPError as refusal:
        return dict(json.load(refusal))
    except OSError:
        return {}


def is_healthy(port: int) -> Any:
    async def holds() -> bool:
        return probe(port).get("status") == "ok"

    return holds


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            return str(reply.read().decode())
    except OSError:
        return ""


def job(job_id: str, src: str = "en", tgt: str = "zh") -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id=job_id, src_lang=src, tgt_lang=tgt, payload_json='"hi"')


SAID = "type=job.submitted job_id=raw session_id=raw src_lang=en tgt_lang=zh payload_json=1"
RAW = dict(part.split("=") for part in SAID.split())


def has_status(cli: Cli, job_id: str, status: str) -> Any:
    async def holds() -> bool:
        return cli.job(job_id).get("status") == status

    return holds


def has_finished(waiting: Any) -> Any:
    async def holds() -> bool:
        with suppress(LogWiped):  # what was read before the log was restored may be told after it
            return (await waiting.result(30)).status is JobState.FINISHED
        return False

    return holds


def flush(cli: Cli, server: EmbeddedServer) -> None:
    cli.redis.flushall()


def become_replica_of_an_empty_server(cli: Cli, server: EmbeddedServer) -> None:
    """A failover to a replica that had nothing: the clients keep their connections."""
    with EmbeddedServer(binary=server.binary) as empty:
        host, port = empty.url.removeprefix("redis://").split(":")
        cli.redis.replicaof(host, port)
        eventually(lambda: cli.redis.info("replication")["master_link_status"] == "up")
        cli.redis.replicaof("NO", "ONE")


@pytest.mark.parametrize("lose", [flush, become_replica_of_an_empty_server])
async def test_a_wiped_log_is_named_by_every_process_and_replaced_with_the_fleet_running(
    cli: Cli, server: EmbeddedServer, tmp_path: Path, lose: Any
) -> None:
    port, metrics, manifest = free_port(), free_port(), tmp_path / "kept" / "manifest.json"
    archiver = cli.start("archive", "--to", "kept", *SPAN)
    cli.start("metrics", "--bind", f"127.0.0.1:{metrics}")
    async with Scheduler.connect(cli.url, cli.keys.namespace) as scheduler, anyio.create_task_group() as group:
        held = anyio.Event()

        async def echo(assignment: Any) -> str:
            if assignment.job_id == "held":
                await held.wait()
            return str(assignment.payload_json)

        async with Node(scheduler, "n1", pools=["en-zh"], concurrency=4) as node:
            group.start_soon(node.run, echo)
            done = await (await scheduler.submit(job("old"))).result(20)
            assert done.status is JobState.FINISHED
            busy, waiting = await scheduler.submit(job("held")), await scheduler.submit(job("unserved", "xx"))
            last = cli.redis.xrevrange(cli.keys("events"), count=1)[0][0]
            eventually(lambda: manifest.exists() and last in manifest.read_text())
            eventually(lambda: cli.redis.hexists(cli.keys("meta"), "archive"))
            worker = cli.start("worker", "--health", f"127.0.0.1:{port}")
            await until(is_healthy(port))
            await scheduler.submit(job("later", "xx"))  # from here on client and worker know of the archive

            lose(cli, server)

            assert eventually(lambda: probe(port).get("status") == "the log was wiped"), probe(port)
            with pytest.raises(LogWiped):
                await waiting.result(20)
            with pytest.raises(LogWiped):
                await scheduler.submit(job("refused"))
            for command in (["status"], ["verify"], ["archive", "--to", "other", "--once"], ["rebuild", "--yes"]):
                said = cli.run(*command)
                assert (said.code, "WIPED" in (said.out + said.err).upper()) == (1, True), (command, said)
            assert "--replace" in cli.run("status").out
            eventually(lambda: re.search(r'partition_condition{condition="wiped"[^}]*} 1', scrape(metrics)))
            eventually(lambda: "WIPED" in cli.output(archiver))
            raw = cli.redis.xadd(cli.keys("events"), RAW)
            held.set()  # its end waits for the log

            refused = cli.run("rebuild", "--from", "kept", "--yes")
            assert (refused.code, "--replace" in refused.err) == (1, True), refused
            mended = cli.run("rebuild", "--from", "kept", "--replace", "--yes")
            assert mended.code == 0, mended

            await until(has_finished(busy), 30)
            await until(has_status(cli, "raw", "finished"), 30)
            assert cli.job("unserved")["status"] == "created"
            assert cli.redis.xrange(cli.keys("events"), raw, raw), "an event of the new log has vanished"
            await until(is_healthy(port))
            done = await (await scheduler.submit(job("new"))).result(20)
            assert done.status is JobState.FINISHED
            node.stop()
    assert worker.poll() is None
    assert cli.stop(archiver, signal.SIGTERM) == 0
    checked = cli.run("verify", "--archive", "kept")
    assert checked.code == 0, checked


@pytest.fixture
async def log(redis: Any, keys: Keys) -> Ledger:
    """A partition whose log is archived and lost, so that no refold of it ends the test."""
    return Ledger(redis, keys)


async def lose_and_go_on(log: Ledger, live: LiveLog, folder: Path) -> Any:
    """A log that is archived and lost, and a fleet that was restarted since: no process knows that there was one."""
    await story(log, "a")
    kept = await archived(live, folder)
    await log.redis.flushdb()
    await log.node("n1")
    await log.submit("b1")
    await log.tell("completed", "b1", status="finished")
    await log.submit("a-waits", src="xx", tgt="yy")  # its client asked, heard of no such job, and sent it again
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()
    return kept


async def test_what_a_log_without_a_past_decided_stands_behind_the_restored_events(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    kept = await lose_and_go_on(log, live, tmp_path)
    new, letters = await log.redis.xrange(log.keys("events")), await log.letter_ids()
    with pytest.raises(LogWiped, match="--replace"):
        await restore(log.redis, live, kept)
    assert await restore(log.redis, live, kept, replace=True) == kept.count + len(new)
    assert await log.redis.xrange(log.keys("events")) == new
    after = await log.letter_ids()
    assert after == sorted(after, key=position)
    assert after.index(letters[0]) == sum(1 for _ in kept.letters())
    codes = await log.hash("dead_codes")
    assert sum(map(int, codes.values())) == len(after)
    assert (await log.job("b1"))["status"] == "finished"
    assert (await log.job("a-waits"))["status"] == "created"
    await log.advance()
    assert (await log.submit("c1"))["status"] == "dispatched"
    assert int((await log.hash("counters"))["held"]) == 2  # this one, and the job that ran when the log was lost


async def test_a_job_of_both_logs_keeps_the_holder_that_the_lost_one_gave_it(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    before = await log.job("a-runs")
    kept = await archived(live, tmp_path)
    await log.redis.flushdb()
    await log.node("n2")
    assert (await log.submit("a-runs"))["node_id"] == "n2"
    await restore(log.redis, live, kept, replace=True)
    await log.advance()
    assert await log.job("a-runs") == before
    assert [letter["code"] for letter in await log.dead()][-1] == "FORGED_DECISION"


async def test_letters_of_decisions_that_a_replace_does_not_believe_are_in_the_order_of_their_events(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await log.redis.flushdb()
    await log.node("n2")
    for n in range(3):  # each in a call of its own, and in one millisecond or not
        await log.add({"type": "job.cancelled", "job_id": "nobody"})
        await log.submit(["a-runs", "b", "a-waits"][n])
        await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()
    await restore(log.redis, live, kept, replace=True)
    await log.advance()
    letters = [letter for letter in await log.dead() if letter["stream"] == "events"]
    assert [letter["id"] for letter in letters] == sorted((letter["id"] for letter in letters), key=position)
    codes = [letter["code"] for letter in letters]
    unknown, forged = "UNKNOWN_JOB", "FORGED_DECISION"
    assert codes == [unknown, unknown, forged, *[unknown] * 4, "JOB_CONFLICT", forged, unknown]
    assert sum(map(int, (await log.hash("dead_codes")).values())) == len(await log.dead())
    state = await read_state(log.redis, log.keys)
    await restore(log.redis, live, kept)
    assert await read_state(log.redis, log.keys) == state
    assert await log.redis.exists(log.keys("dead_ordered"), log.keys("dead_ordered_codes")) == 0


async def test_a_restore_puts_the_archives_letters_before_one_that_the_empty_server_has_written(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    beat = {"type": "node.heartbeat", "node_id": "nobody", "online": "true"}
    await log.add(beat, "heartbeats")
    await story(log, "a")
    kept = await archived(live, tmp_path)
    letters = [letter.id for letter in kept.letters()]
    await log.redis.flushdb()
    await log.add(beat, "heartbeats")
    await log.advance()
    own = await log.letter_ids()
    await restore(log.redis, live, kept)
    assert await log.letter_ids() == letters + own
    assert sum(map(int, (await log.hash("dead_codes")).values())) == len(letters + own)


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", range(1, 24))
async def test_a_replace_that_is_killed_anywhere_is_continued_by_the_next(
    log: Ledger, live: LiveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    kept = await lose_and_go_on(log, live, tmp_path)
    new, commands = await log.redis.xrange(log.keys("events")), 0
    execute = Redis.execute_command

    async def dies(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal commands
        commands += 1
        if commands > after:
            raise Killed
        return await execute(self, *arguments, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Redis, "execute_command", dies)
    with suppress(Killed):
        await restore(log.redis, live, kept, replace=True)
    monkeypatch.undo()
    await restore(log.redis, live, kept, replace=True)
    assert await log.redis.xrange(log.keys("events")) == new
    ids = await log.letter_ids()
    assert len(ids) == len(set(ids)) == sum(map(int, (await log.hash("dead_codes")).values()))
    replaced = await read_state(log.redis, log.keys)
    await restore(log.redis, live, kept)
    assert await read_state(log.redis, log.keys) == replaced


async def test_a_process_that_knows_a_replaced_log_goes_on(log: Ledger, live: LiveLog, tmp_path: Path) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await log.redis.flushdb()
    between, late = Partition(log.redis, log.keys), Partition(log.redis, log.keys, patience_s=0.1)
    await between.append(SessionReleased(session_id="s"))
    await log.redis.flushdb()
    await log.node("n1")
    await late.advance()
    await restore(log.redis, live, kept, replace=True)
    await late.advance()
    assert await log.redis.hget(log.keys("meta"), "lost") is None
    await between.advance()  # it is of a third log, which no archive holds


async def test_a_new_log_that_begins_before_the_archive_ends_is_a_fork_and_stays(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    kept = await archived(live, tmp_path)
    await log.redis.flushdb()
    early = f"{position(kept.first)[0] + 1}-0"  # a server whose clock is behind
    await log.redis.xadd(log.keys("events"), {"type": "session.released", "session_id": "s"}, id=early)
    await log.advance()
    with pytest.raises(LogFork, match="before the archive ends"):
        await restore(log.redis, live, kept, replace=True)
    assert (await log.redis.xrange(log.keys("events")))[0][0] == early


async def test_the_archive_of_a_third_log_does_not_replace_the_lost_one(
    log: Ledger, live: LiveLog, tmp_path: Path
) -> None:
    await story(log, "a")
    third = await archived(live, tmp_path)
    await log.redis.flushdb()
    await log.node("n1")
    partition = Partition(log.redis, log.keys)
    await archived(live, tmp_path / "second")
    await partition.advance()
    await log.redis.flushdb()
    with pytest.raises(LogWiped):
        await partition.advance()
    with pytest.raises(LogWiped, match="give the archive of the lost log"):
        await restore(log.redis, live, third, replace=True)


async def test_a_lost_log_that_an_operator_forgets_is_asked_for_no_more(cli: Cli, keys: Keys, tmp_path: Path) -> None:
    cli.redis.flushall()
    worker = cli.start("worker")
    async with Scheduler.connect(cli.url, keys.namespace) as scheduler:
        await scheduler.submit(job("old"))
        nothing = cli.run("rebuild", "--forget", "--yes")
        assert (nothing.code, "has lost no log" in nothing.err) == (1, True), nothing
        assert cli.run("archive", "--to", "kept", "--once").code == 0
        await scheduler.submit(job("archived"))
        cli.redis.flushall()
        with pytest.raises(LogWiped):
            await scheduler.submit(job("refused"))
        assert cli.run("rebuild", "--forget", "--yes").code == 0
        await scheduler.submit(job("new"))  # by a process that knew the lost one
        await until(has_status(cli, "new", "created"))
        assert cli.run("status").code == 0
        assert cli.run("rebuild", "--yes").code == 0
        await scheduler.submit(job("newer"))
    assert worker.poll() is None


async def test_a_log_that_no_archive_holds_is_named_and_the_fleet_goes_on(cli: Cli, keys: Keys) -> None:
    cli.redis.flushall()
    worker = cli.start("worker")
    async with Scheduler.connect(cli.url, keys.namespace) as scheduler, anyio.create_task_group() as group:

        async def echo(assignment: Any) -> str:
            return str(assignment.payload_json)

        async with Node(scheduler, "n1", pools=["en-zh"], concurrency=4) as node:
            group.start_soon(node.run, echo)
            assert (await (await scheduler.submit(job("old"))).result(20)).status is JobState.FINISHED
            cli.redis.flushall()
            assert (await (await scheduler.submit(job("new"))).result(20)).status is JobState.FINISHED
            node.stop()
        said = cli.run("status")
        assert (said.code, "wiped" in said.out, "goes on" in said.out) == (1, True, True), said
        assert cli.run("rebuild", "--forget", "--yes").code == 0
        assert cli.run("status").code == 0
    assert worker.poll() is None


@pytest.mark.parametrize("arguments", [["--replace"], ["--forget", "--from", "kept"]])
def test_a_way_to_rebuild_that_makes_no_sense_is_refused(cli: Cli, arguments: list[str]) -> None:
    assert cli.run("rebuild", *arguments, "--yes").code == 2
