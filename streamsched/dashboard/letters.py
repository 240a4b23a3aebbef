"""The latest dead letters, as rows of a list."""

from __future__ import annotations

from typing import Any

from ..contract.keys import Keys
from ..deadletters.queue import DeadLetterQueue, LetterFilter
from ..history.rows import short, subjects

LETTERS = 50
"""Letters that are shown."""

EXAMINED = 500
"""Letters to read: the others may all be handled."""


async def latest_letters(raw: Any, keys: Keys) -> list[dict[str, Any]]:
    """Return the last open dead letters, the latest first.

    Args:
        raw: a client that leaves bytes alone.
        keys: the partition.
    """
    rows: list[dict[str, Any]] = []
    examined = 0
    async for letter in DeadLetterQueue(raw, keys).newest_first(LetterFilter(handled=True)):
        examined += 1
        if len(rows) == LETTERS or examined == EXAMINED:
            break
        if letter.handled:
            continue
        _, subject = next(subjects(letter.fields), ("", ""))
        rows.append(
            {
                "id": letter.letter,
                "event": letter.id,
                "why": short(f"{letter.code} {letter.refused_again or letter.reason}"),
                "type": short(letter.fields["type"]),
                "subject": short(subject),
                "retry": not letter.obstacle,
            }
        )
    return rows
