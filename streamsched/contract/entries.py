"""Entries of a log, independent of their storage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import AnyStr, NamedTuple

ENTRY_ID = re.compile(r"[0-9]+-[0-9]+")
"""The id of an entry of a stream, in full."""


class Entry(NamedTuple):
    """One event of the log."""

    id: str
    flat: list[bytes]
    """Field, value, field, value …: to the byte as its producer sent it."""


class Chunk(NamedTuple):
    """Consecutive entries of a log."""

    entries: list[Entry]
    buried: Mapping[str, str]
    """Ids of refused entries, with code and reason: a replay must not fold them."""


PART_BYTES = 2**20
"""Bytes that a script takes at once: a server may refuse longer ones (``proto-max-bulk-len``)."""


def parts(chunk: Chunk) -> Iterator[Chunk]:
    """Divide a chunk into parts of at most :data:`PART_BYTES`; an entry that is larger is a part of its own."""
    entries: list[Entry] = []
    size = 0
    for entry in chunk.entries:
        own = sum(map(len, entry.flat))
        if entries and size + own > PART_BYTES:
            yield Chunk(entries, chunk.buried)
            entries, size = [], 0
        entries.append(entry)
        size += own
    if entries:
        yield Chunk(entries, chunk.buried)


def position(entry_id: str) -> tuple[int, int]:
    """Return an id in a form that can be compared."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)


def before(entry_id: str) -> str:
    """Return the id right before another one."""
    ms, sequence = position(entry_id)
    return f"{ms}-{sequence - 1}" if sequence else f"{ms - 1}-{2**64 - 1}"


def refusal(letter: Entry) -> tuple[str, str] | None:
    """Return the event that a dead letter is about, and the reason; ``None`` for a letter of another stream."""
    fields = fields_of(letter)
    if fields["stream"] != "events":
        return None
    return fields["id"], f"{fields['code']} {fields['reason']}"


def job_id_of(e: Mapping[AnyStr, AnyStr], entry_id: AnyStr) -> AnyStr:
    """Return the job that an event names. A submission without a ``job_id`` is named by its session and its
    ``request_id``, or else its id in the log.

    Args:
        e: the fields of the event, as text or as bytes.
        entry_id: its id in the log, of the same type.
    """
    if isinstance(entry_id, bytes):
        return e.get(b"job_id") or b"%s:%s" % (e.get(b"session_id", b""), e.get(b"request_id") or entry_id)
    return e.get("job_id") or f"{e.get('session_id', '')}:{e.get('request_id') or entry_id}"


def fields_of(entry: Entry) -> dict[str, str]:
    """Return an entry's fields as text; bytes that are no UTF-8 are escaped. Of a field sent twice the last counts."""
    texts = [part.decode(errors="backslashreplace") for part in entry.flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
