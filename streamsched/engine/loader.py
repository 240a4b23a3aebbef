"""Composes the Lua sources into the scripts that run, and calls them by name.

A source opens with one sentence of purpose, followed by a header that is executed, not only read:

``-- KEYS: events dead``      entry scripts: the keys of a call, as locals
``-- READS: nodes``           the same of a script that writes nothing, for whoever may only read
``-- ARGV: prefix batch``     entry scripts: its arguments, as locals
``-- FIELDS: job_id:id``      folds: the event's fields and their kinds, ``?`` behind what may be left out
``-- FACT: job_id cause``     folds of decisions: fields that only ``advance`` writes
``-- USES: want touch``       the includes, decisions and folds this source leans on

In the text, ``key.job(job_id)`` becomes the key's shape and ``limit.text`` its number, both from Python, so that each
is stated once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..contract.config import DEFAULTS, FOLD_VERSION
from ..contract.errors import ERRORS, error_of
from ..contract.keys import SHAPES, STREAMS
from ..contract.kinds import LIMITS, ORDER_STEP
from ..contract.wire import EVENTS, field_kinds

HEADER = re.compile(r"^-- (KEYS|READS|ARGV|FIELDS|FACT|USES): (.*)$", re.MULTILINE)
KEY = re.compile(r"key\.(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
STATE = re.compile(r"^local (?!function |[A-Z]+ =)", re.MULTILINE)  # a variable beside the functions of a source
LIMIT = re.compile(r"limit\.(\w+)")
CODE = re.compile(r"(?:fail\(|refusal = |code, detail = |error_reply\(|code = )'([A-Z_]{3,})\b")


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
        for code in CODE.findall(text):
            if code not in ERRORS:
                raise ScriptError(f"{name}: {code} is no code of errors.py")
        body = LIMIT.sub(lambda m: str(self._limit(m[1])), text)
        body = KEY.sub(lambda m: self._key(m[1], m[2]), body)
        lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
        self.body = "\n".join(lines)

    def _limit(self, name: str) -> int:
        if name == "order_step":
            return ORDER_STEP
        if name == "fold_version":
            return FOLD_VERSION
        if name not in LIMITS:
            raise ScriptError(f"{self.name}: limit.{name} is not in events.LIMITS")
        return LIMITS[name]

    def _key(self, name: str, arguments: str | None) -> str:
        if name not in SHAPES:
            raise ScriptError(f"{self.name}: key.{name} is not in keys.SHAPES")
        parts = SHAPES[name].split("%s")
        given = [a.strip() for a in re.split(r",(?![^()]*\))", arguments)] if arguments else []
        if len(given) != len(parts) - 1:
            raise ScriptError(f"{self.name}: key.{name} takes {len(parts) - 1} ids, {len(given)} were given")
        text = f"prefix .. '{parts[0]}'"
        for value, part in zip(given, parts[1:], strict=True):
            text += f" .. {value}" + (f" .. '{part}'" if part else "")
        return f"({text})"


@cache
def sources() -> dict[str, Source]:
    """Read every Lua file once; folds go by their wire type, the rest by file name."""
    found: dict[str, Source] = {}
    root = lua_root()
    for folder in ("include", "decide", "fold", "."):
        for entry in (root / folder).iterdir():
            if entry.name.endswith(".lua"):
                stem = entry.name[: -len(".lua")]
                name = stem.replace("_", ".", 1) if folder == "fold" else stem
                if name in found:
                    raise ScriptError(f"{name} exists twice below lua/")
                found[name] = Source(name, entry.read_text())
    return found


def facts() -> dict[str, list[str]]:
    """Return ``{type: fields}`` of the decisions: what only ``advance`` may write."""
    return {name: source.header["FACT"] for name, source in sources().items() if "FACT" in source.header}


def _fold(source: Source) -> str:
    """Wrap a fold into a function, with a checked local for every field of its header."""
    if "FACT" in source.header:
        names = source.header["FACT"]
        fields = f"local {', '.join(names)} = {', '.join('e.' + name for name in names)}"
        return f"function(e, id)\n{fields}\n{source.body}\nend"
    stated = dict(word.split(":") for word in source.header["FIELDS"])
    contract = field_kinds(EVENTS[source.name])
    if stated != contract:
        differing = set(stated.items()) ^ set(contract.items())
        raise ScriptError(f"{source.name}: its FIELDS and events.py differ in {differing}")
    lines = []
    for field, kind in stated.items():
        name = field.rstrip("?")
        guard = f"e.{name} and " if field.endswith("?") else ""
        lines.append(f"local {name} = {guard}check_{kind}('{name}', e.{name})")
    return "\n".join(["function(e, id, stream)", *lines, source.body, "end"])


def _table(name: str, folds: list[Source], shared: set[str]) -> str:
    """Return a Lua table of folds that builds each one when it is first asked for, with the includes only folds use.

    To build a function costs a script call about 0.3 µs each time, and most calls need one or two folds of the 25.
    """
    cases = []
    for fold in folds:
        own = [source.body for source in _includes([fold]) if source.name not in shared]
        cases.append("\n".join([f"if kind == '{fold.name}' then", *own, f"return {_fold(fold)}", "end"]))
    body = "\n".join(["local function build(kind)", *cases, "end"])
    store = "local fold = build(kind)\nif kind then rawset(built, kind, fold or false) end\nreturn fold"
    return f"do\n{body}\nsetmetatable({name}, {{ __index = function(built, kind)\n{store}\nend }})\nend"


def _shared(entry: Source, folds: list[Source]) -> list[Source]:
    """Return the includes that exist once in a call: what the entry uses, and what keeps something between folds."""
    everything = _includes([entry, *folds])
    keeping = [source for source in everything if STATE.search(source.body)]
    names = {source.name for source in [*_includes([entry]), *keeping, *_includes(keeping)]}
    return [source for source in everything if source.name in names]


def _needs(source: Source) -> Iterator[str]:
    yield from source.header.get("USES", ())
    for word in source.header.get("FIELDS", ()):
        yield "check_" + word.split(":")[1]


def _includes(wanted: list[Source]) -> list[Source]:
    """Order everything the sources lean on so that each stands behind what it uses."""
    ordered: dict[str, Source] = {}
    under_way: list[str] = []

    def visit(source: Source) -> None:
        under_way.append(source.name)
        for name in _needs(source):
            if name not in sources():
                raise ScriptError(f"{source.name} uses {name}, which does not exist below lua/")
            if name in under_way:
                raise ScriptError(f"lua/ uses itself in a circle: {' → '.join([*under_way, name])}")
            if name not in ordered:
                visit(sources()[name])
                ordered[name] = sources()[name]
        under_way.pop()

    for source in wanted:
        visit(source)
    return list(ordered.values())


def keys_of(entry: Source) -> list[str]:
    """Return the names of the keys that an entry script is given."""
    return entry.header.get("KEYS") or entry.header["READS"]


def compose(name: str) -> str:
    """Return the whole text of an entry script.

    Raises:
        ScriptError: a header, a key, a limit or an error code does not fit what Python says.
    """
    entry = sources()[name]
    folds = [source for source in sources().values() if {"FIELDS", "FACT"} & set(source.header)]
    folding = any(source.name == "fold_event" for source in _includes([entry]))
    streams = ", ".join(f"['{stream}'] = true" for stream in STREAMS)
    defaults = ", ".join(f"{key} = {value!r}" for key, value in DEFAULTS.items())
    parts = [f"local {key} = KEYS[{n}]" for n, key in enumerate(keys_of(entry), 1)]
    for n, argument in enumerate(entry.header["ARGV"], 1):
        parts.append(f"local {argument} = ARGV[{n}]")
    parts.append(f"local STREAMS = {{ {streams} }}\nlocal DEFAULTS = {{ {defaults} }}\nlocal FOLDS, FACTS = {{}}, {{}}")
    includes = _shared(entry, folds) if folding else _includes([entry])
    # What nearly every function uses stands one level further out: to capture a local of the function around it, Lua
    # searches through all that were captured before, but what comes from further out is found at once.
    parts += [source.body for source in includes if source.name == "context"]
    parts.append("return (function()")
    parts += [source.body for source in includes if source.name != "context"]
    if folding:
        folds.sort(key=lambda source: source.name)
        shared = {source.name for source in includes}
        parts.append(_table("FACTS", [fold for fold in folds if "FACT" in fold.header], shared))
        parts.append(_table("FOLDS", [fold for fold in folds if "FIELDS" in fold.header], shared))
    return "\n".join([*parts, entry.body, "end)()"])


class Script:
    """One entry script, called by name with the keys and arguments of its header."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = compose(name)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        header = sources()[name].header
        self.keys, self.argv = keys_of(sources()[name]), header["ARGV"]
        self.reads = "READS" in header
        """Whether it writes nothing: then a user who may only read may run it, and a replica."""

    def arguments(self, **given: Any) -> list[Any]:
        """Order named arguments as the header states them: ``[numkeys, key…, argument…]``.

        Raises:
            TypeError: a name is missing or not in the header.
        """
        names = [*self.keys, *self.argv]
        if set(names) != set(given):
            raise TypeError(f"{self.name} takes {', '.join(names)}; given were {', '.join(given)}")
        return [len(self.keys), *(given[name] for name in names)]

    async def __call__(self, redis: Redis, **given: Any) -> Any:
        """Run the script; a server that does not know it (restarted, failed over, flushed) is sent the text.

        Raises:
            SchedulerError: the script refused, or the server did; the exception of the wire code.
        """
        arguments = self.arguments(**given)
        only = "_RO" if self.reads else ""
        try:
            try:
                return await cast(Any, redis).execute_command(f"EVALSHA{only}", self.sha, *arguments)
            except NoScriptError:
                return await cast(Any, redis).execute_command(f"EVAL{only}", self.text, *arguments)
        except ResponseError as problem:
            raise scheduler_error(problem) from problem


def scheduler_error(problem: RedisError) -> Exception:
    """Turn a server's error into the exception of its wire code; what is not in the table stays as it is."""
    code, _, detail = str(problem).partition(" ")
    if kind := {"ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM"}.get(type(problem).__name__):
        return error_of(kind, f"{ERRORS[kind].__doc__} (server: {problem})")
    if code in ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE"):
        return error_of(code, f"{ERRORS[code].__doc__} (server: {detail})")
    return error_of(code, detail) if code in ERRORS else problem


@cache
def script(name: str) -> Script:
    """Return the entry script ``name``, one of those at the top of ``lua/``.

    Raises:
        ScriptError: the Lua sources break their contract.
    """
    return Script(name)
