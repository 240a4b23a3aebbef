"""What the fleet may do on the server is changed under it: its password, its rights, a key of another program."""

from __future__ import annotations

import time
from typing import Any

from ..stage import Stage
from .fault import Fault

USER, PASSWORD = "fleet", "secret"
PHASE_S = 1.5


class FleetUser(Fault):
    """Every process logs in as a user of its own, so that what is done to it leaves driver and operator alone."""

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        self.set_user(stage, "on", f">{PASSWORD}", "~*", "&*", "+@all")
        stage.url = stage.server.url.replace("redis://", f"redis://{USER}:{PASSWORD}@")

    def set_user(self, stage: Stage, *rules: str) -> None:
        """Change what the fleet may do."""
        with stage.redis as redis:
            redis.execute_command("ACL", "SETUSER", USER, *rules)

    def cut_off(self, stage: Stage) -> None:
        """End every connection of the fleet."""
        with stage.redis as redis:
            redis.execute_command("CLIENT", "KILL", "USER", USER)


class PasswordRotated(FleetUser):
    name = "password rotated"
    how = "ACL SETUSER with another password, and every connection of the fleet killed, for 3 s"
    heal_how = "the old password is accepted again beside the new one"
    hold_s = 3.0

    def strike(self, stage: Stage) -> None:
        self.set_user(stage, "resetpass", ">another")
        self.cut_off(stage)

    def heal(self, stage: Stage) -> None:
        self.set_user(stage, f">{PASSWORD}")


class PasswordDemanded(Fault):
    name = "password demanded"
    how = "CONFIG SET requirepass on a server that had none, and every connection killed, for 3 s"
    heal_how = "requirepass is empty again"
    hold_s = 3.0
    admin: Any

    def strike(self, stage: Stage) -> None:
        self.admin = stage.held.enter_context(stage.redis)  # its connection has logged in and stays
        self.admin.config_set("requirepass", "another")
        self.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def heal(self, stage: Stage) -> None:
        self.admin.config_set("requirepass", "")


class RightsTaken(FleetUser):
    name = "rights taken"
    how = "the fleet may not read streams; then not look up results, and its connections are killed; then not append; "
    how += "then do nothing; 1.5 s each"
    heal_how = "each right is given back after its time; a call that was torn by it is healed by the workers"
    trims = False
    hold_s = 0.0

    def strike(self, stage: Stage) -> None:
        for names, cut in (("xread xinfo", False), ("hmget", True), ("eval evalsha", False), ("@all", False)):
            self.set_user(stage, *(f"-{name}" for name in names.split()))
            if cut:
                self.cut_off(stage)
            time.sleep(PHASE_S)
            self.set_user(stage, *(f"+{name}" for name in names.split()))


class InboxReplaced(Fault):
    name = "inbox replaced by a foreign key"
    how = "DEL and SET on the inboxes of two nodes, for 3 s"
    heal_how = "the foreign keys are deleted"
    hold_s = 3.0

    def strike(self, stage: Stage) -> None:
        with stage.redis as redis:
            for node_id in stage.homes["host1"]:
                redis.delete(stage.keys.inbox(node_id))
                redis.set(stage.keys.inbox(node_id), "foreign")

    def heal(self, stage: Stage) -> None:
        with stage.redis as redis:
            redis.delete(*(stage.keys.inbox(node_id) for node_id in stage.homes["host1"]))
