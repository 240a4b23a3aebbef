"""What must hold of dead letters: one for each refused event, and none goes that is still needed."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ..redis_double.values import ZERO, Stream, id_of
from .observations import require

Row = tuple[str, list[str]]
"""A letter's id, and its fields."""


class Letters:
    """Follows the stream of dead letters of one partition."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        """Under which code each entry of the log was refused."""
        self.archive: list[Row] = []
        self.safe = "0-0"
        """Up to which one they may be trimmed."""
        self.others: set[tuple[str, str]] = set()
        """Letters about other streams: which, and which entry."""
        self.gone: dict[str, list[str]] = {}
        """Letters that were trimmed: a replay of the whole history still needs them."""

    def read(self, stream: Stream) -> None:
        """Take note of the letters there are now."""
        self.others = set()
        back = self.gone.keys() & {letter_id for letter_id, _ in stream.entries} if self.gone else set()
        self.gone = {letter_id: flat for letter_id, flat in self.gone.items() if letter_id not in back}
        self.codes = {e["id"]: e["code"] for e in map(_fields, self.gone.values()) if e["stream"] == "events"}
        seen: set[str] = set()
        latest = ZERO
        for _, flat in stream.entries:
            e = _fields(flat)
            name, entry_id = e["stream"], e["id"]
            # of what waits in an ingress a torn call may have made one before, and the next call has to make another
            twice = entry_id in seen if name == "events" else (name, entry_id) in self.others
            require(not twice or name.startswith("in:"), f"{entry_id} stands twice among the dead letters")
            if name == "events":
                require(id_of(entry_id) >= latest, f"the letter about {entry_id} stands behind that of a later event")
                latest = id_of(entry_id)
                seen.add(entry_id)
                self.codes[entry_id] = e["code"]
            else:
                self.others.add((name, entry_id))

    def trimmed(self, before: Iterable[Row], now: Stream, log: Stream) -> None:
        """Letters were taken away: each must be archived, and about nothing that the log still holds."""
        archived, left = dict(self.archive), {letter_id for letter_id, _ in now.entries}
        for letter_id, flat in before:
            if letter_id in left:
                continue
            e = _fields(flat)
            safe = archived.get(letter_id) == flat and id_of(letter_id) <= id_of(self.safe)
            require(safe, f"the letter {letter_id} was trimmed, and is not in the archive")
            needed = e["stream"] == "events" and log.ids and id_of(e["id"]) >= log.ids[0]
            require(not needed, f"the letter {letter_id} was trimmed, and the log still holds {e['id']}")
            self.gone[letter_id] = flat

    def rewind(self, log: Container[str]) -> None:
        """History was lost: what was refused in it is of no interest any more."""
        self.gone = {letter_id: flat for letter_id, flat in self.gone.items() if _fields(flat)["id"] in log}

    def all(self, stream: Stream) -> list[Row]:
        """Every letter there is, trimmed or not, in order."""
        return sorted({**self.gone, **dict(stream.entries)}.items(), key=lambda row: id_of(row[0]))


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
