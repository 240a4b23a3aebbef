"""Where each event finds the function that applies it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..state import State

Fold = Callable[..., None]
FOLDS: dict[str, Fold] = {}


@dataclass(slots=True)
class Entry:
    """An entry of the log, as a fold sees it."""

    entry_id: str
    at: int
    """Its time, in ms: the first half of its id."""
    raw: dict[str, str]
    """Its fields as they came."""


def folds(kind: str) -> Callable[[Fold], Fold]:
    """Mark ``fold(state, entry, **fields)`` as what a type of event does."""

    def mark(fold: Fold) -> Fold:
        FOLDS[kind] = fold
        return fold

    return mark


def apply(kind: str, state: State, entry: Entry, fields: dict[str, Any]) -> None:
    """Let an event take effect.

    Raises:
        Refused: it may not, and nothing has changed.
        Unlawful: it is a decision that nothing could have led to.
    """
    FOLDS[kind](state, entry, **fields)
