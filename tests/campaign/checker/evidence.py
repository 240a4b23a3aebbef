"""Gathers what the checker may look at: journals, dead letters, log and archive, and the state beside its refold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
from redis import Redis

from streamsched.archive.manifest import MANIFEST
from streamsched.archive.reader import Archive
from streamsched.connect.client import connect
from streamsched.contract.entries import Entry, fields_of, position, refusal
from streamsched.contract.errors import ArchiveDamaged
from streamsched.contract.keys import Keys
from streamsched.replay.values import State, difference, read_state

from ...model import fold
from .check import Evidence
from .journal import journals_in
from .rebuilt import rebuilt

PAGE = 1000


def gather(url: str, keys: Keys, folder: Path, archive: Path | None) -> Evidence:
    """Read everything about a partition that is at rest.

    Args:
        url: its server.
        keys: the partition.
        folder: where the journals lie.
        archive: the folder of its archive, if it has one.
    """
    with Redis.from_url(url, protocol=2) as redis:
        redis.set_response_callback("XRANGE", lambda reply, **options: reply)
        live = [Entry(entry_id.decode(), flat) for entry_id, flat in _stream(redis, keys("events"))]
        letters = [Entry(entry_id.decode(), flat) for entry_id, flat in _stream(redis, keys("dead"))]
        added = redis.xinfo_stream(keys("events"))["entries-added"] if redis.exists(keys("events")) else 0
        folded = int(redis.hget(keys("meta"), "folded") or 0)
    kept, archived_letters, damage = _archived(archive, keys)
    kept, forked = _without_fork(kept, live, added - len(live))
    entries = [*kept, *(entry for entry in live if not kept or position(entry.id) > position(kept[-1].id))]
    damage += _contradictions(kept, live)
    refused = dict(filter(None, map(refusal, [*archived_letters, *letters])))
    return Evidence(
        journals=journals_in(folder),
        entries=[(entry.id, fields_of(entry)) for entry in entries],
        dead=refused,
        folded=folded,
        added=added,
        differing=_differing(url, keys, entries, refused),
        rebuilt=rebuilt(archive, keys, folder / "rebuilt"),
        damage=damage,
        forked=[entry.id for entry in forked],
        archived=len(kept),
    )


def _stream(redis: Any, key: str) -> Iterator[Any]:
    after = "-"
    while page := redis.xrange(key, min=after, count=PAGE):
        yield from page
        after = f"({page[-1][0].decode()}"


def _archived(folder: Path | None, keys: Keys) -> tuple[list[Entry], list[Entry], list[str]]:
    """Read an archive to its last row, as far as it can be read."""
    if folder is None or not (folder / MANIFEST).exists():
        return [], [], []
    entries: list[Entry] = []
    try:
        archive = Archive.open(folder, keys)
        for piece in archive.segments:
            archive.check(piece)
        for chunk in archive.read():
            entries += chunk.entries
        return entries, list(archive.letters()), []
    except (ArchiveDamaged, OSError) as problem:
        return entries, [], [str(problem)]


def _without_fork(kept: list[Entry], live: list[Entry], before: int) -> tuple[list[Entry], list[Entry]]:
    """Set apart what the archive holds and the log has lost: what should stand between the log's ends and does not, and
    what is more than the log says came before its first entry.

    Args:
        kept: the archive.
        live: the log.
        before: how many entries the log has taken in and given away.
    """
    first = position(live[0].id) if live else (2**64, 0)
    there = {entry.id for entry in live}
    older = [entry for entry in kept if position(entry.id) < first]
    shared = [entry for entry in kept if position(entry.id) >= first]
    lost = older[before:] + [entry for entry in shared if entry.id not in there]
    return older[:before] + [entry for entry in shared if entry.id in there], lost


def _contradictions(kept: list[Entry], live: list[Entry]) -> list[str]:
    """Say where the archive and the log hold different events under one id."""
    by_id = {entry.id: entry.flat for entry in kept}
    found = []
    for entry in live:
        if kept and position(kept[0].id) <= position(entry.id) <= position(kept[-1].id):
            if entry.id not in by_id:
                found.append(f"{entry.id}: the log holds it, the archive does not")
            elif by_id[entry.id] != entry.flat:
                found.append(f"{entry.id}: log and archive hold different events")
    return found


def _differing(url: str, keys: Keys, entries: list[Entry], refused: dict[str, str]) -> dict[str, str]:
    """Fold the history with the model, and compare every key, and every refusal, with the live state."""
    live = anyio.run(_live, url, keys)
    forged = {entry_id for entry_id, why in refused.items() if why.startswith("FORGED_DECISION ")}
    try:
        reported = fold(((entry.id, entry.flat) for entry in entries), forged)
    except Exception as problem:  # unlawful, or nothing that the model has ever seen: a log that should not be
        return {"the log": f"the model cannot fold it: {type(problem).__name__}: {problem}"}
    found = {key: _apart(*values) for key, values in difference(live, reported.state).items()}
    codes = {entry_id: why.partition(" ")[0] for entry_id, why in refused.items()}
    for entry_id in sorted(codes.keys() | reported.dead.keys(), key=position):
        if codes.get(entry_id) != reported.dead.get(entry_id):
            found[entry_id] = f"refused as {codes.get(entry_id)}, by the model as {reported.dead.get(entry_id)}"
    return found


async def _live(url: str, keys: Keys) -> State:
    redis = connect(url)
    try:
        return await read_state(redis, keys)
    finally:
        await redis.aclose()


def _apart(live: Any, folded: Any) -> str:
    if isinstance(live, dict) and isinstance(folded, dict):
        names = sorted(name for name in live | folded if live.get(name) != folded.get(name))
        live, folded = ({name: value.get(name) for name in names} for value in (live, folded))
    return f"live {live!r:.300}, refolded {folded!r:.300}"
