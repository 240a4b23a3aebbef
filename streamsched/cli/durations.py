"""Ages and moments, as options take them."""

from __future__ import annotations

from ..console.terminal import UsageProblem
from ..contract.errors import OutsideLog
from ..contract.moments import bound


def since_when(since: str) -> tuple[int, int]:
    """Return the highest position that still belongs to a moment, as :func:`bound` reads it.

    Raises:
        UsageProblem: it is no moment.
    """
    try:
        return bound(since)
    except OutsideLog:
        raise UsageProblem(
            f"--since {since!r}: give an age such as 90s, 2h, 7d, a time (ISO 8601, ms), or an id of the log"
        ) from None
