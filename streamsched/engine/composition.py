"""Composes a script from the functions that it calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..contract.config import DEFAULTS
from ..contract.keys import STREAMS
from ..contract.kinds import KINDS
from ..contract.wire import EVENTS, field_kinds
from .source import ARGUMENTS, ScriptError, Source, literal, sources
from .symbols import GLOBALS, PROVIDED, Chunk, check_names, chunk, library

UPVALUES = 60
"""How many locals of others a function of Lua 5.1 can use."""


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
        given = ", ".join([literal(name), f"e.{name}", *map(literal, bounds)])
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
            check_names(one, self.library)

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
