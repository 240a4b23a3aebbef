"""Dead letters in the state: what an operator has done about each."""

from __future__ import annotations

from collections.abc import Callable

from .. import contract
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
        note(state, entry, letter, f"retried {entry.entry_id}")


def note(state: State, entry: Entry, letter: str, how: str) -> None:
    """Remember how a letter was handled, and forget the one that was handled longest ago where there are too many."""
    if letter not in state.letters:
        if len(state.handled) >= contract.REMEMBERED_LETTERS:
            oldest = min(state.handled, key=lambda one: (state.handled[one], one))
            del state.letters[oldest], state.handled[oldest]
        state.handled[letter] = entry.at
        state.counted["letters_handled"] += 1
    state.letters[letter] = how


@folds("letter.dropped")
def dropped(state: State, entry: Entry, letter: str, reason: str | None) -> None:
    """Nothing is to be done about a letter."""
    if letter not in state.letters:
        note(state, entry, letter, f"dropped {entry.entry_id}")
