"""How many dead letters there are, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..contract.keys import Keys

if TYPE_CHECKING:
    pass


class Counted(msgspec.Struct, frozen=True):
    """How many dead letters there are, trimmed ones among them."""

    all: int
    open: int
    """Letters neither retried nor dropped."""
    by_code: dict[str, int]
    """Of all, handled ones too; those of a version that did not count yet are missing."""
    trimmed: int
    """Those that only the archive holds."""
    lost: int
    """Those about heartbeats and ingresses that went because there were too many."""


async def count_letters(redis: Any, keys: Keys) -> Counted:
    """Count the letters of a partition, at the same cost however many there are.

    Args:
        redis: a client that decodes replies.
        keys: the partition.
    """
    # no transaction: a server that is out of memory refuses even to read in one
    async with redis.pipeline(transaction=False) as pipe:
        pipe.xlen(keys("dead"))
        pipe.hgetall(keys("dead_codes"))
        pipe.hget(keys("counters"), "letters_handled")
        pipe.hmget(keys("dead_others"), ("lost", "lost_open"))
        kept, counted, handled, gone = await pipe.execute()
    codes = {code: int(count) for code, count in sorted(counted.items()) if int(count) > 0}
    trimmed = codes.pop("trimmed", 0)
    lost, lost_open = (int(count or 0) for count in gone)
    again = codes.pop("again", 0)  # what was retried and refused again is kept twice, and one letter
    letters = kept + trimmed + lost - again
    return Counted(letters, max(0, letters - lost_open - int(handled or 0)), codes, trimmed, lost)
