"""Folds a log, entry by entry: time passes, the event is checked, and then takes effect or becomes a dead letter."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .contract import DECISIONS, EVENTS
from .fields import FACTS, checked
from .folds import decisions, jobs, letters, load, nodes, pauses, requests, scheduler, sources  # noqa: F401 - each registers its folds
from .folds.ended import retire
from .folds.registry import Entry, apply
from .indexes import Value, keys_of
from .refusals import Refused, Unlawful
from .state import State

Flat = Sequence[bytes] | Sequence[str]
VERSION = re.compile(r"[1-9][0-9]?")


@dataclass(slots=True)
class Folded:
    """What a log comes to."""

    state: dict[str, Value]
    """All hard state, by key without its prefix."""
    dead: dict[str, str]
    """The code of each entry that was refused, by id, in the order of the log."""
    watermark: str
    """Id of the last entry."""
    folded: int
    """How many entries there were, refused ones included."""


class Model:
    """A partition to which one entry after the other happens.

    Args:
        forged: ids of the decisions that another client appended. The log alone cannot tell them from
            true ones; the writer knows, and so do the dead letters (``FORGED_DECISION``).
        refused: the code under which each of some entries was refused before, on another state: that stands.
    """

    def __init__(self, forged: Container[str] = (), refused: Mapping[str, str] = MappingProxyType({})) -> None:
        self.partition = State()
        self.forged, self.refused = forged, refused
        self.dead: dict[str, str] = {}

    def step(self, entry_id: str, flat: Flat) -> str | None:
        """Fold one entry, its fields given flat; returns the code under which it was refused, or ``None``.

        Raises:
            Unlawful: it is a decision that nothing in the log so far could have led to.
        """
        texts = [part if isinstance(part, str) else part.decode(errors="surrogateescape") for part in flat]
        raw = dict(zip(texts[::2], texts[1::2], strict=True))
        entry = Entry(entry_id, int(entry_id.partition("-")[0]), raw)
        state = self.partition
        state.watermark, state.folded = entry_id, state.folded + 1
        retire(state, entry.at)
        try:
            self._happen(entry)
        except Refused as refusal:
            self.dead[entry_id] = refusal.code
            state.counted["dead"] += 1
            return refusal.code
        except Unlawful as problem:
            raise Unlawful(f"{raw['type']} at {entry_id}: {problem}") from problem
        finally:
            sources.heard(state, entry)
        return None

    def _happen(self, entry: Entry) -> None:
        raw, kind = entry.raw, entry.raw.get("type", "")
        if entry.entry_id in self.refused:
            raise Refused(self.refused[entry.entry_id])
        if len(raw) > 128:
            raise Refused("INVALID_FIELD")
        version = raw.get("v", "1")
        if not VERSION.fullmatch(version) or int(version) > 1:
            raise Refused("UNSUPPORTED_VERSION")
        sources.permit(self.partition, entry)
        if kind in EVENTS:
            state = self.partition
            letters.once(state, entry, lambda: requests.once(kind, state, entry, checked(kind, raw)))
        elif kind not in DECISIONS:
            raise Refused("UNKNOWN_TYPE")
        elif entry.entry_id in self.forged:
            raise Refused("FORGED_DECISION")
        else:
            apply(kind, self.partition, entry, {name: raw.get(name) for name in FACTS[kind]})

    def folded(self) -> Folded:
        """Return what the log has come to so far."""
        return Folded(keys_of(self.partition), dict(self.dead), self.partition.watermark, self.partition.folded)


def fold(entries: Iterable[tuple[str, Flat]], forged: Container[str] = ()) -> Folded:
    """Fold a log from its first entry.

    Args:
        entries: ids and flat fields, in the order of the log.
        forged: see :class:`Model`.

    Raises:
        Unlawful: the log holds a decision that nothing could have led to.
    """
    model = Model(forged)
    for entry_id, flat in entries:
        model.step(entry_id, flat)
    return model.folded()
