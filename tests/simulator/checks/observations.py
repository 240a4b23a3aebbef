"""What is seen of a run: the commands, the entries of the log, and an invariant that does not hold."""

from __future__ import annotations

from streamsched.engine.source import facts

DECISIONS = frozenset(facts())


class Violation(AssertionError):
    """An invariant does not hold."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


class Entry:
    """An event as it came into the log."""

    __slots__ = ("at_ms", "doubtful", "fields", "flat", "id")

    def __init__(self, entry_id: str, flat: list[str], at_ms: int, doubtful: bool) -> None:
        self.id, self.flat, self.at_ms = entry_id, flat, at_ms
        self.fields = dict(zip(flat[::2], flat[1::2], strict=True))
        self.doubtful = doubtful
        """A fact of a call that was torn, or whose place after the watermark is unknown."""

    @property
    def forged(self) -> bool:
        return "forged" in self.fields


class Call:
    """What a command was about to do."""

    __slots__ = ("batch", "own", "script", "speakers", "torn")

    def __init__(self, script: str, batch: int, own: int, speakers: int = 0) -> None:
        self.script, self.batch, self.own, self.speakers = script, batch, own, speakers
        self.torn = False


OTHER = Call("", 0, 0)
