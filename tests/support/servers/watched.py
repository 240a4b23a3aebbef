"""A master, its replicas and the sentinels that watch them, as real processes: to be killed, frozen and promoted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from streamsched.server.embedded import EmbeddedServer, free_port

from ..processes import eventually
from .tls import Certificates, tls_options

NAME = "m"

PATIENCE_S = 60.0
"""An election that finds no majority, or no replica heard of lately, is held again only after four seconds."""

AT_ONCE = {"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
"""A replica joins in no time."""

QUICK = {
    "publish-period": "200",
    "info-period": "300",
    "ping-period": "300",
    "ask-period": "100",
    "election-timeout": "1000",
    "tilt-trigger": "20000",
    "tilt-period": "1000",
}
"""Milliseconds: sentinels look more often than by default, and are not put off by a slow machine. What they heard of a
replica counts for five ping periods, and they ask once a second: a shorter period leaves them without a candidate."""

CONFIG = """port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 2000
sentinel parallel-syncs {name} 2
"""


class Watched:
    """One master, two replicas, three sentinels.

    Args:
        binary: the server program.
        certificates: with these all of them speak TLS with each other, and their clients are to; ``None`` by default.
    """

    def __init__(self, binary: Path, certificates: Certificates | None = None) -> None:
        self.binary, self.certificates = binary, certificates
        first = EmbeddedServer(binary=binary, options={**AT_ONCE, **self._secured()})
        follows = {**AT_ONCE, "replicaof": f"127.0.0.1 {public_port(first)}"}
        others = (EmbeddedServer(binary=binary, options={**follows, **self._secured()}) for _ in "ab")
        self.servers = [first, *others]
        self.ports = [free_port() for _ in range(3)]
        self._secured_sentinels = [self._secured() for _ in self.ports]
        self.folder = Path(tempfile.mkdtemp(prefix="streamsched-sentinels-"))
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._frozen: set[EmbeddedServer] = set()

    @property
    def url(self) -> str:
        """What to give to clients; a server that says nothing for two seconds counts as gone."""
        ports = [
            secured.get("tls-port", port) for port, secured in zip(self.ports, self._secured_sentinels, strict=True)
        ]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        if self.certificates is None:
            return f"redis+sentinel://{hosts}/{NAME}?socket_timeout=2"
        trusted = f"ssl_ca_certs={self.certificates['ca']}&ssl_certfile={self.certificates['client']}"
        return f"rediss+sentinel://{hosts}/{NAME}?socket_timeout=2&{trusted}"

    def _secured(self) -> dict[str, str]:
        return {} if self.certificates is None else {**tls_options(self.certificates), "tls-replication": "yes"}

    def __enter__(self) -> Watched:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        for server in self.servers:
            server.start()
        for number, port in enumerate(self.ports):
            config = self.folder / f"{number}.conf"
            said = CONFIG.format(port=port, folder=self.folder, name=NAME, master=public_port(self.servers[0]))
            secured = self._secured_sentinels[number].items()
            config.write_text("".join(f"{name} {value}\n" for name, value in secured) + said)
            with (self.folder / f"{number}.log").open("w") as output:
                self._sentinels.append(
                    subprocess.Popen([self.binary, config, "--sentinel"], stdout=output, stderr=subprocess.STDOUT)
                )
        for port in self.ports:
            eventually(partial(ask, port, "PING"))
            ask(port, "SENTINEL", "DEBUG", *(word for row in QUICK.items() for word in row))
        self.whole()

    def _end(self) -> None:
        for server in list(self._frozen):
            self.thaw(server)
        for process in self._sentinels:
            process.kill()
            process.wait()
        for server in self.servers:
            server.kill()  # on a clean stop, a master would wait for its replicas
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def master(self) -> EmbeddedServer:
        """Whom the sentinels call the master."""
        address: Any = ask(self.ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return next(server for server in self.servers if public_port(server) == int(address[1]))

    @property
    def replicas(self) -> list[EmbeddedServer]:
        """The other servers."""
        return [server for server in self.servers if server is not self.master]

    def whole(self) -> None:
        """Wait until the sentinels agree on a master that both others follow, and know each other and all of them."""

        def settled() -> bool:
            master = self.master
            about: Any = ask(master.port, "INFO", "replication")
            if not about or about["role"] != "master" or about["connected_slaves"] != 2:
                return False
            reported: list[Any] = [ask(sentinel, "SENTINEL", "MASTER", NAME) for sentinel in self.ports]
            wanted = {
                "port": str(public_port(master)),
                "flags": "master",
                "num-slaves": "2",
                "num-other-sentinels": "2",
            }
            online = {about[f"slave{n}"]["state"] for n in range(2)} == {"online"}
            return online and all(one and wanted.items() <= one.items() for one in reported)

        eventually(settled, PATIENCE_S)

    def until_promoted(self, old: EmbeddedServer) -> EmbeddedServer:
        """Wait until another server than ``old`` is the master, and return it."""
        eventually(lambda: self.master is not old and ask(self.master.port, "ROLE")[0] == "master", PATIENCE_S)
        return self.master

    def fail_over(self) -> EmbeddedServer:
        """Have a sentinel promote a replica of a master that is well."""
        old = self.master

        def promoted() -> bool:
            if self.master is old:  # refused while one is under way; one that took too long is given up
                ask(self.ports[0], "SENTINEL", "FAILOVER", NAME)
            return self.master is not old

        eventually(promoted, PATIENCE_S)
        return self.until_promoted(old)

    def freeze(self, server: EmbeddedServer) -> None:
        """Stop a server in its tracks: to all others it is as good as unreachable."""
        os.kill(server.pid, signal.SIGSTOP)
        self._frozen.add(server)

    def thaw(self, server: EmbeddedServer) -> None:
        """Let it go on where it was."""
        os.kill(server.pid, signal.SIGCONT)
        self._frozen.discard(server)

    def cut_off(self) -> None:
        """Freeze the replicas and cut them off their master: only the master has what it takes in from now on."""
        master = self.master
        self.whole()
        for replica in self.replicas:
            self.freeze(replica)
        ask(master.port, "CLIENT", "KILL", "TYPE", "replica")


def public_port(server: EmbeddedServer) -> int:
    """Return where others than this process reach a server."""
    return int(server.options.get("tls-port", server.port))


def ask(port: int, *command: str) -> Any:
    """Send one command to a server; ``None`` if it does not answer, or refuses."""
    with Redis(port=port, decode_responses=True, socket_timeout=2) as redis:
        try:
            return redis.execute_command(*command)
        except (RedisError, OSError):
            return None
