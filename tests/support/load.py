"""Producers and nodes under way while something is done to their server, with a journal that no server can lose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio

from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect
from streamsched.contract.errors import SchedulerError
from streamsched.contract.events import JobSubmitted
from streamsched.contract.keys import Keys
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.replay.rebuild import drop, refold
from streamsched.replay.values import difference, read_state

from .live import until
from .servers.watched import PATIENCE_S


class Load:
    """Submits jobs without a pause, carries them out, and notes what was acknowledged and what was carried out."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.url, self.keys = url, keys
        self.acknowledged: dict[str, str] = {}
        """Job id to the id of its submission, for every submission that was accepted."""
        self.in_doubt: list[str] = []
        """Jobs whose submission ended in an error: each may or may not be in the log."""
        self.carried_out: list[tuple[str, str, str]] = []
        """Attempt, job and node of everything a node began to carry out."""
        self.pause_s = 0.005
        self._producing = 2
        self._no_more = anyio.Event()
        self._stopped = anyio.Event()

    @asynccontextmanager
    async def running(self, nodes: int = 3) -> AsyncIterator[Load]:
        """Two producers and so many nodes at work; ends with the producers stopped and the nodes gone."""
        async with anyio.create_task_group() as group:
            for number in range(self._producing):
                group.start_soon(self._produce, f"p{number}")
            for number in range(nodes):
                group.start_soon(self._node, f"n{number}")
            try:
                yield self
            finally:
                self._no_more.set()
                self._stopped.set()

    async def _produce(self, name: str) -> None:
        number = 0
        async with Scheduler.connect(self.url, self.keys.namespace) as scheduler:
            while not self._no_more.is_set():
                number += 1
                job_id = f"{name}-{number}"
                event = JobSubmitted(session_id=name, src_lang="en", tgt_lang="zh", payload_json="{}", job_id=job_id)
                try:
                    self.acknowledged[job_id] = (await scheduler.append(event)).event_id
                except SchedulerError:
                    self.in_doubt.append(job_id)
                await anyio.sleep(self.pause_s)
        self._producing -= 1

    async def _node(self, node_id: str) -> None:
        async def carry_out(job: Assignment) -> str:
            self.carried_out.append((job.attempt, job.job_id, node_id))
            await anyio.sleep(0.01)
            return "done"

        async with (
            Scheduler.connect(self.url, self.keys.namespace) as scheduler,
            Node(scheduler, node_id, pools=["en-zh"], concurrency=8, heartbeat_ms=200) as node,
            anyio.create_task_group() as group,
        ):
            group.start_soon(node.run, carry_out)
            await self._stopped.wait()
            node.stop()

    async def goes_on(self, more: int = 100) -> None:
        """Wait until so many more submissions have been acknowledged."""
        wanted = len(self.acknowledged) + more

        async def reached() -> bool:
            return len(self.acknowledged) >= wanted

        await until(reached, PATIENCE_S)

    async def drained(self) -> None:
        """Stop submitting, and wait until every job that the log knows has ended."""
        self._no_more.set()
        redis: Any = connect(self.url)
        try:

            async def ended() -> bool:
                counters = await redis.hgetall(self.keys("counters"))
                return not self._producing and int(counters.get("submitted", 0)) == int(counters.get("finished", 0))

            await until(ended, PATIENCE_S)
        finally:
            await redis.aclose()


class Outcome(NamedTuple):
    """What a server holds once all is at rest."""

    log: dict[str, dict[str, str]]
    """Every event by id."""
    statuses: dict[str, str]
    """Of every job."""
    difference: dict[str, Any]
    """Where the state is not the fold of the log: nowhere."""


async def log_of(url: str, keys: Keys) -> dict[str, dict[str, str]]:
    """Read every event of a log, by id."""
    redis: Any = connect(url)
    try:
        return dict(await redis.xrange(keys("events")))
    finally:
        await redis.aclose()


def tokens_of(log: dict[str, dict[str, str]]) -> list[str]:
    """Return the attempt of every dispatch."""
    return [f"{event_id}-{event['nonce']}" for event_id, event in log.items() if event["type"] == "job.dispatched"]


async def outcome(url: str, keys: Keys) -> Outcome:
    """Read log and state, and fold the log beside it."""
    redis: Any = connect(url)
    try:
        scratch = Keys(keys.namespace + "-scratch")
        await refold(redis, keys, scratch)
        state = await read_state(redis, keys)
        parted = difference(state, await read_state(redis, scratch))
        await drop(redis, scratch)
    finally:
        await redis.aclose()
    jobs = {name.removeprefix("job:"): job["status"] for name, job in state.items() if name.startswith("job:")}
    return Outcome(await log_of(url, keys), jobs, parted)


async def all_is_well(load: Load) -> Outcome:
    """Look at what there is now that all have left: one history, whose fold is the state; all in it has ended."""
    after = await outcome(load.url, load.keys)
    assert after.difference == {}
    assert set(after.statuses.values()) == {"finished"}
    tokens = tokens_of(after.log)
    assert len(set(tokens)) == len(tokens)
    begun = [attempt for attempt, _, _ in load.carried_out]
    assert len(set(begun)) == len(begun), "an attempt was carried out twice"
    assert load.in_doubt == []
    return after
