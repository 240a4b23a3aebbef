"""What a key of the double can hold beside text, dicts and lists: a sorted set, and a stream with its groups."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from functools import lru_cache

Id = tuple[int, int]

ZERO: Id = (0, 0)
LAST: Id = (2**64 - 1, 2**64 - 1)


class ReplyError(Exception):
    """An error as the server words it."""


class Status(str):
    """A status reply, such as ``OK``: a table with ``ok`` for Lua, text for a client."""


class Hash(dict[str, str]):
    """Fields in the order in which they came."""


class Set(dict[str, None]):
    """Members in the order in which they came, so that nothing depends on Python's hash seed."""


@lru_cache(maxsize=65536)
def id_of(text: str, seq: int = 0) -> Id:
    """Read ``ms-seq``, or ``ms`` with the sequence ``seq``."""
    ms, dash, rest = text.partition("-")
    if not ms.isdigit() or (dash and not rest.isdigit()):
        raise ReplyError("ERR Invalid stream ID specified as stream command argument")
    return int(ms), int(rest) if dash else seq


def text_of(entry_id: Id) -> str:
    return f"{entry_id[0]}-{entry_id[1]}"


def number(score: float) -> str:
    """A score as both servers print it: those of streamsched are whole."""
    if score == int(score) if abs(score) < 2**63 else False:
        return str(int(score))
    return "inf" if score > 2**63 else "-inf" if score < -(2**63) else repr(score)


class SortedSet:
    """Members by score, then by name."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}
        self.order: list[tuple[float, str]] = []

    def copy(self) -> SortedSet:
        twin = SortedSet()
        twin.scores, twin.order = self.scores.copy(), self.order.copy()
        return twin

    def add(self, member: str, score: float) -> int:
        before = self.scores.get(member)
        if before == score:
            return 0
        if before is not None:
            del self.order[bisect_left(self.order, (before, member))]
        insort(self.order, (score, member))
        self.scores[member] = score
        return 1 if before is None else 0

    def remove(self, member: str) -> int:
        before = self.scores.pop(member, None)
        if before is None:
            return 0
        del self.order[bisect_left(self.order, (before, member))]
        return 1


class Group:
    """A consumer group: how far it was read."""

    __slots__ = ("consumers", "last", "read")

    def __init__(self, last: Id, read: int | None, consumers: tuple[str, ...] = ()) -> None:
        self.last, self.read, self.consumers = last, read, consumers


class Stream:
    """Entries by id, with what the server remembers of those that are gone."""

    __slots__ = ("added", "deleted", "entries", "groups", "ids", "last")

    def __init__(self) -> None:
        self.ids: list[Id] = []
        self.entries: list[tuple[str, list[str]]] = []
        self.last, self.added, self.deleted = ZERO, 0, ZERO
        self.groups: dict[str, Group] = {}

    def copy(self) -> Stream:
        twin = Stream()
        twin.ids, twin.entries = self.ids.copy(), self.entries.copy()
        twin.last, twin.added, twin.deleted = self.last, self.added, self.deleted
        twin.groups = {name: Group(group.last, group.read, group.consumers) for name, group in self.groups.items()}
        return twin

    def between(self, low: str, high: str) -> tuple[int, int]:
        """The slice of entries from one bound to another, as ``XRANGE`` words them."""
        if low == "-":
            start = 0
        elif low[0] == "(":
            start = bisect_right(self.ids, id_of(low[1:]))
        else:
            start = bisect_left(self.ids, id_of(low))
        if high == "+":
            return start, len(self.ids)
        if high[0] == "(":
            return start, bisect_left(self.ids, id_of(high[1:], LAST[1]))
        return start, bisect_right(self.ids, id_of(high, LAST[1]))

    def trim_to(self, index: int) -> int:
        del self.ids[:index], self.entries[:index]
        return index

    def lag(self, group: Group) -> int | None:
        """How many entries the group has not read, or ``None`` where the server cannot tell."""
        if not self.added:
            return 0
        holes = self.ids and self.deleted != ZERO and group.last <= self.deleted
        if group.read is not None and not holes:
            return self.added - group.read
        read = self._distance(group.last)
        return None if read is None else self.added - read

    def _distance(self, entry_id: Id) -> int | None:
        if not self.ids and entry_id <= self.last:
            return self.added
        if (entry_id != ZERO and entry_id < self.deleted) or entry_id > self.last:
            return None
        if entry_id == self.last:
            return self.added
        if self.deleted == ZERO or self.deleted < self.ids[0]:
            if entry_id < self.ids[0]:
                return self.added - len(self.ids)
            if entry_id == self.ids[0]:
                return self.added - len(self.ids) + 1
        return None


Value = str | Hash | Set | list[str] | SortedSet | Stream
