"""Producers: they submit, repeat, cancel; one knows its jobs by their ids, another leaves that to the log."""

from __future__ import annotations

from collections.abc import Sequence

from ..world import Event, World
from .caller import Caller
from .speaker import Speaker

PAIRS = [("en", "zh"), ("zh", "en"), ("de", "en"), ("en", "de"), ("de", "zh")]

EXTRAS: list[Event] = [
    *[{} for _ in range(8)],
    {"priority": "5"},
    {"priority": "-1", "reply_to": "me"},
    {"max_attempts": "1"},
    {"max_attempts": "2", "reply_to": "me"},
    {"affinity": "none"},
    {"immediate": "true", "reply_to": "me"},
    {"immediate": "true", "deliver": "false"},
    {"deliver": "false"},
]


class Producer(Speaker):
    """Hands in jobs, each of them an intent of its own."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "producer")
        self.submitted: list[Event] = []
        self.intents = 0
        self.caller: Caller | None = None
        self.pairs = PAIRS[: world.rng.randint(1, len(PAIRS))]

    def answered(self, events: Sequence[Event], answers: Sequence[Sequence[str]]) -> None:
        """Someone waits for each job that was accepted."""
        if self.caller is not None:
            for event, answer in zip(events, answers, strict=True):
                if event["type"] == "job.submitted" and not answer[0]:
                    self.caller.expect(answer[2])

    def submit(self) -> None:
        """A few jobs of one kind."""
        rng = self.world.rng
        src, tgt = rng.choice(self.pairs) if rng.random() < 0.95 else ("xx", "yy")
        more = dict(rng.choice(EXTRAS))
        now = self.world.now_ms
        if rng.random() < 0.15:
            more["deadline_ts"] = str(now + rng.choice([300, 2000]))
        if rng.random() < 0.15 and "immediate" not in more:
            more["not_before_ts"] = str(now + rng.choice([100, 1000]))
        events = [self.job(src, tgt, more) for _ in range(rng.choice([1, 1, 1, 2, 4, 9]))]
        if rng.random() < 0.1:
            for event in events:
                del event["job_id"]
        else:
            self.submitted += events
        self.say(events)

    def job(self, src: str, tgt: str, more: Event) -> Event:
        """A submission that says which intent it stands for."""
        n = self.intents
        self.intents += 1
        session = f"s{self.world.rng.randrange(self.world.profile.sessions)}"
        fields = {"type": "job.submitted", "job_id": self.job_id(n), "session_id": session, "src_lang": src}
        return {**fields, "tgt_lang": tgt, "payload_json": f'{{"n":{n}}}', **more, "intent": self.intent(n)}

    def intent(self, n: int) -> str:
        """The job's id for an observer."""
        return str(n)

    def job_id(self, n: int) -> str:
        """The identity of a submission, chosen before it is sent for the first time."""
        return f"j{n}"

    def again(self) -> None:
        """The same submission once more, or another one under its id."""
        if not self.submitted:
            return
        event = dict(self.world.rng.choice(self.submitted))
        if self.world.rng.random() < 0.3:
            event |= {"payload_json": '"other"'}
            del event["intent"]
        self.say([event])

    def cancel(self) -> None:
        known = [event["job_id"] for event in self.submitted[-8:]] or ["j0"]
        self.say([{"type": "job.cancelled", "job_id": self.world.rng.choice(known)}])

    def release(self) -> None:
        """A session is over."""
        session = f"s{self.world.rng.randrange(self.world.profile.sessions)}"
        self.say([{"type": "session.released", "session_id": session}])
