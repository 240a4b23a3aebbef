"""The contract as rows: every event and decision with its sentence and its fields."""

from __future__ import annotations

import re
from typing import NamedTuple

from streamsched.contract.wire import EVENTS, field_kinds
from streamsched.engine.source import facts, lua_root

from .kinds import KINDS, Kind
from .words import DEFAULT_OF, DOES, meaning


class Field(NamedTuple):
    """One field of an event."""

    name: str
    required: bool
    kind: Kind
    words: str
    default: str


def fields(event: str) -> list[Field]:
    """Return the fields of an event, in the order of its struct."""
    return [
        Field(name := stated.rstrip("?"), stated == name, KINDS[kind], meaning(event, name), DEFAULT_OF.get(name, ""))
        for stated, kind in field_kinds(EVENTS[event]).items()
    ]


def purpose(event: str) -> str:
    """Return what an event does: as a rule the sentences that open its fold."""
    if event in DOES:
        return DOES[event]
    source = (lua_root() / "fold" / f"{event.replace('.', '_')}.lua").read_text()
    opening = re.split(r"^-- (?:FIELDS|FACT):", source, maxsplit=1, flags=re.MULTILINE)[0]
    return " ".join(line.removeprefix("--").strip() for line in opening.splitlines())


def decisions() -> dict[str, list[str]]:
    """Return ``{type: fields}`` of what only ``advance`` writes, by name."""
    return dict(sorted(facts().items()))
