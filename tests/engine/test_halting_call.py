"""A call that halts the partition by itself is not made again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.contract.errors import PartitionHalted
from streamsched.contract.events import NodeCordoned, NodeRegistered, SessionReleased
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.replay.rebuild import rebuild_if_damaged

from ..support.ledger import Ledger
from ..support.planting import Bug

pytestmark = pytest.mark.anyio

POISON = SessionReleased(session_id="poison")
GOOD = [NodeRegistered(node_id=f"n{n}", cap_json="{}") for n in range(4)]


def breaking(condition: str) -> Bug:
    """An error behind the first write of a call, in an append of some events."""
    line = "  rcall('XADD', events, id, unpack(flat))\n"
    return Bug("", "", "call/log", line, f"{line}  if {condition} then\n    error('planted')\n  end\n")


@pytest.fixture
def poisonous() -> Iterator[None]:
    with breaking("flat[4] == 'poison'").planted():
        yield


@pytest.fixture
async def rebuilds(redis: Redis, keys: Keys) -> AsyncIterator[list[int]]:
    """What a worker does meanwhile, and how often it had to."""
    found: list[int] = []

    async def work() -> None:
        while True:
            if (folded := await rebuild_if_damaged(redis, keys)) is not None:
                found.append(folded)
            await asyncio.sleep(0.02)

    worker = asyncio.create_task(work())
    yield found
    worker.cancel()


async def counted(rebuilds: list[int], least: int) -> int:
    """How many rebuilds there were, once there were enough: a caller may go on before the rebuild is counted."""
    with anyio.fail_after(20):
        while len(rebuilds) < least:
            await asyncio.sleep(0.02)
    return len(rebuilds)


@pytest.fixture
def partition(redis: Redis, keys: Keys) -> Partition:
    return Partition(redis, keys, patience_s=20)


async def of(partition: Partition, *events: Any) -> list[Any]:
    return await asyncio.gather(*(partition.append(event) for event in events), return_exceptions=True)


async def test_an_event_that_halts_the_partition_is_sent_once(
    poisonous: None, rebuilds: list[int], partition: Partition, ledger: Ledger
) -> None:
    (problem,) = await of(partition, POISON)
    assert isinstance(problem, PartitionHalted)
    assert "planted" in problem.detail
    assert "it is not made again" in problem.detail
    await partition.append(GOOD[0])
    assert await counted(rebuilds, 1) == 1
    assert await ledger.types() == ["session.released", "node.registered"]


async def test_events_that_travelled_with_it_go_through_alone(
    poisonous: None, rebuilds: list[int], partition: Partition, ledger: Ledger
) -> None:
    answers = await of(partition, *GOOD[:2], POISON, *GOOD[2:])
    assert [isinstance(answer, PartitionHalted) for answer in answers] == [False, False, True, False, False]
    assert await ledger.redis.scard(ledger.keys("nodes")) == 4
    assert await counted(rebuilds, 2) == 2


async def test_where_no_event_is_the_cause_only_two_are_tried_again(
    rebuilds: list[int], partition: Partition, ledger: Ledger
) -> None:
    with breaking("true").planted():
        answers = await of(partition, *GOOD)
        assert all(isinstance(answer, PartitionHalted) for answer in answers)
        await counted(rebuilds, 3)
        await asyncio.sleep(0.2)
    assert len(rebuilds) == 3
    await ledger.advance()


async def test_a_required_event_is_not_sent_again_either(
    poisonous: None, rebuilds: list[int], partition: Partition
) -> None:
    with pytest.raises(PartitionHalted, match="it is not made again"):
        await partition.insist(POISON, lambda: False)
    await partition.append(GOOD[0])
    assert await counted(rebuilds, 1) == 1


async def test_a_call_that_finds_the_partition_halted_waits_for_its_rebuild(
    poisonous: None, rebuilds: list[int], partition: Partition, redis: Redis, keys: Keys
) -> None:
    other = Partition(redis, keys, patience_s=20)
    (problem,), answers = await asyncio.gather(of(partition, POISON), of(other, NodeCordoned(node_id="none"), GOOD[0]))
    assert isinstance(problem, PartitionHalted)
    assert [getattr(answer, "code", "") for answer in answers] == ["UNKNOWN_NODE", ""]


async def test_a_foreign_key_in_the_state_is_no_fault_of_the_call(
    rebuilds: list[int], partition: Partition, ledger: Ledger
) -> None:
    await ledger.redis.set(ledger.keys("node_info", "n0"), "mine")
    await partition.append(GOOD[0])
    assert await counted(rebuilds, 1)
