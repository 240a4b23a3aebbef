"""The state or the log is gone, and an operator has it folded again, with the fleet running."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from streamsched.demo.processes import Child

from ..checker.check import Allowance, Evidence
from ..checker.story import Breach
from ..stage import Stage, StageFailed
from .access import FleetUser
from .fault import Fault


def at_once(holds: Callable[[], Any], within_s: float) -> bool:
    """Wait until something holds that may hold for a few milliseconds only; tells whether it did."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with suppress(RedisError):
            if holds():
                return True
    return False


class Flushed(Fault):
    name = "FLUSHALL and a rebuild that replaces the log"
    how = "FLUSHALL with the fleet running; a second later `streamsched rebuild --from DIR --replace --yes`"
    heal_how = "the rebuild has ended"
    allowed = Allowance(lost=True)  # what came since the last segment
    new = 0

    def strike(self, stage: Stage) -> None:
        with stage.redis as redis:
            if not stage.until(lambda: redis.hget(stage.keys("meta"), "archive"), 10):
                raise StageFailed("no archive was announced")
            time.sleep(0.5)  # until each process has made a call since
            stage.journal.mark("cut")
            redis.flushall()

    def heal(self, stage: Stage) -> None:
        with stage.redis as redis:
            self.new = redis.xlen(stage.keys("events"))
        stage.operate("rebuild", "--from", str(stage.archive), "--replace", "--yes")
        stage.journal.mark("scheduler back")

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"events of the new log": self.new}


class RebuiltUnderClients(FleetUser):
    """Nodes stand still, so that callers wait, and all look their results up while the state is half folded."""

    name = "rebuilds under waiting clients"
    how = "five times `streamsched rebuild --yes`, nodes stopped by SIGSTOP, and every connection killed in its midst"
    heal_how = "SIGCONT to the nodes"
    trims = False
    hold_s = 0.0
    met = 0

    def strike(self, stage: Stage) -> None:
        for _ in range(5):
            for host in stage.hosts.values():
                os.kill(host.pid, signal.SIGSTOP)
            rebuild = stage.start_operation("rebuild", "--yes")
            with stage.redis as redis:
                if at_once(lambda: redis.hexists(stage.keys("meta"), "rebuilding"), 20):
                    redis.execute_command("CLIENT", "KILL", "USER", "fleet")
                    self.met += redis.hexists(stage.keys("meta"), "rebuilding")
            stage.ended(rebuild)
            stage.journal.mark("scheduler back")
            for host in stage.hosts.values():
                os.kill(host.pid, signal.SIGCONT)
            time.sleep(0.5)

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"connections killed in a rebuild": self.met}


class RebuildKilled(Fault):
    name = "rebuild killed seven times"
    how = "SIGKILL to `streamsched rebuild --from DIR --yes` as soon as it has begun, seven times; the log is trimmed"
    heal_how = "the same command, to its end"
    hold_s = 0.0
    met = 0

    def strike(self, stage: Stage) -> None:
        with stage.redis as redis:
            for _ in range(7):
                before = self._phase(stage, redis)
                child = stage.start_operation("rebuild", "--from", str(stage.archive), "--yes")
                at_once(partial(self._is_at_work, stage, redis, child, before), 20)
                time.sleep(stage.random.uniform(0, 0.02))
                child.kill()
                self.met += self._phase(stage, redis) is not None

    def _phase(self, stage: Stage, redis: Any) -> tuple[str, str] | None:
        """Return how far a rebuild has come; none while there is none."""
        phase, watermark = redis.hmget(stage.keys("meta"), "rebuilding", "watermark")
        return phase and (phase, watermark)

    def _is_at_work(self, stage: Stage, redis: Any, child: Child, before: tuple[str, str] | None) -> bool:
        return not child.alive or self._phase(stage, redis) not in (None, before)

    def heal(self, stage: Stage) -> None:
        stage.operate("rebuild", "--from", str(stage.archive), "--yes")
        stage.journal.mark("scheduler back")

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        return [] if self.met else [Breach("rebuild", "not one of the rebuilds was killed before its end")]

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"killed before their end": self.met}
