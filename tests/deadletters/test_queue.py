"""Dead letters: a retry takes effect once, a drop folds nothing, and the log holds both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.archive.archiver import Archiver
from streamsched.archive.reader import Archive
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.client import connect
from streamsched.contract.errors import AlreadyTerminal, NotRetryable, UnknownJob, UnknownLetter
from streamsched.contract.events import JobCancelled, NodeCordoned
from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS
from streamsched.deadletters.queue import DeadLetterQueue, Letter, LetterFilter, drop, retry
from streamsched.engine.partition import Partition
from streamsched.engine.script import script
from streamsched.engine.source import sources
from streamsched.log.live import LiveLog
from streamsched.replay.rebuild import rebuild
from streamsched.replay.restore import restore
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.letters import count_letters

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

CANCELLED = JobCancelled(job_id="j1")


@pytest.fixture
async def letters(server: EmbeddedServer, keys: Keys) -> AsyncIterator[DeadLetterQueue]:
    raw = connect(server.url, decode=False)
    yield DeadLetterQueue(raw, keys)
    await raw.aclose()


@pytest.fixture
def partition(ledger: Ledger) -> Partition:
    return Partition(ledger.redis, ledger.keys, patience_s=5)


async def listed(letters: DeadLetterQueue, **asked: Any) -> list[Letter]:
    return [letter async for letter in letters.newest_first(LetterFilter(**asked))]


async def counted(ledger: Ledger) -> tuple[int, int, dict[str, int]]:
    found = await count_letters(ledger.redis, ledger.keys)
    return found.all, found.open, found.by_code


async def test_a_retry_takes_effect_once_however_often_and_late_it_comes(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition
) -> None:
    await ledger.append(NodeCordoned(node_id="n1", reason="hot"))
    await ledger.node()
    (letter,) = await listed(letters)
    await retry(partition, letter)
    assert (await ledger.info())["cordoned"] == "true"
    await ledger.append(["type", "node.uncordoned", "node_id", "n1"])
    await retry(partition, letter)
    await ledger.add({"type": "node.cordoned", "node_id": "n1", "retry_of": letter.letter})
    await ledger.advance()
    assert (await ledger.info())["cordoned"] == "false"
    assert await listed(letters) == []
    (seen,) = await listed(letters, handled=True)
    (first, *_) = [entry for entry in await ledger.redis.xrange(ledger.keys("events")) if "retry_of" in entry[1]]
    assert seen.handled == f"retried {first[0]}"


async def test_a_drop_that_retries_the_very_letter_it_drops_changes_nothing_when_it_comes_again(ledger: Ledger) -> None:
    drop_itself = ["type", "letter.dropped", "letter", "1-1", "retry_of", "1-1"]
    await ledger.append(drop_itself)
    before = await ledger.trace()
    await ledger.append(drop_itself)
    assert await ledger.trace() == before


async def test_a_retried_submission_keeps_the_id_that_its_producer_knows(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition
) -> None:
    fields = {"session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"}
    entry_id = await ledger.add({"type": "job.submitted", **fields, "v": "2"})
    await ledger.advance()
    (letter,) = await listed(letters)
    letter.fields.pop("v")  # as if the workers had been upgraded
    answer = await retry(partition, letter)
    assert answer.job is not None
    assert answer.job[0] == f"s1:{entry_id}"
    again = await retry(partition, letter)
    assert again.job == answer.job
    assert (await ledger.hash("counters"))["submitted"] == "1"


async def test_what_is_refused_again_stays_listed_and_is_counted_once(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition
) -> None:
    await ledger.append(CANCELLED)
    (letter,) = await listed(letters)
    for _ in range(2):
        with pytest.raises(UnknownJob):
            await retry(partition, letter)
    (still,) = await listed(letters)
    assert (still.letter, still.tries) == (letter.letter, 2)
    assert still.refused_again.startswith("UNKNOWN_JOB job_id j1")
    assert await counted(ledger) == (1, 1, {"UNKNOWN_JOB": 1})
    last = (await ledger.letter_ids())[-1]
    assert (await letters.get(last)).letter == letter.letter, "its retry is no letter of its own"
    await ledger.submit("j1")
    await retry(partition, await letters.get(last))
    assert (await ledger.job())["status"] == "cancelled"
    assert await counted(ledger) == (1, 0, {"UNKNOWN_JOB": 1})


async def test_an_event_that_met_a_bug_is_folded_once_the_bug_is_mended(
    redis: Redis, keys: Keys, letters: DeadLetterQueue
) -> None:
    ledger = Ledger(redis, keys)
    await ledger.node()
    fold = sources()["node.cordoned"]
    body, fold.body = fold.body, "local nothing = nil + 1"
    script.cache_clear()
    try:
        await ledger.append(NodeCordoned(node_id="n1"))
    finally:
        fold.body = body
        script.cache_clear()
    (letter,) = await listed(letters, code="INTERNAL")
    await retry(Partition(redis, keys), letter)
    assert (await ledger.info())["cordoned"] == "true"
    assert await counted(ledger) == (1, 0, {"INTERNAL": 1})
    await ledger.check_refold()  # the model has no such bug, and would have folded the event at once


async def test_a_dropped_letter_is_never_folded_and_may_be_retried_all_the_same(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition
) -> None:
    await ledger.append(CANCELLED)
    (letter,) = await listed(letters)
    await ledger.submit("j1")
    await drop(partition, letter, "sent by a test")
    await drop(partition, letter)
    assert await listed(letters) == []
    assert [fact.get("reason") for fact in await ledger.facts("letter.dropped")] == ["sent by a test", None]
    await rebuild(ledger.redis, ledger.keys)
    await ledger.advance()
    assert (await ledger.job())["status"] == "created", "a replay passes over what was refused, dropped or not"
    assert await counted(ledger) == (1, 0, {"UNKNOWN_JOB": 1})
    (seen,) = await listed(letters, handled=True)
    assert seen.handled.startswith("dropped")
    await retry(partition, seen)
    assert (await ledger.job())["status"] == "cancelled"
    await drop(partition, seen)
    assert (await letters.get(letter.letter)).retried, "what has happened is not taken back"


NEVER: dict[str, tuple[dict[str, str], str, str]] = {
    "forged": ({"type": "node.expired", "node_id": "n1"}, "events", "written by the scheduler only"),
    "forged, and of a version to come": ({"type": "job.due", "v": "7"}, "events", "written by the scheduler only"),
    "a beat": ({"type": "node.heartbeat", "node_id": "n9", "online": "true"}, "heartbeats", "reports the present"),
    "cut": (
        {"type": "job.cancelled", "job_id": "j1", "reason": "x" * (LIMITS["payload"] + 1)},
        "events",
        "of reason only 1048576 bytes were kept: append it from its source",
    ),
    "too many fields": (
        {"type": "job.cancelled", "job_id": "j1", **{f"f{n}": "" for n in range(1000)}},
        "events",
        "more fields than a letter keeps",
    ),
    "no UTF-8": ({"type": "job.cancelled", "job_id": "\udcff"}, "events", "not UTF-8"),
}


@pytest.mark.parametrize("case", NEVER)
async def test_what_cannot_be_retried_says_why_and_is_left_alone(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition, case: str
) -> None:
    fields, stream, words = NEVER[case]
    await ledger.add(fields, stream)
    await ledger.advance()
    (letter,) = await listed(letters)
    length = await ledger.redis.xlen(ledger.keys("events"))
    with pytest.raises(NotRetryable, match=words):
        await retry(partition, letter)
    assert await ledger.redis.xlen(ledger.keys("events")) == length
    await drop(partition, letter)
    assert await listed(letters) == []


async def test_the_fields_of_an_event_come_back_under_their_own_names(ledger: Ledger, letters: DeadLetterQueue) -> None:
    fields = {"type": "job.cancelled", "job_id": "j1", "reason": "mine", "code": "7", "id": "x", "more": "é"}
    entry_id = await ledger.add(fields)
    await ledger.advance()
    (letter,) = await listed(letters)
    assert letter.fields == fields
    assert (letter.id, letter.stream, letter.code) == (entry_id, "events", "UNKNOWN_JOB")


async def test_letters_are_found_by_code_type_and_time_page_after_page(
    ledger: Ledger, letters: DeadLetterQueue
) -> None:
    await ledger.append(*[JobCancelled(job_id=f"x{n}") for n in range(150)])
    await ledger.append(*[NodeCordoned(node_id=f"n{n}") for n in range(120)])
    everything = await listed(letters)
    assert [letter.letter for letter in everything] == sorted(await ledger.letter_ids(), reverse=True, key=as_pair)
    assert len(await listed(letters, code="UNKNOWN_NODE")) == 120
    assert len(await listed(letters, type="job.cancelled")) == 150
    since = everything[0].ts
    assert await listed(letters, since_ts=since) == [letter for letter in everything if letter.ts >= since]
    pages = [page async for page in letters.oldest_first(LetterFilter(code="UNKNOWN_JOB"))]
    assert [letter.fields["job_id"] for page in pages for letter in page] == [f"x{n}" for n in range(150)]
    for wrong in ("last", "5", "1-1"):
        with pytest.raises(UnknownLetter, match="streamsched dead list"):
            await letters.get(wrong)


def as_pair(letter_id: str) -> tuple[int, ...]:
    return tuple(map(int, letter_id.split("-")))


async def test_the_counts_follow_the_letters_through_a_torn_call_and_a_wiped_server(
    redis: Redis, keys: Keys, live: LiveLog, letters: DeadLetterQueue, tmp_path: Path
) -> None:
    ledger = Ledger(redis, keys)
    await ledger.append(CANCELLED, NodeCordoned(node_id="n1"))
    letter = await letters.get((await ledger.letter_ids())[0])
    await ledger.append([*to_flat(letter), "retry_of", letter.letter])
    watermark = (await ledger.hash("meta"))["watermark"]
    await ledger.add({"type": "nonsense"})
    await ledger.advance()
    assert await counted(ledger) == (3, 3, {"UNKNOWN_JOB": 1, "UNKNOWN_NODE": 1, "UNKNOWN_TYPE": 1})
    # the call that buried the last one was torn before it moved the watermark
    await ledger.redis.hset(keys("meta"), mapping={"watermark": watermark, "begin": "1-1"})
    await rebuild(ledger.redis, keys)
    await ledger.advance()
    before = await counted(ledger)
    assert before == (3, 3, {"UNKNOWN_JOB": 1, "UNKNOWN_NODE": 1, "UNKNOWN_TYPE": 1})
    with ArchiveWriter(tmp_path, keys) as writer:
        await Archiver(live, writer).once()
    await redis.flushdb()
    await restore(redis, live, Archive.open(tmp_path, keys))
    assert await counted(ledger) == before


def to_flat(letter: Letter) -> list[str]:
    return [part for pair in letter.fields.items() for part in pair]


async def test_a_foreign_key_in_the_place_of_the_counts_holds_nothing_up(ledger: Ledger) -> None:
    await ledger.redis.set(ledger.keys("dead_codes"), "mine")
    answer = await ledger.answer(CANCELLED)
    assert answer[0] == "UNKNOWN_JOB"
    await ledger.node()


async def test_a_retry_that_is_refused_for_good_says_so(
    ledger: Ledger, letters: DeadLetterQueue, partition: Partition
) -> None:
    await ledger.append(["type", "job.completed", "job_id", "j1", "node_id", "n1", "status", "finished"])
    await ledger.submit("j1")
    await ledger.append(CANCELLED)
    (letter,) = await listed(letters)
    with pytest.raises(AlreadyTerminal):
        await retry(partition, letter)


# --- the command


def refuse_some(cli: Cli) -> None:
    lines = [{"type": "job.cancelled", "job_id": f"x{n}"} for n in range(3)]
    lines += [{"type": "node.cordoned", "node_id": "n1", "reason": "\x1b[2Jhot"}]
    outcome = cli.run("append", "-", stdin="\n".join(map(json.dumps, lines)))
    assert "4 refused" in outcome.out


def outcome(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    done = cli.run("dead", *arguments, "--json")
    return [json.loads(line) for line in done.out.splitlines()]


def test_letters_are_listed_shown_retried_and_dropped(cli: Cli) -> None:
    assert cli.run("dead", "list").out == "no open dead letters\n"
    refuse_some(cli)
    rows = outcome(cli, "list")
    assert [row["code"] for row in rows] == ["UNKNOWN_NODE", *["UNKNOWN_JOB"] * 3]
    assert len(outcome(cli, "list", "--limit", "2")) == 2
    assert len(outcome(cli, "list", "--since", "1h", "--code", "UNKNOWN_JOB")) == 3
    assert outcome(cli, "list", "--since", "2020-01-01", "--type", "node.offline") == []
    shown = cli.run("dead", "list").out
    assert "UNKNOWN_NODE" in shown
    assert rows[0]["letter"] in shown
    one = cli.run("dead", "show", rows[0]["letter"]).out
    assert "\x1b" not in one
    assert "UNKNOWN_NODE: node_id n1 has never registered" in one
    assert f"streamsched dead retry {rows[0]['letter']}" in one

    refused = cli.run("dead", "retry", "--all")
    assert (refused.code, refused.out) == (1, "0 retried, 4 refused\n")
    cli.run("append", "node.registered", "node_id=n1", "cap_json={}", 'pool_names_json=[{"name":"en-zh"}]')
    done = cli.run("dead", "retry", rows[0]["letter"])
    assert done.code == 0, done
    assert done.out.endswith("1 retried\n")
    again = cli.run("dead", "retry", rows[0]["letter"])
    assert "was retried before, by event" in again.out
    assert again.out.endswith("0 retried, 1 were handled before\n")
    assert cli.redis.hget(cli.keys.node_info("n1"), "cordoned") == "true"

    seen = json.loads(cli.run("status", "--json").out)["partition"]
    assert (seen["dead_letters"], seen["open_letters"]) == (4, 3)
    assert seen["letters_by_code"] == {"UNKNOWN_JOB": 3, "UNKNOWN_NODE": 1}
    text = cli.run("status").out
    assert "dead letters 3 of 4, the others were handled" in text
    assert "by code: UNKNOWN_JOB 3  UNKNOWN_NODE 1" in text

    asked = cli.run("dead", "drop", "--all", "--code", "UNKNOWN_JOB")
    assert asked.code == 2
    assert "removes 3 letters from the list: 3 UNKNOWN_JOB. Give --yes" in asked.err
    dropped = cli.run("dead", "drop", "--all", "--code", "UNKNOWN_JOB", "--yes", "--reason", "a test")
    assert (dropped.code, dropped.out.splitlines()[-1]) == (0, "3 dropped")
    assert cli.run("dead", "list").out == "no open dead letters\n"
    assert [row["handled"].split()[0] for row in outcome(cli, "list", "--handled")] == ["retried", *["dropped"] * 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("retry",), "give the ids of letters, or --all"),
        (("drop", "1-1", "--all"), "give the ids of letters, or --all"),
        (("drop", "1-1", "--code", "INTERNAL"), "need --all, and no ids"),
        (("list", "--since", "yesterday"), "--since 'yesterday': give an age such as 90s, 2h, 7d, a time"),
    ],
)
def test_a_command_that_names_no_letters_or_names_them_twice_is_a_usage_error(
    cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    refused = cli.run("dead", *arguments)
    assert refused.code == 2
    assert words in refused.err


def test_a_letter_that_is_not_there_is_named_and_nothing_is_done(cli: Cli) -> None:
    refuse_some(cli)
    there = outcome(cli, "list")[0]["letter"]
    refused = cli.run("dead", "drop", there, "1-1", "--yes")
    assert refused.code == 1
    assert "UNKNOWN_LETTER: there is no dead letter 1-1" in refused.err
    assert len(outcome(cli, "list")) == 4
