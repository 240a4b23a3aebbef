"""Too much, too slow, and nonsense: bursts, slow consumers, nodes that do not work, events that are none."""

from __future__ import annotations

import os
import signal
import time
from random import Random
from typing import Any, ClassVar

from streamsched.demo.processes import Child

from ..checker.check import Evidence
from ..checker.story import Breach
from ..stage import RATE, Stage
from .fault import Fault


class Burst(Fault):
    name = "burst"
    how = "two more producers at five times the rate each, for 3 s"
    heal_how = "they leave"
    hold_s = 3.0
    crowd: list[Child]

    def strike(self, stage: Stage) -> None:
        self.crowd = [stage.start_producer(5 * RATE) for _ in range(2)]

    def heal(self, stage: Stage) -> None:
        for child in self.crowd:
            child.leave()

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        lost = [fields["node_id"] for _, fields in evidence.entries if fields.get("type") == "node.expired"]
        return [Breach("expiry", f"{node_id} was lost in a burst") for node_id in lost]


class SlowWorkers(Fault):
    name = "slow workers"
    how = "both workers get 50 ms of every half second, for 4 s"
    heal_how = "they get all of it"

    def strike(self, stage: Stage) -> None:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            self._tell(stage, signal.SIGSTOP)
            time.sleep(0.45)
            self._tell(stage, signal.SIGCONT)
            time.sleep(0.05)

    def _tell(self, stage: Stage, number: signal.Signals) -> None:
        for worker in stage.workers:
            os.kill(worker.pid, number)


class OddNodes(Fault):
    """Two more nodes that do not behave; they are gone in the end."""

    heal_how = "they are killed"
    hold_s = 5.0
    conduct: ClassVar[str]

    def strike(self, stage: Stage) -> None:
        stage.start_host("odd", self.conduct, ("n7", "n8"))

    def heal(self, stage: Stage) -> None:
        stage.down("odd")
        stage.hosts["odd"].kill()

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        given = [fields for _, fields in evidence.entries if fields.get("type") == "job.dispatched"]
        return {"jobs given to them": sum(fields["node_id"] in stage.homes["odd"] for fields in given)}


class DeafNodes(OddNodes):
    name = "deaf nodes"
    how = "two nodes that beat and do not read their inbox, for 5 s"
    conduct = "deaf"


class IdleNodes(OddNodes):
    name = "idle nodes"
    how = "two nodes that beat, start their jobs and never end them, for 5 s"
    conduct = "idle"


class SlowNodes(OddNodes):
    name = "slow nodes"
    how = "two nodes that take ten times as long, for 5 s"
    conduct = "slow"


class LateNodes(OddNodes):
    name = "late nodes"
    how = "three nodes that report each job after its time limit, when another one has it, for 8 s"
    conduct = "late"
    hold_s = 8.0

    def strike(self, stage: Stage) -> None:
        stage.start_host("odd", self.conduct, ("n7", "n8", "n9"))


Flat = list[bytes]


class Poison(Fault):
    name = "poison"
    how = "400 events and beats that are malformed, forged, huge or random bytes, among the true ones"
    true = (
        "job.submitted",
        "job.completed",
        "node.registered",
        "job.started",
        "scheduler.configured",
        "job.cancelled",
    )
    forged = ("job.dispatched", "node.expired", "job.requeued", "scheduler.resumed", "scheduler.upgraded")

    def strike(self, stage: Stage) -> None:
        random = Random(stage.seed)
        with stage.redis as redis:
            for _ in range(400):
                stream = "heartbeats" if random.random() < 0.2 else "events"
                redis.execute_command("XADD", stage.keys(stream), "*", *self._event(random))

    def _event(self, random: Random) -> Flat:
        kind = random.choice((*self.true, *self.forged, "node.heartbeat")).encode()
        fields: dict[bytes, bytes] = {b"type": kind}
        match random.randrange(6):
            case 0:
                fields[b"type"] = random.randbytes(random.randrange(1, 30))
            case 1:
                del fields[b"type"]
                fields[random.randbytes(5)] = b""
            case 2:
                fields[b"payload_json"] = b"x" * random.choice((70_000, 1_100_000))
        for name in ("job_id", "node_id", "session_id", "src_lang", "tgt_lang", "attempt", "status", "payload_json"):
            if random.random() < 0.6:
                fields.setdefault(name.encode(), self._value(random))
        flat = [part for pair in fields.items() for part in pair]
        return [*flat, b"job_id", b"twice"] if random.random() < 0.1 else flat

    def _value(self, random: Random) -> bytes:
        choices: tuple[Any, ...] = (
            lambda: random.randbytes(random.randrange(40)),
            lambda: b"n%d" % random.randrange(1, 9),
            lambda: str(random.uniform(-1e300, 1e300)).encode(),
            lambda: b'{"a":[' * random.randrange(1, 400),
            lambda: b"0-0-none",
            lambda: b"%s%n\x00\r\n*1\r\n",
            lambda: b"finished",
        )
        return random.choice(choices)()  # type: ignore[no-any-return]

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        return [] if evidence.dead else [Breach("poison", "not one of the malformed events was refused")]

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"dead letters": len(evidence.dead)}
