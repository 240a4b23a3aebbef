"""A call is bounded in bytes: large events count more, however they come."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS
from streamsched.engine.script import script
from streamsched.engine.source import sources

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

TEXTS = {"ascii": "a", "chinese": "语", "french": "é", "emoji": "🙂", "mixed": "a é 语 🙂 "}
MEGABYTE = LIMITS["payload"] - 2


def payload(text: str, size: int = MEGABYTE) -> str:
    return json.dumps(text * (size // len(text.encode())), ensure_ascii=False)


def submission(number: int, text: str, src: str = "en", tgt: str = "zh") -> dict[str, str]:
    job = {"job_id": f"j{number}", "session_id": "s", "src_lang": src, "tgt_lang": tgt}
    return {"type": "job.submitted", **job, "payload_json": text}


async def folded_by_each_call(ledger: Ledger) -> list[int]:
    """How many events of the log each call took, until nothing is left."""
    counts, more = [], 1
    while more:
        before = int((await ledger.hash("meta")).get("folded", 0))
        more = (await ledger.call())[0]
        counts.append(int((await ledger.hash("meta"))["folded"]) - before)
    return counts


@pytest.mark.parametrize("text", TEXTS)
async def test_a_call_folds_one_event_of_a_megabyte_and_leaves_the_rest_to_the_next(ledger: Ledger, text: str) -> None:
    for number in range(6):
        await ledger.add(submission(number, payload(TEXTS[text])))
    counts = await folded_by_each_call(ledger)
    assert max(counts) <= 2, "one event, or the upgrade of the folds and an event"
    assert (await ledger.hash("counters"))["submitted"] == "6"


async def test_a_call_folds_as_many_small_events_as_it_may(ledger: Ledger) -> None:
    for number in range(300):
        await ledger.add(submission(number, payload("a", 200)))
    assert (await folded_by_each_call(ledger))[0] == 256


async def test_large_jobs_that_wait_are_dispatched_a_few_a_call(ledger: Ledger) -> None:
    for number in range(6):
        await ledger.add(submission(number, payload("a")))
        await ledger.advance()
    await ledger.node("n1")
    counts = await folded_by_each_call(ledger)
    assert max(counts) <= 2
    assert len(await ledger.inbox()) == 6


async def test_a_replay_and_a_trim_take_a_few_large_events_a_call(redis: Redis, keys: Keys) -> None:
    ledger = Ledger(redis, keys)  # which is trimmed, so that no refold of it ends the test
    for number in range(6):
        await ledger.add({**submission(number, payload("a")), "type": "nonsense"})
    await ledger.advance()
    events, dead, batch = ledger.keys("events"), ledger.keys("dead"), 512
    counts, more = [0], 1
    while more:
        scratch = Keys("scratch", ledger.keys.partition).prefix
        more, _, folded = await script("replay")(
            ledger.redis, events=events, dead=dead, prefix=scratch, batch=batch, in_place=0
        )
        counts.append(int(folded))
    assert max(b - a for a, b in pairwise(counts)) <= 2
    given = {"prefix": ledger.keys.prefix, "archiver": "a"}
    last = (await ledger.redis.xrevrange(events, count=1))[0][0]
    trims: list[int] = []
    more = 1
    while more:
        trimmed, more, _ = await script("trim_log")(
            ledger.redis, events=events, batch=batch, archived=last, archive="here", takes_over=1, **given
        )
        trims.append(trimmed)
    assert sum(trims) == 6
    assert max(trims) <= 2
    letters = await ledger.letter_ids()
    trimmed, more = await script("trim_dead_letters")(
        ledger.redis, events=events, dead=dead, batch=batch, archived=letters[-1], keep=0, **given
    )
    assert (trimmed, more) == (1, 1), "a letter is a little larger than its event"


BROKEN = [
    b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xff", b"\xc3", b"\xe8\xaf", b"\xf0\x9f\x99", b"\xc3\xa9\xa9", b"\xe8\xaf\xad\xad",
]  # fmt: skip


@pytest.mark.parametrize(
    "behind", ["", "a", "a" * 13, "a" * 14, "a" * 15, "a" * 16, "a" * 40, "语" * 10, "语" * 29 + "a"]
)
@pytest.mark.parametrize("broken", BROKEN, ids=repr)
async def test_bytes_that_are_no_utf8_are_refused_wherever_they_stand(
    ledger: Ledger, broken: bytes, behind: str
) -> None:
    text = ("é" * 3 + behind).encode() + broken
    await ledger.add({**submission(1, "1"), "payload_json": text})
    await ledger.add({**submission(2, "1"), "payload_json": text + b"b" * 20})
    await ledger.advance()
    assert [letter["code"] for letter in await ledger.dead()] == ["INVALID_FIELD"] * 2


PIECES = [*("aé语음。\u0800\ud7ff\ue000\uffff😀\U0010ffff"), "语言" * 8, "a" * 40, "é" * 30, "한국어 " * 9]


async def test_drawn_texts_are_utf8_for_the_script_where_they_are_for_python(redis: Redis) -> None:
    chance = random.Random(1)
    texts = []
    for _ in range(4000):
        text = "".join(chance.choices(PIECES, k=chance.randrange(1, 40))).encode()
        if chance.randrange(2):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice([b"", *BROKEN]) + text[at + chance.randrange(3) :]
        texts.append(text)
    names = "local find, match = string.find, string.match"
    ask = "local found = {} for i, text in ipairs(ARGV) do found[i] = is_utf8(text) and 1 or 0 end return found"
    check = "\n".join((names, sources()["check/utf8"].body, ask))
    found = await redis.eval(check, 0, *texts)
    assert found == [int(is_utf8(text)) for text in texts]
    assert 1000 < sum(found) < 3500


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


async def test_folded_heartbeats_do_not_stay(ledger: Ledger) -> None:
    await ledger.node("n1")
    for _ in range(2):
        for number in range(600):
            beat = {"type": "node.heartbeat", "node_id": "n1", "online": "true", "load_json": json.dumps(number)}
            await ledger.add(beat, "heartbeats")
        await ledger.advance()
    assert await ledger.redis.xlen(ledger.keys("heartbeats")) < 200


async def test_beats_of_a_megabyte_are_folded_a_few_a_call(ledger: Ledger) -> None:
    await ledger.node("n1")
    for _ in range(6):
        beat = {"type": "node.heartbeat", "node_id": "n1", "online": "true", "junk": "x" * MEGABYTE}
        await ledger.add(beat, "heartbeats")
    calls = 1
    while (await ledger.call())[0]:
        calls += 1
    assert calls >= 6
    assert await ledger.redis.xlen(ledger.keys("heartbeats")) <= 1
