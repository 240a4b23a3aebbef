"""The processes beside the server that a benchmark measures: each is started, asked and ended by its own handle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
END_S = 20
"""How long a process may take to end by itself."""


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


class Process:
    """A running process of the benchmarks that reads lines and answers lines."""

    def __init__(self, name: str, started: subprocess.Popen[str]) -> None:
        self.name, self._started = name, started
        self.seen = psutil.Process(started.pid)

    def tell(self, line: str) -> None:
        """Send a line."""
        assert self._started.stdin is not None
        self._started.stdin.write(line + "\n")
        self._started.stdin.flush()

    def hear(self) -> str:
        """Wait for a line.

        Raises:
            RuntimeError: the process has ended instead.
        """
        assert self._started.stdout is not None
        line = self._started.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended")
        return line.strip()

    def rss_mib(self) -> float:
        """Return the memory it has."""
        return float(self.seen.memory_info().rss) / 2**20

    def cpu_s(self) -> float:
        """Return the CPU time it has used."""
        return cpu_s(self.seen)

    def end(self) -> None:
        """Let it end by itself, for that is how it ends in earnest; kill it if it does not."""
        if self._started.stdin is not None:
            self._started.stdin.close()
        else:
            self._started.terminate()
        try:
            self._started.wait(END_S)
        except subprocess.TimeoutExpired:
            self._started.kill()
            self._started.wait()


@contextmanager
def running(*words: str, cores: Sequence[int] = (), talks: bool = True) -> Iterator[Process]:
    """Run a module of Python as a process, on some cores only if any are named.

    Args:
        words: the module and its arguments.
        talks: whether it answers lines; else it is ended by SIGTERM.
    """
    pipe = subprocess.PIPE if talks else None

    def pinned() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    started = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe if talks else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if not talks else None,
        text=True,
        preexec_fn=pinned,
    )
    process = Process(" ".join(words), started)
    try:
        if talks:
            process.hear()  # that it is ready
        yield process
    finally:
        process.end()
