"""The two ways an event can be out of place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """The event becomes a dead letter under this code, and leaves no other trace."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unlawful(Exception):
    """The log holds a decision that nothing could have led to: the scheduler that wrote it has a bug."""


_held = [True]


@contextmanager
def unheld() -> Iterator[None]:
    """Fold decisions without a look at what led to them: they were made on another state, or held against it before."""
    before, _held[0] = _held[0], False
    try:
        yield
    finally:
        _held[0] = before


def require(lawful: bool, why: str) -> None:
    """Insist on what must have been so for a decision to be taken."""
    if _held[0] and not lawful:
        raise Unlawful(why)
