"""A server double: the composed Lua scripts as they are, on Lua 5.1, over a key space in Python.

It can do what no real server does on demand: break a script off at any ``redis.call``, take a call back as if it had
never been, lose the last calls as a failover does, and stand still at any moment.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import lupa.lua51
import msgpack

from .keyspace import Undo
from .streams import StreamSpace
from .values import ReplyError, Status

PRELUDE = Path(__file__).with_name("prelude.lua").read_text()

FULL_REFUSES = frozenset(
    ("HSET", "HSETNX", "HINCRBY", "SADD", "ZADD", "RPUSH", "SET", "XADD", "XGROUP CREATE", "XGROUP SETID", "XSETID")
)
"""Commands that a server at ``maxmemory`` refuses, unless the script has written before."""

STACK = 2000
"""Values that Lua may be given at once; a longer reply is handed over as a table."""

REMEMBERED = 40
"""Calls that can be lost, at most."""


class Broken(Exception):
    """The process of the server died inside a script."""


class Host:
    """The Lua of this process, shared by one double after the other: each script is compiled once."""

    def __init__(self) -> None:
        self.lua = lupa.lua51.LuaRuntime(encoding="latin-1", unpack_returned_tuples=True, register_eval=False)
        self.server: Double
        self.run, self.compile = self.lua.execute(PRELUDE, self.call, self.decode_json, self.unpack_msgpack)
        self.scripts: dict[str, Any] = {}

    def compiled(self, text: str) -> Any:
        found = self.scripts.get(text)
        if found is None:
            found = self.scripts[text] = self.compile(text)
        return found

    def call(self, name: str, *args: Any) -> Any:
        """``redis.call`` of the script under way; an error is ``None`` and its text."""
        server = self.server
        server.calls += 1
        if server.tear_at and server.calls >= server.tear_at:
            if server.tear_kills:
                raise Broken
            if server.calls == server.tear_at:
                return None, "ERR torn here"
        if name in ("MEMORY", "XGROUP", "XINFO"):
            name, args = f"{name} {args[0]}", args[1:]
        command = server.space.commands.get(name)
        if command is None:
            raise NotImplementedError(f"the double does not know {name}: teach it, and the conformance test")
        if server.full and name in FULL_REFUSES and not server.space.undo:
            return None, "OOM command not allowed when used memory > 'maxmemory'."
        try:
            reply = command(*args)
        except ReplyError as problem:
            return None, str(problem)
        if type(reply) is list:
            if name in ("XRANGE", "XREAD", "XREVRANGE", "SCAN", "XINFO STREAM", "XINFO GROUPS"):
                flat: list[Any] = []
                self.flatten(reply, flat)
                return tuple(flat) if len(flat) < STACK else self.table(reply)
            return tuple([False if part is None else part for part in reply])
        return False if reply is None else reply

    def flatten(self, reply: list[Any], into: list[Any]) -> None:
        into.append(True)
        into.append(len(reply))
        for part in reply:
            if type(part) is list:
                self.flatten(part, into)
            else:
                into.append(False if part is None else part)

    def table(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return self.lua.table_from([self.table(part) for part in value])
        if isinstance(value, dict):
            return self.lua.table_from({name: self.table(part) for name, part in value.items()})
        return False if value is None else value

    def decode_json(self, text: str, null: Any) -> Any:
        """Lua's cjson, as far as our scripts go; text comes out as the bytes of its UTF-8."""
        plain = text.isascii() and "\\u" not in text
        try:
            value = json.loads(text if plain else text.encode("latin-1").decode(errors="surrogateescape"))
        except (ValueError, RecursionError) as problem:
            return None, str(problem)

        def lua(part: Any) -> Any:
            if isinstance(part, str):
                return part if plain else part.encode(errors="surrogateescape").decode("latin-1")
            if isinstance(part, list):
                return self.lua.table_from([lua(inner) for inner in part])
            if isinstance(part, dict):
                return self.lua.table_from({lua(name): lua(inner) for name, inner in part.items()})
            return null if part is None else part

        return lua(value)

    def unpack_msgpack(self, text: str) -> Any:
        def lua(part: Any) -> Any:
            if isinstance(part, bytes):
                return part.decode("latin-1")
            if isinstance(part, list):
                return self.lua.table_from([lua(inner) for inner in part])
            return part

        return lua(msgpack.unpackb(text.encode("latin-1"), raw=True))

    def reply(self, value: Any) -> Any:
        """A script's reply as a client gets it."""
        if value is True:
            return 1
        if value is None or value is False:
            return None
        if isinstance(value, float):
            return int(value)
        if isinstance(value, int | str):
            return value
        if (error := value["err"]) is not None:
            raise ReplyError(error)
        if (status := value["ok"]) is not None:
            return Status(status)
        parts, at = [], 1
        while (part := value[at]) is not None:
            parts.append(self.reply(part))
            at += 1
        return parts


@cache
def host() -> Host:
    """The one Lua of this process."""
    return Host()


class Double:
    """One server: a key space, the scripts it was sent, and the calls it may still lose."""

    real = False
    """Whether a real server stands beside it."""

    def __init__(self, rng: random.Random, now_ms: int) -> None:
        self.space = StreamSpace(rng)
        self.space.now_ms = now_ms
        self.loaded: dict[str, str] = {}
        self.past: deque[Undo] = deque(maxlen=REMEMBERED)
        self.calls = 0
        """Commands of the script under way, or of the last one."""
        self.tear_at, self.tear_kills, self.was_torn = 0, False, False
        self.full = False
        """At ``maxmemory``."""

    def tear(self, at: int, kills: bool) -> None:
        """Break the next script off at its command number ``at``: by an error there, or by the death of the server."""
        self.tear_at, self.tear_kills = at, kills

    def execute(self, name: str, *args: Any) -> Any:
        """One command of a client.

        Raises:
            ReplyError: the server refused it.
            Broken: the server died in it; what it had written until then stays.
        """
        space = self.space
        space.undo, self.calls = {}, 0
        if space.expires:
            space.expire_due()
        try:
            if name in ("EVALSHA", "EVAL"):
                return self._eval(name, *args)
            if name == "SCRIPT FLUSH":
                self.forget_scripts()
                return Status("OK")
            if self.full and name in FULL_REFUSES:
                raise ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
            return space.commands[name](*args)
        finally:
            self.past.append(space.undo)
            self.was_torn = bool(self.tear_at) and self.calls >= self.tear_at
            self.tear_at = 0

    def _eval(self, name: str, script: str, keys: int, *args: Any) -> Any:
        if name == "EVALSHA":
            text = self.loaded.get(script)
            if text is None:
                raise ReplyError("NOSCRIPT No matching script. Please use EVAL.")
        else:
            text = script
            self.loaded[sha1(text)] = text
        lua = host()
        lua.server = self
        given, keys = [arg if type(arg) is str else str(arg) for arg in args], int(keys)
        reply: Any = lua.run(lua.compiled(text), lua.lua.table_from(given[:keys]), lua.lua.table_from(given[keys:]))
        if isinstance(reply, tuple):
            if self.tear_at and self.tear_kills and self.calls >= self.tear_at:
                raise Broken
            raise ReplyError(reply[1])
        return lua.reply(reply)

    def forget_scripts(self) -> None:
        """What happens when the process ends, and on request."""
        self.loaded.clear()

    def take_back(self, calls: int) -> None:
        """Undo the last ``calls``: what a server forgets that had not written them down."""
        for _ in range(min(calls, len(self.past))):
            for key, value in self.past.pop().items():
                if value is None:
                    self.space.data.pop(key, None)
                    self.space.expires.pop(key, None)
                else:
                    self.space.data[key] = value


@cache
def sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
