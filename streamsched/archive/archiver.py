"""The archiver: a process with its own watermark that copies the log to disk and may trim the log."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
import structlog
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError

from ..connect.about import info_of
from ..connect.client import connections_made
from ..connect.outage import Backoff, is_away
from ..contract.entries import Entry, position, refusal
from ..contract.errors import LogGap, LogWiped, PartitionRebuilding, SchedulerError, passes
from ..engine.script import script
from ..log.live import LiveLog
from .fork import compare_end
from .writer import ArchiveWriter

log = structlog.get_logger(__name__)

READ = 1000
"""Entries read at once."""

MAX_EVENTS = 100_000
"""Events of one segment by default: they are held in memory until they are written, a kilobyte each."""

MAX_BYTES = 16 * 2**20
"""Bytes of one segment's fields, before compression: however large the payloads are, memory stays flat."""

MAX_AGE_S = 60.0
"""How long an event may wait to be written, by default."""

TRIM_BATCH = 1000
"""Entries that one call may trim."""

LAST_TRIES = 3
"""Last attempts to archive the rest after a stop: a connection may only have gone stale meanwhile."""

LETTERS_BATCH = 100
"""Dead letters that one call may trim: each may hold a megabyte."""

LETTERS_KEPT = 1000
"""The latest dead letters, which stay on the server: an operator looks there first."""


class Archiver:
    """Copies folded events from a live log into an archive.

    Args:
        live: the log.
        writer: the archive.
        max_events: events of a segment, 100 000 by default.
        max_age_s: seconds after which a smaller one is written, 60 by default.
        trim: trim archived and folded events off the log, up to the first of a live job; off by default.
        progress: called with the number of events archived in this run, after each segment.
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
        self.stopped_at = ""
        """The job that has not ended and at whose submission trimming stopped; empty if there is none."""
        self.stopping = anyio.Event()
        self._token, self._trims = secrets.token_hex(8), False  # once it has trimmed, an earlier one may not
        self._announced = False
        self._log = "0-0"  # where the entries that wait to be written were read
        self._entries: list[Entry] = []
        self._bytes = 0
        self._oldest = 0.0

    async def run(self) -> None:
        """Archive until :attr:`stopping` is set, and then what is left.

        It waits out a server that is away, out of memory or rebuilding its state, a full disk, and a log that was wiped
        until an operator has restored it. Once it has archived, it waits out every other error of the server as well:
        a rotated password, or a right that is taken away, comes back.

        Raises:
            LogFork: the log holds other entries than the archive.
            LogGap: entries were trimmed before they were archived.
        """
        backoff, stopping, archives = Backoff(), False, False
        while True:
            if self.stopping.is_set() and not stopping:
                stopping = True
                backoff.reset()  # failures before the stop do not count against the last attempts
            try:
                await self.once(flush=stopping)
                if stopping:
                    return
                archives = True
                backoff.reset()
                with anyio.move_on_after(1):
                    await self.stopping.wait()
            except (SchedulerError, RedisError, OSError) as problem:
                given_up = stopping and backoff.failures >= LAST_TRIES
                waits = is_away(problem) or isinstance(problem, OSError | LogWiped) or passes(problem)
                if given_up or not (waits or (archives and isinstance(problem, RedisError))):
                    raise
                log.error("not archived", problem=str(problem))
                await backoff.wait()

    async def once(self, flush: bool = True) -> None:
        """Archive what is folded by now; with ``flush`` (default) down to the last event.

        Raises:
            LogFork, LogGap: see :meth:`run`.
            LogWiped: the server has lost the log of this archive.
            ArchiveLocked: another archiver that trims has taken over since.
            OSError: the disk is full; nothing half done stays.
        """
        more = True
        while more:
            await anyio.to_thread.run_sync(self.writer.still_ours)
            log = await self.live.check_wiped(self.writer.archive.log)
            if log != self._log:
                self._log, self._entries, self._bytes = log, [], 0
            await self._check_restored()
            await self.check_fork()
            watermark, folded = await self.live.watermark()
            await self._read(watermark)
            more = self._full
            if more or flush or (self._entries and time.monotonic() - self._oldest >= self.max_age_s):
                more = not await self._write(watermark, folded) or more
            if self.writer.archive.segments and not self._announced:
                await self._announce()
        if self.trim:
            await self._trim()

    async def _check_restored(self) -> None:
        """Wait while an archive is put back: until the log continues behind it, the two do not fit together."""
        if await self.live.redis.hget(self.live.keys("meta"), "rebuild_from"):
            raise PartitionRebuilding("the state is being rebuilt from an archive: archiving goes on when it is whole")

    @property
    def _where(self) -> str:
        return f"{self.writer.archive.folder.resolve()} on {socket.gethostname()}"

    async def _announce(self) -> None:
        """Note where the archive is: if the server loses the log, the fleet waits until it is restored from there."""
        try:
            await self.live.redis.hset(self.live.keys("meta"), "archive", self._where)
        except OutOfMemoryError:
            return  # the next round tries again, after it has trimmed
        except (ReadOnlyError, NoPermissionError) as problem:
            log.info("the archive is not announced", problem=str(problem))
        self._announced = True

    @property
    def _full(self) -> bool:
        return len(self._entries) >= self.max_events or self._bytes >= MAX_BYTES

    async def _read(self, watermark: str) -> None:
        """Read on until there is enough for a segment; what an attempt to write left behind is not added to."""
        if self._entries and not await self.live.holds(self._entries[0].id):
            self._entries, self._bytes = [], 0  # read before a flush; the log that was restored since lacks them
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
                "them were trimmed unarchived; start a new archive in an empty folder"
            )

    async def _write(self, watermark: str, folded: int) -> bool:
        """Write what was read as one segment; returns false if events and letters may come from two histories, and must
        be read again."""
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
        letters, letters_last = await self._letters(archive.letters_last, self._entries[-1].id)
        if await self._replication_id() != archive.manifest.replication_id:
            return False
        if await self.live.check_wiped(archive.log) != self._log:
            return False  # flushed since: the letters of these events are lost, and refused ones would pass for true
        entries = self._entries
        await anyio.to_thread.run_sync(self.writer.add, before, entries, letters, letters_last)
        self._entries, self._bytes = [], 0
        self.archived += len(entries)
        self.progress(self.archived)
        return True

    async def _letters(self, after: str, until: str) -> tuple[list[Entry], str]:
        """Read the dead letters behind ``after`` about events up to ``until``, the end of the segment.

        Letters have the order of their events. Those of later events belong to later segments: a reader that begins
        in the middle of the archive looks for the letters of an event in the event's own segment.
        """
        letters: list[Entry] = []
        async for some in self.live.letters(after):
            for letter in some:
                about = refusal(letter)
                if about and position(about[0]) > position(until):
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
        about = await info_of(self.live.redis, "replication")
        if about is None:  # each connection may lead to another server
            return f"unknown {self._token} {connections_made(self.live.redis)}"
        return str(about["master_replid"])

    async def _trim(self) -> None:
        """Trim log and dead letters up to the last segment whose bytes on disk are what the manifest says."""
        archive = self.writer.archive
        if not archive.segments:
            return
        await anyio.to_thread.run_sync(self.writer.verify_end)
        more, stopped_at = 1, self.stopped_at
        while more:
            trimmed, more, stopped = await script("trim_log")(
                self.live.redis,
                events=self.live.keys("events"),
                prefix=self.live.keys.prefix,
                batch=TRIM_BATCH,
                archived=archive.last,
                archive=self._where,
                archiver=self._token,
                takes_over=int(not self._trims),
            )
            self._trims = True
            self.trimmed += trimmed
            self.stopped_at = stopped.decode()
        if self.stopped_at != stopped_at and self.stopped_at:
            log.info("a job that has not ended keeps the log", job_id=self.stopped_at)
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
                archiver=self._token,
            )
            self.letters_trimmed += trimmed
