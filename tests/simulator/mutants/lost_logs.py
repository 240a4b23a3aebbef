"""Guards where the log is lost, keys are evicted, or the state is folded from an archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamsched.replay import letters

from ...support.planting import Bug


async def _all_letters(archiver: Any, after: str, until: str) -> tuple[list[Any], str]:
    """Every dead letter that there is, whichever event it is about."""
    letters = [letter async for some in archiver.live.letters(after) for letter in some]
    return letters, letters[-1].id if letters else after


async def _as_it_stands(partition: Any, *reads: Callable[[Any], Any]) -> list[Any]:
    """Read, whatever the state is in the middle of."""
    async with partition.redis.pipeline(transaction=False) as pipe:
        for queue in reads:
            queue(pipe)
        replies: list[Any] = await pipe.execute()
    return replies


async def _behind(live: Any, archive: Any) -> None:
    """Write the letters of the archive behind those that the server holds."""
    last = [letter.id async for page in live.letters("0-0") for letter in page][-1:]
    await letters._append(live, archive, *last or ["0-0"])


LOST_LOGS = [
    Bug(
        "a dead letter is in the segment of its event",
        "a rebuild that begins at a later one folds what was refused",
        "streamsched.archive.archiver.Archiver._letters",
        instead=_all_letters,
    ),
    Bug(
        "a segment that the manifest lacks is listed again",
        "an archiver writes over it",
        "streamsched.archive.writer.ArchiveWriter._sweep",
        instead=lambda writer: None,
    ),
    Bug(
        "a state is read when it is whole",
        "a caller is told that its job is unknown, while it is rebuilt",
        "streamsched.engine.partition.Partition.read_state",
        instead=_as_it_stands,
    ),
    Bug(
        "a process that knows a lost log stops the partition",
        "a log without a past goes on",
        "call/open",
        "    if archived == '1' then",
        "    if false then",
    ),
    Bug(
        "a lost log stops those who never knew it, too",
        "they go on without its jobs",
        "call/open",
        "elseif v.wiped then",
        "elseif false then",
    ),
    Bug(
        "a process of a log before the last one does not stop a log that was trimmed",
        "the partition waits for an archive",
        "call/open",
        "#rcall('XRANGE', events, v.log, v.log) == 0 then",
        "false then",
    ),
    Bug(
        "a new log's decisions about jobs of the lost one are not believed",
        "their nodes and attempts are mixed up",
        "call/replay",
        "return submitted and not at_or_before(submitted, meta.carried_after)",
        "return true",
    ),
    Bug(
        "a rebuild that starts over remembers where a new log begins",
        "its decisions are believed",
        "drop_state",
        "carried_after = true, ",
        "",
    ),
    Bug(
        "letters of the archive stay where the new state had folded nothing",
        "the refusals are lost",
        "adopt_archive",
        "judged ~= '+' and at_or_before(judged, last) and last or judged",
        "judged",
    ),
    Bug(
        "letters of the lost log come before those of the new one",
        "what was refused is folded",
        "streamsched.replay.letters._put_in_order",
        instead=_behind,
    ),
    Bug(
        "letters of decisions that a replace does not believe are in the order of their events",
        "the next rebuild folds what was refused",
        "call/replay",
        "local carries = phase == 'fold' and meta.carried_after ~= false",
        "local carries = false",
    ),
    Bug(
        "evicted keys halt the partition",
        "it goes on over a state with holes",
        "decide/overload",
        "find(policy or '', '^allkeys')",
        "false",
    ),
]
