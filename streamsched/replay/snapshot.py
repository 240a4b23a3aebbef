"""Snapshots: the state as of an event of the archive, folded from its segments, never read from the live server."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import msgpack
import msgspec
import pyarrow.parquet as pq

from ..archive.digest import StateDigest
from ..archive.manifest import part_of, sync
from ..archive.reader import Archive
from ..archive.snapshot import FOLDER, GROUP_BYTES, ROWS, SCHEMA, About, Row, nearest, read_about, read_pages, table_of
from ..connect.read_size import ReadSize
from ..contract.entries import PART_BYTES
from ..contract.keys import Keys
from ..contract.soft_state import SOFT_META_FIELDS
from ..engine.script import script
from .scratch import Scratch
from .values import state_keys

PAGE = 1000
"""Members of a large key per row."""


async def write(scratch: Scratch, archive: Archive) -> Path:
    """Write the state of a scratch server into the archive's snapshot folder.

    Raises:
        OSError: the disk is full, or the folder is not writable; no partial file stays.
    """
    folder = archive.folder / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{scratch.watermark}.parquet"
    digest, redis = StateDigest(), cast(Any, scratch.redis)
    with part_of(path) as part:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd", compression_level=3) as writer:
            async for rows in _rows(scratch):
                for row in rows:
                    digest.add(row.name, row.kind, row.value, row.start)
                await anyio.to_thread.run_sync(writer.write_table, table_of(rows))
            about = About(
                namespace=scratch.keys.namespace,
                partition=scratch.keys.partition,
                fold_version=int(await redis.hget(scratch.keys("meta"), "fold_version") or 1),
                watermark=scratch.watermark,
                folded=scratch.folded,
                digest=digest.hexdigest(),
                created_ts=int(time.time() * 1000),
            )
            writer.add_key_value_metadata({"snapshot": msgspec.json.encode(about).decode()})
        sync(part)
        part.rename(path)
        sync(folder)
    return path


async def start_from(scratch: Scratch, archive: Archive, until: str) -> None:
    """Load the nearest snapshot at or before ``until`` into an empty scratch, if there is one.

    Raises:
        ArchiveDamaged, NewerLog: see :func:`load`.
    """
    path = nearest(archive.folder, until)
    if path is not None and scratch.watermark == "0-0":
        about = await load(scratch.redis, scratch.keys, path)
        scratch.watermark, scratch.folded = about.watermark, about.folded


async def load(redis: Any, keys: Keys, path: Path) -> About:
    """Load a snapshot under a prefix without state. The watermark is written last, so that a torn load is visible.

    Raises:
        ArchiveDamaged: the snapshot is damaged, or belongs to another partition; no watermark was written.
        NewerLog: a newer program wrote it; nothing was loaded.
    """
    about = await anyio.to_thread.run_sync(read_about, path, keys)
    pages = read_pages(path, about)
    meta: list[Row] = []
    putting: asyncio.Task[None] | None = None
    numbers = itertools.count()
    try:
        while page := await anyio.to_thread.run_sync(next, pages, None):
            if putting is not None:
                await putting
            meta += [row for row in page if row.name == "meta"]
            rows = [row for row in page if row.name != "meta"]
            # the next page is read while this one is stored
            putting = asyncio.create_task(_put(redis, keys, rows, numbers))
    finally:
        if putting is not None:
            with anyio.CancelScope(shield=True):
                await putting
    await _put(redis, keys, meta, numbers)
    return about


async def _put(redis: Any, keys: Keys, rows: list[Row], numbers: Iterator[int]) -> None:
    part: list[tuple[str, str, int, list[Any]]] = []
    size = 0
    for row in rows:
        flat = _flat(row)
        own = sum(len(text) for text in flat if isinstance(text, bytes))
        if part and size + own > PART_BYTES:
            await _put_part(redis, keys, part, next(numbers))
            part, size = [], 0
        part.append((row.name, row.kind, row.start, flat))
        size += own
    await _put_part(redis, keys, part, next(numbers))


async def _put_part(redis: Any, keys: Keys, part: list[tuple[str, str, int, list[Any]]], number: int) -> None:
    page = msgpack.packb(part, use_bin_type=False)
    await script("load_snapshot")(redis, events=keys("events"), prefix=keys.prefix, page=page, number=number)


def _flat(row: Row) -> list[Any]:
    """Return the members of a row as arguments of the command that stores them."""
    if row.kind == "hash":
        return [text for pair in row.value.items() for text in pair]
    return [text for member, score in row.value for text in (score, member)] if row.kind == "zset" else row.value


async def _rows(scratch: Scratch) -> AsyncIterator[list[Row]]:
    """Read the whole state of a scratch server in pages; its client must return bytes."""
    page: list[Row] = []
    size = 0
    async for row in _each_row(scratch.redis, scratch.keys):
        page.append(row)
        size += sum(map(len, row.value.values())) if row.kind == "hash" else 0
        if len(page) >= ROWS or size >= GROUP_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


async def _each_row(redis: Any, keys: Keys) -> AsyncIterator[Row]:
    size = ReadSize(PAGE)
    async for found in state_keys(redis, keys):
        hashes = [name for name, kind in found if kind == "hash"]
        while hashes:
            some = hashes[: size.ask()]
            async with redis.pipeline(transaction=False) as pipe:
                for name in some:
                    pipe.hgetall(keys.prefix + name)
                values = await pipe.execute()
            size.took(len(some), sum(len(text) for value in values for text in value.values()))
            for name, value in zip(some, values, strict=True):
                yield Row(name, "hash", 0, _hard(name, value))
            hashes = hashes[len(some) :]
        for name, kind in found:
            if kind != "hash":
                async for start, value in _stretches(redis, keys.prefix + name, kind):
                    yield Row(name, kind, start, value)


def _hard(name: str, value: dict[bytes, bytes]) -> dict[bytes, bytes]:
    soft = () if name != "meta" else {field.encode() for field in SOFT_META_FIELDS}
    return {field: text for field, text in value.items() if field not in soft}


async def _stretches(redis: Any, key: str, kind: str) -> AsyncIterator[tuple[int, Any]]:
    if kind == "set":
        cursor, first = 0, True
        while first or cursor:
            cursor, members = await redis.sscan(key, cursor, count=PAGE)
            first = False
            if members:
                yield 0, sorted(set(members))
    else:
        size = await (redis.zcard(key) if kind == "zset" else redis.llen(key))
        for start in range(0, size, PAGE):
            end = start + PAGE - 1
            ranged = redis.zrange(key, start, end, withscores=True) if kind == "zset" else redis.lrange(key, start, end)
            yield start, await ranged
