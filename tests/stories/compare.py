"""Folds one log in several places, and tells at which event and key they part."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamsched.contract.entries import Chunk, Entry, fields_of
from streamsched.log.live import LiveLog
from streamsched.replay.scratch import Scratch

from ..model.fold import Model
from ..model.refusals import Unlawful
from ..support.ledger import Ledger
from .events import FORGED

State = dict[str, Any]


async def log_of(ledger: Ledger, raw: Any) -> tuple[Chunk, dict[str, str]]:
    """Read a partition's log, byte for byte, and the codes of its dead letters.

    Args:
        raw: a client of the same server that leaves bytes alone.
    """
    live = LiveLog(raw, ledger.keys)
    entries: list[Entry] = []
    buried: dict[str, str] = {}
    async for chunk in live.chunks("0-0", (await live.watermark())[0], 1000):
        entries += chunk.entries
        buried |= chunk.buried
    return Chunk(entries, buried), {entry_id: reason.split()[0] for entry_id, reason in buried.items()}


def forged(log: Chunk) -> set[str]:
    """Which decisions another client appended: a story marks them, because the log itself does not show it."""
    return {entry.id for entry in log.entries if FORGED in fields_of(entry).items()}


def first_difference(one: State, other: State) -> str | None:
    """Return the first key that differs, with both values: of a hash only the fields that differ."""
    for key in sorted(one.keys() | other.keys()):
        left, right = one.get(key), other.get(key)
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
            left, right = {name: left.get(name) for name in names}, {name: right.get(name) for name in names}
        return f"{key}: {left} and {right}"
    return None


def kept(log: Chunk) -> Path:
    """Keep a log that gave trouble, in the form of the golden ones, so that it can be looked at."""
    lines = [
        {"id": entry.id, "refused": log.buried.get(entry.id, ""), "flat": [_text(part) for part in entry.flat]}
        for entry in log.entries
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", delete=False) as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    return Path(file.name)


def _text(part: bytes) -> str:
    return part.decode(errors="surrogateescape")


async def parting(log: Chunk, scratches: dict[str, tuple[Scratch, Ledger]], codes: dict[str, str]) -> str:
    """Fold a log everywhere at once, entry by entry, and say where the first difference arises."""
    model = Model(forged(log))
    for scratch, _ in scratches.values():
        await scratch.clear()
    for number, entry in enumerate(log.entries, 1):
        about = f"entry {number} of {len(log.entries)}, {entry.id} {fields_of(entry)}"
        try:
            code = model.step(entry.id, entry.flat)
        except Unlawful as problem:
            return f"{problem}\n  at {about}"
        if code != codes.get(entry.id):
            return f"the model refuses it: {code}; the scripts: {log.buried.get(entry.id)}\n  at {about}"
        for name, (scratch, ledger) in scratches.items():
            await scratch.feed(Chunk([entry], log.buried))
            differing = first_difference(model.folded().state, await ledger.state(ledger.keys))
            if differing:
                return f"the model and {name} part: {differing}\n  at {about}"
    return "no fold of the log parts from another: only the live state does"


def unlike(states: Iterable[tuple[str, State]]) -> str | None:
    """Return the first difference among states that ought to be the same."""
    (reference, expected), *others = states
    for name, state in others:
        if differing := first_difference(expected, state):
            return f"{reference} and {name} differ: {differing}"
    return None
