"""The world of one seed: a server, a network that loses and delays, time that passes, and who looks on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import ConnectionError as Lost
from redis.exceptions import TimeoutError as Late

from streamsched.contract.keys import Keys
from streamsched.engine.script import script
from streamsched.engine.source import sources

from .checks.admission import Door
from .checks.checker import Checker
from .checks.observations import OTHER, Call, Violation, require
from .marks import MARKS
from .redis_double.double import Broken, Double
from .redis_double.values import Hash, ReplyError, id_of
from .transport import Request, Wire, drive, error_of

START_MS = 1_700_000_000_000
AWAY = (Lost, Late)
SCRIPTS = (
    "advance",
    "append",
    "begin_rebuild",
    "drop_state",
    "find_divergence",
    "replay_entries",
    "replay",
    "adopt_archive",
    "load_snapshot",
    "ingest",
    "trim_log",
    "trim_dead_letters",
)
REBUILDING = ("drop_state", "replay", "replay_entries", "adopt_archive", "load_snapshot")

Event = dict[str, str]


class Profile:
    """What a seed draws for its whole run: some things often, others never, so that each run is of its own kind."""

    def __init__(self, rng: random.Random, seed: int) -> None:
        self.steps = rng.randint(30, 60)
        self.nodes = rng.randint(1, 4)
        self.sessions = rng.randint(1, 3)
        self.workers = rng.randint(1, 2)
        self.lossy = rng.choice([0, 0, 0.03, 0.1, 0.25])
        self.torn = rng.choice([0, 0.04, 0.15])
        self.raw = rng.choice([0.1, 0.5, 0.9])
        """How often something is said by a bare ``XADD``."""
        self.batches = rng.choice([[256], [256, 5], [1, 2, 3], [7]])
        self.replay_batch = rng.choice([2, 7, 1000])
        self.archive = rng.random() < 0.4
        self.gap = rng.random() < 0.04
        self.config = {
            "heartbeat_timeout_ms": rng.choice(["30000", "6000"]),
            "accept_timeout_ms": rng.choice(["10000", "700"]),
            "job_timeout_ms": rng.choice(["0", "3000"]),
            "retry_backoff_ms": rng.choice(["500", "100"]),
            "retention_ms": rng.choice(["3600000", "2000"]),
            "max_attempts": rng.choice(["3", "2", "1"]),
            **rng.choice([{}, {}, {"max_waiting": rng.choice(["2", "6"])}]),
            **rng.choice([{}, {}, {"max_lag": "2"}]),
        }
        if seed % 7 > 4:
            self.config["policy"] = ["two_choices", "random"][seed % 7 - 5]
        self.hastes = rng.choice([[0, 0, 1, 20], [0], [1, 50, 300]])
        """Milliseconds that pass with a step."""
        self.ingress = rng.random() < 0.3
        """Whether a node and some producers must not write to the log."""
        self.pauses = seed % 5 == 2
        """Whether an operator pauses pools and pairs; not drawn, so that a seed without it goes as it went."""
        self.retires = seed % 5 == 3
        """Whether what is gone is retired soon; not drawn either."""
        if self.retires:
            self.config["node_retention_ms"] = "4000"
        self.recovery = seed % 5 == 4
        """Whether processes know their log, the archive has segments, and keys are evicted; not drawn either."""
        if self.recovery:
            self.archive = seed // 5 % 4 > 0


class World:
    """Everything that is shared by those who act.

    Args:
        seed: what all that happens is drawn from.
        trace: keep a line for every step, to be read after a failure.
        server: makes the server; one that stands beside a real one has no use for what those do not do on demand.
    """

    def __init__(self, seed: int, trace: bool = False, server: Callable[[random.Random, int], Double] = Double) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.profile = Profile(self.rng, seed)
        self.keys = Keys()
        self.streams = {name: self.keys(name) for name in ("events", "heartbeats", "dead")}
        self.server = server(random.Random(self.rng.getrandbits(64)), START_MS)
        self.profile.recovery &= not self.server.real
        self.wire = Wire()
        self.marks: set[str] = set()
        self.lines: list[str] | None = [] if trace else None
        self.checker = Checker(self.server, self.keys, self.mark, self.note)
        self.steps = self.commands = 0
        self.offset_ms = 0
        """How far the server's clock is ahead of true time."""
        self.highest_ms = START_MS
        self.delayed: list[Request] = []
        self.faults = True
        self.server_run = 1
        """Counts the servers: a restart or a failover makes another one of it."""
        self.forked = ""
        """Why the archive is of another history, if it is."""
        self.acknowledged: dict[str, Event] = {}
        self._logs: dict[str, tuple[str, int]] = {}
        self._scripts = {script(name).sha: name for name in SCRIPTS}

    # looking on

    def mark(self, name: str) -> None:
        """Note that a rare state was reached."""
        if name not in MARKS:
            raise KeyError(f"{name!r} is not in the table of marks")
        self.marks.add(name)

    def note(self, text: str) -> None:
        """Tell, in the trace, what happens."""
        if self.lines is not None:
            clock = self.server.space.now_ms - START_MS
            self.lines.append(f"{self.steps:4d} {clock / 1000:10.3f}s  {text}")

    # time

    @property
    def true_ms(self) -> int:
        return self.checker.limits.true_ms

    @property
    def now_ms(self) -> int:
        """The scheduler's time: the server's clock, which never runs back for it."""
        return self.highest_ms

    def pass_time(self, ms: int) -> None:
        self.checker.limits.true_ms += ms
        self._tick()

    def move_clock(self, ms: int) -> None:
        """The server's clock jumps."""
        self.offset_ms += ms
        self.checker.limits.clock_moved = True
        self._tick()
        if ms > 0:
            self.checker.limits.leaps.append((self.true_ms, ms))

    def _tick(self) -> None:
        clock = START_MS + self.true_ms + self.offset_ms
        self.server.space.now_ms = clock
        self.highest_ms = max(self.highest_ms, clock)

    # requests

    def perform(self, request: Request) -> Any:
        """Send a command over the network.

        Raises:
            RedisError: the server refused it, or it or its reply was lost.
        """
        chance = self.rng.random() if self.faults else 1.0
        lossy = self.profile.lossy
        if chance < lossy:
            if chance < 0.3 * lossy:
                self.mark("request lost")
                self.note(f"    lost on its way: {self.replied(request)}")
                raise Lost("lost on its way")
            if chance < 0.5 * lossy:
                self.mark("request delayed")
                self.note(f"    delayed: {self.replied(request)}")
                self.delayed.append(request)
                raise Late("no reply in time")
        reply = self.execute(request)
        if chance < lossy:
            self.mark("reply lost")
            self.note("    its reply is lost")
            raise Lost("the reply was lost")
        return reply

    def execute(self, request: Request) -> Any:
        """Have the server carry out a command.

        Raises:
            RedisError: it refused, or died.
        """
        call = self._call(request)
        often = 4 if call.script in REBUILDING else 1
        torn = self.faults and not self.server.real and call.script and self.rng.random() < often * self.profile.torn
        if torn:
            self._tear()
        self.commands += 1
        answered = False
        try:
            reply = self.server.execute(*request)
            answered = True
            return reply
        except ReplyError as refused:
            if str(refused).startswith("NOSCRIPT"):
                self.mark("NOSCRIPT")
            self.checker.met_foreign |= bool(call.script) and "WRONGTYPE" in str(refused)
            self.note(f"    {self.replied(request)} → {refused}")
            raise error_of(refused) from None
        except Broken:
            self.server.forget_scripts()
            self.note(f"    {self.replied(request)}: killed at its command number {self.server.calls}")
            raise Lost("the server died") from None
        finally:
            if torn and self.server.was_torn:
                self._mark_torn(call)
            call.torn = not answered
            self.checker.after(call, answered)

    def quietly(self, request: Request) -> Any:
        """Have a command carried out that is no part of the run."""
        try:
            return self.server.execute(*request)
        except ReplyError as refused:
            raise error_of(refused) from None

    def _call(self, request: Request) -> Call:
        if request[0] not in ("EVALSHA", "EVAL"):
            return OTHER
        name = self._scripts[request[1]] if request[0] == "EVALSHA" else self._by_text(request[1])
        given = dict(zip(sources()[name].header["ARGV"], request[3 + int(request[2]) :], strict=True))
        own = len(json.loads(given["own"])) if name == "append" else 0
        return Call(name, int(given.get("batch", 0)), own, len(given.get("speakers", "").split()))

    def _by_text(self, text: str) -> str:
        return next(name for name in SCRIPTS if script(name).text == text)

    def _tear(self) -> None:
        at = int(self.rng.paretovariate(0.4)) if self.rng.random() < 0.3 else self.rng.randint(1, 60)
        self.server.tear(min(at, 10_000), kills=self.rng.random() < 0.5)

    def _mark_torn(self, call: Call) -> None:
        if not self.server.space.undo:
            self.mark("torn before its first write")
        elif call.script in REBUILDING:
            self.mark("a rebuild torn")
        else:
            self.mark("killed inside" if self.server.tear_kills else "torn by an error")
            if any(":inbox:" in key for key in self.server.space.undo):
                self.mark("an effect of a torn call")

    def replied(self, request: Request) -> str:
        """A request in few words."""
        if request[0] in ("EVALSHA", "EVAL"):
            call = self._call(request)
            name = sources()[call.script]
            given = dict(zip(name.header["ARGV"], request[3 + int(request[2]) :], strict=True))
            return f"{call.script}({', '.join(f'{k}={v!r}' for k, v in given.items() if k != 'prefix')})"
        return " ".join(str(part).removeprefix(self.keys.prefix) for part in request)

    # what actors say

    def knows(self, process: str) -> dict[str, Any]:
        """What a call tells of the log that its process knows."""
        known_log, archived = self._logs.get(process, ("0-0", 0))
        return {"known_log": known_log, "archived": archived}

    def learns(self, process: str, reply: list[Any]) -> None:
        """Each reply of a call ends with whether the log is in an archive, its first and its last event."""
        if self.profile.recovery:
            known, archived = self._logs.get(process, ("0-0", 0))
            meta: Any = self.server.space.data.get(self.keys("meta"), {})
            lost = archived and known != "0-0" and id_of(known) < id_of(reply[-2]) and known != meta.get("forgotten")
            require(not lost, f"{process} knew the log {known}, and a call went on with {reply[-2]}")
            self._logs[process] = reply[-2], reply[-3]

    def starts_over(self, process: str) -> None:
        """Another process takes the place of one that ended: it knows no log."""
        self._logs.pop(process, None)

    def lost_log(self) -> str:
        """The log that the server has lost, where it is known that an archive holds it; else empty."""
        meta = self.server.space.data.get(self.keys("meta"))
        return meta.get("wiped", "") if isinstance(meta, Hash) else ""

    def run(self, work: Any) -> Any:
        """Carry a piece of the program through, command by command, without a pause."""
        return drive(work, self.perform)

    def nonce(self) -> str:
        return f"{self.rng.getrandbits(32):08x}"

    def advance(self, batch: int, process: str) -> list[Any]:
        """One call of a worker."""
        reply: list[Any] = self.run(
            script("advance")(
                self.wire,
                **self.streams,
                prefix=self.keys.prefix,
                batch=batch,
                nonce=self.nonce(),
                **self.knows(process),
            )
        )
        self.learns(process, reply)
        self.note(f"    advance(batch={batch}) → {reply}")
        if reply[0]:
            self.mark("more work than one call may do")
        return reply

    def append(self, events: Sequence[Event], process: str) -> list[list[str]] | None:
        """One call of a client; ``None`` where the log ahead was too long for it."""
        own = json.dumps([[text for pair in event.items() for text in pair] for event in events])
        batch = self.rng.choice(self.profile.batches)
        door = Door(self.checker)
        reply = self.run(
            script("append")(
                self.wire,
                **self.streams,
                prefix=self.keys.prefix,
                batch=batch,
                nonce=self.nonce(),
                **self.knows(process),
                own=own,
            )
        )
        self.learns(process, reply)
        more, answers = reply[0], reply[2]
        self.note(f"    append(batch={batch}) → {more} {answers}")
        if more == 1:
            self.mark("an append helped to fold")
            if any(code == "OVERLOADED" for _, code, _ in answers):
                self.mark("shed: lag")
            return None
        if more == 2:
            self.mark("an append left decisions")
        door.check(events, answers)
        for event, answer in zip(events, answers, strict=True):
            if answer[0] == "" and event["type"] != "node.heartbeat":
                self._acknowledge(answer[1], event)
        found: list[list[str]] = answers
        return found

    def take_in(self, batch: int, names: Sequence[str], process: str) -> list[Any]:
        """One call of a worker for what waits in ingress streams."""
        given = {
            **self.streams,
            "prefix": self.keys.prefix,
            "batch": batch,
            "nonce": self.nonce(),
            **self.knows(process),
        }
        reply: list[Any] = self.run(script("ingest")(self.wire, **given, speakers=" ".join(names)))
        self.learns(process, reply)
        self.note(f"    take_in(batch={batch}, {' '.join(names)}) → {reply}")
        return reply

    def speak(self, source: str, event: Event, entry_id: str = "*") -> None:
        """An entry of an ingress."""
        flat = [text for pair in event.items() for text in pair]
        self.run(self.wire.execute_command("XADD", self.keys("ingress", source), entry_id, *flat))

    def add(self, event: Event, stream: str = "events") -> str:
        """A bare entry, as a producer in any language makes it."""
        flat = [text for pair in event.items() for text in pair]
        entry_id: str = self.run(self.wire.execute_command("XADD", self.keys(stream), "*", *flat))
        if stream == "events":
            self._acknowledge(entry_id, event)
        return entry_id

    def _acknowledge(self, entry_id: str, event: Event) -> None:
        entry = self.checker.by_id.get(entry_id)
        if entry is None or entry.fields != event:
            raise Violation(f"{entry_id} was acknowledged, and the log does not hold it: {event}")
        self.acknowledged[entry_id] = event

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nothing goes wrong by itself."""
        before, self.faults = self.faults, False
        yield
        self.faults = before
