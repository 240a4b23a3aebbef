"""Dead letters: the refused event and the reason, newest first, and the operator's actions.

A letter stays in its stream for as long as its entry may be folded again: a replay must skip refused entries. So an
operator handles a letter by appending an event, and the list then leaves the letter out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..contract.config import RETRY
from ..contract.entries import ENTRY_ID, Entry, before, fields_of, job_id_of, position
from ..contract.errors import ForgedDecision, NotRetryable, UnknownLetter
from ..contract.events import LetterDropped
from ..contract.keys import Keys
from ..contract.kinds import LIMITS
from ..engine.partition import Partition
from ..engine.replies import Answer
from ..engine.source import facts
from ..log.live import raw_reply
from .store import LetterStore

if TYPE_CHECKING:
    from ..archive.reader import Archive


OWN = ("id", "stream", "code", "reason")
"""The letter's own fields, before those of the event; an event field of the same name is kept as ``event_…``."""

LIST = "`streamsched dead list` shows them"


class Letter(msgspec.Struct, kw_only=True):
    """An event that could not be folded."""

    letter: str
    """Its id: used to show, retry and drop it."""
    ts: int
    """When it was refused, ms since the epoch."""
    id: str
    """Id of the event's entry."""
    stream: str
    """``events``, or ``heartbeats``."""
    code: str
    reason: str
    fields: dict[str, str]
    """Of the event; bytes that are not UTF-8 are escaped."""
    obstacle: str
    """Why it cannot be retried; empty if it can."""
    handled: str = ""
    """``retried`` or ``dropped``, and the id of the event that did it; empty while the letter is open."""
    tries: int = 0
    """How often it was retried and refused again; known only in a list."""
    refused_again: str = ""
    """Code and reason of the last refusal."""

    @property
    def retried(self) -> bool:
        """Whether a retry was accepted."""
        return self.handled.startswith("retried")


class LetterFilter(msgspec.Struct, kw_only=True, frozen=True):
    """A filter for letters; a missing field matches any."""

    code: str | None = None
    type: str | None = None
    since_ts: int = 0
    """Refused at this time or later, ms since the epoch."""
    handled: bool = False
    """Include handled letters."""

    def takes(self, letter: Letter) -> bool:
        """Return whether a letter matches."""
        return (
            (self.handled or not letter.handled)
            and self.code in (None, letter.code)
            and self.type in (None, letter.fields.get("type", ""))
            and letter.ts >= self.since_ts
        )


class DeadLetterQueue:
    """The dead letters of a running partition.

    Args:
        redis: a client that leaves bytes alone.
        keys: the partition.
        archive: the archive with the trimmed letters; ``None`` (default) leaves those out.
    """

    def __init__(self, redis: Any, keys: Keys, archive: Archive | None = None) -> None:
        self.redis, self.keys = redis, keys
        self.filed = LetterStore(redis, keys, archive)
        for command in ("XRANGE", "XREVRANGE"):
            # redis-py turns each entry into a dict, which loses a repeated field
            self.redis.set_response_callback(command, raw_reply)

    async def get(self, letter_id: str) -> Letter:
        """Return one letter. A refused retry is itself kept as a letter; for its id, return the letter that was
        retried.

        Raises:
            UnknownLetter: no letter has this id.
        """
        if not ENTRY_ID.fullmatch(letter_id):
            raise UnknownLetter(f"{letter_id!r} is not the id of a letter: {LIST}")
        page = await self._read(await self.filed.one(letter_id))
        if not page:
            raise UnknownLetter(f"there is no dead letter {letter_id}: {LIST}")
        roots = await self._retried(page)
        return await self.get(page[0].fields[RETRY]) if roots else page[0]

    async def newest_first(self, wanted: LetterFilter) -> AsyncIterator[Letter]:
        """Yield letters, the latest first. Holds one page in memory."""
        refused: dict[str, tuple[int, str]] = {}
        up_to = "+"
        while page := await self._read(await self.filed.newest(up_to)):
            retried = await self._retried(page)
            for letter in page:
                if (root := letter.fields.get(RETRY)) in retried:
                    tries, last = refused.get(root, (0, f"{letter.code} {letter.reason}"))
                    refused[root] = tries + 1, last
                    continue
                letter.tries, letter.refused_again = refused.pop(letter.letter, (0, ""))
                if wanted.takes(letter):
                    yield letter
            if page[-1].ts < wanted.since_ts:
                return
            up_to = before(page[-1].letter)

    async def oldest_first(self, wanted: LetterFilter) -> AsyncIterator[list[Letter]]:
        """Yield the present letters, page by page, in the order in which they were refused."""
        last = position(await self.filed.last())
        after = before(f"{wanted.since_ts}-0") if wanted.since_ts else "0-0"
        while page := await self._read(await self.filed.oldest(after)):
            after = page[-1].letter
            retried = await self._retried(page)
            there_are = [letter for letter in page if position(letter.letter) <= last]
            yield [letter for letter in there_are if letter.fields.get(RETRY) not in retried and wanted.takes(letter)]
            if position(after) >= last:
                return

    async def _read(self, found: list[Entry]) -> list[Letter]:
        page = [_letter(entry) for entry in found]
        if page:
            handled = await self.redis.hmget(self.keys("letters"), [letter.letter for letter in page])
            for letter, how in zip(page, handled, strict=True):
                letter.handled = how.decode() if how else ""
        return page

    async def _retried(self, page: list[Letter]) -> set[str]:
        """Return the letters whose refused retries are in a page."""
        named = {letter.fields[RETRY] for letter in page if letter.stream == "events" and RETRY in letter.fields}
        wanted = sorted(name for name in named if ENTRY_ID.fullmatch(name))
        return {name for name in wanted if await self.filed.one(name)}


def _letter(entry: Entry) -> Letter:
    own = fields_of(Entry(entry.id, entry.flat[: 2 * len(OWN)]))
    kept = entry.flat[2 * len(OWN) :]
    fields = {_name(name): value for name, value in fields_of(Entry(entry.id, kept)).items()}
    fields = {"type": fields.pop("type", ""), **fields}
    return Letter(
        letter=entry.id,
        ts=position(entry.id)[0],
        id=own["id"],
        stream=own["stream"],
        code=own["code"],
        reason=own["reason"],
        fields=fields,
        obstacle=_obstacle(own["code"], kept, fields),
    )


def _name(kept: str) -> str:
    """Return the original name of an event field."""
    own = kept.removeprefix("event_")
    return own if own in OWN else kept


def _obstacle(code: str, kept: list[bytes], fields: dict[str, str]) -> str:
    """Return why the event of a letter cannot be appended again."""
    kind = fields["type"]
    if code == ForgedDecision.code or kind in facts():
        return f"{kind} is written by the scheduler only: append what happened instead"
    if kind == "node.heartbeat":
        return "a heartbeat reports the present: the node's next one replaces it"
    if not kept:
        return "the event had more fields than a letter keeps: append it from its source"
    for name, value in zip(kept[::2], kept[1::2], strict=True):
        if len(value) >= LIMITS["payload"]:
            kept_of = f"of {_name(name.decode(errors='replace'))} only {len(value)} bytes were kept"
            return f"{kept_of}: append it from its source"
    try:
        b" ".join(kept).decode()
    except UnicodeDecodeError:
        return "a field is not UTF-8, which no event may hold: append it from its source"
    return ""


def as_new(letter: Letter) -> list[str]:
    """Return the event of a letter, flat, ready to be appended again.

    Raises:
        NotRetryable: the event cannot be appended again; the text says why, and what to do instead.
    """
    if letter.obstacle:
        raise NotRetryable(f"letter {letter.letter}: {letter.obstacle}")
    fields = {**letter.fields, RETRY: letter.letter}
    if fields["type"] == "job.submitted" and "session_id" in fields and "request_id" not in fields:
        fields["job_id"] = job_id_of(letter.fields, letter.id)  # the id that its producer knows
    return [part for pair in fields.items() for part in pair]


async def retry(partition: Partition, letter: Letter) -> Answer:
    """Append the event of a letter again. However often that is done, it takes effect once.

    Raises:
        NotRetryable: see :func:`as_new`.
        SchedulerError: the event was refused again.
    """
    return await partition.append_soon(as_new(letter))


async def drop(partition: Partition, letter: Letter, reason: str | None = None) -> Answer:
    """Close a letter without action. It can still be retried."""
    return await partition.append(LetterDropped(letter=letter.letter, reason=reason))
