"""Workers: they advance, and rebuild what is torn, with the program's own rebuild stopped at every command."""

from __future__ import annotations

from collections.abc import Sequence

from redis.exceptions import RedisError

from streamsched.contract.errors import LogGap, LogWiped, PartitionHalted, PartitionRebuilding, SchedulerError
from streamsched.replay import rebuild as replay

from ..transport import Procedure
from ..world import World


class Worker:
    """One worker: the loop of ``streamsched/worker.py``, a command at a time."""

    def __init__(self, world: World, name: str, others: list[Worker]) -> None:
        self.world, self.name, self.others = world, name, others
        self.procedure: Procedure | None = None
        self.gap = False
        """The last rebuild said that the log is not whole."""

    def step(self, batch: int | None = None) -> bool:
        """Go on with the rebuild under way, or advance; true if there is nothing more to do now."""
        if self.procedure is not None:
            self._go_on(self.procedure)
            return False
        world = self.world
        world.note(f"{self.name}")
        try:
            return not world.advance(batch or world.rng.choice(world.profile.batches), self.name)[0]
        except (PartitionHalted, PartitionRebuilding) as problem:
            world.mark(f"a call refused: {problem.code}")
            self.procedure = Procedure("mend", replay.rebuild_if_damaged(world.wire, world.keys))
        except LogWiped:
            world.mark("a call refused: WIPED")
        except (SchedulerError, RedisError) as problem:
            world.note(f"    {problem}")
        return False

    def take_in(self, names: Sequence[str], batch: int | None = None) -> bool:
        """Take in what sources said; true if there is nothing more to do now. What is torn, the other loop mends."""
        world = self.world
        world.note(f"{self.name} for {' '.join(names)}")
        try:
            reply = world.take_in(batch or world.rng.choice(world.profile.batches), names, self.name)
        except (SchedulerError, RedisError) as problem:
            world.note(f"    {problem}")
            return False
        return not reply[0] and "0" not in reply[5][1::2]

    def _go_on(self, procedure: Procedure) -> None:
        world = self.world
        if any(other is not self and other.procedure is not None for other in self.others):
            world.mark("rebuilt by two at once")
        world.note(f"{self.name} rebuilds: {world.replied(procedure.request or ())}")
        late = world.checker.whole  # another worker has done it
        try:
            replay.BATCH = world.profile.replay_batch
            procedure.step(world.perform)
        except LogGap as problem:
            world.note(f"    {problem}")
            self.procedure, self.gap = None, True
            return
        except (SchedulerError, RedisError) as problem:
            world.note(f"    rebuild failed: {problem}")
            self.procedure = None
            return
        if procedure.done:
            self.procedure, self.gap = None, False
            if procedure.result is not None:
                world.mark("rebuilt")
                if not late:
                    world.checker.limits.rebuilt_ms = world.true_ms

    def crash(self) -> None:
        """Its process dies, and another takes its place."""
        if self.procedure is not None:
            self.world.mark("worker died while it rebuilt")
            self.procedure.kill()
            self.procedure = None
        self.world.starts_over(self.name)
        self.world.note(f"{self.name} dies and is started again")
