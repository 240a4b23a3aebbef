"""The servers on which all is measured, what one tells of itself, and redis-benchmark as the yardstick."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from streamsched.server.embedded import EmbeddedServer

from .machine import CORES

REMEDY = "redis-benchmark is not installed: add it (Debian: apt install redis-tools) and run this again"
SETTINGS = ("valkey", "valkey-aof", "redis", "redis-aof")
"""The programs, without persistence and with an append-only file synced every second. The first gets all figures."""


class Reading(NamedTuple):
    """What the server had used up to a moment."""

    cpu_s: float
    commands: int


class Server:
    """A running server, as the measuring program sees it."""

    def __init__(self, process: EmbeddedServer, setting: str) -> None:
        self.process, self.setting = process, setting
        self.url = process.url
        self.redis = Redis.from_url(process.url, protocol=2, decode_responses=True)
        about: Any = self.redis.info("server")
        name, version = about.get("server_name", "redis"), about.get("valkey_version", about["redis_version"])
        self.version = f"{name} {version}"

    def wipe(self) -> None:
        """Drop everything and wait until it is gone: what is freed in the background would disturb the next figure."""
        command: Any = self.redis.execute_command
        command("FLUSHALL", "SYNC")
        command("FUNCTION", "FLUSH", "SYNC")

    def read(self) -> Reading:
        """Ask what it has used so far."""
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.info("cpu")
            pipe.info("stats")
            cpu, stats = pipe.execute()
        return Reading(cpu["used_cpu_sys"] + cpu["used_cpu_user"], stats["total_commands_processed"])

    def memory(self) -> int:
        """Bytes of all keys with what is in them: unlike the memory in use, without connections and scripts."""
        total, cursor = 0, 0
        while True:
            cursor, keys = self.redis.scan(cursor, count=1000)
            with self.redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.memory_usage(key, samples=0)
                total += sum(size or 0 for size in pipe.execute())
            if not cursor:
                return total


@contextmanager
def serve(setting: str) -> Iterator[Server]:
    """Run a server in one of the settings.

    Raises:
        FileNotFoundError: Redis is not installed.
    """
    program, _, persistence = setting.partition("-")
    binary = None
    if program == "redis":
        found = shutil.which("redis-server")
        if found is None:
            raise FileNotFoundError("redis-server is not installed")
        binary = Path(found)
    with EmbeddedServer(
        binary=binary, append_only=persistence == "aof", options={"appendfsync": "everysec"}
    ) as process:
        server = Server(process, setting)
        try:
            yield server
        finally:
            server.redis.close()


@contextmanager
def pinned_server(core: int = 0, options: dict[str, str] | None = None) -> Iterator[EmbeddedServer]:
    """A server on one core, this program and its children on the others, where the system lets it choose."""
    own = CORES[core % len(CORES)] if len(CORES) > 1 else None
    server = EmbeddedServer(options=options)
    try:
        if own is not None:
            os.sched_setaffinity(0, [own])  # inherited by all threads of the server
        server.start()
    finally:
        if own is not None:
            os.sched_setaffinity(0, [other for other in CORES if other != own])
    try:
        yield server
    finally:
        server.stop()


def benchmark_rate(port: int, count: int, pipelined: int, *words: str) -> float:
    """How often a second ``redis-benchmark`` carries a command out, over one connection.

    Raises:
        SystemExit: it is not installed.
    """
    program = shutil.which("redis-benchmark")
    if program is None:
        raise SystemExit(REMEDY)
    options = ["-p", str(port), "-P", str(pipelined), "-c", "1", "-n", str(count), "--csv"]
    done = subprocess.run([program, *options, *words], capture_output=True, text=True, check=True)
    rows = list(csv.reader(done.stdout.splitlines()))
    return float(rows[-1][-7])  # a row ends in the rate and six latencies; the command before it may hold commas
