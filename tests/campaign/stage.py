"""One run's system: a real server, workers, nodes, producers and an archiver, all processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from streamsched.contract.events import Event, Policy, SchedulerConfigured, SourceAdmitted, SourceRevoked, SourceRole
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.demo.processes import Child, Processes
from streamsched.server.embedded import EmbeddedServer

from .checker.journal import Journal, journals_in, now_ms
from .checker.waiting import HEALED, LISTENS, WITHIN_MS, idle_nodes, waiting_callers
from .processes.stranger import NODE, NODE_ID, PRODUCER

TIMEOUT_MS = 2500
"""``heartbeat_timeout_ms``: twelve times shorter than the default, because a run is."""

CONFIGURATION = SchedulerConfigured(
    heartbeat_timeout_ms=TIMEOUT_MS,
    accept_timeout_ms=1500,
    job_timeout_ms=2500,
    retry_backoff_ms=100,
    max_attempts=5,
    policy=Policy.TWO_CHOICES,  # by speed a slow node gets no job for long, and would seem to take none
)
RATE = 50.0
"""Turns a second that a producer takes."""

START_S, PATIENCE_S = 30.0, 30.0
"""How long the fleet may take to come online; a backlog to drain, and the last jobs to end."""

HOMES = {"host1": ("n1", "n2"), "host2": ("n3", "n4"), "host3": ("n5", "n6")}
"""Which process hosts which nodes."""


class StageFailed(RuntimeError):
    """The system did not come up before anything was done to it: this says nothing about what is promised."""


class OperationFailed(RuntimeError):
    """A command that the documents name as the remedy did not do its work."""


class Stage:
    """The processes of one run. ``with`` ends every one of them.

    Args:
        folder: where journals, logs, the server's data and the archive go.
        seed: what the run draws from.
        binary: the server program.
        program: how a process of the product is started; tests that plant a bug put their own in its place.
    """

    def __init__(self, folder: Path, seed: int, binary: Path, program: tuple[str, ...]) -> None:
        self.folder, self.seed, self.binary, self.program = folder, seed, binary, program
        self.random = Random(seed)
        self.keys = Keys("campaign")
        self.journal = Journal(folder / "driver.journal")
        self.options: dict[str, str] = {"appendfsync": "everysec"}
        self.data = folder / "server"
        self.archive = folder / "archive"
        self.server: EmbeddedServer
        self.patience_s = PATIENCE_S
        self.archives = self.trims = True
        """Whether there is an archiver, and whether it trims."""
        self.environment: dict[str, str] = {}
        """What the fault adds to the environment of every process."""
        self.url = ""
        """Where clients connect: the server, or what a fault has put before it."""
        self.crew: Processes
        self.workers: list[Child] = []
        self.hosts: dict[str, Child] = {}
        self.homes: dict[str, tuple[str, ...]] = dict(HOMES)
        self.producers: list[Child] = []
        self.archiver: Child
        self.stranger: Child
        self.held = ExitStack()
        """What faults have opened and must be closed in the end."""

    def serve(self) -> EmbeddedServer:
        """Start the server, with the options that the fault has set."""
        self.server = EmbeddedServer(self.data, append_only=True, binary=self.binary, options=self.options)
        self.held.enter_context(self.server)
        self.url = self.server.url
        return self.server

    @property
    def redis(self) -> Any:
        """A plain client of the server itself."""
        return Redis(
            port=self.server.port, decode_responses=True, encoding_errors="replace", protocol=2, socket_timeout=5
        )

    def start(self) -> None:
        """Start everything else and wait until the fleet is online.

        Raises:
            StageFailed: it did not come online.
        """
        self.crew = self.held.enter_context(Processes(self.url, self.keys.namespace, self.folder))
        self.append(CONFIGURATION)
        for _ in range(2):
            self.start_worker()
        for name in HOMES:
            self.start_host(name)
        if self.archives:
            self.start_archiver()
        nodes = [node_id for home in HOMES.values() for node_id in home]
        if not self.until(lambda: self.redis.scard(self.keys("pool_online", "en-zh")) == len(nodes), START_S):
            raise StageFailed(f"the fleet did not come online\n{self.crew.last_words()}")
        self.start_strangers()
        self.start_producer()
        if not self.until(lambda: int(self.redis.hget(self.keys("counters"), "submitted") or 0) > 0, START_S):
            raise StageFailed(f"no job was submitted\n{self.crew.last_words()}")

    def product(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start a command of the product."""
        place = {"STREAMSCHED_URL": self.url, "STREAMSCHED_NAMESPACE": self.keys.namespace}
        command = [sys.executable, "-m", *self.program, *arguments]
        return self.crew.run(name, command, self._clean() | place | environment)

    def start_operation(self, *arguments: str, url: str = "") -> Child:
        """Start a command that an operator gives, who reaches the server itself; ``url`` names another one."""
        operator = {"STREAMSCHED_URL": url or self.server.url}
        child = self.product(arguments[0], *arguments, **operator)
        child.dismissed = True  # it ends by itself
        return child

    def ended(self, operation: Child, within_s: float = 60.0) -> str:
        """Wait for the end of such a command, and return what it says.

        Raises:
            OperationFailed: it did not end within the bound, or says that it failed.
        """
        self.until(lambda: not operation.alive, within_s)
        words = operation.log.read_text(errors="replace")
        if operation.exit_code != 0:
            raise OperationFailed(f"{operation.name} ended with {operation.exit_code}: {words[-500:]}")
        return words

    def operate(self, *arguments: str, url: str = "") -> str:
        """Give a command as an operator does, and return what it says.

        Raises:
            OperationFailed: see :meth:`ended`.
        """
        return self.ended(self.start_operation(*arguments, url=url))

    def _clean(self) -> dict[str, str]:
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(("STREAMSCHED_", "CAMPAIGN_"))}
        return inherited | self.environment

    def start_worker(self, **environment: str) -> Child:
        """Start one more ``streamsched worker``."""
        worker = self.product(f"worker{len(self.workers) + 1}", "worker", **environment)
        self.workers.append(worker)
        return worker

    def start_archiver(self, **environment: str) -> Child:
        """Start ``streamsched archive``, with small segments."""
        options = ["--to", str(self.archive), "--max-events", "200", "--max-age", "0.5"]
        if self.trims:
            options += ["--trim", "--yes"]
        self.archiver = self.product("archiver", "archive", *options, **environment)
        return self.archiver

    def start_host(self, name: str, conduct: str = "works", nodes: tuple[str, ...] = ()) -> Child:
        """Start the process that hosts some nodes, a new one or one that is to come back."""
        nodes = self.homes.setdefault(name, nodes)
        self.hosts[name] = self._own("node", name, conduct, *nodes)
        self.up(name)
        return self.hosts[name]

    def start_producer(self, rate: float = RATE) -> Child:
        """Start one more producer."""
        name = f"producer{len(self.producers) + 1}"
        producer = self._own("producer", name, str(rate), str(self.seed * 100 + len(self.producers)))
        self.producers.append(producer)
        return producer

    def start_strangers(self) -> None:
        """Admit a producer and a node that mean harm, and let them speak."""
        for source, node_id in ((PRODUCER, None), (NODE, NODE_ID)):
            role = SourceRole.NODE if node_id else SourceRole.PRODUCER
            quota = SourceAdmitted(source=source, role=role, rate=300, jobs=20, bytes=2_000_000, max_age_ms=60_000)
            self.append(msgspec.structs.replace(quota, node_id=node_id))
        self.stranger = self._own("stranger", "stranger", str(self.seed))
        self.stranger.dismissed = True  # it may be killed at any time

    def dismiss_strangers(self) -> None:
        """Revoke the strangers; the scheduler cancels what they have."""
        self.stranger.kill()
        for source in (PRODUCER, NODE):
            self.append(SourceRevoked(source=source, cancel=True))

    def append(self, event: Event) -> None:
        """Append an event as an operator does."""
        flat = to_wire(event)
        self.redis.xadd(self.keys("events"), dict(zip(flat[::2], flat[1::2], strict=True)))

    def _own(self, module: str, name: str, *arguments: str) -> Child:
        program = [*self.program[:-1], f"tests.campaign.processes.{module}"]
        place = [self.url, self.keys.namespace, str(self.folder), name]
        return self.crew.run(name, [sys.executable, "-m", *program, *place, *arguments], self._clean())

    def down(self, host: str) -> None:
        """Note that the nodes of a process are about to be stopped."""
        for node_id in self.homes[host]:
            self.journal.mark("down", node_id)

    def up(self, host: str) -> None:
        """Note that the nodes of a process run, or are about to."""
        for node_id in self.homes[host]:
            self.journal.mark("up", node_id)

    def backlog(self) -> int | None:
        """Return how many entries, and jobs that are not the strangers', are not dealt with; ``None``: no answer."""
        try:
            with self.redis as redis:
                folded = int(redis.hget(self.keys("meta"), "folded") or 0)
                waiting, held = (int(n or 0) for n in redis.hmget(self.keys("counters"), "waiting", "held"))
                theirs = int(redis.hget(self.keys("source", PRODUCER), "living") or 0)
                added = redis.xinfo_stream(self.keys("events"))["entries-added"]
        except (RedisError, OSError):
            return None
        return max(0, int(added) - folded) + max(0, waiting + held - theirs)

    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait until something holds; tells whether it did within the bound."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                if holds():
                    return True
            except (RedisError, OSError):
                pass
            time.sleep(0.05)
        return False

    def highest_backlog(self, seconds: float) -> int:
        """Let the system run, and return the highest backlog seen."""
        deadline, highest = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            highest = max(highest, self.backlog() or 0)
            time.sleep(0.05)
        return highest

    def drained_ms(self, level: int) -> int | None:
        """Wait until the backlog is where it was before the fault; returns how long that took, ``None`` if for ever."""
        since = now_ms()
        if self.until(lambda: (now := self.backlog()) is not None and now <= level, self.patience_s):
            return now_ms() - since
        return None

    def note_healed(self) -> None:
        """Note that the fault has ended, and which producers are there to be told of outcomes."""
        for child in self.producers:
            if child.alive and not child.dismissed:
                self.journal.mark(LISTENS, child.name)
        self.journal.mark(HEALED)

    def until_all_work(self) -> None:
        """Let the system run until each node has taken a job since the fault, and each caller that waited is told."""

        def hold() -> bool:
            journals = journals_in(self.folder)
            return not (idle_nodes(journals) or waiting_callers(journals))

        self.until(hold, min(self.patience_s, WITHIN_MS / 1000))

    def failed(self) -> list[str]:
        """Return the last output of processes that ended unasked."""
        ended = [child for child in self.crew.children if not child.alive and not child.dismissed]
        return [f"{child.name}: {child.log.read_text(errors='replace')[-300:]}" for child in ended]

    def rest(self) -> bool:
        """Have the producers leave, let every job come to its end, and end the rest; tells whether every job did."""
        self.crew.end(self.producers)
        self.dismiss_strangers()
        done = self.until(lambda: self.backlog() == 0, self.patience_s)
        self.crew.end(self.hosts.values())
        done = self.until(lambda: self.backlog() == 0, self.patience_s) and done
        if self.archives:
            self.stop(self.archiver)
        for worker in self.workers:
            worker.kill()
        return done

    def stop(self, child: Child, within_s: float = 15.0) -> None:
        """Ask a command of the product to end in good order; one that does not is killed."""
        if child.alive:
            os.kill(child.pid, signal.SIGTERM)
            self.until(lambda: not child.alive, within_s)
        child.kill()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.crew.children if hasattr(self, "crew") else ():
            child.kill()
        self.held.close()
