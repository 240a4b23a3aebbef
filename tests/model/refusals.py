"""The two ways an event can be out of place."""

from __future__ import annotations


class Refused(Exception):
    """The event becomes a dead letter under this code, and leaves no other trace."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unlawful(Exception):
    """The log holds a decision that nothing could have led to: the scheduler that wrote it has a bug."""


def require(lawful: bool, why: str) -> None:
    """Insist on what must have been so for a decision to be taken."""
    if not lawful:
        raise Unlawful(why)
