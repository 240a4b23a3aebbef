"""Checks that a running partition's state is the fold of its log, key by key and without pausing it.

Each page of keys is read in one transaction with its watermark. The scratch fold is then moved to that watermark, and
must hold the same values. So a key that changes all the time is compared like any other.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import anyio
import msgspec
from redis.exceptions import ConnectionError, TimeoutError

from ..connect.read_size import ReadSize
from ..contract.entries import Entry, fields_of
from ..contract.errors import PartitionRebuilding
from ..contract.keys import Keys
from ..contract.soft_state import soft_fields
from ..history.history import History
from .scratch import Progress, Scratch
from .values import hard_keys

PAGE = 200
"""Keys read in one transaction."""

MEMBERS = 1000
"""Members of a large set, sorted set or list per read, so that no call blocks the live server for long."""

STEP = 100
"""Events sent at once during the search for the first event with a difference."""

NOTHING: Any = None


class Item(NamedTuple):
    """A key, or a part of a large one."""

    name: str
    """The key without its prefix."""
    kind: str
    start: int = 0
    """The first member of the part; for sets, -1 stands for the size."""
    whole: bool = False
    """All members at once: on a scratch server, where no client waits."""


class Difference(msgspec.Struct, kw_only=True):
    """A key whose live value differs from the fold of the log."""

    key: str
    watermark: str
    """Watermark of the comparison."""
    live: Any
    folded: Any
    event_id: str = ""
    """The first event after which they differ; empty if they never agreed."""
    event: dict[str, str] = {}
    never_agreed: bool = False
    """No event gave the live value: another writer set it. ``event`` is then the last one to write the key."""


class Verifier:
    """Compares a live partition with the fold of its history.

    Args:
        redis: a client of the live server.
        history: its log, or log and archive.
        scratch: the scratch server for the fold.
        keys_s: most keys per second read from the live server; 20 000 by default.
    """

    def __init__(self, redis: Any, history: History, scratch: Scratch, keys_s: float = 20_000) -> None:
        self.redis, self.history, self.scratch, self.keys_s = redis, history, scratch, keys_s
        self.keys: Keys = history.keys
        self.compared = 0
        """Keys compared in this round."""
        self._size = ReadSize(PAGE)

    async def check(self, progress: Progress = lambda compared: None) -> tuple[Difference, Item] | None:
        """Compare every key once; returns the first difference and its place, or ``None``.

        Raises:
            LogGap: the history does not reach back to the first event.
            PartitionRebuilding: the state was dropped meanwhile.
        """
        self.compared = 0
        for pages in (self._pages(), self._missing()):
            async for items in pages:
                while items:
                    began = time.monotonic()
                    some = items[: self._size.ask()]
                    try:
                        found = await self._compare(some)
                    except (ConnectionError, TimeoutError):
                        if not self._size.cut_off():
                            raise
                        continue
                    if found:
                        return found
                    items = items[len(some) :]
                    self.compared += len(some)
                    progress(self.compared)
                    await anyio.sleep(max(0.0, len(some) / self.keys_s - (time.monotonic() - began)))
        return None

    async def _pages(self) -> AsyncIterator[list[Item]]:
        """Yield the items of the live state."""
        async for found in hard_keys(self.redis, self.keys):
            page: list[Item] = []
            for name, kind in found:
                items = await self._items(name, kind)
                if len(items) > 1:  # each part of a large key is sent alone
                    for item in items:
                        yield [item]
                else:
                    page += items
            for start in range(0, len(page), PAGE):
                yield page[start : start + PAGE]

    async def _missing(self) -> AsyncIterator[list[Item]]:
        """Yield the items that the fold holds and the live state seems to lack."""
        async for found in hard_keys(self.scratch.redis, self.keys):
            async with self.redis.pipeline(transaction=False) as pipe:
                for name, _ in found:
                    pipe.exists(self.keys.prefix + name)
                held = await pipe.execute()
            for (name, kind), there in zip(found, held, strict=True):
                if not there:
                    yield [Item(name, kind)]

    async def _items(self, name: str, kind: str) -> list[Item]:
        redis, key = self.redis, self.keys.prefix + name
        sizes = {"set": redis.scard, "zset": redis.zcard, "list": redis.llen}
        if kind not in sizes:
            return [Item(name, kind)]
        size = await sizes[kind](key)
        if kind == "set":
            return [Item(name, kind)] if size <= MEMBERS else [Item(name, kind, -1)]
        return [Item(name, kind, start) for start in range(0, max(size, 1), MEMBERS)]

    async def _compare(self, items: list[Item]) -> tuple[Difference, Item] | None:
        watermark, live = await self._read_live(items)
        await self.scratch.follow(self.history, watermark)
        if self.scratch.watermark != watermark:
            raise PartitionRebuilding("the state was rebuilt meanwhile: verify it again")
        folded = await read(self.scratch.redis, self.keys, items)
        for item, one, other in zip(items, live, folded, strict=True):
            if one != other:
                key = self.keys.prefix + item.name
                return Difference(key=key, watermark=watermark, live=one, folded=other), item
            if item.start < 0 and (found := await self._compare_members(item)):
                return found, item
        return None

    async def _compare_members(self, item: Item) -> Difference | None:
        """Compare a large set page by page: its size, and the presence of each member in the fold."""
        key, cursor = self.keys.prefix + item.name, 0
        while True:
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.hget(self.keys("meta"), "watermark")
                pipe.sscan(key, cursor, count=MEMBERS)
                watermark, (cursor, members) = await pipe.execute()
            await self.scratch.follow(self.history, watermark)
            known = await self.scratch.redis.smismember(key, members) if members else []
            strangers = [member for member, is_known in zip(members, known, strict=True) if not is_known]
            if strangers:
                return Difference(key=key, watermark=watermark, live=sorted(strangers), folded=[])
            if cursor == 0:
                return None

    async def _read_live(self, items: list[Item]) -> tuple[str, list[Any]]:
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.hmget(self.keys("meta"), ("watermark", "rebuilding"))
            for item in items:
                _ask(pipe, self.keys, item)
            (watermark, rebuilding), *values = await pipe.execute(raise_on_error=False)
        if rebuilding:
            raise PartitionRebuilding("the state is being rebuilt: verify it once it is whole")
        self._size.took(len(items), sum(map(_bytes_of, values)))
        return watermark or "0-0", [_plain(item, value) for item, value in zip(items, values, strict=True)]

    async def part(self, found: Difference, item: Item, progress: Progress = lambda folded: None) -> Difference:
        """Find the first event after which live and folded value differ, by folding again one event at a time."""
        await self.scratch.clear()
        agreed, before = not found.live, NOTHING
        parted: Entry | None = None
        changed: Entry | None = None
        async for chunk in self.history.chunks("0-0", found.watermark, STEP):
            values = await self.scratch.step(chunk, lambda pipe: _ask(pipe, self.keys, item))
            for entry, raw in zip(chunk.entries, values, strict=True):
                value = _plain(item, raw)
                if value != before:
                    changed = entry
                    parted = None if value == found.live else entry if before == (found.live or None) else parted
                    agreed = agreed or value == found.live
                before = value
            progress(self.scratch.folded)
        found.never_agreed = not agreed
        named = parted if agreed else changed
        if named is not None:
            found.event_id, found.event = named.id, fields_of(named)
        return found


async def read(redis: Any, keys: Keys, items: list[Item]) -> list[Any]:
    """Read several items in one round trip, in comparable form; ``None`` for a missing one."""
    async with redis.pipeline(transaction=True) as pipe:
        for item in items:
            _ask(pipe, keys, item)
        values = await pipe.execute(raise_on_error=False)
    return [_plain(item, value) for item, value in zip(items, values, strict=True)]


def _ask(pipe: Any, keys: Keys, item: Item) -> None:
    key, end = keys.prefix + item.name, -1 if item.whole else item.start + MEMBERS - 1
    if item.kind == "hash":
        pipe.hgetall(key)
    elif item.kind == "set":
        _ = pipe.smembers(key) if item.start == 0 else pipe.scard(key)
    elif item.kind == "zset":
        pipe.zrange(key, item.start, end, withscores=True)
    elif item.kind == "list":
        pipe.lrange(key, item.start, end)
    else:
        pipe.type(key)


def _bytes_of(value: Any) -> int:
    return sum(map(len, value.values())) if isinstance(value, dict) else 0  # other keys are read in short stretches


def _plain(item: Item, value: Any) -> Any:
    """Return a value without its soft parts; an empty value counts as missing."""
    if isinstance(value, Exception):
        return str(value)  # of the wrong type
    if item.kind == "hash":
        soft = soft_fields(item.name)
        value = {field: text for field, text in value.items() if field not in soft}
    elif item.kind == "set" and item.start == 0:
        value = sorted(value)
    return value or None
