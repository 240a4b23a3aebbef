"""The partition's slot moved to another server of a cluster, under load.

The clients of the product do not follow a slot; those of these runs are taught to, from outside (``inside.py``).
"""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

from streamsched.embedded import EmbeddedServer, free_port

from ..check import Evidence
from ..stage import Stage, StageFailed
from .fault import Fault

KEYS_AT_ONCE = 5


class Migration(Fault):
    heal_how = "the slot has arrived"
    program = ("tests.campaign.wrapped", "streamsched")
    trims = False  # a torn state is rebuilt by the workers, which need the whole log for it
    hold_s = 0.0
    other: EmbeddedServer

    def prepare(self, stage: Stage) -> None:
        stage.environment["CAMPAIGN_FOLLOW"] = "1"
        stage.options |= {"cluster-enabled": "yes", "cluster-announce-ip": "127.0.0.1", "cluster-node-timeout": "5000"}
        options = stage.options | {"cluster-port": str(free_port())}  # by default 10,000 above the other one: too high
        stage.options["cluster-port"] = str(free_port())
        server = stage.serve()
        self.other = EmbeddedServer(stage.folder / "second", append_only=True, binary=stage.binary, options=options)
        stage.held.enter_context(self.other)
        with stage.redis as one, self._second() as other:
            one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            other.execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, stage.options["cluster-port"])
            if not stage.until(lambda: self._know_each_other(one, other), 20):
                raise StageFailed("the cluster did not form")

    def _second(self) -> Any:
        return Redis(port=self.other.port, decode_responses=True, protocol=2)

    def _know_each_other(self, *servers: Any) -> bool:
        told = [server.execute_command("CLUSTER", "INFO") for server in servers]
        return all("cluster_known_nodes:2" in text and "cluster_state:ok" in text for text in told)

    def strike(self, stage: Stage) -> None:
        with stage.redis as one, self._second() as other:
            slot = one.execute_command("CLUSTER", "KEYSLOT", stage.keys("meta"))
            ids = [server.execute_command("CLUSTER", "MYID") for server in (one, other)]
            began = time.monotonic()
            self.move(one, other, int(slot), *ids)
            self.took_ms = int((time.monotonic() - began) * 1000)
        stage.server = self.other

    took_ms = 0

    def move(self, one: Any, other: Any, slot: int, one_id: str, other_id: str) -> None:
        """Move the slot."""
        raise NotImplementedError

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        rebuilt = sum(worker.log.read_text(errors="replace").count('"event": "rebuilt"') for worker in stage.workers)
        return {"moved in ms": self.took_ms, "rebuilt": rebuilt}


class ClassicMigration(Migration):
    name = "slot migrated, classic"
    how = "SETSLOT, MIGRATE of a few keys at a time, those first that a script needs last, SETSLOT"

    def move(self, one: Any, other: Any, slot: int, one_id: str, other_id: str) -> None:
        other.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", one_id)
        one.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", other_id)
        place = ("127.0.0.1", self.other.port, "", 0, 5000, "KEYS")
        while keys := one.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
            # the worst order: what a script looks at first goes last, so that it begins and cannot end
            keys.sort(key=lambda key: key.endswith((":meta", ":events", ":heartbeats", ":dead")))
            for start in range(0, len(keys), KEYS_AT_ONCE):
                one.execute_command("MIGRATE", *place, *keys[start : start + KEYS_AT_ONCE])
                time.sleep(0.02)
        for server in (other, one):
            server.execute_command("CLUSTER", "SETSLOT", slot, "NODE", other_id)


class AtomicMigration(Migration):
    name = "slot migrated, atomic"
    how = "CLUSTER MIGRATESLOTS of Valkey 9"
    servers = ("valkey",)

    def move(self, one: Any, other: Any, slot: int, one_id: str, other_id: str) -> None:
        one.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", other_id)
        deadline = time.monotonic() + 20
        while "success" not in str(one.execute_command("CLUSTER", "GETSLOTMIGRATIONS")):
            if time.monotonic() > deadline:
                raise StageFailed("the slot did not move within 20 s")
            time.sleep(0.05)
