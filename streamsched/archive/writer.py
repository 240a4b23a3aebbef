"""Writes segments and the manifest."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import anyio.to_thread
import msgspec
import structlog

from ..contract.config import FOLD_VERSION
from ..contract.entries import Entry
from ..contract.errors import ArchiveDamaged, ArchiveLocked, LogFork
from ..contract.keys import Keys
from ..file_lock import NotOnThisPlatform, lock_file
from ..log.live import LiveLog
from . import segment
from .copies import copy_segments
from .fork import shared
from .manifest import MANIFEST, Manifest, Segment, digest_of, encode_manifest, metadata, part_of, sync
from .reader import Archive

log = structlog.get_logger(__name__)

SHARED = "end one of the two; they do not see each other's lock, as on a share without flock"
"""What to do about two archivers of one folder."""


class ArchiveWriter:
    """The one process that may write to an archive.

    Args:
        folder: where it lies, or is to lie.
        keys: the partition.

    Raises:
        ArchiveLocked: another archiver writes there.
        ArchiveDamaged: what lies there is damaged, or of another partition.
        NotOnThisPlatform: there are no file locks, as on Windows.
    """

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder = folder
        self._on_disk: bytes | None = None  # the manifest as this archiver last read or wrote it
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("a+")
        try:
            lock_file(self._lock)
        except NotOnThisPlatform:
            self._lock.close()
            raise
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "another process"
            self._lock.close()
            raise ArchiveLocked(f"{folder} is written by {holder}: stop it, or give another folder") from None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._lock.flush()
        try:
            self.archive = self._open(keys)
            self._sweep()
        except BaseException:
            self._lock.close()
            raise

    def _open(self, keys: Keys) -> Archive:
        if (self.folder / MANIFEST).exists():
            archive = Archive.open(self.folder, keys)
        else:
            empty = Manifest(namespace=keys.namespace, partition=keys.partition, replication_id="")
            archive = Archive(self.folder, empty)
        self._on_disk = self._read_manifest()
        return archive

    def _sweep(self) -> None:
        """List again the segments that the manifest lacks, and drop what a killed archiver left half done.

        A segment is complete once it has its name. The manifest may lack some: an archiver was killed before it listed
        one, or an older copy of the manifest was put back. Such a segment is never dropped.

        Raises:
            ArchiveDamaged: a segment does not follow on the last one that is listed.
        """
        for path in self.folder.glob("*.part"):
            log.info("an unfinished file is dropped", file=path.name)
            path.unlink()
        known = list(self.archive.segments)
        unlisted = {path.name: path for path in self.folder.glob("*.parquet")}
        for piece in known:
            unlisted.pop(piece.name, None)
        for name, path in list(unlisted.items()):
            if not self.archive.is_readable(path):
                log.error("a segment that no manifest lists cannot be read: it is set aside", file=name)
                path.rename(path.with_suffix(".damaged"))
                del unlisted[name]
        while (found := self._following(known, unlisted)) is not None:
            log.warning("a segment that the manifest lacks is listed again", segment=found.name)
            known.append(found)
            del unlisted[found.name]
        if unlisted:
            last = known[-1].name if known else "the beginning of the log"
            raise ArchiveDamaged(
                f"{self.folder} holds {min(unlisted)}, which its manifest does not list and which does not follow on "
                f"{last}: restore the manifest from a copy, or move that segment away if it is of another archive"
            )
        if len(known) > len(self.archive.segments):
            self.archive.manifest.replication_id = ""  # the log may lack them: compare it again
            self._write_manifest(known)

    def _following(self, known: list[Segment], unlisted: dict[str, Path]) -> Segment | None:
        """Return the unlisted segment that follows on the last known one."""
        previous = known[-1].sha256 if known else ""
        for path in sorted(unlisted.values()):
            piece = self.archive.stated(path)
            if piece is not None and piece.previous == previous:
                follows = not known or piece.before == known[-1].before + known[-1].events
                return piece if follows else None
        return None

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
        name = f"{entries[0].id}.parquet"
        piece = Segment(
            name=name,
            first=entries[0].id,
            last=entries[-1].id,
            before=before,
            events=len(entries),
            letters=len(letters),
            letters_last=letters_last,
            bytes=0,
            sha256="",
            previous=known[-1].sha256 if known else "",
            fold_version=FOLD_VERSION,
            created_ts=int(time.time() * 1000),
            own_letters=True,
        )
        with part_of(self.folder / name) as part:
            streams = ((segment.EVENTS, entries), (segment.LETTERS, letters))
            tables = (
                segment.table_of(stream, rows[n : n + segment.ROW_GROUP])
                for stream, rows in streams
                for n in range(0, len(rows), segment.ROW_GROUP)
            )
            segment.write(part, tables, metadata(self.archive.manifest, piece))
            sync(part)
            piece = msgspec.structs.replace(piece, bytes=part.stat().st_size, sha256=digest_of(part))
            self.still_ours()
            self._name(part, self.folder / name)
            sync(self.folder)
            self._write_manifest([*known, piece])
        return piece

    def _name(self, part: Path, path: Path) -> None:
        """Give a complete segment its name, unless another archiver has written one of that name.

        Raises:
            ArchiveLocked: another archiver has.
        """
        try:
            os.link(part, path)
        except FileExistsError:
            raise ArchiveLocked(f"another archiver wrote {path}: {SHARED}") from None
        except OSError:  # a file system without links
            if path.exists():
                raise ArchiveLocked(f"another archiver wrote {path}: {SHARED}") from None
            part.rename(path)
        part.unlink(missing_ok=True)

    def _read_manifest(self) -> bytes | None:
        path = self.folder / MANIFEST
        return path.read_bytes() if path.exists() else None

    def still_ours(self) -> None:
        """Check that no other archiver has written the manifest since: not every shared disk shows the lock.

        Raises:
            ArchiveLocked: another archiver has.
        """
        if self._read_manifest() != self._on_disk:
            raise ArchiveLocked(f"another archiver wrote {self.folder / MANIFEST}: {SHARED}")

    def verify_end(self) -> None:
        """Make sure that the disk holds the archive as this archiver knows it, before anything is trimmed for it.

        Raises:
            ArchiveLocked: another archiver wrote here.
            ArchiveDamaged: the last segment is not what the manifest says.
        """
        self.still_ours()
        self.archive.checked(self.archive.segments[-1])

    async def go_on_from(self, live: LiveLog, other: Archive, progress: Callable[[int], None]) -> None:
        """Start with the events that another archive and the log have in common; if it is killed, the archive is empty.

        Raises:
            LogFork: they have nothing in common.
            ArchiveDamaged: a segment is not what its manifest says, or this archive has begun already.
        """
        if self.archive.segments:
            raise ArchiveDamaged(f"{self.folder} holds an archive already: give an empty folder, or leave --from out")
        pieces = await shared(live, other)
        if not pieces:
            raise LogFork(f"nothing of the archive in {other.folder} is of this log: leave --from out")
        self._write_manifest([])
        await anyio.to_thread.run_sync(copy_segments, other, pieces, self.folder, progress)
        self._write_manifest(pieces)

    def belongs_to(self, replication_id: str) -> None:
        """Remember the server that the log was compared with."""
        if self.archive.manifest.replication_id != replication_id:
            self.archive.manifest.replication_id = replication_id
            self._write_manifest(self.archive.segments)

    def _write_manifest(self, segments: list[Segment]) -> None:
        manifest = self.archive.manifest
        renewed = Manifest(
            namespace=manifest.namespace,
            partition=manifest.partition,
            replication_id=manifest.replication_id,
            segments=segments,
        )
        encoded = encode_manifest(renewed)
        with part_of(self.folder / MANIFEST) as part:
            part.write_bytes(encoded)
            sync(part)
            self.still_ours()
            part.rename(self.folder / MANIFEST)
            self._on_disk = encoded
            sync(self.folder)
        self.archive.manifest = renewed

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()
