"""Every way an event can be wrong: one dead letter that names the field and the remedy, and no other trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streamsched.contract.errors import PartitionHalted, ServerOutOfMemory, ServerReadOnly, WrongKeyType
from streamsched.contract.events import NodeHeartbeat
from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS
from streamsched.engine.source import facts
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

GOOD: dict[str, dict[str, str]] = {
    "node.registered": {"node_id": "n1", "cap_json": "{}", "pool_names_json": '[{"id":1,"name":"en-zh"}]'},
    "node.heartbeat": {"node_id": "n1", "online": "true"},
    **{kind: {"node_id": "n1"} for kind in ("node.offline", "node.cordoned", "node.uncordoned", "node.drained")},
    "node.retired": {"node_id": "n2"},
    "job.submitted": {"job_id": "j9", "session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"},
    "job.started": {"job_id": "j1", "node_id": "n1", "attempt": "@"},
    "job.progressed": {"job_id": "j1", "node_id": "n1", "attempt": "@"},
    "job.declined": {"job_id": "j1", "node_id": "n1", "attempt": "@"},
    "job.completed": {"job_id": "j1", "node_id": "n1", "status": "finished"},
    "job.cancelled": {"job_id": "j1"},
    "session.released": {"session_id": "s1"},
    "source.admitted": {"source": "web", "role": "producer"},
    "source.revoked": {"source": "web"},
    "scheduler.configured": {"max_attempts": "3"},
    "pool.paused": {"pool_id": "en-zh"},
    "pool.resumed": {"pool_id": "en-zh"},
    "pair.paused": {"src_lang": "zh", "tgt_lang": "en"},
    "pair.resumed": {"src_lang": "zh", "tgt_lang": "en"},
    "letter.dropped": {"letter": "1700000000000-0"},
}
"""One good event of each type, on the state that :func:`world` builds; ``@`` is the attempt of j1."""

Change = dict[str, str | None]
Case = tuple[str, Change, str, tuple[str, ...]]
INVALID = "INVALID_FIELD"


OPTIONAL = {
    ("job.submitted", "job_id"),
    ("job.declined", "attempt"),
    ("node.registered", "pool_names_json"),
    ("scheduler.configured", "max_attempts"),
}


def missing_and_empty() -> Iterator[Case]:
    for kind, fields in GOOD.items():
        for field in fields:
            if (kind, field) not in OPTIONAL:
                yield kind, {field: None}, INVALID, (f"{field} is missing", "add it")
            yield kind, {field: ""}, INVALID, (f"{field} is empty", "give a value or leave the field out")


def broken_utf8() -> Iterator[Case]:
    # a stray byte, a cut character, an overlong one, a surrogate, beyond Unicode, and one character around another
    for text in (
        "\udcff",
        "ok\udcc3",
        "\udcc0\udc80",
        "\udced\udca0\udc80",
        "\udcf4\udc90\udc80\udc80",
        "\udce2é\udc82\udcac",
    ):
        yield "job.submitted", {"session_id": text}, INVALID, ("session_id is not UTF-8", "encode it as UTF-8")


TABLE: list[Case] = [
    # what would stand for several values, or for none
    ("job.completed", {"status": "Finished"}, INVALID, ('status is "Finished"', "give finished or failed")),
    ("job.completed", {"status": "cancelled"}, INVALID, ('status is "cancelled"', "give finished or failed")),
    ("node.heartbeat", {"online": "True"}, INVALID, ('online is "True"', "give true or false")),
    ("node.heartbeat", {"online": "1"}, INVALID, ('online is "1"', "give true or false")),
    ("node.heartbeat", {"accepting": "yes"}, INVALID, ('accepting is "yes"', "give true or false")),
    ("job.submitted", {"immediate": "no"}, INVALID, ('immediate is "no"', "give true or false")),
    ("job.submitted", {"deliver": "0"}, INVALID, ('deliver is "0"', "give true or false")),
    ("job.submitted", {"affinity": "sticky"}, INVALID, ('affinity is "sticky"', "give prefer or none")),
    ("scheduler.configured", {"policy": "worst"}, INVALID, ('policy is "worst"', "give expected_finish")),
    # numbers
    ("job.submitted", {"priority": "high"}, INVALID, ('priority is "high"', "whole number from -100 to 100")),
    ("job.submitted", {"priority": "101"}, INVALID, ('priority is "101"', "whole number from -100 to 100")),
    ("job.submitted", {"priority": "1.5"}, INVALID, ('priority is "1.5"', "whole number")),
    ("job.submitted", {"max_attempts": "0"}, INVALID, ('max_attempts is "0"', "from 1 to 1000")),
    ("job.submitted", {"max_attempts": "1e3"}, INVALID, ('max_attempts is "1e3"', "whole number")),
    ("job.submitted", {"deadline_ts": "tomorrow"}, INVALID, ('deadline_ts is "tomorrow"', "whole number")),
    ("job.submitted", {"deadline_ts": "1" * 17}, INVALID, ("deadline_ts is", "whole number")),
    ("job.submitted", {"deadline_ts": "nan"}, INVALID, ("deadline_ts is", "whole number")),
    ("job.submitted", {"not_before_ts": "-1"}, INVALID, ('not_before_ts is "-1"', "whole number from 0")),
    ("scheduler.configured", {"retention_ms": "0x10"}, INVALID, ('retention_ms is "0x10"', "whole number")),
    ("scheduler.configured", {"job_timeout_ms": "31536000001"}, INVALID, ("job_timeout_ms is", "to 31536000000")),
    ("scheduler.configured", {"max_attempts": "0"}, INVALID, ('max_attempts is "0"', "from 1 to 1000")),
    # what cannot be meant
    ("job.submitted", {"not_before_ts": "1", "immediate": "true"}, INVALID, ("not_before_ts does not go", "leave one")),
    ("job.submitted", {"deadline_ts": "1700000000000"}, INVALID, ("deadline_ts 1700000000000 is in the past", "later")),
    (
        "job.submitted",
        {"deadline_ts": "900000000000000", "not_before_ts": "900000000000000"},
        INVALID,
        ("not_before_ts is not before deadline_ts",),
    ),
    ("job.submitted", {"tgt_lang": "zh"}, INVALID, ("tgt_lang equals src_lang", "two languages")),
    ("job.submitted", {"src_lang": "*"}, INVALID, ("src_lang is no language code", "letters, digits and hyphens")),
    ("job.submitted", {"src_lang": "z:h"}, INVALID, ("src_lang is no language code", "such as zh or pt-BR")),
    ("job.submitted", {"tgt_lang": "x" * 36}, INVALID, ("tgt_lang has 36 bytes", "within 35")),
    ("job.submitted", {"job_id": "a\nb"}, INVALID, ("job_id holds a control character", "printable")),
    (
        "job.submitted",
        {"job_id": None, "session_id": "s" * 250},
        INVALID,
        ("session_id leaves no room", "give a job_id"),
    ),
    # JSON
    ("node.registered", {"cap_json": "{gpu: 1}"}, INVALID, ("cap_json is not JSON", "encode it as JSON")),
    ("node.heartbeat", {"load_json": "[0.5"}, INVALID, ("load_json is not JSON", "encode it as JSON")),
    ("job.progressed", {"progress_json": "half"}, INVALID, ("progress_json is not JSON", "encode it as JSON")),
    ("node.registered", {"pool_names_json": "en-zh"}, INVALID, ("pool_names_json is not JSON", "encode it as JSON")),
    # what tells an event from its repeat
    ("node.cordoned", {"request_id": "a\nb"}, INVALID, ("request_id holds a control character",)),
    ("job.declined", {"request_id": ""}, INVALID, ("request_id is empty", "give a value or leave the field out")),
    (
        "job.submitted",
        {"job_id": None, "request_id": "r" * 256},
        INVALID,
        ("session_id leaves no room", "give a job_id"),
    ),
    # dead letters
    ("letter.dropped", {"letter": "1700000000000"}, INVALID, ('letter is "1700000000000"', "the id of an entry")),
    ("letter.dropped", {"letter": f"1-{'0' * 40}"}, INVALID, ("letter is", "such as 1700000000000-0")),
    ("job.cancelled", {"retry_of": "last"}, INVALID, ("retry_of is not the id of a dead letter", "give one such as")),
    # jobs and holders
    ("job.completed", {"job_id": "nobody"}, "UNKNOWN_JOB", ("job_id nobody", "no such job")),
    ("job.completed", {"node_id": "n2"}, "NODE_MISMATCH", ("node_id n2 does not hold job j1", "n1 does")),
    ("job.completed", {"attempt": "1-1-old"}, "STALE_ATTEMPT", ("attempt 1-1-old of job j1 is over",)),
    ("job.completed", {"job_id": "j0"}, "ALREADY_TERMINAL", ("job_id j0 is cancelled", "never changes")),
    ("job.submitted", {"job_id": "j1", "payload_json": "[]"}, "JOB_CONFLICT", ("job_id j1", "another payload_json")),
    ("job.submitted", {"job_id": "j1", "priority": "1"}, "JOB_CONFLICT", ("another payload_json", "use a new job_id")),
    # what is no event of the contract
    ("job.exploded", {}, "UNKNOWN_TYPE", ('type "job.exploded"', "see the event reference")),
    ("", {}, "UNKNOWN_TYPE", ('type ""',)),
    ("job.cancelled", {"v": "2"}, "UNSUPPORTED_VERSION", ("v 2 of job.cancelled", "upgrade the workers, or send v 1")),
    *missing_and_empty(),
    *broken_utf8(),
    ("node.registered", {"cap_json": '"\udcfe"'}, INVALID, ("cap_json is not UTF-8", "encode it as UTF-8")),
    ("job.completed", {"result_json": "\udcfe"}, INVALID, ("result_json is not UTF-8", "encode it as UTF-8")),
    # sizes
    ("job.cancelled", {"job_id": "j" * 257}, INVALID, ("job_id has 257 bytes", "within 256")),
    ("node.registered", {"node_id": "é" * 129}, INVALID, ("node_id has 258 bytes", "within 256")),
    ("node.registered", {"cap_json": f'"{"x" * 65_536}"'}, INVALID, ("cap_json has 65538 bytes", "within 65536")),
    ("job.cancelled", {"reason": "x" * 4097}, INVALID, ("reason has 4097 bytes", "within 4096")),
    (
        "job.submitted",
        {"payload_json": "x" * (2**20 + 1)},
        INVALID,
        ("payload_json has 1048577 bytes", "within 1048576"),
    ),
]

ENOUGH = [{"id": n, "name": f"a{chr(97 + n // 26)}{chr(97 + n % 26)}-zh"} for n in range(65)]
POOLS: list[tuple[Any, tuple[str, ...]]] = [
    ({"id": 1, "name": "en-zh"}, ("is no list", '[{"id": 1, "name": "en-zh"}]')),
    ({}, ("is no list",)),
    ("en-zh", ("is no list",)),
    (None, ("is no list",)),
    (5, ("is no list",)),
    (["en-zh"], ('entry 1 has no "name"', 'give {"id": 1, "name": "en-zh"}')),
    ([{"id": 1, "name": "en-zh"}, {"id": 2}], ('entry 2 has no "name"',)),
    ([{"id": 1, "name": 7}], ('entry 1 has no "name"',)),
    ([None], ('entry 1 has no "name"',)),
    ([{"id": 1, "name": ""}], ("a pool name is empty",)),
    ([{"id": 1, "name": "en-zh"}, {"id": 1, "name": "de-fr"}], ("repeats the id 1", "give each pool once")),
    ([{"id": 1, "name": "en-zh"}, {"id": "1", "name": "de-fr"}], ("repeats the id 1",)),
    ([{"name": "en-zh"}, {"name": "en-zh"}], ("repeats the id en-zh",)),
    ([{"id": 1, "name": "en"}], ('"en" names one language', "at least two")),
    ([{"id": 1, "name": "en-en"}], ('"en-en" names en twice', "name each language once")),
    ([{"id": 1, "name": "en-zh-en"}], ('"en-zh-en" names en twice',)),
    ([{"id": 1, "name": "*"}], ('"*" holds *', "name each language")),
    ([{"id": 1, "name": "en-*"}], ('"en-*" holds *', "name each language")),
    ([{"id": 1, "name": "zh-Hant-en"}], ("can be read in more than one way", 'list its "languages" beside the name')),
    ([{"id": 1, "name": "pt-BR"}], ("can be read in more than one way",)),
    ([{"id": 1, "name": "en--zh"}], ("can be read in more than one way",)),
    ([{"id": 1, "name": "en-zh", "languages": "en zh"}], ('"languages" of "en-zh" is no list',)),
    ([{"id": 1, "name": "en-zh", "languages": ["en", "fr"]}], ('is not its "languages" joined', "make the two agree")),
    ([{"id": 1, "name": "en-zh", "languages": ["en", 5]}], ("is no language code",)),
    ([{"id": 1, "name": "en-", "languages": ["en", ""]}], ("is empty",)),
    ([{"id": 1, "name": "en", "languages": ["en"]}], ("names one language",)),
    ([{"id": 1, "name": "en-en", "languages": ["en", "en"]}], ("names en twice",)),
    ([{"id": 1.5, "name": "en-zh"}], ('entry 1 has a bad "id"', "whole number")),
    ([{"id": -1, "name": "en-zh"}], ('entry 1 has a bad "id"',)),
    ([{"id": 1e15, "name": "en-zh"}], ('entry 1 has a bad "id"',)),
    ([{"id": "a:b", "name": "en-zh"}], ('entry 1 has a bad "id"', "letters, digits, dot, hyphen and underscore")),
    ([{"id": "", "name": "en-zh"}], ('entry 1 has a bad "id"',)),
    ([{"id": ["x"], "name": "en-zh"}], ('entry 1 has a bad "id"',)),
    ([{"id": True, "name": "en-zh"}], ('entry 1 has a bad "id"',)),
    (ENOUGH, ("lists more than 64 pools", "give fewer")),
    ([{"id": 1, "name": "-".join(f"a{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(33))}], ("more than 32",)),
]
TABLE += [
    ("node.registered", {"pool_names_json": json.dumps(pools)}, INVALID, ("pool_names_json", *words))
    for pools, words in POOLS
]

FORGED = {name: dict.fromkeys(fields, "1") for name, fields in facts().items()}


async def world(ledger: Ledger) -> None:
    """Node n1 holds j1; n2 is offline; j0 was cancelled; a source was admitted."""
    await ledger.admit("web")
    await ledger.node("n1")
    await ledger.node("n2", "de-fr")
    await ledger.append(["type", "node.offline", "node_id", "n2"])
    await ledger.submit("j0")
    await ledger.append(["type", "job.cancelled", "job_id", "j0"])
    await ledger.submit("j1")


async def event(ledger: Ledger, kind: str, change: Change) -> dict[str, str]:
    attempt = (await ledger.job())["attempt"]
    fields: dict[str, str | None] = {"type": kind, **GOOD.get(kind, {}), **change}
    return {name: attempt if text == "@" else text for name, text in fields.items() if text is not None}


def case_id(case: Case) -> str:
    kind, change, code, _ = case
    shown = ",".join(f"{name}={'' if text is None else ascii(text)[1:41]}" for name, text in change.items())
    return f"{kind}:{shown}:{code}"


@pytest.mark.parametrize("kind", GOOD)
async def test_the_good_event_of_each_type_is_accepted(ledger: Ledger, kind: str) -> None:
    await world(ledger)
    await ledger.add(await event(ledger, kind, {}))
    await ledger.advance()
    assert await ledger.dead() == []


@pytest.mark.parametrize("case", TABLE, ids=case_id)
async def test_a_bad_event_becomes_a_dead_letter_and_leaves_no_other_trace(ledger: Ledger, case: Case) -> None:
    kind, change, code, words = case
    await world(ledger)
    before = await ledger.trace()
    fields = await event(ledger, kind, change)
    entry = await ledger.add(fields)
    await ledger.advance()
    (letter,) = await ledger.dead()
    assert (letter["id"], letter["stream"], letter["code"]) == (entry, "events", code)
    for word in words:
        assert word in letter["reason"]
    kept = {name: letter["event_reason" if name == "reason" else name] for name in fields}
    assert kept == {name: text[: LIMITS["payload"]] for name, text in fields.items()}
    assert await ledger.trace() == before
    assert (await ledger.hash("counters"))["dead"] == "1"


@pytest.mark.parametrize("case", TABLE[:3], ids=case_id)
async def test_a_bad_event_gets_the_same_error_as_its_dead_letter(ledger: Ledger, case: Case) -> None:
    kind, change, code, _ = case
    await world(ledger)
    fields = await event(ledger, kind, change)
    answer = await ledger.answer([text for pair in fields.items() for text in pair])
    (letter,) = await ledger.dead()
    assert answer == [code, letter["reason"]]


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"type": "node.heartbeat", "node_id": "n1", "online": "maybe"}, INVALID, "give true or false"),
        (
            {"type": "node.heartbeat", "node_id": "n1", "online": "true", "load_json": "}"},
            INVALID,
            "load_json is not JSON",
        ),
        ({"type": "node.heartbeat", "node_id": "n7", "online": "true"}, "UNKNOWN_NODE", "append node.registered first"),
        ({"type": "node.offline", "node_id": "n1"}, "UNKNOWN_TYPE", "no event of this stream"),
        ({"type": "job.cancelled", "job_id": "j1"}, "UNKNOWN_TYPE", "no event of this stream"),
        (
            {"type": "node.recovered", "node_id": "n2", "accepting": "true"},
            "FORGED_DECISION",
            "written by the scheduler",
        ),
        ({"node_id": "n1", "online": "true"}, "UNKNOWN_TYPE", 'type "nil"'),
    ],
)
async def test_a_bad_beat_becomes_a_dead_letter_of_its_own_stream(
    ledger: Ledger, fields: dict[str, str], code: str, word: str
) -> None:
    await world(ledger)
    before, soft = await ledger.trace(), await ledger.info()
    entry = await ledger.add(fields, "heartbeats")
    await ledger.advance()
    (letter,) = await ledger.dead()
    assert (letter["id"], letter["stream"], letter["code"]) == (entry, "heartbeats", code)
    assert word in letter["reason"]
    assert {name: letter[name] for name in fields} == fields
    assert await ledger.trace() == before
    assert await ledger.info() == soft
    assert "dead" not in await ledger.hash("counters"), "counters follow from the log alone"


async def test_a_bad_heartbeat_through_a_call_gets_an_error(ledger: Ledger) -> None:
    assert (await ledger.answer(NodeHeartbeat(node_id="n7", online=True)))[0] == "UNKNOWN_NODE"


@pytest.mark.parametrize("kind", FORGED)
async def test_a_forged_decision_is_refused_live_and_on_replay(ledger: Ledger, kind: str) -> None:
    await world(ledger)
    before = await ledger.trace()
    plausible = {
        "job_id": "j1",
        "node_id": "n1",
        "pool_id": "en-zh",
        "retry_ts": "1",
        "since_ts": "1",
        "online": "false",
    }
    for fields in (FORGED[kind], {name: plausible.get(name, "") for name in FORGED[kind]}):
        entry = await ledger.add({"type": kind, **fields})
        await ledger.advance()
        letter = (await ledger.dead())[-1]
        assert (letter["id"], letter["code"]) == (entry, "FORGED_DECISION")
        assert f"type {kind} is written by the scheduler only" in letter["reason"]
        answer = await ledger.answer(["type", kind, *(text for pair in fields.items() for text in pair)])
        assert answer[0] == "FORGED_DECISION"
    assert await ledger.trace() == before  # the ledger then folds the log again, four forged facts included


async def test_every_decision_is_among_the_forged_ones() -> None:
    assert {"job.dispatched", "job.refused", "job.requeued", "job.expired", "job.exhausted"} <= FORGED.keys()
    assert {"node.expired", "node.recovered", "node.reported", "scheduler.resumed"} <= FORGED.keys()


async def test_fields_of_an_event_that_share_a_name_with_the_letters_own_are_kept_under_another(ledger: Ledger) -> None:
    fields = {"type": "x", "id": "my id", "stream": "my stream", "code": "my code", "reason": "my reason"}
    entry = await ledger.add(fields)
    await ledger.advance()
    (letter,) = await ledger.dead()
    assert (letter["id"], letter["stream"], letter["code"]) == (entry, "events", "UNKNOWN_TYPE")
    assert {letter["event_" + name] for name in ("id", "stream", "code", "reason")} == set(fields.values()) - {"x"}


async def test_an_entry_of_thousands_of_fields_is_refused_and_stops_nothing(ledger: Ledger) -> None:
    entry = await ledger.add({"type": "x", **{f"f{n}": "1" for n in range(9_000)}})
    await ledger.submit()
    (letter,) = await ledger.dead()
    assert (letter["id"], letter["code"]) == (entry, "INVALID_FIELD")
    assert letter["reason"] == "the event has 9001 fields: give at most 128"
    assert (await ledger.job())["status"] == "created"


@pytest.mark.parametrize("extra", [{"max_jobs": "4"}, {"pools_json": "[]"}, {"current_jobs": "[]"}, {"colour": "red"}])
async def test_unknown_fields_stay_in_the_log_and_out_of_the_state(ledger: Ledger, extra: dict[str, str]) -> None:
    for kind in ("node.registered", "node.heartbeat", "job.submitted"):
        await ledger.add({"type": kind, **GOOD[kind], **extra})
    await ledger.add({"type": "node.heartbeat", **GOOD["node.heartbeat"], **extra}, "heartbeats")
    await ledger.advance()
    assert await ledger.dead() == []
    assert (await ledger.job("j9"))["status"] == "dispatched"
    (name,) = extra
    assert name not in json.dumps(await ledger.state(ledger.keys))
    assert name not in await ledger.info()
    assert name in await ledger.last("job.submitted")


async def test_a_bad_event_stops_nothing_that_comes_behind_it(ledger: Ledger) -> None:
    await ledger.add({"type": "node.registered", **GOOD["node.registered"]})
    await ledger.add({"type": "job.submitted", **GOOD["job.submitted"], "src_lang": "?"})
    await ledger.add({"type": "job.submitted", **GOOD["job.submitted"]})
    await ledger.advance()
    assert (await ledger.job("j9"))["status"] == "dispatched"
    assert len(await ledger.dead()) == 1


async def damaged(ledger: Ledger, name: str, *ids: str) -> None:
    """Put a key of another type in the way of a fold."""
    key = ledger.keys(name, *ids)
    kind = await ledger.redis.type(key)
    await ledger.redis.delete(key)
    await (ledger.redis.hset(key, "x", "1") if kind == "string" else ledger.redis.set(key, "in the way"))


@pytest.mark.parametrize(
    ("name", "ids", "fields"),
    [
        ("job", ("j9",), {"type": "job.submitted", **GOOD["job.submitted"]}),
        ("job", ("j1",), {"type": "job.cancelled", "job_id": "j1"}),
        ("node_info", ("n1",), {"type": "node.cordoned", "node_id": "n1"}),
        ("config", (), {"type": "scheduler.configured", "max_attempts": "9"}),
        ("node_jobs", ("n1",), {"type": "job.completed", **GOOD["job.completed"]}),
        ("timers", (), {"type": "job.completed", **GOOD["job.completed"]}),
        ("counters", (), {"type": "job.submitted", **GOOD["job.submitted"]}),
        ("waiting", ("zh", "en"), {"type": "job.submitted", **GOOD["job.submitted"]}),
    ],
)
async def test_a_key_of_another_type_halts_the_partition_and_the_event_is_not_lost(
    redis: Redis, keys: Keys, name: str, ids: tuple[str, ...], fields: dict[str, str]
) -> None:
    ledger = Ledger(redis, keys)  # without the check at the end: this state is damaged on purpose
    await world(ledger)
    await damaged(ledger, name, *ids)
    await ledger.add(fields)
    with pytest.raises(PartitionHalted, match="WRONGTYPE"):
        await ledger.advance()
    meta = await ledger.hash("meta")
    assert meta["begin"] != meta["done"]
    assert "WRONGTYPE" in meta["halted"]
    log = await ledger.types()
    with pytest.raises(PartitionHalted, match="WRONGTYPE"):
        await ledger.advance()
    with pytest.raises(PartitionHalted, match="WRONGTYPE"):
        await ledger.submit("j77")
    assert await ledger.types() == log, "a halted partition appends and decides nothing"
    assert await ledger.dead() == [], "and blames no event"


@pytest.mark.parametrize("stream", ["events", "heartbeats", "dead", "meta"])
async def test_another_program_s_key_in_the_place_of_a_stream_is_named_and_left_alone(
    redis: Redis, keys: Keys, stream: str
) -> None:
    ledger = Ledger(redis, keys)
    await redis.set(keys(stream), "somebody else's")
    for call in (ledger.advance, ledger.submit):
        with pytest.raises(WrongKeyType, match="rename it, or choose another"):
            await call()
    assert await redis.get(keys(stream)) == "somebody else's"
    assert [key async for key in redis.scan_iter(match=keys.prefix + "*")] == [keys(stream)]


async def test_a_server_that_is_full_refuses_and_nothing_was_written(binary: Path, keys: Keys) -> None:
    with EmbeddedServer(binary=binary) as server:
        redis: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        ledger = Ledger(redis, keys)
        await ledger.node()
        await ledger.add({"type": "job.submitted", **GOOD["job.submitted"]})
        await redis.config_set("maxmemory", "1")
        before, meta = await ledger.state(keys), await ledger.hash("meta")
        for call in (ledger.advance, ledger.submit):
            with pytest.raises(ServerOutOfMemory, match=r"free memory or raise the limit. Nothing was written"):
                await call()
        assert await ledger.state(keys) == before
        assert await ledger.hash("meta") == meta
        assert len(await ledger.types()) == 2
        await redis.config_set("maxmemory", "0")
        await ledger.advance()
        assert (await ledger.job("j9"))["status"] == "dispatched"
        await ledger.check()
        await redis.aclose()


async def test_a_replica_refuses_and_says_where_to_go(binary: Path, keys: Keys) -> None:
    with EmbeddedServer(binary=binary) as server:
        redis: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        ledger = Ledger(redis, keys)
        await ledger.node()
        before = await ledger.state(keys)
        await redis.replicaof("127.0.0.1", 1)
        for call in (ledger.advance, ledger.submit):
            with pytest.raises(ServerReadOnly, match=r"connect to the primary. Nothing was written"):
                await call()
        await redis.replicaof("NO", "ONE")
        assert await ledger.state(keys) == before
        await ledger.submit()
        assert (await ledger.job())["status"] == "dispatched"
        await ledger.check()
        await redis.aclose()
