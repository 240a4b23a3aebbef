"""A partition in a cluster, under load: its slot moves to another server, or its master is replaced."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

from streamsched.server.embedded import EmbeddedServer

from ...support.servers.clustered import Cluster, cluster_options, move_at_once, move_key_by_key, slot_of
from ..checker.check import Allowance, Evidence
from ..stage import Stage, StageFailed
from .fault import Fault


class Migration(Fault):
    heal_how = "the slot has arrived"
    trims = False  # a torn state is rebuilt by the workers, which need the whole log for it
    hold_s = 0.0
    other: EmbeddedServer

    def prepare(self, stage: Stage) -> None:
        options = stage.options | cluster_options()
        stage.options |= cluster_options()
        server = stage.serve()
        self.other = EmbeddedServer(stage.folder / "second", append_only=True, binary=stage.binary, options=options)
        stage.held.enter_context(self.other)
        with stage.redis as one, self._second() as other:
            one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            other.execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, stage.options["cluster-port"])
            if not stage.until(lambda: self._know_each_other(one, other), 20):
                raise StageFailed("the cluster did not form")
        stage.url = f"redis+cluster://127.0.0.1:{server.port},127.0.0.1:{self.other.port}"

    def _second(self) -> Any:
        return Redis(port=self.other.port, decode_responses=True, protocol=2)

    def _know_each_other(self, *servers: Any) -> bool:
        outcome = [server.execute_command("CLUSTER", "INFO") for server in servers]
        return all("cluster_known_nodes:2" in text and "cluster_state:ok" in text for text in outcome)

    def strike(self, stage: Stage) -> None:
        with stage.redis as one, self._second() as other:
            began = time.monotonic()
            self.move(one, other, slot_of(stage.keys))
            self.took_ms = int((time.monotonic() - began) * 1000)
        stage.server = self.other

    took_ms = 0

    def move(self, one: Any, other: Any, slot: int) -> None:
        """Move the slot."""
        raise NotImplementedError

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        rebuilt = sum(worker.log.read_text(errors="replace").count('"event": "rebuilt"') for worker in stage.workers)
        return {"moved in ms": self.took_ms, "rebuilt": rebuilt}


class ClassicMigration(Migration):
    name = "slot migrated, classic"
    how = "SETSLOT, MIGRATE of a few keys at a time, those first that a script needs last, SETSLOT"

    def move(self, one: Any, other: Any, slot: int) -> None:
        move_key_by_key(one, other, slot, self.other.port)


class AtomicMigration(Migration):
    name = "slot migrated, atomic"
    how = "CLUSTER MIGRATESLOTS of Valkey 9"
    servers = ("valkey",)

    def move(self, one: Any, other: Any, slot: int) -> None:
        move_at_once(one, other, slot, self.other.port)


class FailoverInCluster(Fault):
    name = "failover in a cluster"
    how = "SIGKILL to the master that holds the slot, one of three; clients by `redis+cluster://`"
    heal_how = "its replica has taken over by itself; the old master is back, as a replica"
    allowed = Allowance(lost=True)
    archives = False
    hold_s = 0.0
    cluster: Cluster

    def prepare(self, stage: Stage) -> None:
        self.cluster = stage.held.enter_context(Cluster(stage.binary))
        stage.server, stage.url = self.cluster.holder(stage.keys), self.cluster.url

    def strike(self, stage: Stage) -> None:
        stage.server.kill()

    def heal(self, stage: Stage) -> None:
        old, stage.server = stage.server, self.cluster.holder(stage.keys, but=stage.server)
        stage.journal.mark("cut")
        old.start()
        if not stage.until(self.cluster.whole, 30):
            raise StageFailed("the cluster did not come together again")
