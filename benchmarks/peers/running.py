"""Adapters as processes: producers that run to their end, workers that are killed when the work is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psutil

from .board import Board
from .catalogue import Peer
from .installing import environment_of

READY_S = 30
"""How long a worker may take to connect."""
LONGEST_S = 180
"""Time limit of one piece of work; beyond it the peer counts as failed."""
STALL_S = 15
"""How long a worker may do nothing while jobs wait."""
LOOK_S = 0.004
"""Between two looks at the board."""


class Failed(Exception):
    """An adapter did not do what it was asked; the text holds the end of its output."""


@dataclass(frozen=True)
class Adapter:
    """An installed peer on a running server."""

    peer: Peer
    command: list[str]
    url: str
    workers: int = 1

    def start(self, output: IO[bytes], verb: str, board: Board, *rest: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.command, verb, self.url, str(board.path), *rest],
            env=environment_of(self.peer) | {"WORKERS": str(self.workers)},
            stdout=subprocess.PIPE if verb != "work" else output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def produce(self, verb: str, board: Board, *rest: str) -> dict[str, Any]:
        """Run a verb of a producer to its end and return what it printed.

        Raises:
            Failed: it ended badly, or took too long.
        """
        with tempfile.TemporaryFile() as output:
            process = self.start(output, verb, board, *rest)
            try:
                said, _ = process.communicate(timeout=LONGEST_S)
            except subprocess.TimeoutExpired:
                raise Failed(f"{verb} took longer than {LONGEST_S} s: {_end_of(output)}") from None
            finally:
                end(process)
            if process.returncode:
                raise Failed(f"{verb}: {_end_of(output)}")
            answer: dict[str, Any] = json.loads(said.splitlines()[-1])
            return answer

    @contextmanager
    def working(self, board: Board, mode: str) -> Iterator[Workers]:
        """Start the workers and wait until each is ready to begin; they are killed at the end.

        Raises:
            Failed: one ended, or was not ready in time.
        """
        with tempfile.TemporaryFile() as output:
            workers = Workers([], board, output)
            try:
                for slot in range(self.workers):
                    workers.processes.append(self.start(output, "work", board, mode, str(slot)))
                workers.wait(lambda: all(map(board.ready, range(self.workers))), READY_S, "not ready")
                yield workers
            finally:
                for process in workers.processes:
                    end(process)


@dataclass
class Workers:
    """The worker processes of one adapter."""

    processes: list[subprocess.Popen[bytes]]
    board: Board
    output: IO[bytes]

    def wait(self, condition: Callable[[], bool], longest_s: float, otherwise: str) -> None:
        """Wait for a condition while all workers live.

        Raises:
            Failed: a worker ended, or the time ran out.
        """
        deadline = time.monotonic() + longest_s
        while not condition():
            ended = [process for process in self.processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                what = "a worker ended" if ended else f"{otherwise} after {longest_s:g} s"
                raise Failed(f"{what} ({self.board.seen} of {self.board.room} jobs started): {_end_of(self.output)}")
            time.sleep(LOOK_S)

    def wait_for_starts(self, count: int) -> None:
        """Wait until the first ``count`` jobs have been started, for as long as it goes on.

        Raises:
            Failed: see :meth:`wait`; or nothing was started for :data:`STALL_S`.
        """
        deadline = time.monotonic() + LONGEST_S
        while not self.board.all_started(count):
            seen = self.board.seen

            def moved(seen: int = seen) -> bool:
                return self.board.all_started(count) or self.board.seen > seen

            self.wait(moved, min(STALL_S, deadline - time.monotonic()), "no further start")

    def cpu_s(self) -> float:
        """CPU time of all of them with their children."""
        return sum(_cpu_s(process.pid) for process in self.processes)


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_of(output: IO[bytes]) -> str:
    output.seek(0)
    lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line or "error" in line]  # what follows one is where it was raised
    return (named or lines or ["without output"])[-1][-300:]
