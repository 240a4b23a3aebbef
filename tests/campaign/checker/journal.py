"""What a process knows by itself, in a file outside Redis: a line before each call and a line after it.

A line goes to the kernel in one ``write`` before the call is made, so that it outlives SIGKILL. An intent that no line
answers is a doubt: the call was under way when its process died.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from streamsched.contract.errors import SchedulerError
from streamsched.engine.partition import Partition
from streamsched.engine.replies import Answer


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of a journal."""

    do: str
    """``intent``, then ``ack``, ``refused`` or ``doubt``; ``waits`` for a result, then ``reported``, ``told`` of an
    error, or ``left``; ``mark``: what the driver did."""
    ts: int
    """When, ms since the epoch, by the clock of this process."""
    n: int = -1
    """Which intent of this process this is, or answers."""
    event: list[str] = []
    """Of an intent: the event, flat as it goes on the wire; payloads are left out."""
    tries: int = 0
    """Of an intent: how often it may be sent at most; 0: as often as it takes, for events with an identity."""
    id: str = ""
    """Of an ack: the entry's id."""
    job: list[str] = []
    """Of an ack: what was said of the job; of ``reported``: job id and status; of ``waits``, ``told``, ``left``: its
    id."""
    why: str = ""
    """Of a refusal and of ``told`` the code, of a doubt the error, of a mark what happened."""
    who: str = ""
    """Of a mark: whom it happened to."""


BULKY = ("payload_json", "result_json", "cap_json", "pool_names_json", "load_json")


class Journal:
    """The journal of one process, appended to over its restarts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._n = time.time_ns() // 1000  # an earlier life of this process has counted below

    def intent(self, event: list[str], tries: int = 0) -> int:
        """Note that an event is about to be sent; returns the number that its answer bears."""
        self._n += 1
        short = [part for n in range(0, len(event), 2) if event[n] not in BULKY for part in event[n : n + 2]]
        self._write(Line(do="intent", ts=now_ms(), n=self._n, event=short, tries=tries))
        return self._n

    def ack(self, n: int, entry_id: str, job: tuple[str, ...] | None = None) -> None:
        """Note that an event was acknowledged."""
        self._write(Line(do="ack", ts=now_ms(), n=n, id=entry_id, job=list(job or ())))

    def refused(self, n: int, code: str) -> None:
        """Note that an event was refused: the scheduler answered, and said no."""
        self._write(Line(do="refused", ts=now_ms(), n=n, why=code))

    def doubt(self, n: int, why: str) -> None:
        """Note that an event was sent, and no answer came."""
        self._write(Line(do="doubt", ts=now_ms(), n=n, why=why))

    def waits(self, job_id: str) -> None:
        """Note that a submitter begins to wait for an outcome."""
        self._write(Line(do="waits", ts=now_ms(), job=[job_id]))

    def told(self, job_id: str, code: str) -> None:
        """Note that a submitter got an error in the place of an outcome."""
        self._write(Line(do="told", ts=now_ms(), job=[job_id], why=code))

    def left(self, job_id: str) -> None:
        """Note that a submitter no longer waits: it was cancelled."""
        self._write(Line(do="left", ts=now_ms(), job=[job_id]))

    def reported(self, job_id: str, status: str) -> None:
        """Record the outcome that a submitter got."""
        self._write(Line(do="reported", ts=now_ms(), job=[job_id, status]))

    def mark(self, why: str, who: str = "") -> int:
        """Note that something was done to the system; returns when."""
        ts = now_ms()
        self._write(Line(do="mark", ts=ts, why=why, who=who))
        return ts

    def _write(self, line: Line) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def now_ms() -> int:
    """Return the time of this process's clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def read(path: Path) -> Iterator[Line]:
    """Yield the lines of a journal; a last one that a kill cut short is left out."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    for line in whole.splitlines():
        yield msgspec.json.decode(line, type=Line)


def journals_in(folder: Path) -> dict[str, list[Line]]:
    """Return every journal of a run, by process."""
    return {path.stem: list(read(path)) for path in sorted(folder.glob("*.journal"))}


def answered(journals: Mapping[str, list[Line]], how: str) -> list[tuple[str, Line, Line]]:
    """Pair each answer of a kind with the intent it answers: who, the intent, the answer."""
    pairs = []
    for who, lines in journals.items():
        intents = {line.n: line for line in lines if line.do == "intent"}
        pairs += [(who, intents[line.n], line) for line in lines if line.do == how]
    return pairs


def fields_of(event: list[str]) -> Mapping[str, str]:
    """Return the fields of an event that is given flat."""
    return dict(zip(event[::2], event[1::2], strict=True))


def marks(journals: Mapping[str, list[Line]]) -> list[Line]:
    """Return what the driver did."""
    return [line for line in journals.get("driver", []) if line.do == "mark"]


def journalled(partition: Partition, journal: Journal) -> None:
    """Record everything that goes through ``partition.append`` in ``journal``: before the call, and after it."""
    send: Callable[[list[str]], asyncio.Future[Answer]] = partition.append_soon

    def append_soon(fields: list[str]) -> asyncio.Future[Answer]:
        n = journal.intent(fields)
        future = send(fields)
        future.add_done_callback(lambda done: heard(n, done))  # the first callback: it runs before the caller goes on
        return future

    def heard(n: int, done: asyncio.Future[Answer]) -> None:
        problem = asyncio.CancelledError() if done.cancelled() else done.exception()
        if problem is None:
            journal.ack(n, done.result().event_id, done.result().job)
        elif isinstance(problem, SchedulerError) and problem.code != "UNREACHABLE":
            journal.refused(n, problem.code)
        else:  # cancelled, say: what was sent may have arrived
            journal.doubt(n, type(problem).__name__)

    replaced: Any = partition
    replaced.append_soon = append_soon
