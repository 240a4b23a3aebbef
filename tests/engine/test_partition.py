"""How appends travel and what happens when a call does not come back: the Python side alone, on fakeredis."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest
from redis.exceptions import ResponseError

from streamsched.contract.errors import (
    ERRORS,
    InvalidField,
    LogGap,
    PartitionRebuilding,
    SchedulerError,
    ServerCannotReplicate,
    ServerOutOfMemory,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    UnknownEventType,
    UnknownJob,
    UnknownNode,
    WrongKeyType,
    error_of,
)
from streamsched.contract.events import (
    Event,
    JobCancelled,
    JobSubmitted,
    NodeCordoned,
    NodeHeartbeat,
    NodeRegistered,
    SourceAdmitted,
    SourceRole,
)
from streamsched.contract.keys import Keys
from streamsched.contract.wire import EVENTS, from_wire, to_wire
from streamsched.engine.partition import Partition
from streamsched.engine.script import scheduler_error
from streamsched.replay.values import read_state

from ..support.example_events import EXAMPLES, GONE
from ..support.lossy import LossyFake

pytestmark = pytest.mark.anyio


@pytest.fixture
def lossy() -> LossyFake:
    return LossyFake(server=fakeredis.FakeServer(version=(7, 0)), decode_responses=True)


@pytest.fixture
def partition(lossy: LossyFake) -> Partition:
    return Partition(lossy, Keys("quick"), patience_s=5)


REGISTERED = NodeRegistered(node_id="n1", cap_json="{}", pool_names_json='[{"id":"en-zh","name":"en-zh"}]')
ONLINE = NodeHeartbeat(node_id="n1", online=True)
SUBMITTED = JobSubmitted(session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}", job_id="j1")

ADMITTED = SourceAdmitted(source="web", role=SourceRole.PRODUCER)


def test_every_event_of_the_contract_is_tried() -> None:
    assert set(EXAMPLES) == set(EVENTS)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
async def test_an_append_whose_reply_was_lost_has_one_effect(kind: str) -> None:
    outcomes = []
    for lost in (0, 2):
        lossy = LossyFake(server=fakeredis.FakeServer(version=(7, 0)), decode_responses=True)
        partition = Partition(lossy, Keys("quick"), patience_s=5)
        for event in (*GONE, REGISTERED, ONLINE, SUBMITTED, ADMITTED):
            await partition.append(event)
        attempt = await lossy.hget("quick:{0}:job:j1", "attempt")
        lossy.lose = lost
        await partition.append(EXAMPLES[kind](str(attempt), "1700000000000-0"))
        counters = await lossy.hgetall("quick:{0}:counters")
        counters.pop("dead", None)
        jobs = {key: len(value) for key, value in (await read_state(lossy, Keys("quick"))).items() if "job" in key}
        outcomes.append((counters, jobs))
    assert outcomes[0] == outcomes[1]


async def test_a_refusal_is_raised_to_the_one_who_appended_it(partition: Partition) -> None:
    async def append(event: Event) -> str:
        try:
            await partition.append(event)
        except SchedulerError as problem:
            return problem.code
        return ""

    events = (REGISTERED, NodeCordoned(node_id="n9"), JobCancelled(job_id="x"))
    codes = await asyncio.gather(*(append(event) for event in events))
    assert list(codes) == ["", UnknownNode.code, UnknownJob.code]


async def test_a_call_waits_while_the_state_is_being_rebuilt(partition: Partition, lossy: LossyFake) -> None:
    lossy.instead = ResponseError("REBUILDING the state is being rebuilt")
    await partition.append(REGISTERED)
    assert lossy.scripts >= 2


async def test_patience_ends_with_the_reason(lossy: LossyFake) -> None:
    partition = Partition(lossy, Keys("quick"), patience_s=0.2)
    await lossy.hset("quick:{0}:meta", "rebuilding", "drop")
    with pytest.raises(PartitionRebuilding):
        await partition.append(REGISTERED)
    await lossy.delete("quick:{0}:meta")
    lossy.lose = 1000
    with pytest.raises(ServerUnreachable, match=r"for 0\.2 s"):
        await partition.append(REGISTERED)


async def test_an_old_server_is_refused_with_the_remedy(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hello(command: str) -> list[str]:
        return ["server", "redis", "version", "6.2.14", "role", "master"]

    monkeypatch.setattr(partition.redis, "execute_command", hello)
    with pytest.raises(ServerTooOld, match=r"6\.2\.14: use Redis 7\.0"):
        await partition.check_server()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", ServerOutOfMemory),
        ("READONLY You can't write against a read only replica.", ServerReadOnly),
        ("NOREPLICAS Not enough good replicas to write.", ServerCannotReplicate),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", WrongKeyType),
        ("GAP the log took in 5 entries, 4 were folded", LogGap),
    ],
)
def test_each_trouble_of_the_server_has_its_own_message(message: str, kind: type[SchedulerError]) -> None:
    problem = scheduler_error(ResponseError(message))
    assert type(problem) is kind
    assert str(problem).startswith(kind.code)


def test_every_code_has_one_exception_and_an_explanation() -> None:
    for code, kind in ERRORS.items():
        assert kind.code == code
        assert kind.__doc__
        assert isinstance(error_of(code, "why"), kind)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_events_read_back_as_they_were_written(kind: str) -> None:
    event = EXAMPLES[kind]("1-0-feed", "1-0")
    flat = to_wire(event)
    assert flat[:2] == ["type", kind]
    assert from_wire(dict(zip(flat[::2], flat[1::2], strict=True))) == event


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"type": "job.lost"}, UnknownEventType, "give one of"),
        ({}, UnknownEventType, "give one of"),
        ({"type": "node.offline"}, InvalidField, "node_id"),
        ({"type": "node.heartbeat", "node_id": "n1", "online": "yes"}, InvalidField, "online"),
    ],
)
def test_a_malformed_event_is_refused_by_name(fields: dict[str, str], kind: type[SchedulerError], words: str) -> None:
    with pytest.raises(kind, match=words):
        from_wire(fields)
