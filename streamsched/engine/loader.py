"""Composes the Lua sources into the scripts that run, and calls them by name.

``lua/*.lua`` with an ``ARGV`` header are the scripts that Python calls. ``lua/fold/`` holds one file for each event.
Every other file is a library: a topic, whose top-level functions and variables are symbols. A script consists of the
symbols that it reaches, each once, behind those that it needs itself.

A script or a fold opens with sentences of purpose, followed by a header that the loader executes:

``-- KEYS: events dead``         scripts: the keys of a call, as locals
``-- READS: nodes``              the same for a script that writes nothing: a user who may only read runs it
``-- ARGV: prefix batch:count``  scripts: the arguments, as locals; a kind of :data:`ARGUMENTS` is checked first
``-- FIELDS: job_id:id``         folds: the event's fields and their kinds, ``?`` behind an optional one
``-- FACT: job_id cause``        folds of decisions: the fields, which only the scheduler writes
``-- ONCE: pool_id``             folds: an event with a known ``request_id`` is skipped. The fields say what it is
                                 about; ``-`` stands for the node or session of the event

In the text, ``key.job(job_id)`` becomes the key's shape and ``limit.text`` its number, both from Python, so that each
is stated once. A text in capitals is an error code or a word of Redis, and a name that nothing defines is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..contract.config import DEFAULTS, FOLD_VERSION
from ..contract.errors import ERRORS, error_of
from ..contract.keys import GROUP, SHAPES, STREAMS
from ..contract.kinds import KINDS, LIMITS, ORDER_STEP
from ..contract.wire import EVENTS, field_kinds

HEADER = re.compile(r"^-- (KEYS|READS|ARGV|FIELDS|FACT|ONCE): (.*)$", re.MULTILINE)
KEY = re.compile(r"key\.(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
PLAIN = re.compile(r"[\w.]+")  # an argument of a key that needs no parentheses
LIMIT = re.compile(r"limit\.(\w+)")
CAPITALS = re.compile(r"""['"]([A-Z][A-Z_]+)(?=[ '"])""")
QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|--[^\n]*""")
TOKEN = re.compile(r"\.{2,3}|[.:]\s*[A-Za-z_]\w*|\d[\w.]*|[A-Za-z_]\w*|[=~<>]=|[^\s]")
DECLARED = re.compile(
    r"\blocal\s+(?!function\b)(\w+(?:\s*,\s*\w+)*)|\bfunction\s*(\w*)\s*\(([^)]*)\)|\bfor\s+(\w+(?:\s*,\s*\w+)*)"
)


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


REDIS_WORDS = words_of("""
    DEL EXISTS HDEL HEXISTS HGET HGETALL HINCRBY HKEYS HMGET HSET INFO LINDEX LLEN LPOP PEXPIRE RPUSH SADD SCAN SCARD
    SISMEMBER SMISMEMBER SRANDMEMBER SREM TIME TYPE UNLINK XADD XDEL XGROUP XINFO XLEN XRANGE XREAD XREVRANGE XSETID
    XTRIM ZADD ZCOUNT ZRANGE ZRANGEBYSCORE ZREM ZSCORE
    COUNT CREATE ENTRIESADDED ENTRIESREAD GROUPS LIMIT MATCH MAXDELETEDID MAXLEN MINID MKSTREAM SETID STREAM STREAMS
    WITHSCORES
""")
"""The commands and options that the scripts use."""

REPLIES = frozenset(("OK", "AGAIN"))
"""Words in capitals that a script answers with, and that are no error."""

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

ARGUMENTS: dict[str, tuple[str, int, str]] = {
    "count": ("^[1-9]%d*$", 6, "a whole number from 1 to 999999"),
    "number": ("^%d+$", 16, "a whole number"),
    "flag": ("^[01]$", 1, "0 or 1"),
    "word": ("^[%w_-]+$", 64, "letters and digits"),
    "entry": ("^%d+%-%d+$", 41, "the id of an entry"),
}
"""Kinds of a script's arguments: a Lua pattern, the most bytes, and words for the refusal."""

UPVALUES = 60
"""How many locals of others a function of Lua 5.1 can use."""


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
            return _literal(GROUP)
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
        ScriptError: something else stands at the top level.
    """
    found: list[Chunk] = []
    for text in re.split(r"^(?=local )", body, flags=re.MULTILINE):
        if not text.strip():
            continue
        match = re.match(r"local (function )?(\w+(?:, \w+)*)", text)
        if match is None or re.search(r"^(?!local |end$|[ }])\S", text, re.MULTILINE):
            raise ScriptError(f"{source}: only local functions and variables stand at the top level of a library")
        names = tuple(match[2].split(", "))
        found.append(chunk(source, text.rstrip(), names, keeps=not match[1] and not match[2].isupper()))
    return tuple(found)


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
        _hides_nothing(one, found)
    return found


def _hides_nothing(one: Chunk, known: dict[str, Chunk]) -> None:
    for name in sorted(one.declares & (known.keys() | PROVIDED)):
        where = f", which {known[name].source} defines" if name in known else ""
        raise ScriptError(f"{one.source}: a local hides {name}{where}: give it another name")


def _literal(value: int | str) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def facts() -> dict[str, list[str]]:
    """Return ``{type: fields}`` of the decisions: what only ``advance`` may write."""
    return {name: source.header["FACT"] for name, source in sources().items() if "FACT" in source.header}


def _fold(source: Source) -> str:
    """Wrap a fold into a function, with a local for every field of its header that it uses, checked."""
    used = set(chunk(source.name, source.body).uses)
    if "FACT" in source.header:
        names = [name for name in source.header["FACT"] if name in used]
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
        check, bounds = KINDS[kind]
        given = ", ".join([_literal(name), f"e.{name}", *map(_literal, bounds)])
        call = f"check_{check}({given})"
        if name not in used:
            lines.append(f"if e.{name} then {call} end" if field.endswith("?") else call)
        else:
            lines.append(f"local {name} = {f'e.{name} and ' if field.endswith('?') else ''}{call}")
    if once := source.header.get("ONCE"):
        subject = " .. ':' .. ".join(f"e.{name}" for name in once if name != "-") or "nil"
        lines.append(f"if stream == 'events' and requested_before(e, {subject}) then return end")
    return "\n".join(["function(e, id, stream)", *lines, source.body, "end"])


class Composition:
    """The text of one script, made of the symbols that it reaches.

    Raises:
        ScriptError: a header, a name, a key, a limit or a code does not fit what Python or the other sources say.
    """

    def __init__(self, name: str) -> None:
        self.entry = sources()[name]
        self.library = library()
        self.known = {*keys_of(self.entry), *self.entry.header["ARGV"], *self.library, *GLOBALS, *PROVIDED}
        body = chunk(name, self.entry.body)
        self._look_at(body)
        shared = self.reached([body])
        self.provided = {used for one in (body, *shared) for used in one.uses} & PROVIDED
        self.folds: list[tuple[Source, list[Chunk], str]] = []
        if "FOLDS" in self.provided:
            shared = self._add_folds(body, shared)
        self.shared = shared

    def _add_folds(self, body: Chunk, shared: list[Chunk]) -> list[Chunk]:
        """Wrap every fold. Returns what exists once in a call: what the script reaches itself, and every variable."""
        folds = [source for source in sources().values() if {"FIELDS", "FACT"} & set(source.header)]
        wrapped = {source.name: chunk(source.name, _fold(source)) for source in folds}
        for one in wrapped.values():
            self._look_at(one)
            self.provided |= set(one.uses) & PROVIDED
        everything = self.reached(wrapped.values())
        self.provided |= {used for one in everything for used in one.uses} & PROVIDED
        shared = self.reached([body, *(one for one in everything if one.keeps)])
        shared += [one for one in everything if one.keeps and one not in shared]
        for source in sorted(folds, key=lambda source: source.name):
            one = wrapped[source.name]
            self.folds.append((source, [own for own in self.reached([one]) if own not in shared], one.text))
        return shared

    def reached(self, wanted: Iterable[Chunk]) -> list[Chunk]:
        """Return all that these lean on, each chunk behind those it uses itself."""
        ordered: dict[Chunk, None] = {}
        under_way: list[Chunk] = []

        def visit(one: Chunk) -> None:
            if one in ordered:
                return
            if one in under_way:
                circle = [*under_way[under_way.index(one) :], one]
                raise ScriptError(
                    f"lua/ uses itself in a circle: {' → '.join('/'.join(part.names) for part in circle)}"
                )
            under_way.append(one)
            self._look_at(one)
            for used in one.uses:
                if used in self.library and self.library[used] is not one:
                    visit(self.library[used])
            under_way.pop()
            ordered[one] = None

        for one in wanted:
            for used in one.uses:
                if used in self.library:
                    visit(self.library[used])
        return list(ordered)

    def _look_at(self, one: Chunk) -> None:
        for used in one.uses:
            if used not in self.known:
                raise ScriptError(
                    f"{self.entry.name}: {one.source} uses {used}, which is neither defined below lua/ nor a key or "
                    f"argument of this script"
                )
        if not one.names:
            _hides_nothing(one, self.library)

    def text(self) -> str:
        """Return the whole text."""
        parts = list(self._arguments())
        if "STREAMS" in self.provided:
            streams = ", ".join(f"['{stream}'] = true" for stream in STREAMS)
            parts.append(f"local STREAMS = {{ {streams} }}")
        if "DEFAULTS" in self.provided:
            defaults = ", ".join(f"{key} = {value!r}" for key, value in DEFAULTS.items())
            parts.append(f"local DEFAULTS = {{ {defaults} }}")
        parts += [f"local {table} = {{}}" for table in ("FOLDS", "FACTS") if self.folds]
        # What nearly every function uses stands one level further out: to capture a local of the function around it,
        # Lua searches through all that were captured before, but finds at once what comes from further out.
        outermost = self._popular()
        parts += [one.text for one in self.shared if one in outermost]
        parts.append("return (function()")
        parts += [one.text for one in self.shared if one not in outermost]
        if self.folds:
            parts.append(self._table("FACTS", "FACT"))
            parts.append(self._table("FOLDS", "FIELDS"))
        return "\n".join([*parts, self.entry.body, "end)()"])

    def _popular(self) -> set[Chunk]:
        """Return what most functions use, with all that it needs itself, as far as one function can capture it."""
        users = Counter(used for one in self.shared for used in one.uses)
        room = UPVALUES - len(self.entry.header["ARGV"]) - len(keys_of(self.entry)) - len(PROVIDED)
        chosen: dict[Chunk, None] = {}
        for one in sorted(self.shared, key=lambda one: -max(users[name] for name in one.names)):
            together = dict.fromkeys([*chosen, *self.reached([one]), one])
            if sum(len(chosen_one.names) for chosen_one in together) <= room:
                chosen = together
        return set(chosen)

    def _arguments(self) -> Iterator[str]:
        """Yield the keys and arguments as locals, and their checks, which come before all else."""
        keys, arguments = keys_of(self.entry), self.entry.header["ARGV"]
        takes = f"{self.entry.name} takes {len(keys)} keys and {len(arguments)} arguments: call it as its header says"
        yield f"if #KEYS ~= {len(keys)} or #ARGV ~= {len(arguments)} then"
        yield f"return redis.error_reply('INVALID_FIELD {takes}') end"
        used = {name for one in (chunk("", self.entry.body), *self.shared, *self._of_folds()) for name in one.uses}
        for n, key in enumerate(keys, 1):
            if key in used:
                yield f"local {key} = KEYS[{n}]"
        for n, argument in enumerate(arguments, 1):
            if kind := self.entry.kinds.get(argument):
                pattern, most, words = ARGUMENTS[kind]
                yield f"if #ARGV[{n}] > {most} or not string.find(ARGV[{n}], '{pattern}') then"
                yield f"return redis.error_reply('INVALID_FIELD {argument}: give {words}') end"
            if argument in used:
                yield f"local {argument} = ARGV[{n}]"

    def _of_folds(self) -> Iterator[Chunk]:
        for source, own, text in self.folds:
            yield from (chunk(source.name, text), *own)

    def _table(self, name: str, header: str) -> str:
        """Return a Lua table of folds that builds each one when it is first asked for, with what only folds use.

        To build a function costs a script call about 0.3 µs each time, and most calls need one or two folds of the 36.
        """
        cases: list[list[str]] = []
        captured: set[str] = set()
        outer = {*self.entry.header["ARGV"], *keys_of(self.entry), *self.provided}
        outer |= {name for one in self.shared for name in one.names}
        for source, own, text in self.folds:
            if header not in source.header:
                continue
            parts = [f"if kind == '{source.name}' then", *(one.text for one in own), f"return {text}", "end"]
            needs = {used for one in (chunk(source.name, text), *own) for used in one.uses} & outer
            if not cases or len(captured | needs) > UPVALUES:  # more than one function can capture
                cases.append([])
                captured = set()
            captured |= needs
            cases[-1].append("\n".join(parts))
        builders = [f"build_{n}" for n in range(1, len(cases) + 1)]
        body = "\n".join(
            "\n".join([f"local function {name}(kind)", *some, "end"])
            for name, some in zip(builders, cases, strict=True)
        )
        built = " or ".join(f"{name}(kind)" for name in builders)
        store = f"local fold = {built}\nif kind then rawset(built, kind, fold or false) end\nreturn fold"
        return f"do\n{body}\nsetmetatable({name}, {{ __index = function(built, kind)\n{store}\nend }})\nend"


def keys_of(entry: Source) -> list[str]:
    """Return the names of the keys that a script is given."""
    return entry.header.get("KEYS") or entry.header["READS"]


def compose(name: str) -> str:
    """Return the whole text of a script.

    Raises:
        ScriptError: the Lua sources break their contract; see :class:`Composition`.
    """
    return Composition(name).text()


class Script:
    """One script, called by name with the keys and arguments of its header."""

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
    """Return the script ``name``, one of :func:`entries`.

    Raises:
        ScriptError: the Lua sources break their contract.
    """
    return Script(name)
