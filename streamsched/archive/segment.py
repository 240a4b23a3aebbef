"""The form of a segment: entries of the log as rows of a Parquet file, to be given back to the byte.

What events have in common is a typed column, so that DuckDB, Polars or Spark read the file as it lies; the rest is a
map. ``fields`` keeps the names in the order of the wire. An entry that columns cannot hold exactly (a field sent twice,
bytes that are no UTF-8) is kept in ``raw`` as well, and given back from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ..contract.entries import Entry, fields_of

TEXTS = (
    "type",
    "job_id",
    "session_id",
    "node_id",
    "pool_id",
    "src_lang",
    "tgt_lang",
    "status",
    "attempt",
    "nonce",
    "payload_json",
    "result_json",
    "cap_json",
    "pool_names_json",
    "mailbox",
    "online",
    "accepting",
    "why",
    "affinity",
    "seen",
    "cause",
    "code",
    "reason",
    "error",
    "reply_to",
)
NUMBERS = ("priority", "deadline_ts", "not_before_ts", "retry_ts", "until_ts", "since_ts", "last_heartbeat_ts")
NUMBER = re.compile(rb"-?[1-9][0-9]{0,17}|0")
PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")
EVENTS, LETTERS = "events", "dead"

SCHEMA = pa.schema(
    [
        ("stream", pa.string()),  # `events`, or `dead` for the letters, which follow all events
        ("ms", pa.int64()),  # the id in two parts
        ("seq", pa.int64()),
        *((name, pa.string()) for name in TEXTS),
        *((name, pa.int64()) for name in NUMBERS),
        ("rest", pa.map_(pa.string(), pa.string())),
        ("fields", pa.string()),
        ("raw", pa.binary()),
    ]
)

ROW_GROUP = 50_000
"""Rows held in memory while a segment is written or read."""

LEVEL = 9
"""Of zstd. Level 3 is hardly faster here: most of the time goes into the rows, not into their compression."""


REPEATED = ["stream", "type", "src_lang", "tgt_lang", "pool_id", "node_id", "session_id", "status", "fields"]


def table_of(stream: str, entries: list[Entry]) -> pa.Table:
    """Turn entries of one stream into rows."""
    size = len(entries)
    columns: dict[str, list[Any]] = {}
    rest: list[Any] = [None] * size
    raw: list[bytes | None] = [None] * size
    fields: list[str] = [""] * size
    for row, entry in enumerate(entries):
        names = _names(tuple(entry.flat[::2]))
        try:
            others = None if names is None else _spread(columns, row, size, names, entry.flat)
        except UnicodeDecodeError:
            names = None
        if names is None:
            raw[row] = msgspec.msgpack.encode(entry.flat)
            # an event with an odd field must stay visible to queries
            others = _spread(columns, row, size, *_as_read(entry))
        else:
            fields[row] = " ".join(names)
        rest[row] = others or None
    ids = [entry.id.split("-") for entry in entries]
    arrays: dict[str, Any] = {
        "stream": pa.array([stream] * size, pa.string()),
        "ms": pa.array([int(part[0]) for part in ids], pa.int64()),
        "seq": pa.array([int(part[1]) for part in ids], pa.int64()),
        "rest": pa.array(rest, SCHEMA.field("rest").type),
        "fields": pa.array(fields, pa.string()),
        "raw": pa.array(raw, pa.binary()),
    }
    for name in (*TEXTS, *NUMBERS):
        kind = SCHEMA.field(name).type
        arrays[name] = pa.array(columns[name], kind) if name in columns else pa.nulls(size, kind)
    return pa.table([arrays[name] for name in SCHEMA.names], schema=SCHEMA)


COLUMNS = frozenset((*TEXTS, *NUMBERS))


def _spread(
    columns: dict[str, list[Any]], row: int, size: int, names: tuple[str, ...], flat: list[bytes]
) -> list[tuple[str, str]]:
    """Put the values of a row into their columns; returns what has none."""
    others: list[tuple[str, str]] = []
    for name, value in zip(names, flat[1::2], strict=True):
        if name not in COLUMNS or (name in NUMBERS and not NUMBER.fullmatch(value)):
            others.append((name, value.decode()))
            continue
        column = columns.get(name)
        if column is None:
            column = columns[name] = [None] * size
        column[row] = int(value) if name in NUMBERS else value.decode()
    return others


def _as_read(entry: Entry) -> tuple[tuple[str, ...], list[bytes]]:
    """Return the names of an entry's fields, and the entry, as readers see it that do not need the exact bytes."""
    read = fields_of(entry)
    return tuple(read), [part.encode() for field in read.items() for part in field]


@lru_cache(maxsize=4096)
def _names(raw: tuple[bytes, ...]) -> tuple[str, ...] | None:
    """Return the names of an entry's fields, or ``None`` if a row cannot keep them in order and apart."""
    try:
        names = tuple(name.decode() for name in raw)
    except UnicodeDecodeError:
        return None
    plain = all(PLAIN.fullmatch(name) for name in names)
    return names if plain and len(set(names)) == len(names) else None


def entries_of(batch: pa.RecordBatch | pa.Table) -> Iterator[Entry]:
    """Give the entries back as they stood on their stream."""
    held = [name for name in SCHEMA.names if batch.column(name).null_count < len(batch)]
    columns = {name: batch.column(name).to_pylist() for name in held}
    rests, raws = columns.get("rest"), columns.get("raw")
    for row, (ms, seq, layout) in enumerate(zip(columns["ms"], columns["seq"], columns["fields"], strict=True)):
        if raws is not None and raws[row] is not None:
            yield Entry(f"{ms}-{seq}", msgspec.msgpack.decode(raws[row], type=list[bytes]))
            continue
        rest = dict(rests[row]) if rests is not None and rests[row] else {}
        flat: list[bytes] = []
        for name in layout.split(" "):
            column = columns.get(name) if name in COLUMNS else None
            value = column[row] if column is not None and column[row] is not None else rest[name]
            flat += (name.encode(), value.encode() if type(value) is str else b"%d" % value)
        yield Entry(f"{ms}-{seq}", flat)


@contextmanager
def writer(path: Path, metadata: dict[str, str]) -> Iterator[Callable[[pa.Table], None]]:
    """Open a segment for writing; yields a function that takes tables, each to become row groups of its own.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was written stays for the caller to drop.
    """
    schema = SCHEMA.with_metadata(metadata)
    with (
        path.open("wb") as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=REPEATED,
            column_encoding={"ms": "DELTA_BINARY_PACKED", "seq": "DELTA_BINARY_PACKED", "job_id": "DELTA_BYTE_ARRAY"},
            write_statistics=["stream", "ms", "type"],
        ) as parquet,
    ):
        yield lambda table: parquet.write_table(table.cast(schema), row_group_size=ROW_GROUP)


def write(path: Path, tables: Iterable[pa.Table], metadata: dict[str, str]) -> None:
    """Write a whole segment.

    Raises:
        OSError: see :func:`writer`.
    """
    with writer(path, metadata) as take:
        for table in tables:
            take(table)


def metadata_of(file: pq.ParquetFile) -> dict[str, str]:
    """Return what a segment says of itself."""
    return {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
