"""The shared view of all pages at one moment, and the changes since each page's last read."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Any, NamedTuple

import msgspec

from ..state.node_table import NodeTable

ROWS = 200
"""Rows of the log that a page begins with, and the most that one message adds."""


class Message(NamedTuple):
    """What a page is sent, and the revision it has seen then."""

    text: bytes
    gen: str
    rev: int


class View:
    """Sections by name, a table of nodes, and the latest rows of the log, each with the revision that last changed it.

    A page that has seen revision *r* of this board is sent what changed after *r*: nothing is kept for a page, one that
    reads slowly skips what lies between, and pages that look at the same pace share the encoded bytes.
    """

    def __init__(self) -> None:
        self.gen = secrets.token_hex(4)
        """Names this board: revisions of another one mean nothing here."""
        self.rev = 0
        self.nodes = NodeTable()
        self._sections: dict[str, tuple[int, bytes]] = {}
        self._log: deque[tuple[int, Any]] = deque(maxlen=ROWS)
        self._known: dict[int, bytes] = {}

    def begin(self) -> int:
        """Open a new revision; what is put from now on belongs to it."""
        self.rev += 1
        self._known.clear()
        return self.rev

    def put(self, name: str, value: Any) -> None:
        """Set a section; it counts as changed only if it reads differently."""
        encoded = msgspec.json.encode(value)
        before = self._sections.get(name)
        if before is None or before[1] != encoded:
            self._sections[name] = (self.rev, encoded)
            self._known.clear()

    def log(self, rows: list[Any]) -> None:
        """Add rows of the log, the latest last."""
        self._log.extend((self.rev, row) for row in rows)
        self._known.clear()

    def message(self, gen: str = "", rev: int = 0) -> Message:
        """Return what a page that saw a revision of a board has not seen of this one."""
        if gen != self.gen or rev > self.rev:
            rev = 0
        if rev not in self._known:
            self._known[rev] = self._encode(rev)
        return Message(self._known[rev], self.gen, self.rev)

    def _encode(self, rev: int) -> bytes:
        parts: dict[str, Any] = {"gen": self.gen, "rev": self.rev, "whole": rev == 0}
        nodes = self.nodes.since(rev) if rev else self.nodes.whole()
        if nodes:
            parts["nodes"] = nodes
        rows = [row for changed_at, row in self._log if changed_at > rev]
        if rows or not rev:
            parts["log"] = rows
        for name, (changed_at, encoded) in self._sections.items():
            if changed_at > rev:
                parts[name] = msgspec.Raw(encoded)
        return msgspec.json.encode(parts)
