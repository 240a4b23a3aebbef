"""``streamsched tail``: what it shows of a log, and that it goes on."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamsched.contract.keys import Keys
from streamsched.history.filter import matches
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.processes import Cli, eventually
from ..support.servers.aof import SYNCED

pytestmark = pytest.mark.anyio

ROW: dict[str, Any] = {
    "id": "1700000000000-3",
    "type": "job.completed",
    "words": "node n1 reports failed: too Hot",
    "fields": {"job_id": "s1:7", "node_id": "n1", "status": "failed", "error": "too Hot"},
    "refused": "NOT_HELD nobody gave it this job",
}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", True),
        ("hot", True),
        ("n1 NOT_HELD", True),
        ("n1 cordoned", False),
        ("type=job.*", True),
        ("type=job.*ted", True),
        ("type=job", False),
        ("type=node.*", False),
        ("node_id=n1", True),
        ("node_id=n", False),
        ("node_id=N?", True),
        ("session_id=s1", False),
        ("session_id=", True),
        ("id=1700000000000-*", True),
        ("type=job.* node_id=n2", False),
        ("job_id=s1:[0-9]", True),
        ("error=*hot s1:7", True),
    ],
)
def test_a_filter_asks_for_words_and_for_fields(wanted: str, found: bool) -> None:
    assert matches(ROW, wanted) is found


async def some(log: Ledger) -> None:
    """Four jobs of two nodes, one event that is refused."""
    await log.node("n1")
    for n in range(4):
        await log.submit(f"j{n}", f"s{n % 2}")
    await log.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot\x1b[2J"])
    await log.append(["type", "job.completed", "job_id", "nobody", "node_id", "n1", "status", "finished"])
    await log.advance()


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


async def test_the_last_events_are_shown_as_a_person_reads_them(log: Ledger, cli: Cli) -> None:
    await some(log)
    outcome = cli.run("tail", "--no-follow", "--last", "2")
    assert outcome.code == 0, outcome.err
    cordoned, refused = outcome.out.splitlines()
    assert "node.cordoned" in cordoned
    assert r"hot\x1b[2J" in cordoned
    assert "✗ UNKNOWN_JOB" in refused
    everything = cli.run("tail", "--no-follow", "--last", "1000")
    assert "hm" not in everything.out
    assert len(everything.out.splitlines()) == await log.redis.xlen(log.keys("events"))


async def test_filters_find_what_is_rare_however_far_back(log: Ledger, cli: Cli) -> None:
    await some(log)
    outcome = cli.run("tail", "--no-follow", "--json", "--last", "2", "type=job.submitted", "session_id=s1")
    assert [row["fields"]["job_id"] for row in rows(outcome.out)] == ["j1", "j3"]


BACK, FORTH = ("--last", "100"), ("--since", "0")
"""One searches backwards, the other reads on."""


@pytest.mark.parametrize(
    ("way", "words", "types"),
    [
        (BACK, ["session_id=s1"], ["job.submitted", "job.dispatched", "job.submitted", "job.dispatched"]),
        (FORTH, ["session_id=s1", "job_id=j3"], ["job.submitted", "job.dispatched"]),
        (BACK, ["type=job.dispatched", "src_lang=Z?", "tgt_lang=en"], ["job.dispatched"] * 4),
        (FORTH, ["src_lang=en"], []),
        (BACK, ["pool_id=en-zh"], ["job.dispatched"] * 4),
        (FORTH, ["node_id=n1", "type=node.c*"], ["node.cordoned"]),
    ],
)
async def test_a_filter_finds_the_events_of_a_session_and_of_a_pair_though_they_name_only_the_job(
    log: Ledger, cli: Cli, way: tuple[str, str], words: list[str], types: list[str]
) -> None:
    await some(log)
    assert [row["type"] for row in rows(cli.run("tail", "--no-follow", "--json", *way, *words).out)] == types


async def test_it_begins_at_the_given_place(log: Ledger, cli: Cli) -> None:
    await some(log)
    ids = [entry_id for entry_id, _ in await log.redis.xrange(log.keys("events"))]
    from_id = cli.run("tail", "--no-follow", "--json", "--since", ids[3])
    assert [row["id"] for row in rows(from_id.out)] == ids[3:]
    ms = int(ids[3].split("-")[0])
    from_time = cli.run("tail", "--no-follow", "--json", "--since", str(ms))
    assert [row["id"] for row in rows(from_time.out)] == [one for one in ids if int(one.split("-")[0]) >= ms]
    assert [row["id"] for row in rows(cli.run("tail", "--no-follow", "--json", "--since", "5m").out)] == ids
    unknown = cli.run("tail", "--no-follow", "--since", "yesterday")
    assert (unknown.code, "give an age such as 90s" in unknown.err) == (2, True)


async def test_it_says_what_the_log_no_longer_holds(log: Ledger, cli: Cli) -> None:
    await some(log)
    ids = [entry_id for entry_id, _ in await log.redis.xrange(log.keys("events"))]
    await log.redis.xtrim(log.keys("events"), minid=ids[2], approximate=False)
    outcome = cli.run("tail", "--no-follow", "--json", "--since", "0")
    assert [row["id"] for row in rows(outcome.out)] == ids[2:]
    assert "after 2 missing events: give the archive" in outcome.err


def test_it_follows_the_log_through_a_restart_of_the_server(keys: Keys, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server", append_only=True, options=SYNCED) as server:
        cli = Cli(server.url, keys, tmp_path)

        def add(name: str) -> None:
            cli.redis.xadd(keys("events"), {"type": "session.released", "session_id": name})

        try:
            cli.start("worker")
            add("before")
            eventually(lambda: cli.redis.hget(keys("meta"), "folded") == "1")
            tail = cli.start("tail", "session_id=*")
            eventually(lambda: "before" in cli.output(tail))
            add("first")
            eventually(lambda: "first" in cli.output(tail))
            server.kill()
            eventually(lambda: "the server is away" in cli.output(tail))
            server.start()
            eventually(lambda: "the server is back" in cli.output(tail))
            add("second")
            eventually(lambda: "second" in cli.output(tail))
            outcome = [line.split()[-1] for line in cli.output(tail).splitlines() if "session.released" in line]
            assert outcome == ["before", "first", "second"]
            tail.send_signal(2)
            assert tail.wait(20) == 130
        finally:
            cli.end()


def test_a_log_that_was_wiped_is_followed_on(keys: Keys, cli: Cli) -> None:
    with EmbeddedServer() as server:
        other = Cli(server.url, keys, cli.folder)
        try:
            other.start("worker")
            other.redis.xadd(keys("events"), {"type": "session.released", "session_id": "old"})
            tail = other.start("tail")
            eventually(lambda: "old" in other.output(tail))
            server.kill()
            server.start()
            other.redis.xadd(keys("events"), {"type": "session.released", "session_id": "new"})
            eventually(lambda: "new" in other.output(tail))
        finally:
            other.end()


def test_it_is_coloured_on_a_terminal_and_plain_in_a_pipe(cli: Cli) -> None:
    cli.start("worker")
    released(cli, "s1")
    ours, theirs = pty.openpty()
    tail = [sys.executable, "-m", "streamsched", "tail", "--no-follow"]
    subprocess.run(tail, env=cli.environment | {"TERM": "xterm-256color"}, stdout=theirs, check=True, timeout=60)
    on_terminal, plain = os.read(ours, 65536).decode(), cli.run(*tail[3:]).out
    os.close(ours)
    os.close(theirs)
    assert "\x1b[1msession.released" in on_terminal
    assert re.sub(r"\x1b\[[0-9;]*m", "", on_terminal).split() == plain.split()
    assert "\x1b" not in plain


def released(cli: Cli, *sessions: str) -> None:
    """Append events that speak of one session each, and wait until they are folded."""
    for name in sessions:
        last = cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": name})
    eventually(lambda: cli.redis.hget(cli.keys("meta"), "watermark") == last)


def outcome(cli: Cli, tail: subprocess.Popen[str], count: int) -> bool:
    """Whether so many lines were printed."""
    return len(cli.output(tail).splitlines()) == count


def test_a_slow_reader_learns_how_many_events_were_trimmed(cli: Cli) -> None:
    cli.start("worker")
    released(cli, "one")
    tail = cli.start("tail")
    eventually(lambda: "one" in cli.output(tail))
    tail.send_signal(signal.SIGSTOP)
    released(cli, "two", "three", "four")
    cli.redis.xtrim(cli.keys("events"), maxlen=1, approximate=False)
    tail.send_signal(signal.SIGCONT)
    eventually(lambda: "four" in cli.output(tail))
    released(cli, "five")
    eventually(lambda: "five" in cli.output(tail))
    assert [line for line in cli.output(tail).splitlines() if "trimmed" in line] == [
        "streamsched: 2 events were trimmed before they could be read"
    ]


def test_the_archive_that_it_began_with_may_grow_and_the_log_be_trimmed(cli: Cli) -> None:
    cli.start("worker")
    released(cli, "one", "two")
    assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    tail = cli.start("tail", "--archive", "kept", "--since", "0", "--json")
    eventually(lambda: "two" in cli.output(tail))
    for count, name in enumerate(("three", "four"), 3):
        released(cli, name)
        eventually(partial(outcome, cli, tail, count))
        assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    assert [row["fields"]["session_id"] for row in rows(cli.output(tail))] == ["one", "two", "three", "four"]


def test_a_reader_that_has_seen_enough_is_no_failure(cli: Cli) -> None:
    cli.start("worker")
    released(cli, *(f"s{n}" for n in range(2000)))  # more than a pipe holds
    tail = [sys.executable, "-m", "streamsched", "tail", "--since", "0"]
    with subprocess.Popen(tail, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0


def test_a_note_reports_events_that_no_worker_folds(cli: Cli) -> None:
    tail = cli.start("tail")
    cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": "s1"})
    eventually(lambda: "no worker folds" in cli.output(tail))
    assert "session.released" not in cli.output(tail)
