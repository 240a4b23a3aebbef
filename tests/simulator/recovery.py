"""What happens where the processes know their log, the archive has segments, and keys are evicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .actors.caller import Caller
from .actors.librarian import Librarian
from .actors.nodes import POOLS

if TYPE_CHECKING:
    from .run import Run


class Recovery:
    """The faults that only an archive mends, in a run."""

    def __init__(self, run: Run, librarian: Librarian) -> None:
        self.run, self.world, self.librarian = run, run.world, librarian
        self.caller = run.producer.caller = Caller(run.world, run.producer.name)

    def schedule(self) -> Iterator[tuple[float, Callable[[], object]]]:
        """What may happen, and how often."""
        yield 1, self.run.mishaps.evict
        yield 1.5, self.the_log_is_lost
        yield 2, self.run.mishaps.forge
        yield 2, self.run.a_worker_crashes
        yield 4, self.caller.step
        if self.world.profile.archive:
            yield 2, self.librarian.yesterday
            yield 1, self.librarian.take_snapshot
            yield 1, self.librarian.begin
            yield 5, self.librarian.go_on
            yield 1, self.an_operator_replaces
            yield 1, self.an_operator_gives_up

    def the_log_is_lost(self) -> None:
        """The log is lost, archived or not; some processes start again, and the fleet goes on as far as it may."""
        run, world, rng = self.run, self.world, self.world.rng
        world.pass_time(1)  # the first event of a log is its name: two logs do not begin in one millisecond
        if world.forked or world.lost_log() or world.server.full or world.server.space.now_ms < world.now_ms:
            return
        if world.profile.archive and rng.random() < 0.8:
            with world.calm():
                job = run.producer.job(*run.producer.pairs[0], {})
                run.producer.submitted.append(job)
                run.producer.say([job], raw=False)
                self.librarian.step()
                run.a_worker_steps()
        world.pass_time(1)
        run.mishaps.wipe_everything()
        often = rng.choice([0, 0.5, 1])
        names = [*(worker.name for worker in run.workers), *(speaker.name for speaker in run.speakers())]
        names = [name for name in names if rng.random() < often]
        world.note(f"{', '.join(names) or 'nobody'} is started again")
        for name in names:
            world.starts_over(name)
        if often == 1:
            self.a_new_log_begins()
        for _ in range(rng.choice([0, 3, 10])):
            node = rng.choice(run.nodes)
            rng.choice([node.join, node.work, run.producer.submit, run.producer.again, run.a_worker_steps])()
            world.pass_time(rng.choice(world.profile.hastes))

    def a_new_log_begins(self) -> None:
        """No process knows the lost log: the fleet goes on as if there had been none."""
        run = self.run
        with self.world.calm():
            for node in run.nodes:
                node.pools = POOLS
                node.join()
            for job in run.producer.submitted[-3:]:  # each producer asks for its job, and submits it once more
                run.producer.say([job], raw=False)
            run.a_worker_steps()

    def log_is_lost(self) -> bool:
        """Whether the server holds another log than the archive, as far as it is known yet."""
        return bool(self.world.lost_log()) or self.librarian.is_of_another_log()

    def an_operator_replaces(self) -> None:
        """The lost log is restored, whether or not the processes say that it was lost."""
        if self.log_is_lost() and not self.world.forked and not self.librarian.restore():
            self.run.stopped = self.world.forked

    def an_operator_gives_up(self) -> None:
        """The lost log is not restored: the fleet goes on with the new one, which the archive does not continue."""
        if self.world.lost_log() and self.librarian.restoring is None and not self.world.forked:
            self.librarian.give_up()
            if not self.world.lost_log():
                self.world.forked = "the archive is of a log that was given up"

    def calm(self) -> None:
        """Nothing goes wrong any more: each caller whose job has ended, or is lost, is told."""
        self.caller.look()
        self.caller.check()

    def look_back(self) -> None:
        """The archive alone comes to the state of the model."""
        self.librarian.check()
