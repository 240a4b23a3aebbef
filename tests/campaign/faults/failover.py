"""The server replaced by its replica, at once or after the two had lost sight of each other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, ClassVar

from redis import Redis

from streamsched.server.embedded import EmbeddedServer, free_port, server_binary

from ...support.servers.parted import lacks
from ..checker.check import Allowance, Evidence
from ..checker.story import Breach
from ..proxy import Proxy
from ..stage import Stage, StageFailed
from .fault import Fault


class Failover(Fault):
    """Clients come through a proxy, which leads to whichever server is the master; a second one carries replication."""

    heal_how = "the replica is promoted, clients are led to it; the old master is gone"
    allowed = Allowance(lost=True)
    archives = False
    replicas_needed: ClassVar[int] = 0
    """``min-replicas-to-write`` of the master, which may lag by a second."""
    replica: EmbeddedServer
    door: Proxy
    link: Proxy

    def prepare(self, stage: Stage) -> None:
        if self.replicas_needed:
            stage.options |= {"min-replicas-to-write": str(self.replicas_needed), "min-replicas-max-lag": "1"}
        self.start_servers(stage)
        self.door = stage.held.enter_context(Proxy(stage.server.port, stage.seed))
        stage.url = self.door.url
        if not stage.until(lambda: self._follows(stage), 20):
            raise StageFailed("the replica did not come up")

    def start_servers(self, stage: Stage) -> None:
        """Start master and replica."""
        master = stage.serve()
        self.link = stage.held.enter_context(Proxy(master.port, stage.seed))
        options = {"appendfsync": self.fsync, "replicaof": f"127.0.0.1 {self.link.port}"}
        self.replica = EmbeddedServer(stage.folder / "replica", append_only=True, binary=stage.binary, options=options)
        stage.held.enter_context(self.replica)

    def part(self, stage: Stage) -> None:
        """Take replica and master out of each other's sight."""
        self.link.hang()

    def command(self, stage: Stage, *command: str) -> Any:
        """Give the replica a command, even while its network is down."""
        with Redis(port=self.replica.port, decode_responses=True, protocol=2) as redis:
            return redis.execute_command(*command)

    def _follows(self, stage: Stage) -> bool:
        return bool(self.command(stage, "INFO", "replication")["master_link_status"] == "up")

    def heal(self, stage: Stage) -> None:
        stage.journal.mark("cut")
        self.command(stage, "REPLICAOF", "NO", "ONE")
        stage.server.kill()
        stage.server = self.replica
        self.door.lead_to(self.replica.port)


class Promotion(Failover):
    name = "replica promoted"
    how = "SIGKILL to the master under load"
    hold_s = 0.2

    def strike(self, stage: Stage) -> None:
        stage.server.kill()


class Partition(Failover):
    name = "partition, no replica needed"
    how = "the replica sees nothing of the master for 3 s, clients write on; then it is promoted"
    hold_s = 3.0

    def strike(self, stage: Stage) -> None:
        self.part(stage)

    def heal(self, stage: Stage) -> None:
        super().heal(stage)
        stage.journal.mark("scheduler back")


class PartitionGuarded(Partition):
    name = "partition, min-replicas-to-write 1"
    how = "the same, with min-replicas-to-write 1 and min-replicas-max-lag 1"
    replicas_needed = 1


class ArchiveAhead(Partition):
    name = "archive ahead of a promoted replica"
    how = "the same, and an archiver has carried away what the replica never saw: it must notice and stop"
    archives = True
    trims = False
    archive_counts = False
    excused = "FORK"

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        noticed = "FORK" in stage.archiver.log.read_text(errors="replace")
        return [] if noticed else [Breach("archive", "the archiver did not notice that the log is another one now")]


class PartitionOfNetworks(PartitionGuarded):
    """The replica lives in a network namespace of its own, and the cable between the two is unplugged."""

    name = "partition of networks"
    how = "the same as with min-replicas-to-write 1, in network namespaces: the link of the replica's is set down"
    space: str
    cable: str
    socket: Path

    def lacks(self) -> str:
        return lacks()

    def start_servers(self, stage: Stage) -> None:
        number = os.getpid() % 250
        self.space = f"campaign{os.getpid()}"
        ours, theirs = f"10.213.{number}.1", f"10.213.{number}.2"
        self._ip(f"netns add {self.space}")
        stage.held.callback(lambda: subprocess.run(["ip", "netns", "del", self.space], check=False))
        self._ip(f"link add cm{number} type veth peer name cs{number} netns {self.space}")
        self._ip(f"addr add {ours}/24 dev cm{number}")
        self._ip(f"link set cm{number} up")
        for command in ("link set lo up", f"addr add {theirs}/24 dev cs{number}", f"link set cs{number} up"):
            self._ip(f"-n {self.space} {command}")
        stage.options |= {"bind": f"127.0.0.1 {ours}", "protected-mode": "no"}
        master = stage.serve()
        program = stage.folder / "server-in-a-namespace"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {self.space} {stage.binary or server_binary()} "$@"\n')
        program.chmod(0o755)
        self.socket = stage.folder / "replica.sock"
        port = free_port()
        # what looks for the replica on this side's loopback is led to the other side
        stage.held.enter_context(Proxy(port, stage.seed, host=theirs, listen=port))
        options = {
            "appendfsync": self.fsync,
            "bind": f"127.0.0.1 {theirs}",
            "protected-mode": "no",
            "unixsocket": str(self.socket),
            "replicaof": f"{ours} {master.port}",
        }
        data = stage.folder / "replica"
        self.replica = EmbeddedServer(data, port, append_only=True, binary=program, options=options)
        stage.held.enter_context(self.replica)
        self.cable = f"cm{number}"

    def _ip(self, command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)

    def part(self, stage: Stage) -> None:
        self._ip(f"link set {self.cable} down")

    def command(self, stage: Stage, *command: str) -> Any:
        with Redis(unix_socket_path=str(self.socket), decode_responses=True, protocol=2) as redis:
            return redis.execute_command(*command)

    def heal(self, stage: Stage) -> None:
        self._ip(f"link set {self.cable} up")
        super().heal(stage)
