"""The server killed and started again, under each fsync mode."""

from __future__ import annotations

import time

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
