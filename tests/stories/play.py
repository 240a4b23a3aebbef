"""Plays a story on a real server, through the scripts, so that the log holds its decisions with real tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from ..support.ledger import Ledger
from .events import ATTEMPTS, FORGED, GOOD, NODES, POOLS, Fields, any_event, bad_events, good_event, randoms

HELD = ("dispatched", "running")


class Said(NamedTuple):
    """Events are appended: through a call that answers, or as bare entries that are not folded yet."""

    how: str
    events: list[Fields]


class Flooded(NamedTuple):
    """The same work is submitted many times, each time as a new job."""

    how: str
    times: int
    fields: Fields


class Repeated(NamedTuple):
    """A submission is repeated, perhaps with other content."""

    how: str
    which: int
    change: Fields


class Spoken(NamedTuple):
    """Sources put events into their ingress, and a worker takes in what it may."""

    source: str
    events: list[Fields]


class Beaten(NamedTuple):
    """Nodes beat on the heartbeat stream."""

    beats: list[Fields]


class Worked(NamedTuple):
    """A node says something of the jobs it holds; ``which`` is one of them, or all."""

    node_id: str
    which: int | None
    words: list[str]
    how: str


class Lagged(NamedTuple):
    """The holder of a job that was dispatched before reports on an earlier attempt."""

    words: list[str]
    how: str


class Passed(NamedTuple):
    """Time passes, with or without calls of the scheduler."""

    ms: int
    attended: bool


class Advanced(NamedTuple):
    """A worker calls once."""

    batch: int


Step = Said | Flooded | Repeated | Spoken | Beaten | Worked | Lagged | Passed | Advanced
Story = tuple[Fields, list[str], list[Step]]

WORDS = [
    ["started"],
    ["started", "started"],
    ["started", "progressed"],
    ["started", "finished"],
    ["finished", "finished"],
    ["started", "failed"],
    ["failed", "failed"],
    ["brief"],
    ["early", "brief"],
    ["started", "early"],
    ["broke", "broke"],
    ["full"],
    ["roomy"],
    ["cramped", "done"],
    ["cramped"],
    ["declined", "declined"],
    ["again", "again"],
    ["begun", "begun"],
    ["started", "declined"],
    ["started", "lost"],
    ["started", "progressed", "lost"],
]
TIMES = [1, 1, 100, 100, 700, 700, 1_000, 3_000, 10_000, 21_000]
ABSENCES = [3_000, 6_000, 12_000, 40_000]
CHANGED = ["priority", "priority", "payload_json", "affinity", "deliver", "reply_to", "max_attempts"]
ALL_BEAT = [[("type", "node.heartbeat"), ("node_id", node_id), ("online", "true")] for node_id in NODES]
ALL_ACCEPT = [[*beat, ("accepting", "true")] for beat in ALL_BEAT]


def any_step(chance: random.Random, bad: list[Fields]) -> Step:
    """Make one thing that happens."""
    how = chance.choice(["append", "xadd"])
    words, name = chance.choice(WORDS), chance.choice(CHANGED)
    changes = chance.choice([[], [(name, chance.choice(GOOD[name]))]])
    choices: list[tuple[int, Callable[[], Step]]] = [
        (3, lambda: Said(how, [any_event(chance, bad) for _ in range(chance.randint(1, 6))])),
        (3, lambda: Flooded(how, chance.randint(1, 12), good_event(chance, "job.submitted"))),
        (2, lambda: Repeated(how, chance.randrange(10), changes)),
        (2, lambda: Spoken(chance.choice("ab"), [_spoken(chance) for _ in range(chance.randint(1, 4))])),
        (5, lambda: Worked(chance.choice(NODES[:3]), None, words, how)),
        (2, lambda: Worked(chance.choice(NODES), chance.randrange(6), words, how)),
        (1, lambda: Lagged(words, how)),
        (1, lambda: Beaten([good_event(chance, "node.heartbeat") for _ in range(chance.randint(1, 3))])),
        (4, lambda: Beaten(chance.choice([ALL_BEAT, ALL_ACCEPT]))),
        (3, lambda: Passed(chance.choice(TIMES), True)),
        (1, lambda: Passed(chance.choice(ABSENCES), False)),
        (2, lambda: Advanced(chance.choice([1, 2, 5, 256]))),
    ]
    (make,) = chance.choices([choice for _, choice in choices], [weight for weight, _ in choices])
    return make()


def _spoken(chance: random.Random) -> Fields:
    """Make what the producer ``a`` or the node ``b`` may say, and sometimes may not."""
    kinds = ["job.submitted", "job.submitted", "job.cancelled", "node.registered", "node.offline", "job.declined"]
    fields = good_event(chance, chance.choice(kinds))
    own = ("job_id", "session_id", "reply_to")
    return [(name, f"a/{value}" if name in own and value[0] != "@" else value) for name, value in fields]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A configuration, the pools of the nodes that are there from the beginning, and what happens."""
    bad = draw(st.lists(bad_events(), max_size=6))
    chance = draw(randoms)
    configuration = good_event(chance, "scheduler.configured")
    pools = [POOLS[0], *chance.choices(POOLS, k=chance.randrange(3))]
    return configuration, pools, [any_step(chance, bad) for _ in range(chance.randint(20, 60))]


class Player:
    """Lets a story happen to a ledger's partition."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.submitted: list[list[str]] = []
        """Every submission, the last one first."""
        self.jobs: list[str] = []
        """Every job that was submitted under an id of its own, the last one first."""
        self.tokens: dict[str, list[str]] = {}
        """Every attempt of each job that the log tells of, the last one last."""
        self.spoken = 0
        self.reported = "0-0"
        """How far the log was read."""

    async def play(self, story: Story) -> None:
        """Play it to its end, and fold what is left."""
        configuration, pools, happenings = story
        await self.ledger.freeze()
        await self.say("append", [configuration])
        for name, more in (("a", [("role", "producer")]), ("b", [("role", "node"), ("node_id", NODES[0])])):
            await self.say("append", [[("type", "source.admitted"), ("source", name), *more, ("backlog", "3")]])
        for node_id, names in zip(NODES, pools, strict=False):
            registration = [("type", "node.registered"), ("node_id", node_id), ("cap_json", "{}")]
            beat = [("type", "node.heartbeat"), ("node_id", node_id), ("online", "true")]
            await self.say("append", [[*registration, ("pool_names_json", names)], beat])
        for step in happenings:
            await self.happen(step)
        await self.ledger.advance()

    async def happen(self, step: Step) -> None:
        """Let one thing happen."""
        if isinstance(step, Said):
            await self.say(step.how, step.events)
        elif isinstance(step, Flooded):
            await self.say(step.how, [step.fields] * step.times)
        elif isinstance(step, Repeated):
            if self.submitted:
                flat = self.submitted[step.which % len(self.submitted)]
                again = dict(zip(flat[::2], flat[1::2], strict=True)) | dict(step.change)
                await self.say(step.how, [list(again.items())])
        elif isinstance(step, Spoken):
            await self.speak(step)
        elif isinstance(step, Beaten):
            for fields in step.beats:
                await self.ledger.redis.xadd(self.ledger.keys("heartbeats"), dict(fields))
        elif isinstance(step, Worked):
            await self.work(step)
        elif isinstance(step, Lagged):
            await self.lag(step)
        elif isinstance(step, Advanced):
            await self.ledger.call(step.batch)
        elif step.attended:
            await self.ledger.pass_time(step.ms)
        else:
            await self.ledger.pass_time_unattended(step.ms)

    async def speak(self, step: Spoken) -> None:
        """Let a source speak, under names of its own where new ones are asked for."""
        for fields in step.events:
            flat = await self.resolved([(name, "a/@" if value == "@new" else value) for name, value in fields])
            self.spoken += 1
            named = [f"a/{self.spoken}" if value == "a/@" else value for value in flat]
            await self.ledger.redis.execute_command("XADD", self.ledger.keys("ingress", step.source), "*", *named)
        await self.ledger.take_in("a", "b")

    async def say(self, how: str, events: list[Fields]) -> None:
        """Append events; what no JSON can carry goes in as it is."""
        resolved = [await self.resolved(fields) for fields in events]
        if how == "append" and all(_has_a_form_in_utf8(fields) for fields in resolved):
            await self.ledger.append(*resolved)
            return
        async with self.ledger.redis.pipeline(transaction=False) as pipe:
            for flat in resolved:
                pipe.execute_command("XADD", self.ledger.keys("events"), "*", *flat)
            await pipe.execute()

    async def resolved(self, fields: Fields) -> list[str]:
        """Give the fields their moments, jobs and tokens."""
        job_id = ""
        flat: list[str] = []
        for name, value in fields:
            if value[:1] == "+" and value[1:].isdecimal():
                value = str(await self.ledger.now() + int(value))
            elif value == "@new":
                value = f"j{len(self.jobs)}"
                self.jobs.insert(0, value)
            elif value.startswith("@job"):
                job_id = value = self.jobs[int(value[4:]) % len(self.jobs)] if self.jobs else "j0"
            elif value in ATTEMPTS and value[0] == "@":
                value = await self.token(value, job_id)
            flat += (name, value)
        if fields and fields[0] == ("type", "job.submitted"):
            self.submitted.insert(0, flat)
        return flat

    async def token(self, which: str, job_id: str) -> str:
        """Return an attempt of a job, as it is now or was once, or of some other job."""
        if which == "@other":
            job_id = next((other for other in self.tokens if other != job_id), job_id)
        for entry_id, fields in await self.ledger.redis.xrange(self.ledger.keys("events"), min=f"({self.reported}"):
            self.reported = entry_id
            if fields.get("type") == "job.dispatched" and FORGED[0] not in fields:
                self.tokens.setdefault(fields["job_id"], []).append(f"{entry_id}-{fields['nonce']}")
        known = self.tokens.get(job_id, ["0-0-none"])
        return known[-2 if which == "@old" and len(known) > 1 else -1]

    async def work(self, step: Worked) -> None:
        """Let a node report on its jobs, under their tokens."""
        held = sorted(await self.ledger.held(step.node_id))
        if step.which is not None and held:
            held = [held[step.which % len(held)]]
        events = []
        for job_id in held:
            events += _words(step.words, step.node_id, job_id, await self.token("@now", job_id))
        if "lost" in step.words:
            events.append([("type", "node.offline"), ("node_id", step.node_id)])
        if events:
            await self.say(step.how, events)

    async def lag(self, step: Lagged) -> None:
        """Let holders speak of attempts that are over."""
        await self.token("@now", "")
        again = [job_id for job_id, tokens in self.tokens.items() if len(tokens) > 1]
        for job_id in again[-2:]:
            node_id = (await self.ledger.job(job_id)).get("node_id") or NODES[0]
            token = await self.token("@old", job_id)
            await self.say(step.how, _words(step.words, node_id, job_id, token))


SAID: dict[str, dict[str, str]] = {
    "started": {"type": "job.started"},
    "progressed": {"type": "job.progressed"},
    "full": {"type": "job.declined", "reason": "full"},
    "declined": {"type": "job.declined", "reason": "no model"},
    "begun": {"type": "job.declined", "reason": "node restarted", "begun": "true"},
    "again": {"type": "job.declined", "reason": "no model", "request_id": "@now"},
    "roomy": {"type": "job.declined", "reason": "full", "room": "2"},
    "cramped": {"type": "job.started", "room": "0"},
    "done": {"type": "job.completed", "status": "finished", "room": "1"},
    "finished": {"type": "job.completed", "status": "finished"},
    "failed": {"type": "job.completed", "status": "failed"},
    "brief": {"type": "job.completed", "status": "finished", "ran_ms": "3"},
    "early": {"type": "job.completed", "status": "finished", "ran_ms": "86400000"},
    "broke": {"type": "job.completed", "status": "failed", "ran_ms": "0"},
}


def _words(words: list[str], node_id: str, job_id: str, attempt: str) -> list[Fields]:
    """What a node says of a job."""
    about = {"node_id": node_id, "job_id": job_id, "attempt": attempt}
    said = [SAID[word] | about for word in words if word in SAID]
    return [[(name, attempt if value == "@now" else value) for name, value in fields.items()] for fields in said]


def _has_a_form_in_utf8(flat: list[str]) -> bool:
    try:
        json.dumps(flat, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(story: Any) -> str:
    """A story in lines, for a message."""
    configuration, pools, happenings = story
    return "\n".join([f"configured {configuration}", f"pools {pools}", *(str(step) for step in happenings)])
