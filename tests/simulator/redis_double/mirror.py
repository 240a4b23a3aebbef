"""The double beside a real server: every command goes to both, and what they answer must be the same.

Time and chance are taken out of the scripts, for they cannot be the same in two places: the clock is a key, a random
member is the first by name, and an id made by the server is made of that clock.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from streamsched.engine.script import script
from streamsched.engine.source import sources

from ..checks.observations import Violation
from .double import Double
from .values import Hash, ReplyError, Set, SortedSet, Stream

CLOCK = "clock:{0}"
CALL = "local rcall = redis.call"
STEADY = f"""
local function steady(name, a, ...)
  if name == 'TIME' then
    return redis.call('HMGET', '{CLOCK}', 's', 'us')
  elseif name == 'SRANDMEMBER' then
    local all, found = redis.call('SMEMBERS', a), {{}}
    table.sort(all)
    if select('#', ...) == 0 then
      return all[1] or false
    end
    for i = 1, math.min(#all, tonumber((...))) do
      found[i] = all[i]
    end
    return found
  elseif name == 'MEMORY' then
    return 1
  elseif name == 'XADD' then
    local given = {{ ... }}
    for i = 1, 4 do
      if given[i] == '*' then
        given[i] = redis.call('HGET', '{CLOCK}', 'ms') .. '-*'
        break
      end
    end
    return redis.call('XADD', a, unpack(given))
  elseif a == nil then
    return redis.call(name)
  end
  return redis.call(name, a, ...)
end
"""
UNORDERED = ("SMEMBERS", "HKEYS")


@contextmanager
def without_chance() -> Iterator[None]:
    """Run with scripts that do the same thing twice."""
    source = sources()["call/context"]
    body = source.body
    if body.count(CALL) != 1:
        raise LookupError(f"call/context.lua does not say {CALL!r} any more: mend tests/sim/mirror.py")
    source.body = STEADY + body.replace(CALL, "local rcall = steady")
    script.cache_clear()
    try:
        yield
    finally:
        source.body = body
        script.cache_clear()


class Mirror(Double):
    """A double that asks a real server the same, and compares.

    Args:
        redis: a client of the server, which is emptied.
    """

    real = True

    def __init__(self, rng: random.Random, now_ms: int, redis: Redis) -> None:
        super().__init__(rng, now_ms)
        redis.flushall()
        redis.script_flush()
        self.connection = redis.connection_pool.get_connection()
        self._clock_ms = 0

    def execute(self, name: str, *args: Any) -> Any:
        """Have both carry out a command.

        Raises:
            Violation: they answer differently.
            ReplyError: both refused it.
        """
        if self.space.now_ms != self._clock_ms:
            self._clock_ms = ms = self.space.now_ms
            self.both("HSET", CLOCK, "s", str(ms // 1000), "us", str(ms % 1000 * 1000), "ms", str(ms))
        if name == "XADD" and "*" in args:
            at = args.index("*")
            args = (*args[:at], f"{self._clock_ms}-*", *args[at + 1 :])
        return self.both(name, *args)

    def both(self, name: str, *args: Any) -> Any:
        """Have both carry out a command as it is."""
        own = theirs = refused = None
        try:
            own = super().execute(name, *args)
        except ReplyError as problem:
            refused = problem
        self._send(*name.split(" "), *(raw(arg) for arg in args))
        try:
            theirs = self.connection.read_response()
        except ResponseError as problem:
            theirs = f"{type(problem).__name__} {problem}"
            if refused is None:
                raise Violation(f"{replied(name, args)}: the server says {theirs}, the double {own}") from None
            return self._raise_alike(refused, theirs)
        if refused is not None:
            raise Violation(f"{replied(name, args)}: the server says {theirs}, the double refuses: {refused}")
        found, wanted = alike(name, own), alike(name, theirs)
        if found != wanted:
            raise Violation(f"{replied(name, args)}: the server says {wanted}, the double {found}")
        return own

    @staticmethod
    def _raise_alike(refused: ReplyError, theirs: str) -> Any:
        """The server adds where in the script it was; redis-py takes some codes off the text."""
        text = str(refused)
        said = theirs.split(" script: ")[0].partition(" ")[2].rstrip(",. ")
        if said not in text and text.partition(" ")[2].rstrip(",. ") not in said:
            raise Violation(f"the server refuses with {theirs!r}, the double with {text!r}")
        raise refused

    def forget_scripts(self) -> None:
        super().forget_scripts()
        self._ask("SCRIPT", "FLUSH")

    def compare(self) -> None:
        """All keys of both must hold the same.

        Raises:
            Violation: they do not.
        """
        names = self._ask("KEYS", "*")
        if sorted(names) != sorted(self.space.data):
            raise Violation(f"keys of one only: {sorted(set(names) ^ set(self.space.data))}")
        for name in names:
            own, theirs = self._own(name), self._theirs(name)
            if own != theirs:
                raise Violation(f"{name}: the server holds {theirs}, the double {own}")

    def _send(self, *args: Any) -> None:
        self.connection.send_command(*args)  # type: ignore[no-untyped-call]

    def _ask(self, *args: Any) -> Any:
        self._send(*args)
        return self.connection.read_response()

    def _theirs(self, name: str) -> Any:
        kind = self._ask("TYPE", name)
        if kind == "hash":
            flat = self._ask("HGETALL", name)
            return plain(dict(zip(flat[::2], flat[1::2], strict=True)))
        if kind == "set":
            return sorted(self._ask("SMEMBERS", name))
        if kind == "zset":
            flat = self._ask("ZRANGE", name, "0", "-1", "WITHSCORES")
            return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
        if kind == "list":
            return self._ask("LRANGE", name, "0", "-1")
        if kind == "stream":
            return [self._ask("XRANGE", name, "-", "+"), alike("XINFO STREAM", self._ask("XINFO", "STREAM", name))]
        return self._ask("GET", name)

    def _own(self, name: str) -> Any:
        value = self.space.data[name]
        if isinstance(value, Set):
            return sorted(value)
        if isinstance(value, SortedSet):
            return [(member, score) for score, member in value.order]
        if isinstance(value, Stream):
            entries = [[entry_id, flat] for entry_id, flat in value.entries]
            return [entries, alike("XINFO STREAM", self.space.commands["XINFO STREAM"](name))]
        return plain(dict(value)) if isinstance(value, Hash) else value


def plain(fields: dict[str, str]) -> dict[str, Any]:
    """A hash without the order of what cjson has written into it, which is another one on another server."""
    return {**fields, "shed": json.loads(fields["shed"])} if "shed" in fields else fields


def replied(name: str, args: tuple[Any, ...]) -> str:
    """A command in few words."""
    return " ".join([name, *(str(arg)[:60] for arg in args)])


def raw(arg: Any) -> Any:
    """An argument as it goes over the wire."""
    return arg.encode("latin-1") if isinstance(arg, str) else arg


def alike(name: str, reply: Any) -> Any:
    """A reply without what may differ: the order of members, and how a server keeps a stream."""
    if name in UNORDERED:
        return sorted(reply)
    if name == "MEMORY USAGE":
        return reply and 1
    if name == "HGETALL":
        return dict(zip(reply[::2], reply[1::2], strict=True))
    if name == "XINFO STREAM" and isinstance(reply, list):
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        return {field: value for field, value in fields.items() if not field.startswith("radix")}
    if name == "XINFO GROUPS" and isinstance(reply, list):
        return [dict(zip(group[::2], group[1::2], strict=True)) for group in reply]
    return str(reply) if isinstance(reply, str) else reply
