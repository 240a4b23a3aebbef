"""The archiver, at the level of what it sends: it reads what is folded, keeps it, and has the log trimmed behind it.

What it keeps is durable at once; what a real disk may do to it is shown with real processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from redis.exceptions import RedisError

from streamsched.contract.entries import Chunk, position
from streamsched.contract.entries import Entry as Archived
from streamsched.contract.errors import ArchiveLocked, LogFork, LogGap, PartitionRebuilding, SchedulerError
from streamsched.engine.script import script
from streamsched.log.live import LiveLog
from streamsched.replay import letters
from streamsched.replay import restore as program

from ..checks.observations import require
from ..redis_double.values import id_of
from ..transport import RawWire
from ..world import World


class Shelf:
    """An archive as ``restore`` reads it, in memory."""

    folder = Path("nowhere")
    before = 0

    def __init__(self, entries: list[tuple[str, list[str]]], letters: list[tuple[str, list[str]]]) -> None:
        self.entries, self.kept_letters = entries, letters
        self.segments = ["all"] if entries else []

    @property
    def first(self) -> str:
        return self.entries[0][0] if self.entries else "0-0"

    @property
    def last(self) -> str:
        return self.entries[-1][0] if self.entries else "0-0"

    @property
    def count(self) -> int:
        return len(self.entries)

    def checked(self, piece: str) -> None:
        """Memory does not rot."""

    def number_up_to(self, entry_id: str) -> int:
        return sum(position(known) <= position(entry_id) for known, _ in self.entries)

    def letters_in(self, piece: str) -> list[Archived]:
        return [Archived(letter_id, [text.encode("latin-1") for text in flat]) for letter_id, flat in self.kept_letters]

    def read(self, after: str = "0-0", until: str = "+", count: int = 1000) -> Iterator[Chunk]:
        letters = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in self.kept_letters]
        buried = {letter["id"]: letter["code"] for letter in letters if letter["stream"] == "events"}
        end = position(self.last if until == "+" else until)
        wanted = [
            Archived(entry_id, [text.encode("latin-1") for text in flat])
            for entry_id, flat in self.entries
            if position(after) < position(entry_id) <= end
        ]
        for start in range(0, len(wanted), count):
            yield Chunk(wanted[start : start + count], buried)


async def at_once(work: Any, *args: Any) -> Any:
    """A thread is not needed here."""
    return work(*args)


class Archivist:
    """Archives and trims; brings a lost or trimmed partition back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen_run = 1
        self.ready = False
        """It has archived, and will trim next."""
        self.claim, self.claims = "", 0

    @property
    def entries(self) -> list[tuple[str, list[str]]]:
        return self.world.checker.archive

    @property
    def letters(self) -> list[tuple[str, list[str]]]:
        return self.world.checker.letters.archive

    def step(self) -> None:
        """Archive what is folded; perhaps die; else trim, at once or later."""
        world = self.world
        if world.forked or (not self.ready and not self._same_history()):
            return
        world.note("archiver")
        try:
            if self.ready:
                self.ready = False
                self._trim()
                return
            watermark = world.run(world.wire.hget(world.keys("meta"), "watermark")) or "0-0"
            self._read(watermark)
            if world.rng.random() < 0.2:
                world.mark("archiver died before its trim")
            elif world.rng.random() < 0.5:
                self._trim()
            else:
                self.ready = True  # and much may happen before
        except (SchedulerError, RedisError) as problem:
            world.note(f"    {problem}")

    def _same_history(self) -> bool:
        """On another server, the end of the archive must be in the log."""
        world = self.world
        if self.seen_run != world.server_run:
            log = world.checker.by_id
            lost = [entry_id for entry_id, flat in self.entries if entry_id not in log or log[entry_id].flat != flat]
            if lost:
                world.mark("archive and log forked")
                world.forked = f"the archive holds {lost[0]}, which the log has lost"
                world.note(f"archiver: {world.forked}")
                return False
            self.seen_run = world.server_run
        return True

    def _read(self, watermark: str) -> None:
        behind = self.entries[-1][0] if self.entries else "0-0"
        if id_of(watermark) <= id_of(behind):
            return
        found = self.world.perform(("XRANGE", self.world.keys("events"), f"({behind}", watermark))
        letters_behind = self.letters[-1][0] if self.letters else "0-0"
        for letter_id, flat in self.world.perform(("XRANGE", self.world.keys("dead"), f"({letters_behind}", "+")):
            e = dict(zip(flat[::2], flat[1::2], strict=True))
            if e["stream"] == "events" and id_of(e["id"]) > id_of(watermark):
                break  # of a call that was torn, or of what comes next
            self.letters.append((letter_id, flat))
        self.entries.extend((entry_id, flat) for entry_id, flat in found)

    def be_hasty(self) -> None:
        """A tool of an operator's own takes all that the log holds for archived, whether it was folded or not."""
        world = self.world
        if world.forked or world.server.full or not self._same_history():
            return
        world.note("a hasty archiver")
        with world.calm():
            self._read(world.run(world.wire.hget(world.keys("meta"), "watermark")) or "0-0")
            last = world.perform(("XREVRANGE", world.keys("events"), "+", "-", "COUNT", 1))
            if self.entries and last:
                if world.checker.whole and id_of(last[0][0]) > id_of(self.entries[-1][0]):
                    world.mark("a trim of what was not folded yet")
                self._trim(last[0][0])

    def _trim(self, archived: str = "") -> None:
        if not self.entries:
            return
        world = self.world
        begins = not self.claim or world.rng.random() < 0.2
        if begins:
            self.claims += 1
        before, self.claim = self.claim, f"a{self.claims}" if begins else self.claim
        claimed = world.server.space.data.get(world.keys("meta"))
        mine = begins or (isinstance(claimed, dict) and claimed.get("archiver") in (None, self.claim))
        batch = world.rng.choice([3, 10, 1000])
        try:
            trimmed, _, stopped = world.run(
                script("trim_log")(
                    world.wire,
                    events=world.keys("events"),
                    prefix=world.keys.prefix,
                    batch=batch,
                    archived=archived or self.entries[-1][0],
                    archive="shelf",
                    archiver=self.claim,
                    takes_over=int(begins),
                )
            )
        except ArchiveLocked:
            world.mark("trim refused: another archiver took over")
            self.claim = ""  # it stops, and is started again
            return
        except PartitionRebuilding:
            world.mark("trim refused: the state is not whole")
            return
        require(mine, f"an archiver without the claim trimmed {trimmed}")
        if before and begins and world.rng.random() < 0.3:
            self.claim = before  # the one that began earlier trims on
            self.ready = True
            return
        world.note(f"    trimmed {trimmed}{f', stopped at {stopped}' if stopped else ''}")
        if trimmed:
            world.mark("trimmed")
        if stopped:
            world.mark("trim stopped at an alive job")
        if self.letters:
            self._trim_letters()

    def _trim_letters(self) -> None:
        world = self.world
        lag = len(self.letters) % 3  # an archive may lag behind in letters
        archived = world.checker.letters.safe = self.letters[max(-1 - lag, -len(self.letters))][0]
        given = {"events": world.keys("events"), "dead": world.keys("dead"), "prefix": world.keys.prefix}
        trimmed, _ = world.run(
            script("trim_dead_letters")(
                world.wire,
                **given,
                batch=world.rng.choice([2, 1000]),
                archived=archived,
                keep=world.rng.choice([0, 2]),
                archiver=self.claim,
            )
        )
        if trimmed:
            world.note(f"    trimmed {trimmed} letters")
            world.mark("letters trimmed")

    def restore(self) -> bool:
        """An operator folds the archive again; false where it was refused, because the two are not one history."""
        world = self.world
        world.note("operator restores from the archive")
        shelf: Any = Shelf(self.entries, self.letters)
        thread = SimpleNamespace(to_thread=SimpleNamespace(run_sync=at_once))
        with (
            mock.patch.multiple(program, anyio=thread, nearest=mock.Mock(return_value=None)),
            mock.patch.object(letters, "anyio", thread),
        ):
            try:
                world.run(program.restore(world.wire, LiveLog(RawWire(), world.keys), shelf))
            except (LogFork, LogGap) as problem:
                world.forked = world.forked or str(problem)
                world.note(f"    {problem}")
                return False
            except (SchedulerError, RedisError) as problem:
                world.note(f"    {problem}")
                return True
        world.mark("restored from the archive")
        world.checker.limits.rebuilt_ms = world.true_ms
        return True
