"""Measure what is lost of what was acknowledged: ``python -m tests.system.durability [--runs 5] [--seed 0]``.

One client appends without a pause and notes every acknowledgement; then the server is lost in one way or another, and
what comes back is compared with the notes. The moment of the loss is drawn from the seed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
from redis.exceptions import RedisError

from streamsched.connect.client import connect
from streamsched.contract.errors import SchedulerError
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition
from streamsched.server.embedded import EmbeddedServer

from ..campaign.proxy import Proxy
from ..support.servers.parted import Halves, lacks, parting
from ..support.servers.watched import AT_ONCE

KEYS = Keys("durability")

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  struct stat before;
  fstat(fd, &before);
  int outcome = real(fd);
  char line[64];
  int length = snprintf(line, sizeof line, "%lu %lld\n", (unsigned long)before.st_ino, (long long)before.st_size);
  int out = open(getenv("FSYNCED"), O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (write(out, line, length) != length) abort();
  close(out);
  return outcome;
}
"""
"""Notes, after each fsync, which file had which length before it: that much is on the platter."""


class Loss(NamedTuple):
    """What one run lost."""

    acknowledged: int
    lost: int
    ms: float
    """From the first lost acknowledgement to the last of all."""


class Notes:
    """Acknowledgements in order, each with its moment."""

    def __init__(self) -> None:
        self.acks: list[tuple[str, float]] = []

    async def append_until(self, url: str, seconds: float, replicas: int = 0) -> None:
        """Append for so long, and wait for so many replicas each time."""
        partition = Partition(connect(url), KEYS, patience_s=0)
        redis: Any = partition.redis
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                fields = ["type", "session.released", "session_id", str(len(self.acks))]
                answer = await partition.append_soon(fields)
                if replicas:
                    await redis.wait(replicas, 1000)
                self.acks.append((answer.event_id, time.monotonic()))
        except (SchedulerError, RedisError):
            pass  # nothing more is acknowledged
        await redis.aclose()

    async def compare(self, url: str) -> Loss:
        """Compare with what a server holds."""
        redis: Any = connect(url)
        held = {entry_id for entry_id, _ in await redis.xrange(KEYS("events"))}
        await redis.aclose()
        lost = [moment for event_id, moment in self.acks if event_id not in held]
        first = next((n for n, (event_id, _) in enumerate(self.acks) if event_id not in held), len(self.acks))
        assert len(lost) == len(self.acks) - first, "what was lost is no suffix"
        return Loss(len(self.acks), len(lost), (self.acks[-1][1] - lost[0]) * 1000 if lost else 0)


@contextmanager
def preloaded(folder: Path) -> Iterator[Path]:
    """Start servers whose fsyncs are noted in the file that is yielded."""
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c", "-ldl"], check=True)
    os.environ |= {"LD_PRELOAD": str(folder / "shim.so"), "FSYNCED": str(folder / "fsynced")}
    try:
        yield folder / "fsynced"
    finally:
        del os.environ["LD_PRELOAD"], os.environ["FSYNCED"]


async def process_killed(seconds: float, fsync: str) -> Loss:
    """SIGKILL to the server, then it is started on what it left."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {"appendfsync": fsync} if fsync != "off" else {}
        with EmbeddedServer(Path(folder), append_only=fsync != "off", options=kept) as server:
            notes = Notes()
            await notes.append_until(server.url, seconds)
            server.kill()
            server.start()
            return await notes.compare(server.url)


async def machine_lost(seconds: float, fsync: str) -> Loss:
    """The same, and the append-only file ends where the last fsync that came to its end had found it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        preloaded(Path(folder)) as fsynced,
        EmbeddedServer(Path(folder) / "data", append_only=True, options={"appendfsync": fsync}) as server,
    ):
        notes = Notes()
        await notes.append_until(server.url, seconds)
        server.kill()
        synced = {int(i): int(size) for i, size in map(str.split, fsynced.read_text().splitlines())}
        for path in (server.data / "appendonlydir").glob("*.incr.aof"):
            os.truncate(path, synced.get(path.stat().st_ino, 0))
        server.start()
        return await notes.compare(server.url)


async def promoted(seconds: float, needed: int, cut_s: float = 0, replicas: int = 0) -> Loss:
    """The master is killed, or cut off from its replica for a while; then the replica is promoted."""
    guard = {"min-replicas-to-write": str(needed), "min-replicas-max-lag": "1"}
    with (
        EmbeddedServer(options={**AT_ONCE, **guard}) as master,
        Proxy(master.port) as link,
        EmbeddedServer(options={**AT_ONCE, "replicaof": f"127.0.0.1 {link.port}"}) as replica,
    ):
        one, other = connect(master.url), connect(replica.url)
        while not (await one.wait(1, 100)):
            await anyio.sleep(0.01)
        notes = Notes()
        async with anyio.create_task_group() as group:
            group.start_soon(notes.append_until, master.url, seconds + cut_s, replicas)
            await anyio.sleep(seconds)
            if cut_s:
                link.hang()
            else:
                master.kill()
        master.kill()
        await other.replicaof("NO", "ONE")
        loss = await notes.compare(replica.url)
        await one.aclose()
        await other.aclose()
        return loss


async def in_halves(seconds: float, needed: int) -> Loss:
    """The network falls into halves, sentinels and a client on each, for three seconds and more."""
    if why := lacks():
        raise SystemExit(f"not measured: {why}")
    with Halves(needed) as halves:
        reported = await anyio.to_thread.run_sync(parting, halves, 3 + seconds)
    lost = sorted(reported.lost(reported.here) + reported.lost(reported.there))
    counted = sum(1 for ack in (*reported.here, *reported.there) if ack.event_id)
    return Loss(counted, len(lost), (lost[-1].at - lost[0].at) * 1000 if lost else 0)


SETTINGS: dict[str, Any] = {
    "process killed, no AOF": lambda s: process_killed(s, "off"),
    "process killed, everysec": lambda s: process_killed(s, "everysec"),
    "process killed, always": lambda s: process_killed(s, "always"),
    "machine lost, everysec": lambda s: machine_lost(s, "everysec"),
    "machine lost, always": lambda s: machine_lost(s, "always"),
    "master killed, replica promoted": lambda s: promoted(s, 0),
    "the same, WAIT 1 after each append": lambda s: promoted(s, 0, replicas=1),
    "parted for 3 s, promoted": lambda s: promoted(s, 0, 3),
    "the same, min-replicas-to-write 1, lag 1 s": lambda s: promoted(s, 1, 3),
    "network in halves, sentinels on both": lambda s: in_halves(s, 0),
    "the same halves, min-replicas-to-write 1, lag 1 s": lambda s: in_halves(s, 1),
}


def main() -> None:
    """Measure every setting and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.durability", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| what happens | acknowledged in all | lost in a run | longest stretch lost, ms | acknowledged/s |")
    print("| --- | --- | --- | --- | --- |")
    for name, lose in SETTINGS.items():
        losses, rates = [], []
        for seed in range(given.seed, given.seed + given.runs):
            seconds = Random(f"{name} {seed}").uniform(1, 2.5)
            loss: Loss = anyio.run(lose, seconds)
            losses.append(loss)
            rates.append(loss.acknowledged / seconds)
        lost = [loss.lost for loss in losses]
        counted = sum(loss.acknowledged for loss in losses)
        longest = max(loss.ms for loss in losses)
        rate = statistics.median(rates)
        print(f"| {name} | {counted} | {min(lost)}–{max(lost)} | {longest:.0f} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
