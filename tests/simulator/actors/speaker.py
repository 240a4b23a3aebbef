"""Clients that send events to the scheduler, and repeat them if no answer came."""

from __future__ import annotations

from collections.abc import Sequence

from redis.exceptions import RedisError

from streamsched.contract.errors import (
    LogGap,
    LogWiped,
    PartitionHalted,
    PartitionRebuilding,
    SchedulerError,
    ServerOutOfMemory,
)
from streamsched.contract.wire import repeatable

from ..world import Event, World

NOT_NOW = (PartitionHalted, PartitionRebuilding, LogGap, LogWiped, ServerOutOfMemory)


class Speaker:
    """An actor that appends events, by a call that answers or by a bare ``XADD``."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.unsure: list[tuple[list[Event], bool, str]] = []
        """What was said without an answer: it may have arrived."""
        self.turned_away: list[Event] = []
        """What is to be said again later."""

    def say(self, events: Sequence[Event], raw: bool | None = None, stream: str = "events") -> None:
        """Say something new; what stays unanswered is kept to be repeated."""
        if raw is None:
            raw = self.world.rng.random() < self.world.profile.raw
        if not raw or self.world.rng.random() < 0.3:
            events = [self.identified(event) for event in events]
        self.send(events, raw, stream)

    def send(self, events: Sequence[Event], raw: bool, stream: str) -> None:
        """Say it once."""
        world = self.world
        if any(event.get("attempt") in world.checker.lost for event in events):
            world.mark("word of a lost attempt")
        replied = ", ".join(" ".join(event.values()) for event in events)
        world.note(f"{self.name} {'adds' if raw else 'appends'} {replied}")
        try:
            if raw:
                for event in events:
                    world.add(event, stream)
                return
            answers = world.append(events, self.name)
            if answers is not None:
                self.answered(events, answers)
                self.turned_away += [e for e, answer in zip(events, answers, strict=True) if answer[0] == "OVERLOADED"]
                return
        except NOT_NOW as problem:
            world.note(f"    not now: {problem.code}")
            if problem.code != "GAP":
                world.mark(f"a call refused: {problem.code}")
        except (RedisError, SchedulerError) as problem:
            world.note(f"    no answer: {problem}")
        if not raw or self.may_repeat(events):
            self.unsure.append((list(events), raw, stream))

    def answered(self, events: Sequence[Event], answers: Sequence[Sequence[str]]) -> None:
        """What became of events that were appended."""

    def identified(self, event: Event) -> Event:
        """What the program's client does before it sends an event: it gives it what tells it from another."""
        flat = [text for pair in event.items() for text in pair]
        stamped = repeatable(flat)
        if stamped is not flat:
            stamped[-1] = f"r{self.world.rng.getrandbits(32):x}"  # of this seed
        return dict(zip(stamped[::2], stamped[1::2], strict=True))

    @staticmethod
    def may_repeat(events: Sequence[Event]) -> bool:
        """Whether a bare repeat is harmless: of a job without an identity there would be two."""
        return all(event["type"] != "job.submitted" or event.keys() & {"job_id", "request_id"} for event in events)

    def come_back(self) -> None:
        """Say again what was too much before."""
        if self.turned_away:
            events, self.turned_away = self.turned_away, []
            self.send(events, False, "events")

    def repeat(self) -> None:
        """Say again what stayed without an answer."""
        if self.unsure:
            events, raw, stream = self.unsure.pop(self.world.rng.randrange(len(self.unsure)))
            self.world.mark("append repeated")
            self.send(events, raw, stream)
