"""The manifest of an archive: its segments, in a chain of hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

MANIFEST = "manifest.json"

MEND = "restore it from a copy of the archive"


class Segment(msgspec.Struct, kw_only=True, frozen=True):
    """One file of an archive, as the manifest lists it."""

    name: str
    first: str
    """Id of its first event."""
    last: str
    """Id of its last event."""
    before: int
    """Events of the log that came before its first."""
    events: int
    letters: int
    """Dead letters it holds."""
    letters_last: str
    """Id, in the stream of dead letters, of the last one archived so far."""
    bytes: int
    sha256: str
    previous: str
    """SHA-256 of the segment before; empty for the first."""
    fold_version: int
    """Version of the folds that had folded these events when they were archived."""
    created_ts: int
    own_letters: bool = False
    """Whether it holds the dead letters of its own events, and no others. In a segment of an older archive they may
    be in any segment before."""


class Manifest(msgspec.Struct, kw_only=True):
    """What an archive says of itself."""

    namespace: str
    partition: int
    replication_id: str
    """Of the server the log was last read from: another one may hold another log."""
    segments: list[Segment] = []
    version: int = 1


def metadata(manifest: Manifest, piece: Segment) -> dict[str, str]:
    """Return what a segment says of itself: enough to list it again when the manifest is lost."""
    stated = {
        "namespace": manifest.namespace,
        "partition": str(manifest.partition),
        "first": piece.first,
        "last": piece.last,
        "before": str(piece.before),
        "previous": piece.previous,
        "fold_version": str(piece.fold_version),
    }
    if piece.own_letters:  # older segments do not state more
        stated |= {
            "events": str(piece.events),
            "letters": str(piece.letters),
            "letters_last": piece.letters_last,
            "own_letters": "true",
        }
    return stated


def as_stated(path: Path, stated: dict[str, str]) -> Segment | None:
    """Return a segment as it says itself what it is; ``None`` for one of an older archive, which does not say all."""
    if stated.get("own_letters") != "true":
        return None
    about = path.stat()
    return Segment(
        name=path.name,
        first=stated["first"],
        last=stated["last"],
        before=int(stated["before"]),
        events=int(stated["events"]),
        letters=int(stated["letters"]),
        letters_last=stated["letters_last"],
        bytes=about.st_size,
        sha256=digest_of(path),
        previous=stated["previous"],
        fold_version=int(stated["fold_version"]),
        created_ts=int(about.st_mtime * 1000),
        own_letters=True,
    )


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """Yield the name under which a file is written until it is whole; after an error, nothing under it stays.

    The caller renames it: until then no reader takes a torn file for a whole one.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as it is written: one a person can read."""
    return json.dumps(msgspec.to_builtins(manifest), indent=1).encode() + b"\n"
