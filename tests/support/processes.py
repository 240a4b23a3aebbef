"""The command line as real processes, for tests: run one to its end, or start one and be sure that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from streamsched.contract.keys import Keys

END_S = 20.0
SUBMIT = ("submit", "--session", "s1", "--src", "en", "--tgt", "zh")


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Cli:
    """Runs ``streamsched`` in a folder of its own, on one partition, given through the environment."""

    def __init__(self, url: str, keys: Keys, folder: Path) -> None:
        self.url, self.keys, self.folder = url, keys, folder
        self.started: list[subprocess.Popen[str]] = []
        self.python = sys.executable
        """The interpreter whose installed package runs."""
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith("STREAMSCHED_")}
        self.environment |= {"HOME": str(folder), "STREAMSCHED_URL": url, "STREAMSCHED_NAMESPACE": keys.namespace}
        self.environment.pop("XDG_CONFIG_HOME", None)

    @property
    def redis(self) -> Any:
        """A plain client of the same server."""
        return Redis.from_url(self.url, decode_responses=True, protocol=2)

    def run(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Outcome:
        """Run a command to its end."""
        done = self.run_raw(*arguments, stdin=stdin, **environment)
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run_raw(
        self, *arguments: str, stdin: str | bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; its output stays bytes."""
        return subprocess.run(
            [self.python, "-m", "streamsched", *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment | environment,
            timeout=60,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command that goes on; its output goes to files, see :meth:`output`."""
        number = len(self.started)
        with (self.folder / f"{number}.out").open("w") as out, (self.folder / f"{number}.err").open("w") as err:
            process = subprocess.Popen(
                [self.python, "-m", "streamsched", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env=self.environment | environment,
                text=True,
            )
        self.started.append(process)
        return process

    def output(self, process: subprocess.Popen[str]) -> str:
        """What a started command has printed so far, on stdout and then on stderr."""
        number = self.started.index(process)
        return "".join((self.folder / f"{number}.{end}").read_text() for end in ("out", "err"))

    def stop(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        process.send_signal(number)
        return process.wait(END_S)

    def job(self, job_id: str) -> dict[str, str]:
        """The hash of a job."""
        return dict(self.redis.hgetall(self.keys.job(job_id)))

    def end(self) -> None:
        """End what still runs: in good order where possible, so that nothing outlives the test."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def eventually(holds: Callable[[], Any], within_s: float = END_S) -> Any:
    """Wait until ``holds()`` is true and return what it gave; fail after a bound that no healthy run comes near."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"it did not happen within {within_s:g} s"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it went between the opening and the reading
        return False
