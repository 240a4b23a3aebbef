"""Snapshots: the state as of an event of the archive, made by folding its segments and never from the live server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import msgpack
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from .archive import Archive, sync
from .digest import StateDigest
from .entries import position
from .errors import ArchiveDamaged, NewerLog
from .events import FOLD_VERSION
from .keys import SOFT_META_FIELDS, Keys
from .replay import state_keys
from .scratch import Scratch
from .scripts import script

FOLDER = "snapshots"
PAGE = 1000
"""Members of a large key in one row."""

ROWS = 2000
"""Rows that are held in memory at once."""

SCHEMA = pa.schema([("key", pa.string()), ("kind", pa.string()), ("start", pa.int64()), ("value", pa.binary())])
UNREADABLE = (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError)
MEND = "delete it: the segments hold everything, and `streamsched snapshot` makes another"


class Row(NamedTuple):
    """A key, or a stretch of a large one."""

    name: str
    """Without the prefix."""
    kind: str
    start: int
    value: Any


class About(msgspec.Struct, kw_only=True):
    """What a snapshot states of itself."""

    namespace: str
    partition: int
    fold_version: int
    watermark: str
    folded: int
    digest: str
    created_ts: int


async def write(scratch: Scratch, archive: Archive) -> Path:
    """Write the state of a scratch into the archive's folder of snapshots.

    Raises:
        OSError: the disk is full, or the folder cannot be written; nothing half done stays.
    """
    folder = archive.folder / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{scratch.watermark}.parquet"
    part = path.with_suffix(".part")
    digest = StateDigest()
    try:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd", compression_level=3) as writer:
            async for rows in _rows(scratch):
                for row in rows:
                    digest.add(row.name, row.kind, row.value, row.start)
                await anyio.to_thread.run_sync(writer.write_table, _table(rows))
            about = About(
                namespace=scratch.keys.namespace,
                partition=scratch.keys.partition,
                fold_version=FOLD_VERSION,
                watermark=scratch.watermark,
                folded=scratch.folded,
                digest=digest.hexdigest(),
                created_ts=int(time.time() * 1000),
            )
            writer.add_key_value_metadata({"snapshot": msgspec.json.encode(about).decode()})
        sync(part)
        part.rename(path)
        sync(folder)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def nearest(folder: Path, until: str) -> Path | None:
    """Return the latest snapshot of an archive at or before an event, or ``None``."""
    found = [path for path in (folder / FOLDER).glob("*-*.parquet") if position(path.stem) <= position(until)]
    return max(found, key=lambda path: position(path.stem), default=None)


async def kept_hash(archive: Archive, keys: Keys, name: str) -> dict[bytes, bytes] | None:
    """Return a hash as the latest snapshot of an archive holds it; ``None`` if there is none, or no such key in it.

    Raises:
        ArchiveDamaged, NewerLog: see :func:`load`.
    """
    path = nearest(archive.folder, archive.last)

    def find() -> dict[bytes, bytes] | None:
        # to the end, because only there is it known whether all of it is what it states
        rows = (
            [row.value for page in _pages(path, _about(path, keys)) for row in page if row.name == name] if path else []
        )
        return rows[0] if rows else None

    return await anyio.to_thread.run_sync(find)


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
    """Put a snapshot under a prefix that holds no state; the watermark comes last, so that a torn load shows.

    Raises:
        ArchiveDamaged: it is damaged, or of another partition; there is no watermark then.
        NewerLog: a newer program made it; nothing was loaded.
    """
    about = await anyio.to_thread.run_sync(_about, path, keys)
    pages = _pages(path, about)
    meta: list[Row] = []
    putting: asyncio.Task[None] | None = None
    try:
        while page := await anyio.to_thread.run_sync(next, pages, None):
            if putting is not None:
                await putting
            meta += [row for row in page if row.name == "meta"]
            rows = [row for row in page if row.name != "meta"]
            putting = asyncio.create_task(_put(redis, keys, rows))  # the next page is read while this one is stored
    finally:
        if putting is not None:
            with anyio.CancelScope(shield=True):
                await putting
    await _put(redis, keys, meta)
    return about


async def _put(redis: Any, keys: Keys, rows: list[Row]) -> None:
    packed = msgpack.packb([(row.name, row.kind, row.start, _flat(row)) for row in rows], use_bin_type=False)
    await script("load_snapshot")(redis, events=keys("events"), prefix=keys.prefix, page=packed)


def _flat(row: Row) -> list[Any]:
    """Return the members of a row as the command that stores them takes them."""
    if row.kind == "hash":
        return [text for pair in row.value.items() for text in pair]
    return [text for member, score in row.value for text in (score, member)] if row.kind == "zset" else row.value


def _about(path: Path, keys: Keys) -> About:
    """Read what a snapshot states of itself, and see whether that fits."""
    try:
        about = msgspec.json.decode(pq.ParquetFile(path).metadata.metadata[b"snapshot"], type=About)
    except UNREADABLE as problem:
        raise ArchiveDamaged(f"snapshot {path} cannot be read ({problem}): {MEND}") from None
    if (about.namespace, about.partition) != (keys.namespace, keys.partition):
        raise ArchiveDamaged(f"snapshot {path} is of {about.namespace}:{{{about.partition}}}: {MEND}")
    if about.watermark != path.stem:
        raise ArchiveDamaged(f"snapshot {path} is not what it states, {about.watermark}: {MEND}")
    if about.fold_version > FOLD_VERSION:
        raise NewerLog(
            f"snapshot {path} was folded by version {about.fold_version}, this program folds up to {FOLD_VERSION}: "
            "upgrade it"
        )
    return about


def _pages(path: Path, about: About) -> Iterator[list[Row]]:
    """Read a snapshot page by page; behind the last one it is known whether all of it is what it states."""
    digest = StateDigest()
    try:
        for batch in pq.ParquetFile(path).iter_batches(ROWS):
            page = [
                Row(row["key"], row["kind"], row["start"], _decode(row["kind"], row["value"]))
                for row in batch.to_pylist()
            ]
            for row in page:
                digest.add(row.name, row.kind, row.value, row.start)
            yield page
    except UNREADABLE as problem:
        raise ArchiveDamaged(f"snapshot {path} cannot be read ({problem}): {MEND}") from None
    if digest.hexdigest() != about.digest:
        raise ArchiveDamaged(f"snapshot {path} is not what it states, its digest differs: {MEND}")


def _decode(kind: str, value: bytes) -> Any:
    shapes: dict[str, Any] = {"hash": dict[bytes, bytes], "zset": list[tuple[bytes, float]]}
    return msgspec.msgpack.decode(value, type=shapes.get(kind, list[bytes]))


def _table(rows: list[Row]) -> pa.Table:
    values = [msgspec.msgpack.encode(row.value) for row in rows]
    columns = [[row.name for row in rows], [row.kind for row in rows], [row.start for row in rows], values]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


async def _rows(scratch: Scratch) -> AsyncIterator[list[Row]]:
    """Read all that a scratch holds, in pages; its client must leave bytes alone."""
    page: list[Row] = []
    async for row in _each_row(scratch.redis, scratch.keys):
        page.append(row)
        if len(page) >= ROWS:
            yield page
            page = []
    if page:
        yield page


async def _each_row(redis: Any, keys: Keys) -> AsyncIterator[Row]:
    async for found in state_keys(redis, keys):
        hashes = [name for name, kind in found if kind == "hash"]
        async with redis.pipeline(transaction=False) as pipe:
            for name in hashes:
                pipe.hgetall(keys.prefix + name)
            values = await pipe.execute()
        for name, value in zip(hashes, values, strict=True):
            yield Row(name, "hash", 0, _hard(name, value))
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
