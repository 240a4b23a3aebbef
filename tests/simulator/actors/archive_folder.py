"""The folder of an archive, in memory: the program's own archiver writes to it and its own readers read from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any
from unittest import mock

import anyio

from streamsched.archive import archiver, fork, reader, writer
from streamsched.archive.manifest import Manifest, Segment
from streamsched.archive.reader import Archive
from streamsched.archive.snapshot import Row
from streamsched.archive.writer import ArchiveWriter
from streamsched.contract.config import FOLD_VERSION
from streamsched.contract.entries import Chunk, Entry, position
from streamsched.contract.keys import Keys
from streamsched.replay import letters, restore, snapshot

PAGE = 7
"""Keys of a snapshot that one command loads."""


class Folder:
    """What lies in the folder. A disk's own faults are shown with real processes; here each write is whole."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.files: dict[str, File] = {}
        self.listed: list[Segment] = []
        """What the manifest lists."""
        self.replication_id = ""
        self.snapshots: dict[str, tuple[list[Row], int]] = {}
        """The state as of an event, and how many were folded."""

    def glob(self, pattern: str) -> list[PurePosixPath]:
        return [PurePosixPath(name) for name in self.files] if pattern == "*.parquet" else []

    def __truediv__(self, name: str) -> PurePosixPath:
        return PurePosixPath(name)

    def resolve(self) -> PurePosixPath:
        return PurePosixPath("/memory")

    def open(self) -> Archive:
        """What a reader finds."""
        listed = Manifest(
            namespace=self.keys.namespace,
            partition=self.keys.partition,
            replication_id=self.replication_id,
            segments=list(self.listed),
        )
        return MemoryArchive(self, listed)

    def manifest_of_yesterday(self, segments: int) -> None:
        """An older copy of the manifest is put back: the last segments are not listed any more."""
        self.listed = self.listed[: max(len(self.listed) - segments, 0)]

    def snapshot_up_to(self, until: str) -> str | None:
        """The latest snapshot at or before an event."""
        found = [watermark for watermark in self.snapshots if position(watermark) <= position(until)]
        return max(found, key=position, default=None)


class File:
    """A segment."""

    def __init__(self, piece: Segment, entries: list[Entry], letters: list[Entry]) -> None:
        self.piece, self.entries, self.letters = piece, entries, letters


class MemoryArchive(Archive):
    """An archive whose segments are read from memory."""

    folder: Any

    def __init__(self, folder: Any, manifest: Manifest) -> None:
        super().__init__(folder, manifest)

    def checked(self, piece: Segment) -> Any:
        return self.folder.files[piece.name]

    def stated(self, path: Any) -> Segment | None:
        piece: Segment = self.folder.files[path.name].piece
        return piece

    def is_readable(self, path: Any) -> bool:
        return True


class MemoryWriter(ArchiveWriter):
    """An archiver's writer: it lists again what the manifest lacks, as on a disk."""

    folder: Any

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.archive = folder.open()
        self._sweep()

    def add(self, before: int, entries: list[Entry], letters: list[Entry], letters_last: str) -> Segment:
        known = self.archive.segments
        piece = Segment(
            name=f"{entries[0].id}.parquet",
            first=entries[0].id,
            last=entries[-1].id,
            before=before,
            events=len(entries),
            letters=len(letters),
            letters_last=letters_last,
            bytes=0,
            sha256=f"{len(known)} {entries[0].id} {entries[-1].id}",
            previous=known[-1].sha256 if known else "",
            fold_version=FOLD_VERSION,
            created_ts=0,
            own_letters=True,
        )
        if piece.name in self.folder.files:
            raise AssertionError(f"{piece.name} is written over")
        self.folder.files[piece.name] = File(piece, entries, letters)
        self._write_manifest([*known, piece])
        return piece

    def still_ours(self) -> None:
        """There is one archiver at a time."""

    def verify_end(self) -> None:
        """Memory does not rot."""

    def _write_manifest(self, segments: list[Segment]) -> None:
        self.folder.listed, self.folder.replication_id = list(segments), self.archive.manifest.replication_id
        self.archive = self.folder.open()


def letters_of(file: File) -> Iterator[Entry]:
    yield from file.letters


def events_of(
    file: File, after: tuple[int, int], end: tuple[int, int], count: int, buried: dict[str, str]
) -> Iterator[Chunk]:
    entries = [entry for entry in file.entries if after < position(entry.id) <= end]
    for start in range(0, len(entries), count):
        some = entries[start : start + count]
        yield Chunk(some, {entry.id: buried.pop(entry.id) for entry in some if entry.id in buried})


async def load(redis: Any, keys: Keys, path: tuple[Folder, str]) -> Any:
    """Put a snapshot in place, the partition's own hash last."""
    folder, watermark = path
    rows, folded = folder.snapshots[watermark]
    others, numbers = [row for row in rows if row.name != "meta"], itertools.count()
    for start in range(0, len(others), PAGE):
        await snapshot._put(redis, keys, others[start : start + PAGE], numbers)
    await snapshot._put(redis, keys, [row for row in rows if row.name == "meta"], numbers)
    return SimpleNamespace(watermark=watermark, folded=folded)


def nearest(folder: Folder, until: str) -> tuple[Folder, str] | None:
    watermark = folder.snapshot_up_to(until)
    return None if watermark is None else (folder, watermark)


async def at_once(work: Any, *args: Any) -> Any:
    """A thread is not needed here."""
    return work(*args)


@contextmanager
def in_memory() -> Iterator[None]:
    """Run the program's archiver and restore without threads and without a disk."""
    silent = SimpleNamespace(**dict.fromkeys(("info", "warning", "error"), lambda *args, **about: None))
    no_threads = SimpleNamespace(to_thread=SimpleNamespace(run_sync=at_once), Event=anyio.Event)
    with ExitStack() as stack:
        for module in (archiver, fork, letters, restore):
            stack.enter_context(mock.patch.object(module, "anyio", no_threads))
        for module in (archiver, writer):
            stack.enter_context(mock.patch.object(module, "log", silent))
        stack.enter_context(mock.patch.multiple(reader, _letters=letters_of, _events=events_of))
        stack.enter_context(mock.patch.multiple(restore, nearest=nearest, load=load, CHUNK=5))
        yield
