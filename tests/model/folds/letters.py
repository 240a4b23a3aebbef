"""Dead letters in the state: what an operator has done about each."""

from __future__ import annotations

from collections.abc import Callable

from ..fields import entry as entry_id_of
from ..state import State
from .registry import Entry, folds


def once(state: State, entry: Entry, happen: Callable[[], None]) -> None:
    """Let an event take effect, unless it is a letter that has done so before."""
    letter = entry.raw.get("retry_of")
    if letter is not None and state.letters.get(entry_id_of(letter), "").startswith("retried"):
        return
    happen()
    if letter is not None:
        state.letters[letter] = f"retried {entry.entry_id}"


@folds("letter.dropped")
def dropped(state: State, entry: Entry, letter: str, reason: str | None) -> None:
    """Nothing is to be done about a letter."""
    state.letters.setdefault(letter, f"dropped {entry.entry_id}")
