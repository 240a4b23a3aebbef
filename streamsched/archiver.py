"""The archiver: a process with a watermark of its own, which carries the log to disk and may trim what is there."""

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
from redis.exceptions import RedisError

from . import segment
from .archive import MANIFEST, Archive, Manifest, Segment, digest_of, encode_manifest, metadata, sync
from .connection import is_away, pause
from .entries import Entry, position, refusal
from .errors import PASSING, ArchiveDamaged, ArchiveLocked, LogFork, LogGap
from .events import FOLD_VERSION
from .fork import compare_end, copy, shared
from .history import LiveLog
from .keys import Keys
from .scripts import script

log = structlog.get_logger(__name__)

READ = 1000
"""Entries read at once."""

MAX_EVENTS = 100_000
"""Events of one segment, unless told otherwise: they are held in memory until they are written, a kilobyte each."""

MAX_BYTES = 64 * 2**20
"""Bytes of one segment's fields, before compression: however large the payloads are, memory stays flat."""

MAX_AGE_S = 60.0
"""How long an event may wait to be written, unless told otherwise."""

TRIM_BATCH = 1000
"""Entries that one call may trim."""

LAST_TRIES = 3
"""How often what is left is tried once the archiver is told to end: a connection may only have gone stale meanwhile."""

LETTERS_BATCH = 100
"""Dead letters that one call may trim: each may hold a megabyte."""

LETTERS_KEPT = 1000
"""The latest dead letters, which stay on the server: an operator looks there first."""


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


class Archiver:
    """Carries what is folded from a live log into an archive.

    Args:
        live: the log.
        writer: the archive.
        max_events: events of a segment, 100 000 by default.
        max_age_s: seconds after which a smaller one is written, 60 by default.
        trim: trim the log below what is archived, folded, and of no alive job; off by default.
        progress: told the events archived in this run, after each segment.
    """

    def __init__(
        self,
        live: LiveLog,
        writer: ArchiveWriter,
        max_events: int = MAX_EVENTS,
        max_age_s: float = MAX_AGE_S,
        trim: bool = False,
        progress: Callable[[int], None] = lambda archived: None,
    ) -> None:
        self.live, self.writer, self.trim, self.progress = live, writer, trim, progress
        self.max_events, self.max_age_s = max_events, max_age_s
        self.archived = 0
        """Events archived in this run."""
        self.trimmed = 0
        """Events trimmed off the log in this run."""
        self.letters_trimmed = 0
        """Dead letters trimmed off their stream in this run."""
        self.stopping = anyio.Event()
        self._entries: list[Entry] = []
        self._bytes = 0
        self._oldest = 0.0

    async def run(self) -> None:
        """Archive until :attr:`stopping` is set, and then what is left.

        What may pass is waited out: a server that is away, out of memory or rebuilding its state, and a full disk.

        Raises:
            LogFork: the log holds other entries than the archive.
            LogGap: entries were trimmed before they were archived.
        """
        attempt, stopping = 0, False
        while True:
            if self.stopping.is_set() and not stopping:
                stopping, attempt = True, 0  # what failed before it was told to end takes none of the last tries
            try:
                await self.once(flush=stopping)
                if stopping:
                    return
                attempt = 0
                with anyio.move_on_after(1):
                    await self.stopping.wait()
            except (*PASSING, RedisError, OSError) as problem:
                given_up = stopping and attempt >= LAST_TRIES
                if given_up or not (is_away(problem) or isinstance(problem, (OSError, *PASSING))):
                    raise
                log.error("not archived", problem=str(problem))
                await pause(attempt)
                attempt += 1

    async def once(self, flush: bool = True) -> None:
        """Archive what is folded by now; with ``flush`` (default) down to the last event.

        Raises:
            LogFork, LogGap: see :meth:`run`.
            OSError: the disk is full; nothing half done stays.
        """
        more = True
        while more:
            await self.check_fork()
            watermark, folded = await self.live.watermark()
            await self._read(watermark)
            more = self._full
            if more or flush or (self._entries and time.monotonic() - self._oldest >= self.max_age_s):
                more = not await self._write(watermark, folded) or more
        if self.trim:
            await self._trim()

    @property
    def _full(self) -> bool:
        return len(self._entries) >= self.max_events or self._bytes >= MAX_BYTES

    async def _read(self, watermark: str) -> None:
        """Read on until there is enough for a segment; what an attempt to write left behind is not added to."""
        behind = self._entries[-1].id if self._entries else self.writer.archive.last
        await self._check_gap(behind)
        if self._full:
            return
        async for chunk in self.live.chunks(behind, watermark, min(READ, self.max_events)):
            self._oldest = self._oldest if self._entries else time.monotonic()
            self._entries += chunk.entries
            self._bytes += sum(len(part) for entry in chunk.entries for part in entry.flat)
            if self._full:
                return

    async def _check_gap(self, behind: str) -> None:
        archive = self.writer.archive
        span, held = await self.live.span(), archive.before + archive.count + len(self._entries)
        if archive.segments and span.count and span.before > held:
            raise LogGap(
                f"the archive ends at {behind}, the log begins at {span.first}: {span.before - held} events between "
                "them were trimmed unarchived; begin a new archive in an empty folder"
            )

    async def _write(self, watermark: str, folded: int) -> bool:
        """Write what was read as one segment; returns false where it may be of two histories and must be read anew."""
        if not self._entries:
            return True
        archive = self.writer.archive
        held = archive.before + archive.count
        if self._entries[-1].id == watermark and archive.segments and held + len(self._entries) != folded:
            raise LogGap(
                f"{folded} events were folded up to {watermark}, {held + len(self._entries)} were found: entries "
                f"behind {archive.last} were deleted before they were archived"
            )
        before = held if archive.segments else (await self.live.span()).before
        letters, letters_last = await self._letters(archive.letters_last, watermark)
        if await self._replication_id() != archive.manifest.replication_id:
            return False
        entries = self._entries
        await anyio.to_thread.run_sync(self.writer.add, before, entries, letters, letters_last)
        self._entries, self._bytes = [], 0
        self.archived += len(entries)
        self.progress(self.archived)
        return True

    async def _letters(self, after: str, watermark: str) -> tuple[list[Entry], str]:
        """Read the dead letters behind ``after``, all that events up to the watermark can have. Those of a call that
        was torn behind it are not archived: a rebuild takes them back."""
        letters: list[Entry] = []
        async for some in self.live.letters(after):
            for letter in some:
                about = refusal(letter)
                if about and position(about[0]) > position(watermark):
                    return letters, letters[-1].id if letters else after
                letters.append(letter)
        return letters, letters[-1].id if letters else after

    async def check_fork(self) -> None:
        """Compare the archive's end with the log where the server is another one than last time.

        Raises:
            LogFork: they differ; the text names the first id at which they do.
        """
        replication_id = await self._replication_id()
        if self.writer.archive.manifest.replication_id == replication_id:
            return
        self._entries, self._bytes = [], 0  # read from another server, which may have had more than this one
        await compare_end(self.live, self.writer.archive)
        await anyio.to_thread.run_sync(self.writer.belongs_to, replication_id)

    async def _replication_id(self) -> str:
        return str((await self.live.redis.info("replication"))["master_replid"])

    async def _trim(self) -> None:
        """Trim log and dead letters up to the last segment whose bytes on disk are what the manifest says."""
        archive = self.writer.archive
        if not archive.segments:
            return
        await anyio.to_thread.run_sync(archive.checked, archive.segments[-1])
        where = f"{archive.folder.resolve()} on {socket.gethostname()}"
        more = 1
        while more:
            trimmed, more, _ = await script("trim_log")(
                self.live.redis,
                events=self.live.keys("events"),
                prefix=self.live.keys.prefix,
                batch=TRIM_BATCH,
                archived=archive.last,
                archive=where,
            )
            self.trimmed += trimmed
        more = 1
        while more:
            trimmed, more = await script("trim_dead_letters")(
                self.live.redis,
                events=self.live.keys("events"),
                dead=self.live.keys("dead"),
                prefix=self.live.keys.prefix,
                batch=LETTERS_BATCH,
                archived=archive.letters_last,
                keep=LETTERS_KEPT,
            )
            self.letters_trimmed += trimmed
