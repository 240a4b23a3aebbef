"""Replies lost on their way: the server has acted, its caller cannot know."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from ..checker.check import Evidence
from ..mutants import composed
from ..proxy import Proxy
from ..stage import Stage
from .fault import Fault


class LoseReplies(Fault):
    """Half of the replies to one kind of call are lost, with the connection."""

    heal_how = "the proxy lets replies through again"
    hold_s = 2.5
    proxy: Proxy

    def prepare(self, stage: Stage) -> None:
        server = stage.serve()
        self.proxy = stage.held.enter_context(Proxy(server.port, stage.seed))
        stage.url = self.proxy.url

    def matches(self, data: bytes) -> bool:
        """Tell whether the reply to what is sent may be lost."""
        raise NotImplementedError

    def strike(self, stage: Stage) -> None:
        self.proxy.loses = self.matches

    def heal(self, stage: Stage) -> None:
        self.proxy.loses = None

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"replies lost": self.proxy.lost}


class LoseScriptReplies(LoseReplies):
    script: ClassVar[str]
    sha: bytes

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        text = composed(self.script, stage.environment.get("CAMPAIGN_PLANT", ""))
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()

    def matches(self, data: bytes) -> bool:
        return self.sha in data


class LoseAppendReplies(LoseScriptReplies):
    name = "replies to append lost"
    how = "half of the replies to append are dropped with their connection"
    script = "append"


class LoseAdvanceReplies(LoseScriptReplies):
    name = "replies to advance lost"
    how = "half of the replies to advance are dropped with their connection"
    script = "advance"


class LosePipelineReplies(LoseReplies):
    name = "replies to XADD lost"
    how = "half of the replies to bare XADDs, alone and in pipelines, are dropped with their connection"

    def matches(self, data: bytes) -> bool:
        return b"XADD" in data
