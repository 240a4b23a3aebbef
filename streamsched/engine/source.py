"""The Lua files: what their headers state, and keys, limits and codes filled in from Python."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..contract.config import FOLD_VERSION
from ..contract.errors import ERRORS
from ..contract.keys import GROUP, SHAPES
from ..contract.kinds import LIMITS, ORDER_STEP

HEADER = re.compile(r"^-- (KEYS|READS|ARGV|FIELDS|FACT|ONCE): (.*)$", re.MULTILINE)

KEY = re.compile(r"key\.(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?")

PLAIN = re.compile(r"[\w.]+")  # an argument of a key that needs no parentheses

LIMIT = re.compile(r"limit\.(\w+)")

CAPITALS = re.compile(r"""['"]([A-Z][A-Z_]+)(?=[ '"])""")

QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|--[^\n]*""")


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


REDIS_WORDS = words_of("""
    DEL EXISTS HDEL HEXISTS HGET HGETALL HINCRBY HKEYS HMGET HSTRLEN HSET INFO LINDEX LLEN LPOP LRANGE MEMORY PERSIST
    PEXPIRE RENAME RPUSH SADD SCAN SCARD SISMEMBER SMISMEMBER SRANDMEMBER SREM TIME TYPE UNLINK XADD XDEL XGROUP
    XINFO XLEN XRANGE XREAD XREVRANGE XSETID XTRIM ZADD ZCOUNT ZRANGE ZRANGEBYSCORE ZREM ZSCORE
    CH COUNT CREATE ENTRIESADDED ENTRIESREAD GROUPS LIMIT MATCH MAXDELETEDID MAXLEN MINID MKSTREAM SETID
    STREAM STREAMS USAGE WITHSCORES
""")
"""The commands and options that the scripts use."""

REPLIES = frozenset(("OK", "AGAIN"))
"""Words in capitals that a script answers with, and that are no error."""


ARGUMENTS: dict[str, tuple[str, int, str]] = {
    "count": ("^[1-9]%d*$", 6, "a whole number from 1 to 999999"),
    "number": ("^%d+$", 16, "a whole number"),
    "flag": ("^[01]$", 1, "0 or 1"),
    "word": ("^[%w_-]+$", 64, "letters and digits"),
    "entry": ("^%d+%-%d+$", 41, "the id of an entry"),
}
"""Kinds of a script's arguments: a Lua pattern, the most bytes, and words for the refusal."""


def literal(value: int | str) -> str:
    """Return a value as Lua writes it."""
    return f"'{value}'" if isinstance(value, str) else str(value)


class ScriptError(Exception):
    """A Lua source breaks the contract of its header; the text names the file."""


def lua_root() -> Traversable:
    """Return the folder of the Lua sources: inside an installed package, at the top of a checkout."""
    packaged = files("streamsched") / "lua"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "lua"


class Source:
    """One Lua file: its header, and its body with keys and limits filled in."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.header: dict[str, list[str]] = {kind: words.split() for kind, words in HEADER.findall(text)}
        self.kinds = dict(word.split(":") for word in self.header.get("ARGV", ()) if ":" in word)
        """The kinds of a script's arguments, by name; not every argument has one."""
        if unknown := set(self.kinds.values()) - set(ARGUMENTS):
            raise ScriptError(f"{name}: {', '.join(unknown)} is no kind of an argument")
        if "ARGV" in self.header:
            self.header["ARGV"] = [word.partition(":")[0] for word in self.header["ARGV"]]
        body = LIMIT.sub(lambda m: str(self._limit(m[1])), text)
        body = KEY.sub(lambda m: self._key(m[1], m[2]), body)
        lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
        self.body = "\n".join(lines)
        if not self.body.isascii():
            raise ScriptError(f"{name}: a text is not ASCII, which not every client sends as it is")
        for word in CAPITALS.findall(self.body):
            if word not in ERRORS and word not in REDIS_WORDS and word not in REPLIES:
                raise ScriptError(f"{name}: {word} is no code of errors.py, and no word of Redis that the loader knows")

    def _limit(self, name: str) -> int | str:
        if name == "order_step":
            return ORDER_STEP
        if name == "fold_version":
            return FOLD_VERSION
        if name not in LIMITS:
            raise ScriptError(f"{self.name}: limit.{name} is not in events.LIMITS")
        return LIMITS[name]

    def _key(self, name: str, arguments: str | None) -> str:
        if name == "group":
            return literal(GROUP)
        if name not in SHAPES:
            raise ScriptError(f"{self.name}: key.{name} is not in keys.SHAPES")
        parts = SHAPES[name].split("%s")
        given = [a.strip() for a in re.split(r",(?![^()]*\))", arguments)] if arguments else []
        if len(given) != len(parts) - 1:
            raise ScriptError(f"{self.name}: key.{name} takes {len(parts) - 1} ids, {len(given)} were given")
        text = f"prefix .. '{parts[0]}'"
        for value, part in zip(given, parts[1:], strict=True):
            # in parentheses: `..` binds more tightly than `or` and `and`
            text += f" .. {value if PLAIN.fullmatch(value) else f'({value})'}" + (f" .. '{part}'" if part else "")
        return f"({text})"


@cache
def sources() -> dict[str, Source]:
    """Read every Lua file once: scripts by file name, folds by wire type, libraries by path, such as ``state/job``."""
    found: dict[str, Source] = {}
    root = lua_root()
    for folder in (root, *sorted((entry for entry in root.iterdir() if entry.is_dir()), key=lambda entry: entry.name)):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".lua"):
                stem = entry.name[: -len(".lua")]
                name = f"{folder.name}/{stem}"
                if folder is root:
                    name = stem
                elif folder.name == "fold":
                    name = stem.replace("_", ".", 1)
                found[name] = Source(name, entry.read_text())
    return found


def entries() -> list[str]:
    """Return the names of the scripts that Python calls."""
    return [name for name, source in sources().items() if "ARGV" in source.header]


def facts() -> dict[str, list[str]]:
    """Return ``{type: fields}`` of the decisions: what only ``advance`` may write."""
    return {name: source.header["FACT"] for name, source in sources().items() if "FACT" in source.header}
