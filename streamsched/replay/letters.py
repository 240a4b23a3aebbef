"""Puts the dead letters of an archive back on a server that has lost them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable

import anyio.to_thread

from ..archive.reader import Archive
from ..contract.config import RETRY
from ..contract.entries import ENTRY_ID, Chunk, Entry, fields_of, parts, position
from ..log.live import LiveLog


async def put_letters_back(live: LiveLog, archive: Archive) -> None:
    """Write back the archive's dead letters that the server has lost.

    Letters are in the order of the log, so those of a lost log come before what the server has written since. No call
    may write a letter meanwhile. If the caller is killed, the next call continues.

    Args:
        live: the log on the server, through a client that does not decode.
        archive: its archive, or that of the log that it replaces.

    Raises:
        ArchiveDamaged: a segment does not match its manifest.
    """
    dead = live.keys("dead")
    about = await live.redis.xinfo_stream(dead) if await live.redis.exists(dead) else {}
    if about.get("entries-added", 0) > about.get("length", 0):
        # what is missing at the front was trimmed because the archive holds it; a server can have lost the end only
        await _append(live, archive, about["last-generated-id"].decode())
    else:
        await _put_in_order(live, archive)


async def _append(live: LiveLog, archive: Archive, after: str) -> None:
    for piece in archive.segments:
        letters = await anyio.to_thread.run_sync(archive.letters_in, piece)
        await _add(live, "dead", [one for one in letters if position(one.id) > position(after)], counted=True)


async def _put_in_order(live: LiveLog, archive: Archive) -> None:
    await live.redis.unlink(live.keys("dead_ordered"))  # of a call that was killed
    last, lost, others = (0, 0), Counter[str](), Counter[str]()
    async for letters, held in _side_by_side(live, archive):
        missing = [one for one in letters if held.get(one.id) != one]
        lost.update(map(_counted_as, missing))
        for one in missing:
            others.update(_beside_log(one))
        await _add(live, "dead_ordered", letters)
        last = position(letters[-1].id) if letters else last
    if lost:
        async for letters, held in _side_by_side(live, archive):
            archived = {one.id: one for one in letters}
            later = []
            for one in held.values():
                if archived.get(one.id) != one:
                    # the clock of a server that began empty may be behind, and so the ids that it gave
                    last = max(position(one.id), (last[0], last[1] + 1))
                    later.append(Entry(f"{last[0]}-{last[1]}", one.flat))
            await _add(live, "dead_ordered", later)
        async with live.redis.pipeline(transaction=True) as pipe:
            pipe.rename(live.keys("dead_ordered"), live.keys("dead"))
            for code, count in lost.items():
                pipe.hincrby(live.keys("dead_codes"), code, count)
            for name, count in others.items():
                pipe.hincrby(live.keys("dead_others"), name, count)
            await pipe.execute()


async def _side_by_side(live: LiveLog, archive: Archive) -> AsyncIterator[tuple[list[Entry], dict[str, Entry]]]:
    """Yield the letters of each piece of the archive, and those of the server with ids up to the piece's last; then the
    rest of the server's."""
    after = "0-0"
    for piece in archive.segments:
        if letters := await anyio.to_thread.run_sync(archive.letters_in, piece):
            yield letters, {one.id: one async for some in live.letters(after, letters[-1].id) for one in some}
            after = letters[-1].id
    async for some in live.letters(after):
        yield [], {one.id: one for one in some}


async def _add(live: LiveLog, stream: str, letters: Iterable[Entry], counted: bool = False) -> None:
    for part in parts(Chunk(list(letters), {})):
        async with live.redis.pipeline(transaction=True) as pipe:
            for letter in part.entries:
                pipe.execute_command("XADD", live.keys(stream), letter.id, *letter.flat)
                if counted:
                    pipe.hincrby(live.keys("dead_codes"), _counted_as(letter), 1)
                    for name, by in _beside_log(letter).items():
                        pipe.hincrby(live.keys("dead_others"), name, by)
            await pipe.execute()


def _counted_as(letter: Entry) -> str:
    """Return the code under which a dead letter is counted, as ``count_letter`` of the scripts does."""
    fields = fields_of(letter)
    again = fields["stream"] == "events" and ENTRY_ID.fullmatch(fields.get(RETRY, ""))
    return "again" if again else fields["code"]


def _beside_log(letter: Entry) -> dict[str, int]:
    """Return what a letter adds to ``dead:others``, as ``write_dead_letter`` of the scripts does."""
    if fields_of(letter)["stream"] == "events":
        return {}
    return {"count": 1, "bytes": sum(map(len, letter.flat))}
