"""Writes segments and the manifest."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import anyio
import anyio.to_thread
import structlog

from ..contract.config import FOLD_VERSION
from ..contract.entries import Entry
from ..contract.errors import ArchiveDamaged, ArchiveLocked, LogFork
from ..contract.keys import Keys
from ..log.live import LiveLog
from . import segment
from .fork import copy, shared
from .manifest import MANIFEST, Manifest, Segment, digest_of, encode_manifest, metadata, sync
from .reader import Archive

log = structlog.get_logger(__name__)


class ArchiveWriter:
    """The one process that may write to an archive.

    Args:
        folder: where it lies, or is to lie.
        keys: the partition.

    Raises:
        ArchiveLocked: another archiver writes there.
        ArchiveDamaged: what lies there is damaged, or of another partition.
    """

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "another process"
            self._lock.close()
            raise ArchiveLocked(f"{folder} is written by {holder}: end that one, or give another folder") from None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._lock.flush()
        try:
            self.archive = self._open(keys)
        except BaseException:
            self._lock.close()
            raise
        self._sweep()

    def _open(self, keys: Keys) -> Archive:
        if (self.folder / MANIFEST).exists():
            return Archive.open(self.folder, keys)
        if found := sorted(self.folder.glob("*.parquet")):
            raise ArchiveDamaged(
                f"{self.folder / MANIFEST} is missing, but segments such as {found[0].name} are there: restore it "
                "from a copy, or give an empty folder"
            )
        return Archive(self.folder, Manifest(namespace=keys.namespace, partition=keys.partition, replication_id=""))

    def _sweep(self) -> None:
        """Drop what a killed archiver left half done: a segment counts only once the manifest lists it."""
        listed = {piece.name for piece in self.archive.segments}
        for path in [*self.folder.glob("*.part"), *self.folder.glob("*.parquet")]:
            if path.name not in listed:
                log.info("an unfinished segment is written anew", file=path.name)
                path.unlink()

    def add(self, before: int, entries: list[Entry], letters: list[Entry], letters_last: str) -> Segment:
        """Write a segment, to the platter, and then list it.

        Args:
            before: events of the log that came before.
            entries: the events, at least one.
            letters: dead letters read since the last segment.
            letters_last: id of the last dead letter read.

        Raises:
            OSError: the disk is full, or the folder cannot be written; nothing half done stays.
        """
        known = self.archive.segments
        first, last, previous = entries[0].id, entries[-1].id, known[-1].sha256 if known else ""
        name = f"{first}.parquet"
        said = metadata(self.archive.manifest, first, last, before, previous, FOLD_VERSION)
        part = self.folder / f"{name}.part"
        try:
            streams = ((segment.EVENTS, entries), (segment.LETTERS, letters))
            tables = (
                segment.table_of(stream, rows[n : n + segment.ROW_GROUP])
                for stream, rows in streams
                for n in range(0, len(rows), segment.ROW_GROUP)
            )
            segment.write(part, tables, said)
            sync(part)
            piece = Segment(
                name=name,
                first=first,
                last=last,
                before=before,
                events=len(entries),
                letters=len(letters),
                letters_last=letters_last,
                bytes=part.stat().st_size,
                sha256=digest_of(part),
                previous=previous,
                fold_version=FOLD_VERSION,
                created_ts=int(time.time() * 1000),
            )
            part.rename(self.folder / name)
            sync(self.folder)
            self._list([*known, piece])
        except BaseException:
            part.unlink(missing_ok=True)
            if self.archive.last != last:
                (self.folder / name).unlink(missing_ok=True)
            raise
        return piece

    async def go_on_from(self, live: LiveLog, other: Archive, progress: Callable[[int], None]) -> None:
        """Begin with what another archive and the log have in common; whoever is killed in it leaves an empty archive.

        Raises:
            LogFork: they have nothing in common.
            ArchiveDamaged: a segment is not what its manifest says, or this archive has begun already.
        """
        if self.archive.segments:
            raise ArchiveDamaged(f"{self.folder} holds an archive already: give an empty folder, or leave --from out")
        pieces = await shared(live, other)
        if not pieces:
            raise LogFork(f"nothing of the archive in {other.folder} is of this log: leave --from out")
        self._list([])
        await anyio.to_thread.run_sync(copy, other, pieces, self.folder, progress)
        self._list(pieces)

    def belongs_to(self, replication_id: str) -> None:
        """Remember the server that the log was compared with."""
        if self.archive.manifest.replication_id != replication_id:
            self.archive.manifest.replication_id = replication_id
            self._list(self.archive.segments)

    def _list(self, segments: list[Segment]) -> None:
        manifest = self.archive.manifest
        renewed = Manifest(
            namespace=manifest.namespace,
            partition=manifest.partition,
            replication_id=manifest.replication_id,
            segments=segments,
        )
        part = self.folder / f"{MANIFEST}.part"
        try:
            part.write_bytes(encode_manifest(renewed))
            sync(part)
            part.rename(self.folder / MANIFEST)
            sync(self.folder)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self.archive.manifest = renewed

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()
