"""What operators have paused: pools, and language pairs."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.keys import Keys


class PauseView(msgspec.Struct, kw_only=True):
    """A pool or a language pair that gets no new jobs until it is resumed."""

    kind: str
    """``pool`` or ``pair``."""
    name: str
    """The pool's id, or the pair as ``src:tgt``."""
    since_ts: int
    """When it was last paused, ms since the epoch."""
    reason: str

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"pool {self.name}" if self.kind == "pool" else self.name.replace(":", " → ")


async def read_pauses(redis: Any, keys: Keys) -> dict[str, PauseView]:
    """Return everything that is paused, by ``pool <id>`` or ``pair <src>:<tgt>``."""
    return {name: _view(name, text) for name, text in sorted((await redis.hgetall(keys("paused"))).items())}


async def read_pause(redis: Any, keys: Keys, name: str) -> PauseView | None:
    """Return the pause of ``pool <id>`` or ``pair <src>:<tgt>``; ``None`` if it is not paused."""
    text = await redis.hget(keys("paused"), name)
    return _view(name, text) if text is not None else None


def _view(name: str, text: str) -> PauseView:
    kind, _, subject = name.partition(" ")
    since_ts, _, reason = text.partition(" ")
    return PauseView(kind=kind, name=subject, since_ts=int(since_ts), reason=reason)
