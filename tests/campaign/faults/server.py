"""The server killed, frozen, out of memory, or made to forget the scripts."""

from __future__ import annotations

import os
import signal
import time

from ..checker.check import Evidence
from ..checker.story import Breach
from ..stage import Stage
from .fault import Fault


class KillServer(Fault):
    name = "server killed, everysec"
    how = "SIGKILL to the server, appendfsync everysec"
    heal_how = "started again on its AOF"
    hold_s = 0.5

    def strike(self, stage: Stage) -> None:
        time.sleep(stage.random.uniform(0, 0.2))
        stage.server.kill()

    def heal(self, stage: Stage) -> None:
        stage.server.start()


class KillServerAlways(KillServer):
    name = "server killed, always"
    how = "SIGKILL to the server, appendfsync always"
    fsync = "always"


class FreezeServer(Fault):
    name = "server frozen"
    how = "SIGSTOP to the server for 4 s, longer than the timeout of a node"
    heal_how = "SIGCONT"
    hold_s = 4.0

    def strike(self, stage: Stage) -> None:
        os.kill(stage.server.pid, signal.SIGSTOP)

    def heal(self, stage: Stage) -> None:
        stage.journal.mark("scheduler back")
        os.kill(stage.server.pid, signal.SIGCONT)


class Outage(Fault):
    name = "outage"
    how = "SIGSTOP to every process but the server for 8 s, three times the timeout of a node"
    heal_how = "SIGCONT, to the workers first, to nodes and producers a second later"
    hold_s = 8.0

    def strike(self, stage: Stage) -> None:
        for child in [*stage.workers, *stage.hosts.values(), *stage.producers, stage.archiver]:
            os.kill(child.pid, signal.SIGSTOP)

    def heal(self, stage: Stage) -> None:
        stage.journal.mark("scheduler back")
        for child in stage.workers:
            os.kill(child.pid, signal.SIGCONT)
        time.sleep(1)
        for child in [*stage.hosts.values(), *stage.producers, stage.archiver]:
            os.kill(child.pid, signal.SIGCONT)

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"resumed": sum(fields.get("type") == "scheduler.resumed" for _, fields in evidence.entries)}


class OutOfMemory(Fault):
    name = "out of memory"
    how = "maxmemory below what is used, for 2 s"
    heal_how = "maxmemory lifted"
    hold_s = 2.0

    def strike(self, stage: Stage) -> None:
        with stage.redis as redis:
            redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) - 100_000)

    def heal(self, stage: Stage) -> None:
        with stage.redis as redis:
            redis.config_set("maxmemory", 0)


class KeysEvicted(Fault):
    """Every call looks at the evicted keys before it folds, once one has seen the policy."""

    name = "keys evicted"
    how = "maxmemory below what is used for a moment under allkeys-lfu, three times"
    heal_how = "nothing; the workers fold the state again"
    trims = False
    hold_s = 0.0
    evicted = 0

    def prepare(self, stage: Stage) -> None:
        # what is used least goes first: jobs, and neither the log nor the partition's own hash, which each call uses
        stage.options |= {"maxmemory-policy": "allkeys-lfu", "maxmemory-samples": "64"}
        super().prepare(stage)

    def strike(self, stage: Stage) -> None:
        with stage.redis as redis:
            for _ in range(3):
                redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) - 20_000)
                redis.set("other", "x" * 1000)
                redis.config_set("maxmemory", 0)
                time.sleep(2)

    def heal(self, stage: Stage) -> None:
        with stage.redis as redis:
            self.evicted = redis.info("stats")["evicted_keys"]

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        return [] if self.evicted else [Breach("eviction", "not one key was evicted")]

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"keys evicted": self.evicted}


class TwoVersions(Fault):
    name = "two versions and SCRIPT FLUSH"
    how = "a worker and a host whose scripts have other bytes beside the others, SCRIPT FLUSH every 50 ms for 3 s"
    program = ("tests.campaign.processes.wrapped", "streamsched")
    hold_s = 0.0

    def strike(self, stage: Stage) -> None:
        stage.environment["CAMPAIGN_VERSION"] = "another version"
        stage.start_worker()
        stage.hosts["host1"].kill()
        stage.start_host("host1")
        deadline = time.monotonic() + 3
        with stage.redis as redis:
            while time.monotonic() < deadline:
                redis.script_flush()
                time.sleep(0.05)
