"""A caller that waits for the ends of its jobs, by the program's own look at the state, carried on by the command."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from streamsched.client.results import ResultListener
from streamsched.contract.errors import LogWiped, SchedulerError, UnknownJob
from streamsched.engine.partition import Partition

from ...model.state import TERMINAL
from ..checks.observations import require
from ..redis_double.values import id_of
from ..transport import Procedure
from ..world import World


class OnePatience(Partition):
    """A partition that makes each call once: the run says when it is made again."""

    async def patiently(self, call: Any) -> Any:
        return await call()


class Waiting:
    """What the program takes for the future of a caller."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        self._told, self._done, self._problem = told, False, None

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Any) -> None:
        self._done = True
        self._told(result.status)

    def set_exception(self, problem: Any) -> None:
        self._done, self._problem = True, problem
        self._told(problem)

    def exception(self) -> Any:
        return self._problem


class Caller:
    """Waits for every job that its producer was told is accepted."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.dice = random.Random(f"caller {world.seed}")
        self.partition = OnePatience(world.wire, world.keys)
        self.results = ResultListener("", self.partition)
        self.looking: Procedure | None = None
        self._last = "0-0"
        """The last event there was when the look began."""

    @property
    def waiting(self) -> dict[str, Any]:
        return self.results._waiting

    def expect(self, job_id: str) -> None:
        """The scheduler has accepted a job."""
        self.waiting.setdefault(job_id, [Waiting(lambda said: self._told(job_id, said))])
        self.results.accepted(job_id)

    def step(self) -> None:
        """Look on by some commands; much may happen between two of them."""
        if self.looking is None:
            self._begin()
        for _ in range(self.dice.choice([1, 2, 5, 50])):
            if self.looking is not None:
                self._next()

    def look(self) -> None:
        """Look at once, from beginning to end."""
        self._begin()
        while self.looking is not None:
            self._next()

    def check(self) -> None:
        """Whoever can be told has been told.

        Raises:
            Violation: a caller waits for a job that has ended, or that is not there.
        """
        jobs = self.world.checker.model.partition.jobs
        for job_id in self.waiting:
            status = jobs[job_id].status if job_id in jobs else "not there"
            require(status not in (*TERMINAL, "not there"), f"the caller of {job_id} waits, and it is {status}")

    def _begin(self) -> None:
        known = self.world.knows(self.name)
        self.partition.heard.log, self.partition.heard.archived = known["known_log"], known["archived"]
        log = self.world.checker.log
        self._last = log[-1].id if log else "0-0"
        self.looking = Procedure("look up", self.results.look_up(list(self.waiting))) if self.waiting else None

    def _next(self) -> None:
        assert self.looking is not None
        try:
            self.looking.step(self.world.perform)
        except (SchedulerError, RedisError) as problem:
            self.world.mark("a caller looked where the state was not whole")
            self.world.note(f"a caller looks again later: {problem}")
            self.looking = None
        else:
            self.looking = None if self.looking.done else self.looking

    def _told(self, job_id: str, said: Any) -> None:
        world = self.world
        world.note(f"the caller of {job_id} is told: {said}")
        job = world.checker.model.partition.jobs.get(job_id)
        there = job is not None and id_of(job.submit_id) <= id_of(self._last)
        if isinstance(said, LogWiped):
            world.mark("a caller was told that the log is lost")
        elif isinstance(said, UnknownJob):
            require(not there, f"the caller of {job_id} was told that it is unknown, and it is there")
            world.mark("a caller was told that its job is lost")
        elif job is not None and there:
            require(job.status == said, f"the caller of {job_id} was told {said}, and it is {job.status}")
            world.mark("a caller was told the end of its job")
