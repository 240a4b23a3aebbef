"""I8: what an archive is rebuilt to, from its start and from a snapshot, beside the model's fold of what it holds."""

from __future__ import annotations

from pathlib import Path

import anyio

from streamsched.archive.copies import copy_archive
from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.archive.snapshot import nearest
from streamsched.connect.client import connect
from streamsched.contract.entries import refusal
from streamsched.contract.errors import SchedulerError
from streamsched.contract.keys import Keys
from streamsched.history.history import open_history
from streamsched.log.live import LiveLog
from streamsched.replay.at import state_at
from streamsched.replay.restore import restore
from streamsched.replay.snapshot import write
from streamsched.replay.values import State, difference, read_state
from streamsched.server.embedded import EmbeddedServer

from ...model import Unlawful, fold


def rebuilt(folder: Path | None, keys: Keys, work: Path) -> dict[str, str]:
    """Return what differs, by how it was rebuilt and by key; empty if there is no archive, or one without events.

    Args:
        folder: the archive; it stays as it is.
        keys: the partition.
        work: a folder that does not exist, for a copy.
    """
    if folder is None or not (folder / MANIFEST).exists():
        return {}
    try:
        archive = copy_archive(folder, work / "archive")
        if not archive.segments:
            return {}
        entries = [entry for chunk in archive.read() for entry in chunk.entries]
        letters = dict(filter(None, map(refusal, archive.letters())))
        states = anyio.run(_rebuild_twice, archive, keys, work)
    except (SchedulerError, OSError) as problem:
        return {"the rebuild": str(problem)}
    forged = {entry_id for entry_id, why in letters.items() if why.startswith("FORGED_DECISION ")}
    try:
        expected = fold(((entry.id, entry.flat) for entry in entries), forged).state
    except Unlawful as problem:
        return {"the archive": f"the model cannot fold it: {problem}"}
    return {
        f"{how}, {key}": f"rebuilt {one!r:.300}, by the model {other!r:.300}"
        for how, state in states.items()
        for key, (one, other) in difference(state, expected).items()
    }


async def _rebuild_twice(archive: Archive, keys: Keys, work: Path) -> dict[str, State]:
    """Restore an archive on empty servers; the second time a snapshot of its middle is there to begin with."""
    middle = archive.segments[len(archive.segments) // 2].first
    from_start = await _restored(archive, keys, work / "first")
    with EmbeddedServer(work / "middle") as server:
        async with (
            open_history(None, keys, archive.folder) as history,
            state_at(server.url, history, middle, decode=False) as scratch,
        ):
            snapshot = await write(scratch, archive)
    assert nearest(archive.folder, archive.last) == snapshot
    return {"from the start": from_start, "from a snapshot": await _restored(archive, keys, work / "second")}


async def _restored(archive: Archive, keys: Keys, data: Path) -> State:
    with EmbeddedServer(data) as server:
        redis, raw = connect(server.url), connect(server.url, decode=False)
        try:
            await restore(redis, LiveLog(raw, keys), archive)
            return await read_state(redis, keys)
        finally:
            await redis.aclose()
            await raw.aclose()
