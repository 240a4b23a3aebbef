"""Readers of published traces in their original files, gzipped or not: arrivals, language pairs, spot-machine churn.

A file is read line by line; what does not fit raises :class:`TraceError` with the file, the line and the remedy.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

MS_PER_TOKEN = 30
"""How long a job works for each token it puts out, in ms. Our assumption: no trace states a processing time."""

MOONCAKE_STEP_MS = 3000
"""Mooncake rounds its timestamps to steps of about this length; used behind its last one."""

AZURE_HEADER = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]

Whole = Annotated[int, msgspec.Meta(ge=0)]


class TraceError(ValueError):
    """A trace file cannot be read; the text is ``file:line: what is wrong: remedy``."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a session."""

    at_ms: float
    """ms since the start of the trace."""
    session_id: str
    tokens_in: int
    tokens_out: int

    @property
    def work_ms(self) -> int:
        """How long its job works, in ms: :data:`MS_PER_TOKEN` for each token put out, at least one."""
        return max(1, self.tokens_out) * MS_PER_TOKEN


class Pair(msgspec.Struct, frozen=True):
    """Two languages, in no direction, and how much they are asked for."""

    source: str
    target: str
    weight: float
    """Any unit; only the proportions count."""


class PairCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The language pairs of a corpus, the most frequent first."""

    pairs: list[Pair]
    uncounted: int
    """Rows without a count, which were left out."""


class Churn(msgspec.Struct, frozen=True, kw_only=True):
    """A machine comes or goes."""

    at_ms: int
    """ms since the start of the trace."""
    change: Literal["add", "remove"]
    name: str


class MooncakeRow(msgspec.Struct, frozen=True):
    """One line of Mooncake's conversation trace."""

    timestamp: Whole
    input_length: Whole
    output_length: Whole
    hash_ids: list[Whole]


def read_arrivals(path: Path) -> Iterator[Arrival]:
    """Yield the requests of a Mooncake trace (JSON lines) or an Azure LLM inference trace 2023 (CSV), in order.

    Raises:
        TraceError: it is neither, or a line is malformed or goes back in time.
    """
    _, first = next(_lines(path), (1, ""))
    if first.startswith("{"):
        return read_mooncake(path)
    if first.split(",")[0] == AZURE_HEADER[0]:
        return read_azure(path)
    raise TraceError(
        path, 1, "is neither a Mooncake trace (JSON lines) nor an Azure one (CSV with TIMESTAMP): give either"
    )


def read_mooncake(path: Path) -> Iterator[Arrival]:
    """Yield the requests of a Mooncake FAST'25 trace.

    The trace names no session. Every prompt begins with the same 512-token block, so the second entry of ``hash_ids``
    is taken as the session (our rule); a prompt of one block is a session of its own. Requests that share a timestamp,
    about ten of them, are spread evenly over the time to the next one.

    Raises:
        TraceError: a line is no JSON object of the four fields, or goes back in time.
    """
    together: list[tuple[int, MooncakeRow]] = []
    for number, line in _lines(path):
        try:
            row = msgspec.json.decode(line, type=MooncakeRow)
        except msgspec.DecodeError as problem:
            raise TraceError(
                path, number, f"{problem}: give timestamp, input_length, output_length and hash_ids as JSON"
            ) from problem
        if together and row.timestamp != together[0][1].timestamp:
            if row.timestamp < together[0][1].timestamp:
                raise TraceError(
                    path, number, f"timestamp {row.timestamp} goes back in time: sort the file by timestamp"
                )
            yield from _spread(together, row.timestamp)
            together = []
        together.append((number, row))
    if together:
        yield from _spread(together, together[0][1].timestamp + MOONCAKE_STEP_MS)


def _spread(together: list[tuple[int, MooncakeRow]], until_ms: int) -> Iterator[Arrival]:
    """Place requests that share a timestamp evenly in the time until the next one."""
    for place, (number, row) in enumerate(together):
        yield Arrival(
            at_ms=row.timestamp + (until_ms - row.timestamp) * place / len(together),
            session_id=f"block{row.hash_ids[1]}" if len(row.hash_ids) > 1 else f"line{number}",
            tokens_in=row.input_length,
            tokens_out=row.output_length,
        )


def read_azure(path: Path) -> Iterator[Arrival]:
    """Yield the requests of an Azure LLM inference trace 2023, timed from its first row.

    The trace names neither users nor sessions, so each request is a session of its own (our rule).

    Raises:
        TraceError: the header or a row is malformed, or a row goes back in time.
    """
    start: datetime | None = None
    last_ms = 0.0
    rows = _rows(path)
    number, header = next(rows, (1, []))
    if header != AZURE_HEADER:
        raise TraceError(path, number, f"the header is {','.join(header)!r}: give {','.join(AZURE_HEADER)}")
    for number, row in rows:
        if len(row) != len(AZURE_HEADER):
            raise TraceError(path, number, f"has {len(row)} columns: give {','.join(AZURE_HEADER)}")
        try:
            at = datetime.fromisoformat(row[0][:26])  # Python knows microseconds; the seventh decimal is cut
            tokens_in, tokens_out = int(row[1]), int(row[2])
        except ValueError as problem:
            raise TraceError(
                path, number, f"{problem}: give a time such as 2023-11-16 18:17:03.9799600,4808,10"
            ) from problem
        start = start or at
        at_ms = (at - start).total_seconds() * 1000
        if at_ms < last_ms:
            raise TraceError(path, number, f"TIMESTAMP {row[0]} goes back in time: sort the rows by TIMESTAMP")
        last_ms = at_ms
        yield Arrival(at_ms=at_ms, session_id=f"row{number}", tokens_in=tokens_in, tokens_out=tokens_out)


def read_pairs(path: Path) -> PairCounts:
    """Read the language pairs of an OPUS corpus (CSV with ``source``, ``target`` and ``alignment_pairs``).

    A pair has no direction. Codes are written with hyphens, as the scheduler wants them (``zh_tw`` becomes ``zh-tw``).

    Raises:
        TraceError: a column is missing, a count is no number, or no pair has one.
    """
    weights: dict[tuple[str, str], int] = {}
    uncounted = 0
    rows = _rows(path)
    number, header = next(rows, (1, []))
    wanted = ("source", "target", "alignment_pairs")
    if missing := [name for name in wanted if name not in header]:
        raise TraceError(path, number, f"the header lacks {', '.join(missing)}: give the columns {', '.join(wanted)}")
    columns = [header.index(name) for name in wanted]
    for number, row in rows:
        if len(row) <= max(columns):
            raise TraceError(path, number, f"has {len(row)} columns: give as many as the header")
        source, target, count = (row[column] for column in columns)
        if not count:
            uncounted += 1
            continue
        if not count.isdecimal():
            raise TraceError(path, number, f"alignment_pairs is {count!r}: give a whole number, or nothing")
        one, two = sorted(code.replace("_", "-") for code in (source, target))
        if not one or one == two:
            raise TraceError(path, number, f"{source!r} and {target!r} are no pair: give two different language codes")
        weights[one, two] = weights.get((one, two), 0) + int(count)
    if not any(weights.values()):
        raise TraceError(path, None, "no pair has a count: give the whole file")
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return PairCounts(pairs=[Pair(*codes, weight=count) for codes, count in ranked if count], uncounted=uncounted)


def read_churn(path: Path) -> list[Churn]:
    """Read the coming and going of spot machines from a Bamboo trace, in either of its formats, in order of time.

    ``*-trace.csv`` holds ``ms,add|remove,name``; a GCP ``*.txt`` holds ``date, time, count`` of running machines.

    Raises:
        TraceError: a line is malformed, goes back in time, or removes a machine that is not there.
    """
    rows = list(_rows(path))
    if not rows:
        raise TraceError(path, None, "is empty: give lines of ms,add|remove,name or of date, time, count")
    counted = rows[0][1][0].count("-") == 2
    return list(_counted_churn(path, rows) if counted else _named_churn(path, rows))


def _named_churn(path: Path, rows: list[tuple[int, list[str]]]) -> Iterator[Churn]:
    running: set[str] = set()
    last_ms = 0
    for number, row in rows:
        try:
            churn = msgspec.convert(dict(zip(("at_ms", "change", "name"), row, strict=True)), Churn, strict=False)
        except (ValueError, msgspec.ValidationError) as problem:
            raise TraceError(path, number, f"{problem}: give ms,add|remove,name such as 60000,add,node7") from problem
        if churn.at_ms < last_ms:
            raise TraceError(path, number, f"{churn.at_ms} goes back in time: sort the lines by their first column")
        if (churn.change == "remove") != (churn.name in running):
            state = "is already there" if churn.name in running else "is not there"
            raise TraceError(path, number, f"{churn.change} {churn.name}, which {state}: each remove follows its add")
        running ^= {churn.name}
        last_ms = churn.at_ms
        yield churn


def _counted_churn(path: Path, rows: list[tuple[int, list[str]]]) -> Iterator[Churn]:
    """Turn counts into machines that come and go.

    The files log each count three times, 60 s apart, and the next count may begin before the last echo of the one
    before; sorted by time alone, the count would flap. So a change is a line whose count differs from the line before
    it in the file, and only the changes are sorted. The machines have no names; the longest-running one goes first
    (our rule).
    """
    changes: list[tuple[datetime, int]] = []
    previous = 0
    for number, row in rows:
        try:
            day, clock, text = row
            at, count = datetime.fromisoformat(f"{day} {clock}"), int(text)
            if count < 0:
                raise ValueError(f"count is {count}")
        except ValueError as problem:
            raise TraceError(
                path, number, f"{problem}: give date, time, count such as 2021-12-10, 13:07:45, 80"
            ) from problem
        if count != previous:
            changes.append((at, count))
        previous = count
    changes.sort(key=lambda change: change[0])
    running: list[str] = []
    started = 0
    for at, count in changes:
        at_ms = round((at - changes[0][0]).total_seconds() * 1000)
        while len(running) < count:
            started += 1
            running.append(f"spot{started}")
            yield Churn(at_ms=at_ms, change="add", name=running[-1])
        while len(running) > count:
            yield Churn(at_ms=at_ms, change="remove", name=running.pop(0))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that hold anything, with their line numbers."""
    for number, line in _lines(path):
        try:
            yield number, [cell.strip() for cell in next(csv.reader([line]))]
        except csv.Error as problem:
            raise TraceError(path, number, f"{problem}: give comma-separated values") from problem


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that hold anything, with their numbers; a gzipped file is known by its first bytes."""
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            text: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, line in enumerate(text, 1):
                if stripped := line.decode().strip():
                    yield number, stripped
    except UnicodeDecodeError as problem:
        raise TraceError(
            path, number, f"is not UTF-8 ({problem.reason}): give the file as it was published"
        ) from problem
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise TraceError(path, number + 1, f"the gzip data is damaged ({problem}): fetch the file again") from problem
    except OSError as problem:
        raise TraceError(path, None, f"cannot be read: {problem.strerror or problem}") from problem
