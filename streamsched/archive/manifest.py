"""The manifest of an archive: its segments, in a chain of hashes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec

from ..contract.entries import position

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


class Manifest(msgspec.Struct, kw_only=True):
    """What an archive says of itself."""

    namespace: str
    partition: int
    replication_id: str
    """Of the server the log was last read from: another one may hold another log."""
    segments: list[Segment] = []
    version: int = 1


def previous(entry_id: str) -> str:
    """Return the id right before one."""
    ms, sequence = position(entry_id)
    return f"{ms}-{sequence - 1}" if sequence else f"{ms - 1}-{2**64 - 1}"


def metadata(
    manifest: Manifest, first: str, last: str, before: int, previous: str, fold_version: int
) -> dict[str, str]:
    """Return what a segment says of itself, so that it can be told from any other without a manifest."""
    return {
        "namespace": manifest.namespace,
        "partition": str(manifest.partition),
        "first": first,
        "last": last,
        "before": str(before),
        "previous": previous,
        "fold_version": str(fold_version),
    }


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as it is written: one a person can read."""
    return json.dumps(msgspec.to_builtins(manifest), indent=1).encode() + b"\n"
