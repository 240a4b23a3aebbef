"""Entries of the log as short rows of a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..contract.entries import Chunk, Entry, fields_of
from .story import event_words

LONGEST = 160
"""Most characters of a value in a list."""

UNSHOWN = ("type", "payload_json", "result_json", "cap_json", "load_json", "progress_json", "nonce")
"""Fields that a list leaves out: payloads and results are private, and the rest is long."""

SPOKEN = ("payload_json", "result_json", "error")
"""Fields that may hold parts of a conversation. A list shows none of them, nor words made of them: the error of a
program may repeat its payload."""

SUBJECTS = ("job", "node", "session")
"""The subjects that an event may name."""


def row_of(entry: Entry, refused: str = "") -> dict[str, Any]:
    """Return an entry as a row: id, type, words, fields, and the refusal if there is one."""
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
    """Yield the subjects of an event, ``job``, ``node`` or ``session``, with their ids; the main subject first."""
    return ((kind, fields[f"{kind}_id"]) for kind in SUBJECTS if fields.get(f"{kind}_id"))


def short(text: str) -> str:
    """Shorten a text for a list."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
