"""The archive of a log as it lies on disk: a manifest, and the segments it lists, each chained to the one before.

Every segment is checked before it is read: one whose SHA-256 differs from the manifest yields no entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import structlog

from ..contract.entries import Chunk, Entry, before, position, refusal
from ..contract.errors import ArchiveDamaged
from ..contract.keys import Keys
from . import segment
from .manifest import MANIFEST, MEND, Manifest, Segment, as_stated, digest_of, metadata

log = structlog.get_logger(__name__)


class Archive:
    """An archive, for reading.

    Args:
        folder: where it lies.
        manifest: what it lists.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @classmethod
    def open(cls, folder: Path, keys: Keys | None = None, complete: bool = True) -> Archive:
        """Read the manifest and see whether all that it lists is there; the segments themselves are read later.

        Args:
            folder: where the archive lies.
            keys: the partition it must be of; ``None`` (default) takes any.
            complete: refuse an archive of which a part is missing (default); a check wants to name all of them.

        Raises:
            ArchiveDamaged: there is no archive, a part is missing or cut, or it is of another partition.
        """
        path = folder / MANIFEST
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise ArchiveDamaged(f"{path} is missing: give the folder of `streamsched archive --to DIR`") from None
        except (msgspec.DecodeError, OSError) as problem:
            raise ArchiveDamaged(f"{path} cannot be read ({problem}): {MEND}") from None
        if manifest.version != 1:
            raise ArchiveDamaged(f"{path} is of version {manifest.version}, this program reads version 1: upgrade it")
        if keys is not None and (manifest.namespace, manifest.partition) != (keys.namespace, keys.partition):
            raise ArchiveDamaged(
                f"{folder} is the archive of {manifest.namespace}:{{{manifest.partition}}}, not of "
                f"{keys.prefix.rstrip(':')}: give the right folder, --namespace or --partition"
            )
        archive = cls(folder, manifest)
        if complete:
            archive._drop_missing_end()
            for gap in archive.gaps():
                raise ArchiveDamaged(gap)
        return archive

    def _drop_missing_end(self) -> None:
        """Leave out segments that are missing at the end, as in a copy that was taken while the archiver went on: the
        archive is usable up to its last whole segment."""
        kept = len(self.segments)
        while kept and not self.path(self.segments[kept - 1]).exists():
            kept -= 1
        if kept and kept < len(self.segments):
            missing = self.segments[kept:]
            log.warning(
                "the archive lacks its last segments, as a copy does that was taken while the archiver ran: it is read "
                "up to the last whole one",
                folder=str(self.folder),
                usable_up_to=self.segments[kept - 1].last,
                missing_up_to=missing[-1].last,
                events_missing=sum(piece.events for piece in missing),
            )
            self.manifest.segments = self.segments[:kept]

    @property
    def segments(self) -> list[Segment]:
        """The segments in the order of the log."""
        return self.manifest.segments

    @property
    def first(self) -> str:
        """Id of the first event held; ``0-0`` if there is none."""
        return self.segments[0].first if self.segments else "0-0"

    @property
    def log(self) -> str:
        """The log of which this is the archive, by the id of its first event; ``0-0`` if that is not held."""
        return self.first if self.before == 0 else "0-0"

    @property
    def last(self) -> str:
        """Id of the last event held; ``0-0`` if there is none."""
        return self.segments[-1].last if self.segments else "0-0"

    @property
    def letters_last(self) -> str:
        """Id of the last dead letter held; ``0-0`` if there is none."""
        return self.segments[-1].letters_last if self.segments else "0-0"

    @property
    def before(self) -> int:
        """Events of the log that came before the first one held."""
        return self.segments[0].before if self.segments else 0

    @property
    def count(self) -> int:
        """Events held."""
        return sum(segment.events for segment in self.segments)

    def path(self, piece: Segment) -> Path:
        """Return where a segment lies."""
        return self.folder / piece.name

    def gaps(self) -> Iterator[str]:
        """Say what does not fit together, as far as the manifest and the folder show it."""
        previous: Segment | None = None
        for piece in self.segments:
            if previous is not None and (
                piece.previous != previous.sha256
                or piece.before != previous.before + previous.events
                or position(piece.first) <= position(previous.last)
            ):
                yield f"{self.folder / MANIFEST}: {piece.name} does not follow on {previous.name}: {MEND}"
            try:
                size = self.path(piece).stat().st_size
            except OSError:
                yield f"segment {self.path(piece)} ({piece.first} to {piece.last}) is missing: {MEND}"
            else:
                if size != piece.bytes:
                    yield f"segment {self.path(piece)} has {size} bytes, its manifest says {piece.bytes}: {MEND}"
            previous = piece

    def read(self, after: str = "0-0", until: str = "+", count: int = 1000) -> Iterator[Chunk]:
        """Yield the events behind ``after`` up to ``until``, at most ``count`` at a time; a segment is checked as a
        whole before its first event is given.

        Raises:
            ArchiveDamaged: a segment is not what the manifest says; the text names it.
        """
        end = position(self.last if until == "+" else until)
        buried: dict[str, str] = {}
        for piece in self.segments:
            if position(piece.first) > end:
                return
            needed = position(piece.last) > position(after)
            if not needed and piece.own_letters:
                continue
            if not needed and not piece.letters:
                continue
            file = self.checked(piece)
            refused = (refusal(letter) for letter in _letters(file))
            buried.update(about for about in refused if about and position(about[0]) > position(after))
            if needed:
                yield from _events(file, position(after), end, count, buried)

    def is_readable(self, path: Path) -> bool:
        """Tell whether a file is a whole Parquet file."""
        try:
            pq.ParquetFile(path)
        except (OSError, ValueError):
            return False
        return True

    def stated(self, path: Path) -> Segment | None:
        """Return a segment of this partition as it says itself what it is, whole and readable; ``None`` if it does not,
        as those of an older archive."""
        try:
            file = pq.ParquetFile(path)
            said = segment.metadata_of(file)
            if (said.get("namespace"), said.get("partition")) != (
                self.manifest.namespace,
                str(self.manifest.partition),
            ):
                return None
            piece = as_stated(path, said)
            if piece is not None:
                self.check(piece)
        except (OSError, ValueError, KeyError, ArchiveDamaged):
            return None
        return piece

    def number_up_to(self, entry_id: str) -> int:
        """Return how many events of the log are at or before an id, as far as the archive reaches.

        Raises:
            ArchiveDamaged: see :meth:`read`.
        """
        number = self.before
        for piece in self.segments:
            if position(piece.last) <= position(entry_id):
                number += piece.events
            elif position(piece.first) <= position(entry_id):
                number += sum(len(chunk.entries) for chunk in self.read(before(piece.first), entry_id))
        return number

    def letters(self) -> Iterator[Entry]:
        """Yield the dead letters, each under its id in the stream of dead letters.

        Raises:
            ArchiveDamaged: a segment is not what the manifest says.
        """
        for piece in self.segments:
            yield from self.letters_in(piece)

    def letters_in(self, piece: Segment) -> list[Entry]:
        """Return the dead letters of one segment.

        Raises:
            ArchiveDamaged: it is not what the manifest says.
        """
        return list(_letters(self.checked(piece))) if piece.letters else []

    def check(self, piece: Segment) -> None:
        """Read a segment to its last row, and see whether it holds what the manifest says.

        Raises:
            ArchiveDamaged: it does not; the text names the file.
        """
        file = self.checked(piece)
        last, events = position("0-0"), 0
        for chunk in _events(file, last, position(piece.last), 1000, {}):
            ids = [position(entry.id) for entry in chunk.entries]
            if ids != sorted(set(ids)) or ids[0] <= last:
                raise ArchiveDamaged(f"segment {self.path(piece)}: ids around {chunk.entries[0].id} are out of order")
            last, events = ids[-1], events + len(ids)
        letters = 0
        for letter in _letters(file):
            letters += 1
            about = refusal(letter)
            if about and not self._belongs(position(about[0]), piece):
                raise ArchiveDamaged(
                    f"segment {self.path(piece)} holds a dead letter about {about[0]}, an event of another segment: "
                    "report it, and begin a new archive in an empty folder"
                )
        if (events, letters) != (piece.events, piece.letters):
            raise ArchiveDamaged(
                f"segment {self.path(piece)} holds {events} events and {letters} letters, its manifest says "
                f"{piece.events} and {piece.letters}: {MEND}"
            )

    @staticmethod
    def _belongs(event: tuple[int, int], piece: Segment) -> bool:
        """Tell whether a reader finds the letter of an event in a segment. In an older archive it may be in any
        segment before the one of its event, and never behind it."""
        return event >= position(piece.first) and (not piece.own_letters or event <= position(piece.last))

    def checked(self, piece: Segment) -> pq.ParquetFile:
        """Open a segment after comparing its bytes and its own header with the manifest.

        Raises:
            ArchiveDamaged: they differ; the text names the file.
        """
        path = self.path(piece)
        try:
            if digest_of(path) != piece.sha256:
                raise ArchiveDamaged(f"segment {path} was altered: its SHA-256 is not the manifest's; {MEND}")
            file = pq.ParquetFile(path)
            said = segment.metadata_of(file)
        except (OSError, ValueError) as problem:
            raise ArchiveDamaged(f"segment {path} cannot be read ({problem}): {MEND}") from None
        expected = metadata(self.manifest, piece)
        if wrong := [name for name, value in expected.items() if said.get(name) != value]:
            raise ArchiveDamaged(
                f"segment {path} says {wrong[0]}={said.get(wrong[0])}, its manifest {expected[wrong[0]]}: {MEND}"
            )
        return file


def _groups(file: pq.ParquetFile, stream: str) -> Iterator[int]:
    """Yield the row groups of a stream; no group holds rows of both."""
    for group in range(file.num_row_groups):
        if file.metadata.row_group(group).column(0).statistics.min == stream:
            yield group


def _letters(file: pq.ParquetFile) -> Iterator[Entry]:
    for group in _groups(file, segment.LETTERS):
        yield from segment.entries_of(file.read_row_group(group))


def _events(
    file: pq.ParquetFile, after: tuple[int, int], end: tuple[int, int], count: int, buried: dict[str, str]
) -> Iterator[Chunk]:
    """Yield the events of a segment that lie behind ``after`` and not behind ``end``."""
    for group in _groups(file, segment.EVENTS):
        times = file.metadata.row_group(group).column(1).statistics
        if times.max < after[0] or times.min > end[0]:
            continue
        for batch in file.iter_batches(count, row_groups=[group]):
            if batch.column("ms")[-1].as_py() < after[0]:
                continue
            entries = [entry for entry in segment.entries_of(batch) if after < position(entry.id) <= end]
            if entries:
                yield Chunk(entries, {entry.id: buried.pop(entry.id) for entry in entries if entry.id in buried})
