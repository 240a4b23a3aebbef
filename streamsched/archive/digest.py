"""One number for a whole state: equal for equal states, in any reading order, in constant memory."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec


class StateDigest:
    """Adds up the SHA-256 of every hash, member and element of a state.

    A sum modulo 2**256 does not depend on the order, so that no server has to sort and nothing has to be held. It finds
    damage, not forgery: a writer of the state can choose one of the same sum (Bellare and Micciancio, "A New
    Paradigm for Collision-Free Hashing", EUROCRYPT 1997).
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, name: str, kind: str, value: Any, start: int = 0) -> None:
        """Add a key, or a stretch of one.

        Args:
            name: the key without its prefix.
            kind: ``hash``, ``set``, ``zset`` or ``list``.
            value: a dict, a list of members, of ``(member, score)``, or of elements.
            start: rank of the first element of a list's stretch.
        """
        if kind == "hash":
            self._add([name, sorted(value.items())])
        elif kind == "zset":
            for member, score in value:
                self._add([name, member, repr(float(score))])
        elif kind == "set":
            for member in value:
                self._add([name, member])
        else:
            for rank, element in enumerate(value, start):
                self._add([name, rank, element])

    def _add(self, parts: list[Any]) -> None:
        encoded = msgspec.msgpack.encode(parts)
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(encoded).digest())) % 2**256

    def hexdigest(self) -> str:
        """Return the digest of what was added, 64 hexadecimal digits."""
        return f"{self._sum:064x}"
