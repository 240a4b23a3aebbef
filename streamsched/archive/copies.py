"""Copies of an archive, made while an archiver goes on writing to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..contract.errors import ArchiveDamaged
from .manifest import MANIFEST, Segment, digest_of, encode_manifest, part_of, sync
from .reader import Archive


def copy_segments(
    archive: Archive, pieces: Sequence[Segment], folder: Path, progress: Callable[[int], None] = lambda events: None
) -> None:
    """Copy segments, to the platter, into a folder; one that is there already is left alone.

    Args:
        archive: where they are.
        pieces: which.
        folder: where they go.
        progress: is called with the events copied so far.

    Raises:
        OSError: the disk is full, or the folder cannot be written; nothing half done stays.
    """
    done = 0
    for piece in pieces:
        path = folder / piece.name
        if not path.exists() or digest_of(path) != piece.sha256:
            with part_of(path) as part:
                shutil.copyfile(archive.path(piece), part)
                sync(part)
                part.rename(path)
        done += piece.events
        progress(done)
    sync(folder)


def copy_archive(source: Path, folder: Path, progress: Callable[[int], None] = lambda events: None) -> Archive:
    """Copy an archive as it is at this moment, or bring an earlier copy of it up to date; returns the copy.

    The manifest is read first and written last: segments never change, so what it lists is whole in the copy.

    Raises:
        ArchiveDamaged: there is no archive at ``source``; or ``folder`` holds something else than a copy of it.
        OSError: see :func:`copy_segments`.
    """
    archive = Archive.open(source)
    folder.mkdir(parents=True, exist_ok=True)
    listed = {piece.name for piece in archive.segments}
    foreign = sorted(path.name for path in folder.glob("*.parquet") if path.name not in listed)
    if foreign:
        raise ArchiveDamaged(
            f"{folder} holds {foreign[0]}, which is not of {source}: give an empty folder or a copy of it"
        )
    copy_segments(archive, archive.segments, folder, progress)
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(encode_manifest(archive.manifest))
    sync(part)
    part.rename(folder / MANIFEST)
    sync(folder)
    return Archive.open(folder)
