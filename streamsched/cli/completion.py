"""Values that the shell offers: names from the partition and from the contract.

Completion runs between two keystrokes, so every read is bounded. On any failure it offers nothing and prints nothing.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..contract.keys import Keys

WITHIN_S = 0.5
"""Time limit for all reads; after it nothing is offered."""

OFFERED = 100
"""Most names of one kind."""

PAGES = 20
"""Calls that search a set for names, 1000 members each; the rest of a larger set is not searched."""

TAIL = 300
"""Events at the end of the log that are searched for jobs and sessions."""

PLAIN = re.compile(r"[\w.:@%+=/,-]+", re.ASCII)
"""Only names of these characters are offered: clients choose names, and zsh evaluates what it is offered."""

INSTRUCTION = "_STREAMSCHED_COMPLETE"
BREAKS = (":", "=")

Names = list[str]
Read = Callable[[Any, "Keys", str], Awaitable[Names]]
Completer = Callable[[typer.Context, str], Names]


@contextmanager
def in_words_of_bash() -> Iterator[None]:
    """Let bash complete a word that holds a colon or an equals sign. Bash splits it: ``s1:47`` comes as three words.

    The parts are joined before typer reads them. Of each offer, only the part after the last break is returned.
    """
    if os.environ.get(INSTRUCTION) != "complete_bash":
        yield
        return
    words, at = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    whole = joined(words[: at + 1])
    os.environ |= {"COMP_WORDS": "\n".join(whole), "COMP_CWORD": str(len(whole) - 1)}
    typed = "" if words[at] in BREAKS else words[at]
    before = len(whole[-1]) - len(typed)
    if whole[-1].startswith("--"):
        before -= whole[-1].find("=") + 1  # for --option=value, offer the value only
    offered = io.StringIO()
    try:
        with redirect_stdout(offered):
            yield
    finally:
        print("\n".join(line[max(0, before) :] for line in offered.getvalue().splitlines()))


def joined(words: Names) -> Names:
    """Join the words around breaks: ``["--pair", "zh", ":", "en"]`` becomes ``["--pair", "zh:en"]``."""
    found: Names = []
    open_ = False
    for word in words:
        if found and (word in BREAKS or open_):
            found[-1] += word
        else:
            found.append(word)
        open_ = word in BREAKS
    return found


def offer(read: Read) -> Completer:
    """Make a completer from a function that reads the partition given by the options before it."""

    def complete(ctx: typer.Context, incomplete: str) -> Names:
        return _asked(ctx.params, read, incomplete)

    return complete


def _asked(params: Mapping[str, Any], read: Read, incomplete: str) -> Names:
    import anyio

    from ..connect.client import connect
    from ..ops.settings import Settings, load

    async def ask() -> Names:
        flags = {name: params.get(name) for name in Settings.model_fields}
        settings = load(flags, Path(params["config"]) if params.get("config") else None)
        with anyio.move_on_after(WITHIN_S):
            async with connect(settings.url) as redis:
                return await read(redis, settings.keys, incomplete)
        return []

    try:
        found = anyio.run(ask)
    except Exception:  # no server, or wrong settings: the command itself reports it
        return []
    fitting = dict.fromkeys(name for name in found if name.startswith(incomplete) and PLAIN.fullmatch(name))
    return list(fitting)[:OFFERED]


async def _members(redis: Any, key: str, incomplete: str = "") -> Names:
    """Read names of a set that start with the typed text."""
    found: Names = []
    cursor, pattern = 0, re.sub(r"([*?\[\]\\])", r"\\\1", incomplete) + "*"
    for _ in range(PAGES):
        cursor, page = await redis.sscan(key, cursor, match=pattern, count=1000)
        found += page
        if not cursor or len(found) >= OFFERED:
            break
    return sorted(found)


async def _nodes(redis: Any, keys: Keys, incomplete: str) -> Names:
    return await _members(redis, keys("nodes"), incomplete)


async def _pools(redis: Any, keys: Keys, incomplete: str) -> Names:
    return await _members(redis, keys("pools"), incomplete)


async def _sources(redis: Any, keys: Keys, incomplete: str) -> Names:
    return await _members(redis, keys("sources"), incomplete)


async def _paused(redis: Any, keys: Keys, kind: str) -> Names:
    return sorted(name.partition(" ")[2] for name in await redis.hkeys(keys("paused")) if name.startswith(kind + " "))


async def _paused_pools(redis: Any, keys: Keys, _: str) -> Names:
    return await _paused(redis, keys, "pool")


async def _paused_pairs(redis: Any, keys: Keys, _: str) -> Names:
    return await _paused(redis, keys, "pair")


async def _of_pools(redis: Any, keys: Keys) -> list[Names]:
    """Read the languages of some pools, one list for each pool."""
    async with redis.pipeline(transaction=False) as pipe:
        for pool_id in (await _members(redis, keys("pools")))[:OFFERED]:
            pipe.hget(keys("pool_info", pool_id), "languages")
        return [(text or "").split() for text in await pipe.execute()]


async def _languages(redis: Any, keys: Keys, _: str) -> Names:
    return sorted({language for pool in await _of_pools(redis, keys) for language in pool})


async def _pairs(redis: Any, keys: Keys, _: str) -> Names:
    pools = await _of_pools(redis, keys)
    return sorted({f"{src}:{tgt}" for pool in pools for src in pool for tgt in pool if src != tgt})


async def _tail(redis: Any, keys: Keys) -> list[tuple[str, dict[str, str]]]:
    return list(await redis.xrevrange(keys("events"), count=TAIL))


async def _jobs(redis: Any, keys: Keys, _: str) -> Names:
    from ..contract.entries import job_id_of

    found = []
    for entry_id, fields in await _tail(redis, keys):
        if fields.get("type", "").startswith("job."):
            found.append(job_id_of(fields, entry_id))
    return found


async def _sessions(redis: Any, keys: Keys, _: str) -> Names:
    return [fields.get("session_id", "") for _, fields in await _tail(redis, keys)]


async def _letters(redis: Any, keys: Keys, _: str) -> Names:
    return [entry_id for entry_id, _ in await redis.xrevrange(keys("dead"), count=OFFERED)]


async def _codes(redis: Any, keys: Keys, _: str) -> Names:
    return sorted(await redis.hkeys(keys("dead_codes")))


async def _configuration(redis: Any, keys: Keys, _: str) -> Names:
    from ..contract.config import DEFAULTS

    stored = await redis.hgetall(keys("config"))
    return [f"{key}={stored.get(key, default)}" for key, default in DEFAULTS.items()]


nodes, pools, pairs, jobs, sessions = (offer(read) for read in (_nodes, _pools, _pairs, _jobs, _sessions))
paused_pools, paused_pairs = offer(_paused_pools), offer(_paused_pairs)
sources, languages, letters, codes = (offer(read) for read in (_sources, _languages, _letters, _codes))

OF_FIELD: dict[str, Completer] = {
    "node_id": nodes,
    "job_id": jobs,
    "session_id": sessions,
    "pool_id": pools,
    "src_lang": languages,
    "tgt_lang": languages,
    "source": sources,
}
"""Values offered after ``field=``."""


def event_types(incomplete: str) -> Names:
    """Offer the types of events that a client may append."""
    from ..contract.wire import EVENTS

    return [kind for kind in sorted(EVENTS) if kind.startswith(incomplete)]


def all_types(incomplete: str) -> Names:
    """Offer the types of all events, including decisions."""
    from ..contract.wire import EVENTS
    from ..engine.source import facts

    return [kind for kind in sorted({*EVENTS, *facts()}) if kind.startswith(incomplete)]


def fields(ctx: typer.Context, incomplete: str) -> Names:
    """Offer values of a field after its name; in a filter of the log, values of ``type``."""
    name, equals, value = incomplete.partition("=")
    if not equals:
        return []
    values = all_types(value) if name == "type" else OF_FIELD[name](ctx, value) if name in OF_FIELD else []
    return [f"{name}={value}" for value in values]


def configuration(ctx: typer.Context, incomplete: str) -> Names:
    """Offer configuration keys with the value in force, or with the default if no server answers."""
    from ..contract.config import DEFAULTS

    return offer(_configuration)(ctx, incomplete) or [
        f"{key}={default}" for key, default in DEFAULTS.items() if key.startswith(incomplete)
    ]


def subjects(ctx: typer.Context, incomplete: str) -> Names:
    """Offer subjects of a story, of the kind that the word before names."""
    of_kind = {"job": jobs, "node": nodes, "session": sessions, "pool": pools, "pair": pairs}
    return of_kind[ctx.params["kind"]](ctx, incomplete) if ctx.params.get("kind") in of_kind else []
