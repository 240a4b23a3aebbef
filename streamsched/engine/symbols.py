"""The functions and variables of the Lua libraries, found by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from .source import QUOTED, ScriptError, sources, words_of

TOKEN = re.compile(r"\.{2,3}|[.:]\s*[A-Za-z_]\w*|\d[\w.]*|[A-Za-z_]\w*|[=~<>]=|[^\s]")

DECLARED = re.compile(
    r"\blocal\s+(?!function\b)(\w+(?:\s*,\s*\w+)*)|\bfunction\s*(\w*)\s*\(([^)]*)\)|\bfor\s+(\w+(?:\s*,\s*\w+)*)"
)

LUA_WORDS = words_of("""
    and break do else elseif end false for function if in local nil not or repeat return then true until while
""")


GLOBALS = words_of("""
    ARGV KEYS cjson cmsgpack error ipairs math next pairs pcall rawset redis select setmetatable string table tonumber
    tostring type unpack
""")
"""What a server gives to a script, as far as the sources use it."""

PROVIDED = frozenset(("STREAMS", "DEFAULTS", "FOLDS", "FACTS"))
"""Tables that the loader writes."""


@dataclass(frozen=True)
class Chunk:
    """One piece of Lua: a function or some variables of a library, or the body of a script or a fold."""

    source: str
    names: tuple[str, ...]
    """What it defines."""
    text: str
    uses: tuple[str, ...]
    """The names that it leaves to others to define, in order."""
    declares: frozenset[str]
    """The names of its own locals and parameters."""
    keeps: bool = False
    """Whether it holds variables, which exist once in a call."""


def chunk(source: str, text: str, names: tuple[str, ...] = (), keeps: bool = False) -> Chunk:
    """Read what a piece of Lua declares, and what it uses without declaring it."""
    bare = QUOTED.sub("''", text)
    declares = {name for found in DECLARED.findall(bare) for part in found for name in re.findall(r"\w+", part)}
    uses: dict[str, None] = {}
    depth, before = 0, ""
    tokens = TOKEN.findall(bare)
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        depth += {"{": 1, "}": -1}.get(token, 0)
        field = depth > 0 and before in "{," and following == "="
        if re.match(r"[A-Za-z_]", token) and not field and token not in LUA_WORDS and token not in declares:
            uses[token] = None
        before = token
    return Chunk(source, names, text, tuple(uses), frozenset(declares - set(names)), keeps)


@cache
def chunks(source: str, body: str) -> tuple[Chunk, ...]:
    """Cut a library file into its top-level functions and variables.

    Raises:
        ScriptError: the top level holds anything else.
    """
    found: list[Chunk] = []
    for text in re.split(r"^(?=local )", body, flags=re.MULTILINE):
        if not text.strip():
            continue
        match = re.match(r"local (function )?(\w+(?:, \w+)*)", text)
        if match is None or re.search(r"^(?!local |end$|[ }])\S", text, re.MULTILINE):
            raise ScriptError(f"{source}: the top level of a library holds only local functions and variables")
        names = tuple(match[2].split(", "))
        found.append(chunk(source, text.rstrip(), names, keeps=not match[1] and not match[2].isupper()))
    return tuple(found)


def library() -> dict[str, Chunk]:
    """Return every symbol of the library files.

    Raises:
        ScriptError: two files define the same one, or a local of one hides another.
    """
    found: dict[str, Chunk] = {}
    for source in sources().values():
        if {"ARGV", "FIELDS", "FACT"} & set(source.header):
            continue
        for one in chunks(source.name, source.body):
            for name in one.names:
                if name in found:
                    raise ScriptError(f"{name} is defined twice, in {found[name].source} and in {source.name}")
                found[name] = one
    for one in set(found.values()):
        check_names(one, found)
    return found


def check_names(one: Chunk, known: dict[str, Chunk]) -> None:
    """Make sure that no local of a chunk hides a symbol of a library.

    Raises:
        ScriptError: one does.
    """
    for name in sorted(one.declares & (known.keys() | PROVIDED)):
        where = f", which {known[name].source} defines" if name in known else ""
        raise ScriptError(f"{one.source}: a local hides {name}{where}: give it another name")
