"""One seed from its first step to its end: a schedule, then calm, in which everything must drain."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..model.state import HELD, TERMINAL
from .actors.archivist import Archivist
from .actors.ingress import Behind, NodeBehind, ProducerBehind
from .actors.librarian import Librarian
from .actors.nodes import POOLS, Node
from .actors.operator import Operator
from .actors.producers import Producer
from .actors.speaker import Speaker
from .actors.workers import Worker
from .checks.final_checks import look_back
from .checks.observations import Violation
from .checks.taken import check_taken
from .faults import Mishaps
from .recovery import Recovery
from .redis_double.double import Double
from .redis_double.values import Stream
from .world import Event, World

ROUNDS = 200
"""Rounds of calm after which everything must have ended."""

WITHIN_MS = 30_000
"""After the last fault: by then no job waits for a node that accepts it."""


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    steps: int = 0
    commands: int = 0
    events: int = 0
    marks: set[str] = field(default_factory=set)
    violation: str = ""
    stopped: str = ""
    """Why the run ended early, where the scheduler rightly refused to go on."""
    trace: list[str] = field(default_factory=list)


class Run:
    """The schedule of one seed."""

    def __init__(self, seed: int, trace: bool = False, server: Callable[[random.Random, int], Double] = Double) -> None:
        self.world = world = World(seed, trace, server)
        self.producer = Producer(world)
        self.nodes = [Node(world, f"n{n}") for n in range(world.profile.nodes)]
        self.behind: list[ProducerBehind] = []
        terms: dict[str, Event] = {}
        if world.profile.ingress:
            self.nodes[0] = node = NodeBehind(world, "n0")
            self.behind = [ProducerBehind(world, name) for name in ("web", "flood")]
            terms[node.source] = {"role": "node", "node_id": "n0", "pools": "*", "bytes": "3"}
            terms["web"] = {"role": "producer"}
            terms["flood"] = {
                "role": "producer",
                "rate": "5",
                "backlog": "8",
                "jobs": "3",
                "bytes": "3000",
                "max_age_ms": "40000",
            }
        self.operator = Operator(world, terms)
        self.workers: list[Worker] = []
        self.workers += [Worker(world, f"w{n}", self.workers) for n in range(world.profile.workers)]
        librarian = Librarian(world) if world.profile.recovery else None
        self.archivist = librarian or Archivist(world)
        self.mishaps = Mishaps(world, self.archivist)
        self.stopped = ""
        self.recovery = Recovery(self, librarian) if librarian is not None else None

    def go(self) -> Outcome:
        """Run to the end."""
        world = self.world
        outcome = Outcome(world.seed)
        try:
            self.begin()
            actions, weights = self.schedule()
            for _ in range(world.profile.steps):
                world.steps += 1
                world.rng.choices(actions, weights)[0]()
                world.pass_time(world.rng.choice(world.profile.hastes))
                if self.stopped:
                    break
            else:
                self.drain()
                if not self.stopped:
                    look_back(world)
                    if self.recovery is not None:
                        self.recovery.look_back()
        except Violation as problem:
            outcome.violation = str(problem)
        except Exception:
            outcome.violation = f"the simulator broke: {traceback.format_exc()}"
        outcome.steps, outcome.commands, outcome.events = world.steps, world.commands, len(world.checker.log)
        outcome.marks, outcome.stopped = world.marks, self.stopped
        outcome.trace = [*(world.lines or []), *([f"VIOLATION {outcome.violation}"] if outcome.violation else [])]
        return outcome

    def begin(self) -> None:
        """An operator configures and admits, the nodes come."""
        with self.world.calm():
            self.operator.say([{"type": "scheduler.configured", **self.world.profile.config}], raw=False)
            self.operator.admit_all()
            for node in self.nodes:
                node.join()

    def schedule(self) -> tuple[list[Callable[[], object]], list[float]]:
        """What may happen, and how often in this run."""
        world, rng = self.world, self.world.rng
        often: list[tuple[float, Callable[[], object]]] = [
            (10, self.producer.submit),
            (2, self.producer.again),
            (2, self.producer.cancel),
            (0.5, self.producer.release),
            (3, self.producer.repeat),
            (1, self.producer.come_back),
            (0.7, self.operator.retry),
            (0.5, self.operator.drop),
            (14, self.a_worker_steps),
            (1, self.a_worker_crashes),
            (3, self.mishaps.wait),
            (1.5, self.time_passes_with_workers),
            (1, self.absence_upon_absence),
            (0.5, self.silence_behind_a_rebuild),
            (1, self.nobody_has_work),
            (2, self.mishaps.deliver),
        ]
        for node in self.nodes:
            share = 1 / len(self.nodes)
            often += [
                (6 * share, node.beat),
                (14 * share, node.work),
                (2 * share, node.register),
                (3 * share, node.haunt),
                (2 * share, node.repeat),
                (1.5 * share, node.restart),
                (1.5 * share, node.turn_deaf),
                (0.7 * share, node.leave),
            ]
        rare: list[tuple[float, Callable[[], object]]] = [
            (0.5, self.mishaps.flush_scripts),
            (0.7, self.mishaps.wipe_state),
            (0.3, self.mishaps.wipe_everything),
            (0.7, self.mishaps.overwrite),
            (2, self.mishaps.forge),
            (2, self.mishaps.talk_nonsense),
            (2, self.mishaps.operate),
            (5, self.a_node_meddles),
            (1, lambda: self.mishaps.squat(list(self.operator.sources))),
        ]
        if not world.server.real:
            rare += [(2, self.mishaps.restart), (1, self.mishaps.move_clock), (1, self.mishaps.fill)]
            rare += [(1, self.mishaps.squeeze)]
        chosen = [(weight * rng.choice([0.3, 1, 1, 2]), action) for weight, action in often]
        chosen += [(weight * rng.choice([0.5, 1, 3]), action) for weight, action in rare if rng.random() < 0.3]
        if world.profile.ingress:
            chosen += [(weight, action) for weight, action in self.schedule_of_sources()]
        if world.profile.pauses:
            chosen.append((5, self.operator.steer))
        if world.profile.archive:
            chosen.append((6, self.archivist.step))
            chosen.append((2, self.an_operator_looks))
            chosen.append((1, self.archivist.be_hasty))
        if self.recovery is not None:
            chosen += self.recovery.schedule()
        if world.profile.gap:
            chosen.append((1, self.delete_unfolded))
        return [action for _, action in chosen], [weight for weight, _ in chosen]

    def schedule_of_sources(self) -> Iterator[tuple[float, Callable[[], object]]]:
        """What happens where some must not write to the log."""
        yield 10, self.a_worker_takes_in
        yield 1, self.operator.admit
        yield 1.4, self.operator.revoke
        yield 1, self.behind[1].flood
        yield 0.3, self.behind[1].brick
        for speaker in self.speakers_behind():
            yield 1, speaker.pretend
            yield 1, speaker.repeat
        for producer in self.behind:
            yield 4, producer.submit
            yield 1, producer.again
            yield 1, producer.cancel

    def speakers_behind(self) -> list[Behind]:
        return [*self.behind, *(node for node in self.nodes if isinstance(node, NodeBehind))]

    def a_worker_takes_in(self) -> None:
        """A worker asks for some sources, for an unknown one, or for all."""
        rng, names = self.world.rng, [*self.operator.sources, "nobody"]
        worker = rng.choice(self.workers)
        if worker.procedure is None:
            worker.take_in(rng.sample(names, rng.randint(1, len(names))))

    def a_worker_steps(self) -> None:
        self.world.rng.choice(self.workers).step()

    def a_worker_crashes(self) -> None:
        self.world.rng.choice(self.workers).crash()

    def a_node_meddles(self) -> None:
        busy = [node for node in self.nodes if node.hands]
        if busy:
            self.world.rng.choice(self.nodes).meddle(self.world.rng.choice(busy))

    def time_passes_with_workers(self) -> None:
        """Time limits run out while the scheduler is there: an absence would restart them."""
        self.pass_with_workers(self.world.rng.choice([800, 2_000, 4_000, 7_000]))

    def pass_with_workers(self, ms: int) -> None:
        self.world.note(f"{ms} ms pass, with a worker at work")
        while ms > 0:
            self.a_worker_steps()
            self.world.pass_time(min(ms, 900))
            ms -= 900

    def absence_upon_absence(self) -> None:
        """The scheduler is away, comes back for a single call, and is away again."""
        for _ in range(2):
            self.world.note("7000 ms pass")
            self.world.pass_time(7_000)
            self.world.rng.choice(self.workers).step(self.world.rng.choice([1, 2, 256]))

    def silence_behind_a_rebuild(self) -> None:
        """A node comes; then the state is folded again, and the node is silent for most of its timeout."""
        world = self.world
        node = world.rng.choice(self.nodes)
        least = world.checker.limits.least["heartbeat"]
        if least > 6_000 or world.server.full or world.checker.overwritten:
            return
        with world.calm():
            node.say([{"type": "node.offline", "node_id": node.name}], raw=False)
            node.say([node.beat_event("true")], raw=False, stream="heartbeats")
            self.an_operator_rebuilds()
            for _ in range(30):
                self.workers[0].step()
                if world.checker.whole:
                    break
            self.pass_with_workers(least - world.rng.choice([100, 1_000]))
        if world.checker.whole:
            world.mark("silence behind a rebuild")

    def nobody_has_work(self) -> None:
        """Nothing but beats, one call after the other."""
        for _ in range(3):
            node = self.world.rng.choice(self.nodes)
            node.say([node.beat_event()], raw=False, stream="heartbeats")

    def an_operator_looks(self) -> None:
        """Where a rebuild says that the log is not whole, the archive brings it back."""
        if self.needs_archive() and not self.archivist.restore():
            self.stopped = self.world.forked

    def needs_archive(self) -> bool:
        """Whether a worker said so, or a restore was ended half-way."""
        meta: Any = self.world.server.space.data.get(self.world.keys("meta"), {})
        return any(worker.gap for worker in self.workers) or "rebuild_from" in meta or self.has_another_log()

    def has_another_log(self) -> bool:
        """Whether the log is another one than that of the archive, as far as an operator sees it."""
        return self.recovery is not None and self.recovery.log_is_lost()

    def delete_unfolded(self) -> None:
        self.stopped = self.mishaps.delete_unfolded()

    # the end

    def drain(self) -> None:
        """Nothing goes wrong any more: everything that was accepted must come to its end."""
        world = self.world
        world.note("calm: from here on nothing goes wrong")
        world.faults, world.server.full, world.server.space.memory_percent = False, False, 1
        while world.delayed:
            self.mishaps.deliver()
        for name in self.operator.sources:
            self.mishaps.clear(name)
        world.move_clock(max(world.now_ms - world.server.space.now_ms, 0))
        if world.checker.overwritten and not world.checker.met_foreign:
            self.an_operator_rebuilds()
        for node in self.nodes:
            node.deaf, node.pools = False, POOLS
        self.operator.admit_all()
        calm_ms = world.true_ms
        for turn in range(ROUNDS):
            self.settle()
            if self.stopped:
                return
            if self.recovery is not None:
                self.recovery.calm()
            if world.true_ms - calm_ms >= WITHIN_MS:
                check_taken(world.checker.model.partition)
            if self.at_rest():
                return
            self.everybody_works(turn)
            world.pass_time(400 if turn % 3 else 2_000)
        jobs = world.checker.model.partition.jobs.items()
        alive = {job_id: job for job_id, job in jobs if job.status not in TERMINAL}
        overload = world.checker.model.partition.overload
        raise Violation(f"not at rest after {ROUNDS} rounds of calm: {alive or self.unsaid() or overload}")

    def speakers(self) -> list[Speaker]:
        return [self.producer, *self.behind, self.mishaps.stranger, self.operator, *self.nodes]

    def unsaid(self) -> list[Any]:
        """What was not answered, was shed, or has not been taken in."""
        said = [said for speaker in self.speakers() for said in (*speaker.unsure, *speaker.turned_away)]
        streams = [self.world.server.space.data.get(self.world.keys("ingress", name)) for name in self.operator.sources]
        waiting = [entry for stream in streams if isinstance(stream, Stream) for entry in stream.entries]
        return said + waiting + self.operator.open_letters()

    def at_rest(self) -> bool:
        partition = self.world.checker.model.partition
        ended = all(job.status in TERMINAL for job in partition.jobs.values())
        return ended and not partition.overload and not self.unsaid()

    def an_operator_rebuilds(self) -> None:
        """What lies under a key that no script has met is found by `verify`; here it is simply folded again."""
        world = self.world
        meta = world.keys("meta")
        world.note("an operator has the state folded again")
        world.run(world.wire.hset(meta, "begin", "by hand"))

    def settle(self) -> None:
        """Workers go on until nothing is left to do now."""
        for _ in range(400):
            worker = self.workers[0]
            for other in self.workers[1:]:
                if other.procedure is not None:
                    worker = other
            if self.needs_archive():
                for each in self.workers:
                    each.gap = False
                if not self.archivist.entries or not self.archivist.restore():
                    self.stopped = self.world.forked or "the log was trimmed, and no archive holds the rest"
                    return
            if worker.step() and (not self.operator.sources or worker.take_in(list(self.operator.sources), 256)):
                return
        raise Violation("the workers never came to rest")

    def everybody_works(self, turn: int) -> None:
        for speaker in self.speakers():
            for _ in range(len(speaker.unsure)):
                speaker.repeat()
            speaker.come_back()
        self.operator.see_to()
        self.operator.resume_all()
        jobs = self.world.checker.model.partition.jobs.items()
        unserved = [job_id for job_id, job in jobs if job.pair == ("xx", "yy") and job.status not in TERMINAL]
        if unserved:
            self.operator.say([{"type": "job.cancelled", "job_id": job_id} for job_id in unserved], raw=False)
        if turn % 5 == 0:
            for node in self.nodes:
                node.register()
                node.pools = POOLS
            self.operator.admit_all()
            self.operator.say([{"type": "node.uncordoned", "node_id": node.name} for node in self.nodes], raw=False)
        for node in self.nodes:
            node.say([node.beat_event("true")], raw=False)
            node.read()
            node.hand_back()
            self.finish_all(node)

    def finish_all(self, node: Node) -> None:
        events: list[Event] = []
        for job in list(node.hands.values()):
            about = {"job_id": job.job_id, "node_id": node.name, "attempt": job.attempt}
            if not job.running:
                events.append({"type": "job.started", **about})
            events.append({"type": "job.completed", **about, "status": "finished"})
            node.let_go(job)
        for job_id, held in self.world.checker.model.partition.jobs.items():
            if held.status in HELD and not held.delivered and held.node_id == node.name:
                events.append({"type": "job.completed", "job_id": job_id, "node_id": node.name, "status": "finished"})
        if events:
            node.say(events, raw=False)


def simulate(seed: int, trace: bool = False) -> Outcome:
    """Run a seed; with ``trace`` every step is printed."""
    return Run(seed, trace).go()
