"""Entries of the log as rows of a list: short, whatever stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..contract.entries import Chunk, Entry, fields_of
from .story import event_words

LONGEST = 160
"""Characters of a value that a list shows."""

UNSHOWN = ("type", "payload_json", "result_json", "cap_json", "load_json", "progress_json", "nonce")
"""Fields that a list leaves out: what was said in a conversation is nobody's business here, and the rest is long."""

SPOKEN = ("payload_json", "result_json", "error")
"""Fields that may hold parts of a conversation. A list shows none of them, nor words made of them: the error of a
program may repeat its payload."""

SUBJECTS = ("job", "node", "session")
"""Of what an event may speak."""


def row_of(entry: Entry, refused: str = "") -> dict[str, Any]:
    """Return an entry as a row: id, type, the words of its story, its fields, and why it was refused if it was."""
    fields = {name: text for name, text in fields_of(entry).items() if name not in SPOKEN}
    kind = fields.get("type", "")
    row: dict[str, Any] = {
        "id": entry.id,
        "type": short(kind),
        "words": short(event_words(kind, fields)),
        "fields": {short(name): short(text) for name, text in fields.items() if name not in UNSHOWN},
    }
    if refused:
        row["refused"] = short(refused)
    return row


def rows_of(chunk: Chunk) -> list[dict[str, Any]]:
    """Return the entries of a chunk as rows."""
    return [row_of(entry, chunk.buried.get(entry.id, "")) for entry in chunk.entries]


def subjects(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield of what an event speaks, ``job``, ``node`` or ``session``, and its id; first what it is about above all."""
    return ((kind, fields[f"{kind}_id"]) for kind in SUBJECTS if fields.get(f"{kind}_id"))


def short(text: str) -> str:
    """Cut a text that is too long for a list."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
