"""Snapshots as files beside the segments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ..contract.config import FOLD_VERSION
from ..contract.entries import position
from ..contract.errors import ArchiveDamaged, NewerLog
from ..contract.keys import Keys
from .digest import StateDigest
from .reader import Archive

FOLDER = "snapshots"

ROWS = 2000
"""Most rows that are held in memory at once."""

GROUP_BYTES = 4 * 2**20
"""Bytes of the values of one row group: as many are held in memory at once."""

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
            [row.value for page in read_pages(path, read_about(path, keys)) for row in page if row.name == name]
            if path
            else []
        )
        return rows[0] if rows else None

    return await anyio.to_thread.run_sync(find)


def read_about(path: Path, keys: Keys) -> About:
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


def read_pages(path: Path, about: About) -> Iterator[list[Row]]:
    """Read a snapshot page by page; behind the last one it is known whether all of it is what it states."""
    digest = StateDigest()
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            page = [
                Row(row["key"], row["kind"], row["start"], _decode(row["kind"], row["value"]))
                for row in file.read_row_group(group).to_pylist()
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


def table_of(rows: list[Row]) -> pa.Table:
    values = [msgspec.msgpack.encode(row.value) for row in rows]
    columns = [[row.name for row in rows], [row.kind for row in rows], [row.start for row in rows], values]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)
