"""How many entries of a stream to read at once, when each may hold a few bytes or a megabyte."""

from __future__ import annotations

READ_BYTES = 2**20
"""Bytes that one read aims at."""

FIRST = 16
"""Entries of the first read, before their size is known."""


class ReadSize:
    """Learns from each read how many entries the next one asks for.

    Args:
        most: most entries of one read.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked = 0
        """Entries that the read under way, or the last one, asked for: fewer came only if there were no more."""
        self._next = min(most, FIRST)

    def ask(self) -> int:
        """Return the number of entries to ask for now."""
        self.asked = self._next
        return self.asked

    def took(self, entries: int, size: int) -> None:
        """Learn from a read that returned this many entries and bytes."""
        if size > READ_BYTES:
            self._next = max(1, min(self.asked, entries * READ_BYTES // size))
        elif entries == self.asked:
            self._next = min(self.most, 2 * self.asked)

    def cut_off(self) -> bool:
        """Learn that a read failed: the reply may have been too long for the server, which then closes the connection
        (``client-output-buffer-limit``). Returns whether a smaller read can be tried."""
        smaller = self.asked > 1
        self._next = max(1, self.asked // 4)
        return smaller
