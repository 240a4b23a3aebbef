"""Puts an archive in the place of a log that a flushed or replaced server began without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio.to_thread

from ..archive.reader import Archive
from ..contract.entries import Entry, position
from ..contract.keys import Keys
from ..log.live import CHUNK, LiveLog
from .restore import counted_as, restore


async def replace(
    redis: Any, live: LiveLog, archive: Archive, progress: Callable[[int], None] = lambda folded: None
) -> int:
    """Restore an archive in the place of a wiped log; returns the number of events folded.

    What the new log holds stays, behind the archived events, and is folded after them. The processes of the fleet may
    run meanwhile: their calls are refused with ``WIPED``, then with ``REBUILDING``, and go on when the state is whole.
    If the caller is killed, the next call continues.

    Args:
        redis: a client of the server that decodes replies.
        live: the new log, through a client that does not.
        archive: the archive of the lost log, from its first event on.
        progress: called with the number of events folded so far.

    Raises:
        LogWiped: the archive is not of the log that was lost.
        LogFork: the new log begins before the archive ends.
        SchedulerError: see :func:`restore`.
    """
    keys = live.keys
    log, source = await redis.hmget(keys("meta"), ("log", "rebuild_from"))
    if archive.segments and source is None and log != archive.first:
        # no call adds an event or a letter from here on, so the letters can be put in order
        await redis.hsetnx(keys("meta"), "wiped", archive.first)
        await _put_letters_in_front(live, archive)
    return await restore(redis, keys, archive, progress, replace=True)


async def _put_letters_in_front(live: LiveLog, archive: Archive) -> None:
    """Put the archive's dead letters before those of the new log: letters are in the order of their events."""
    keys = live.keys
    held = [letter async for some in live.letters("0-0") for letter in some]
    known = {letter.id for letter in held}
    archived = await anyio.to_thread.run_sync(lambda: [one for one in archive.letters() if one.id not in known])
    if not archived:
        return
    ordered = sorted(archived + held, key=lambda letter: position(letter.id))
    key = keys("dead_ordered")
    await live.redis.unlink(key)  # of a run that was killed
    for start in range(0, len(ordered), CHUNK):
        await _add(live, key, ordered[start : start + CHUNK])
    async with live.redis.pipeline(transaction=True) as pipe:
        pipe.rename(key, keys("dead"))
        for code, count in Counter(map(counted_as, archived)).items():
            pipe.hincrby(keys("dead_codes"), code, count)
        await pipe.execute()


async def _add(live: LiveLog, key: str, letters: list[Entry]) -> None:
    async with live.redis.pipeline(transaction=False) as pipe:
        for letter in letters:
            pipe.execute_command("XADD", key, letter.id, *letter.flat)
        await pipe.execute()


async def forget(redis: Any, keys: Keys) -> str | None:
    """Go on with the log that the server holds now, without the lost one; returns the first event of the lost one, or
    ``None`` if none is lost."""
    gone: str | None
    gone = next(filter(None, await redis.hmget(keys("meta"), ("wiped", "lost"))), None)
    if gone is not None:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hset(keys("meta"), "forgotten", gone)
            pipe.hdel(keys("meta"), "wiped", "lost")
            await pipe.execute()
    return gone
