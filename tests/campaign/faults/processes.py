"""Processes of the system killed and stopped, and started or let go again."""

from __future__ import annotations

import os
import signal
import time

from streamsched.demo.processes import Child

from ..checker.check import Evidence
from ..checker.journal import fields_of
from ..checker.story import Breach
from ..stage import Stage
from .fault import Fault

CRASHING = 4


class Kill(Fault):
    """SIGKILL, again and again; a new process takes the place after each."""

    heal_how = "started again"
    times = 3

    def victim(self, stage: Stage) -> Child:
        """Return the process to kill."""
        raise NotImplementedError

    def revive(self, stage: Stage) -> None:
        """Start what takes its place."""
        raise NotImplementedError

    def strike(self, stage: Stage) -> None:
        for n in range(self.times):
            time.sleep(stage.random.uniform(0, 0.3))
            self.victim(stage).kill()
            if n + 1 < self.times:
                self.revive(stage)
                time.sleep(stage.random.uniform(0.5, 1.2))  # it takes half a second until it is at work

    def heal(self, stage: Stage) -> None:
        self.revive(stage)


class KillWorker(Kill):
    name = "worker killed"
    how = "SIGKILL to a worker, three times"

    def victim(self, stage: Stage) -> Child:
        return stage.workers[-1]

    def revive(self, stage: Stage) -> None:
        stage.start_worker()


class KillProducer(Kill):
    name = "producer killed"
    how = "SIGKILL to a producer with appends under way, three times"

    def victim(self, stage: Stage) -> Child:
        return stage.producers[-1]

    def revive(self, stage: Stage) -> None:
        stage.start_producer()


class KillArchiver(Kill):
    name = "archiver killed"
    how = "SIGKILL to the trimming archiver, three times"

    def victim(self, stage: Stage) -> Child:
        return stage.archiver

    def revive(self, stage: Stage) -> None:
        stage.start_archiver()


class KillNode(Fault):
    name = "node killed"
    how = "SIGKILL to a process of two nodes, jobs under way"
    heal_how = "started again after the timeout"
    hold_s = 4.0

    def strike(self, stage: Stage) -> None:
        stage.down("host1")
        stage.hosts["host1"].kill()

    def heal(self, stage: Stage) -> None:
        stage.start_host("host1")


class KillNodeBriefly(Kill):
    name = "node killed and back at once"
    how = "SIGKILL to a process of two nodes, three times, back before the heartbeat timeout"

    def victim(self, stage: Stage) -> Child:
        return stage.hosts["host1"]

    def revive(self, stage: Stage) -> None:
        stage.start_host("host1")


class Stop(Fault):
    """SIGSTOP, and SIGCONT later: a process that comes back and does not know that time has passed."""

    heal_how = "SIGCONT"
    hold_s = 4.0

    def victims(self, stage: Stage) -> list[Child]:
        """Return the processes to stop."""
        raise NotImplementedError

    def strike(self, stage: Stage) -> None:
        for child in self.victims(stage):
            os.kill(child.pid, signal.SIGSTOP)

    def heal(self, stage: Stage) -> None:
        for child in self.victims(stage):
            os.kill(child.pid, signal.SIGCONT)


class StopWorker(Stop):
    name = "worker stopped"
    how = "SIGSTOP to one of two workers for 4 s"

    def victims(self, stage: Stage) -> list[Child]:
        return stage.workers[:1]


class StopNode(Stop):
    name = "node stopped"
    how = "SIGSTOP to a process of two nodes for 4 s, past its timeout; it comes back with stale attempts"

    def victims(self, stage: Stage) -> list[Child]:
        return [stage.hosts["host1"]]

    def strike(self, stage: Stage) -> None:
        stage.down("host1")
        super().strike(stage)

    def heal(self, stage: Stage) -> None:
        super().heal(stage)
        stage.up("host1")


class StopProducer(Stop):
    name = "producer stopped"
    how = "SIGSTOP to a producer for 4 s, with appends under way"

    def victims(self, stage: Stage) -> list[Child]:
        return stage.producers[:1]


class StopArchiver(Stop):
    name = "archiver stopped"
    how = "SIGSTOP to the trimming archiver for 4 s"

    def victims(self, stage: Stage) -> list[Child]:
        return [stage.archiver]


class SecondProcess(Fault):
    """The later of two processes with one node id is the node; the earlier one stops, and says so."""

    name = "two processes with one node id"
    how = "a second process hosts the nodes of the first"
    heal_how = "the first one has stopped by itself"
    excused = "NODE_SUPERSEDED"
    hold_s = 0.0
    stopped = False

    def strike(self, stage: Stage) -> None:
        stage.start_host("second", nodes=stage.homes["host1"])
        self.stopped = stage.until(lambda: not stage.hosts["host1"].alive, 20)

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        found = [] if self.stopped else [Breach("superseded", "the earlier process did not stop")]
        begun = [
            {fields_of(line.event)["attempt"] for line in evidence.journals[name] if "job.started" in line.event}
            for name in ("host1", "second")
        ]
        return found + [Breach("superseded", f"{attempt} was begun by both") for attempt in sorted(begun[0] & begun[1])]


class CrashingJobs(Fault):
    """Each takes down the process that runs it; a supervisor starts that one again at once."""

    name = "jobs that crash their node, under a supervisor"
    how = f"{CRASHING} jobs of two attempts each that end the process of their node, which is started again at once"
    heal_how = "their attempts are used up"
    hold_s = 0.0
    crashes = 0

    def strike(self, stage: Stage) -> None:
        about = {
            "type": "job.submitted",
            "session_id": "crash",
            "src_lang": "en",
            "tgt_lang": "zh",
            "max_attempts": "2",
        }
        with stage.redis as redis:
            for job_id in self._ids():
                redis.xadd(stage.keys("events"), about | {"job_id": job_id, "payload_json": '{"crash":true}'})
        stage.until(lambda: self._supervise(stage), 30)

    def heal(self, stage: Stage) -> None:
        self._supervise(stage)

    def _ids(self) -> list[str]:
        return [f"crash{n}" for n in range(CRASHING)]

    def _supervise(self, stage: Stage) -> bool:
        """Start again what has crashed; tells whether each of those jobs has ended."""
        for name, host in list(stage.hosts.items()):
            if not host.alive:
                self.crashes += 1
                host.dismissed = True
                stage.start_host(name)
        with stage.redis as redis:
            return all(redis.hget(stage.keys.job(job_id), "status") == "failed" for job_id in self._ids())

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        if 0 < self.crashes <= 2 * CRASHING:
            return []
        return [Breach("attempts", f"{self.crashes} crashes, by {CRASHING} jobs of two attempts each")]

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"crashes": self.crashes}


class Cancel(Kill):
    """Every task of the process is cancelled, wherever it is; a process that ends by that is started again."""

    program = ("tests.campaign.processes.wrapped", "streamsched")

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        stage.environment["CAMPAIGN_CANCEL"] = "1"

    def strike(self, stage: Stage) -> None:
        for n in range(self.times):
            time.sleep(stage.random.uniform(0, 0.3))
            child = self.victim(stage)
            os.kill(child.pid, signal.SIGUSR1)
            stage.until(lambda child=child: not child.alive, 5)  # type: ignore[misc]
            child.kill()
            if n + 1 < self.times:
                self.revive(stage)
                time.sleep(stage.random.uniform(0.8, 1.5))


class CancelWorker(Cancel, KillWorker):
    name = "worker cancelled"
    how = "every task of a worker is cancelled, three times"


class CancelNode(Cancel, KillNodeBriefly):
    name = "node cancelled"
    how = "every task of a process of two nodes is cancelled, appends under way, three times"


class CancelProducer(Cancel, KillProducer):
    name = "producer cancelled"
    how = "every task of a producer is cancelled, appends under way, three times"


class CancelArchiver(Cancel, KillArchiver):
    name = "archiver cancelled"
    how = "every task of the trimming archiver is cancelled, three times"
