"""Moments of the log: as a user types them, and as they are printed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from .errors import OutsideLog

AGE = re.compile(r"([0-9]{1,9})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

DIGITS = 20
"""The most digits in a part of an entry's id."""


def seconds_of(age: str) -> int | None:
    """Read an age such as ``90s`` or ``2h``; ``None`` if the text is none."""
    found = AGE.fullmatch(age)
    return int(found[1]) * SECONDS[found[2]] if found else None


def is_relative(moment: str) -> bool:
    """Tell whether a moment is relative to the time now: an age, or ``now``."""
    return moment == "now" or seconds_of(moment) is not None


def bound(moment: str) -> tuple[int, int]:
    """Return the highest position that still belongs to a moment: an id, ms since the epoch, a time as ISO 8601, an age
    such as ``5m``, or ``now``.

    Raises:
        OutsideLog: it is none of them.
    """
    if is_relative(moment):
        return max(0, int((time.time() - (seconds_of(moment) or 0)) * 1000)), 2**64 - 1
    head, dash, tail = moment.partition("-")
    whole = all(
        part.isascii() and part.isdecimal() and len(part) <= DIGITS for part in (head, *([tail] if dash else []))
    )
    if whole:
        return int(head), int(tail) if dash else 2**64 - 1
    try:
        when = datetime.fromisoformat(moment)
        return int(when.astimezone(UTC).timestamp() * 1000), 2**64 - 1
    except (ValueError, OverflowError):
        raise OutsideLog(
            f"{moment[:64]!r} is neither an id nor a time: give 1700000000000-0, 1700000000000 (ms), "
            "2026-01-31T09:30:00Z, an age such as 5m, or now"
        ) from None


def utc(ms: int, timespec: str = "milliseconds") -> str:
    """Return a time as it is printed, in UTC; a time that no calendar has, as its number of milliseconds."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec=timespec)[:-6]
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
