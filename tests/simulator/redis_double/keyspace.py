"""The key space of the double: the commands of strings, hashes, sets, sorted sets and lists that our scripts use.

Text is kept as Python text in which each character is one byte (latin-1): what Lua hands over comes back as it was.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any, TypeVar
from zlib import crc32

from .values import Hash, ReplyError, Set, SortedSet, Status, Stream, Value, number

OK = Status("OK")
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
T = TypeVar("T", Hash, Set, SortedSet, Stream, list[str])

Undo = dict[str, Value | None]
"""What the keys that one call wrote held before it: enough to take the call back."""


def copied(value: Value | None) -> Value | None:
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is Hash or kind is Set or kind is list:
        return kind(value)  # type: ignore[arg-type]
    return value.copy()  # type: ignore[union-attr,return-value]


def shown(value: Any) -> str:
    """An argument as the server sees it: Lua's numbers become text."""
    return value if type(value) is str else str(value) if type(value) is int else f"{value:.17g}"


class KeySpace:
    """Keys, their values, and what the call under way has changed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now_ms = 0
        self.memory_percent, self.policy, self.evicted_keys = 1, "noeviction", 0
        self.replication_id = "first"
        self.data: dict[str, Value] = {}
        self.expires: dict[str, int] = {}
        self.undo: Undo = {}
        self.commands: dict[str, Callable[..., Any]] = {
            name.upper().rstrip("_").replace("_", " "): getattr(self, name) for name in self.names()
        }

    @classmethod
    def names(cls) -> list[str]:
        """The commands it knows, each by the name of its method: ``XGROUP SETID`` is ``xgroup_setid``."""
        own = ("names", "own", "read", "expire_due")
        return [name for name in dir(cls) if name[0] != "_" and name not in own and callable(getattr(cls, name))]

    # what every command leans on

    def own(self, key: str) -> None:
        """Remember what the key held before this call writes to it."""
        if key not in self.undo:
            self.undo[key] = copied(self.data.get(key))

    def read(self, key: str, kind: type[T]) -> T | None:
        value = self.data.get(key)
        if value is not None and type(value) is not kind:
            raise ReplyError(WRONGTYPE)
        return value

    def _write(self, key: str, kind: type[T]) -> T:
        """The value to be changed, made if there is none."""
        value = self.read(key, kind)
        self.own(key)
        if value is None:
            value = kind()
            self.data[key] = value
        return value

    def _drop(self, key: str) -> None:
        del self.data[key]
        self.expires.pop(key, None)

    def expire_due(self) -> None:
        """Let keys go whose time is over."""
        for key in [key for key, due in self.expires.items() if due <= self.now_ms]:
            self.own(key)
            self._drop(key)

    # the server and its keys

    def time(self) -> list[str]:
        return [str(self.now_ms // 1000), str(self.now_ms % 1000 * 1000)]

    def info(self, *sections: str) -> str:
        """How much memory is used, of a limit that stands for no real one, and how many keys the server has evicted."""
        memory = f"used_memory:{self.memory_percent}\r\nmaxmemory:100\r\nmaxmemory_policy:{self.policy}\r\n"
        stats = f"evicted_keys:{self.evicted_keys}\r\n"
        shown = {"memory": memory, "stats": stats, "replication": f"master_replid:{self.replication_id}\r\n"}
        return "".join(shown[section] for section in sections)

    def memory_usage(self, key: str) -> int | None:
        """The bytes of a key: a value that stands for no real one."""
        return 1 if key in self.data else None

    def exists(self, *keys: str) -> int:
        return sum(key in self.data for key in keys)

    def type(self, key: str) -> Status:
        kinds = {str: "string", Hash: "hash", Set: "set", SortedSet: "zset", list: "list", Stream: "stream"}
        return Status(kinds[type(self.data[key])] if key in self.data else "none")

    def del_(self, *keys: str) -> int:
        held = [key for key in dict.fromkeys(keys) if key in self.data]
        for key in held:
            self.own(key)
            self._drop(key)
        return len(held)

    def unlink(self, *keys: str) -> int:
        return self.del_(*keys)

    def scan(self, cursor: Any, *options: Any) -> list[Any]:
        """Walk in the order of a hash of the names, so that a key which goes meanwhile hides no other."""
        wanted = dict(zip(options[::2], options[1::2], strict=True))
        prefix, count = shown(wanted.get("MATCH", "*"))[:-1], int(wanted.get("COUNT", 10))
        keys = sorted((crc32(key.encode(errors="surrogateescape")), key) for key in self.data)
        ahead = [pair for pair in keys if pair[0] >= int(cursor)]
        until = ahead[count][0] if len(ahead) > count else 0
        found = [key for place, key in ahead if (not until or place < until) and key.startswith(prefix)]
        return [str(until), found]

    def pexpire(self, key: str, ms: Any) -> int:
        if key not in self.data:
            return 0
        self.expires[key] = self.now_ms + int(ms)
        return 1

    def persist(self, key: str) -> int:
        return int(self.expires.pop(key, None) is not None)

    def rename(self, key: str, name: str) -> Status:
        if key not in self.data:
            raise ReplyError("ERR no such key")
        self.own(key)
        self.own(name)
        self.data[name] = self.data[key]
        self._drop(key)
        return OK

    def hsetnx(self, key: str, field: str, value: Any) -> int:
        fields = self._write(key, Hash)
        if field in fields:
            return 0
        fields[field] = shown(value)
        return 1

    def get(self, key: str) -> str | None:
        value = self.data.get(key)
        if value is not None and type(value) is not str:
            raise ReplyError(WRONGTYPE)
        return value

    def set(self, key: str, value: Any) -> Status:
        self.own(key)
        self.data[key] = shown(value)
        return OK

    # hashes

    def hset(self, key: str, *pairs: Any) -> int:
        if len(pairs) % 2 or not pairs:
            raise ReplyError("ERR wrong number of arguments for 'hset' command")
        fields = self._write(key, Hash)
        before = len(fields)
        for at in range(0, len(pairs), 2):
            value = pairs[at + 1]
            fields[pairs[at]] = value if type(value) is str else shown(value)
        return len(fields) - before

    def hget(self, key: str, field: str) -> str | None:
        fields = self.read(key, Hash)
        return fields.get(field) if fields else None

    def hmget(self, key: str, *names: str) -> list[str | None]:
        fields = self.read(key, Hash)
        if not fields:
            return [None] * len(names)
        get = fields.get
        return [get(name) for name in names]

    def hgetall(self, key: str) -> list[str]:
        return [text for pair in (self.read(key, Hash) or {}).items() for text in pair]

    def hexists(self, key: str, field: str) -> int:
        return int(field in (self.read(key, Hash) or ()))

    def hstrlen(self, key: str, field: str) -> int:
        return len((self.hget(key, field) or "").encode(errors="surrogateescape"))

    def hkeys(self, key: str) -> list[str]:
        return list(self.read(key, Hash) or ())

    def hlen(self, key: str) -> int:
        return len(self.read(key, Hash) or ())

    def hdel(self, key: str, *names: str) -> int:
        fields = self.read(key, Hash)
        held = [name for name in dict.fromkeys(names) if name in fields] if fields else []
        if fields and held:
            self.own(key)
            for name in held:
                del fields[name]
            if not fields:
                self._drop(key)
        return len(held)

    def hincrby(self, key: str, field: str, by: Any) -> int:
        fields = self._write(key, Hash)
        try:
            total = int(fields.get(field, "0")) + int(by)
        except ValueError:
            raise ReplyError("ERR hash value is not an integer") from None
        fields[field] = str(total)
        return total

    # sets

    def sadd(self, key: str, *members: Any) -> int:
        held = self._write(key, Set)
        before = len(held)
        for member in members:
            held[shown(member)] = None
        return len(held) - before

    def srem(self, key: str, *members: str) -> int:
        held = self.read(key, Set)
        going = [member for member in dict.fromkeys(members) if member in held] if held else []
        if held and going:
            self.own(key)
            for member in going:
                del held[member]
            if not held:
                self._drop(key)
        return len(going)

    def scard(self, key: str) -> int:
        return len(self.read(key, Set) or ())

    def sismember(self, key: str, member: str) -> int:
        return int(member in (self.read(key, Set) or ()))

    def smismember(self, key: str, *members: str) -> list[int]:
        held = self.read(key, Set) or ()
        return [int(member in held) for member in members]

    def smembers(self, key: str) -> list[str]:
        return list(self.read(key, Set) or ())

    def srandmember(self, key: str, count: Any = None) -> Any:
        held = list(self.read(key, Set) or ())
        if count is None:
            return self.rng.choice(held) if held else None
        return self.rng.sample(held, min(int(count), len(held)))

    # sorted sets

    def zadd(self, key: str, *pairs: Any) -> int:
        held = self._write(key, SortedSet)
        if pairs[0] == "CH":
            before, (_, score, member) = held.scores.get(pairs[2]), pairs
            held.add(member, float(score))
            return int(held.scores[member] != before)
        return sum(held.add(pairs[at + 1], float(pairs[at])) for at in range(0, len(pairs), 2))

    def zrem(self, key: str, *members: str) -> int:
        held = self.read(key, SortedSet)
        going = [member for member in dict.fromkeys(members) if member in held.scores] if held else []
        if held and going:
            self.own(key)
            for member in going:
                held.remove(member)
            if not held.order:
                self._drop(key)
        return len(going)

    def zcard(self, key: str) -> int:
        held = self.read(key, SortedSet)
        return len(held.order) if held else 0

    def zscore(self, key: str, member: str) -> str | None:
        held = self.read(key, SortedSet)
        return number(held.scores[member]) if held and member in held.scores else None

    def zrange(self, key: str, start: Any, stop: Any, *options: str) -> list[str]:
        held = self.read(key, SortedSet)
        if held is None:
            return []
        first, last = int(start), int(stop)
        first = max(first + len(held.order), 0) if first < 0 else first
        last = last + len(held.order) if last < 0 else last
        return self._scored(held.order[first : last + 1], options)

    def zrangebyscore(self, key: str, low: Any, high: Any, *options: Any) -> list[str]:
        found = self._by_score(key, low, high)
        if "LIMIT" in options:
            at = options.index("LIMIT")
            skip, count = int(options[at + 1]), int(options[at + 2])
            found = found[skip : skip + count] if count >= 0 else found[skip:]
        return self._scored(found, options)

    def zcount(self, key: str, low: Any, high: Any) -> int:
        return len(self._by_score(key, low, high))

    def _by_score(self, key: str, low: Any, high: Any) -> list[tuple[float, str]]:
        held = self.read(key, SortedSet)
        if held is None:
            return []
        low, high = shown(low), shown(high)
        # a member's name never reaches the end of Unicode, so these stand before and behind all of one score
        start = bisect_right(held.order, (float(low[1:]), "\U0010ffff")) if low[0] == "(" else None
        end = bisect_left(held.order, (float(high[1:]), "")) if high[0] == "(" else None
        if start is None:
            start = bisect_left(held.order, (float(low), ""))
        if end is None:
            end = bisect_right(held.order, (float(high), "\U0010ffff"))
        return held.order[start:end]

    @staticmethod
    def _scored(found: list[tuple[float, str]], options: tuple[Any, ...]) -> list[str]:
        if "WITHSCORES" in options:
            return [text for score, member in found for text in (member, number(score))]
        return [member for _, member in found]

    # lists

    def rpush(self, key: str, *values: Any) -> int:
        held = self._write(key, list)
        held.extend(shown(value) for value in values)
        return len(held)

    def lpop(self, key: str) -> str | None:
        held = self.read(key, list)
        if not held:
            return None
        self.own(key)
        value = held.pop(0)
        if not held:
            self._drop(key)
        return str(value)

    def lindex(self, key: str, index: Any) -> str | None:
        held = self.read(key, list)
        at = int(index)
        return held[at] if held and -len(held) <= at < len(held) else None

    def lrange(self, key: str, start: Any, stop: Any) -> list[str]:
        held, last = self.read(key, list) or [], int(stop)
        return held[int(start) :] if last == -1 else held[int(start) : last + 1]

    def llen(self, key: str) -> int:
        return len(self.read(key, list) or ())
