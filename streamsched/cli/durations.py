"""Ages and moments, as a user types them."""

from __future__ import annotations

import re
import time

from ..console.terminal import UsageProblem
from ..contract.entries import bound
from ..contract.errors import OutsideLog

AGE = re.compile(r"([0-9]+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(age: str) -> int | None:
    """Read an age such as ``90s`` or ``2h``; ``None`` if the text is no age."""
    found = AGE.fullmatch(age)
    return int(found[1]) * SECONDS[found[2]] if found else None


def since_when(since: str) -> tuple[int, int]:
    """Return the highest position at or before a moment: an age before now, or a moment as :func:`bound` reads it.

    Raises:
        UsageProblem: the text is neither.
    """
    if (age_s := seconds_of(since)) is not None:
        return bound(str(max(0, int((time.time() - age_s) * 1000))))
    try:
        return bound(since)
    except OutsideLog:
        raise UsageProblem(
            f"--since {since!r}: give an age such as 90s, 2h, 7d, a time (ISO 8601, ms), or an id of the log"
        ) from None
