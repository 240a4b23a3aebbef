"""An archive of many segments: the program's own archiver keeps it, and an operator restores from it.

Both are carried on command by command, and may be killed at each.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from redis.exceptions import RedisError

from streamsched.archive import archiver as program
from streamsched.archive.manifest import Segment
from streamsched.contract.entries import Entry
from streamsched.contract.errors import ArchiveLocked, LogFork, LogGap, LogWiped, SchedulerError
from streamsched.log.live import LiveLog
from streamsched.replay import rebuild
from streamsched.replay.forget import forget
from streamsched.replay.restore import restore

from ..checks.rebuilds import check_rebuilds, snapshot_of
from ..redis_double.values import Hash
from ..transport import Procedure, RawWire
from ..world import World
from .archive_folder import Folder, MemoryWriter, in_memory
from .archivist import Archivist


def texts(entry: Entry) -> list[str]:
    return [part.decode("latin-1") for part in entry.flat]


class Librarian(Archivist):
    """Archives in segments, makes snapshots, and restores; kills happen at any command."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.dice = random.Random(f"librarian {world.seed}")
        self.folder = Folder(world.keys)
        self.archiver: program.Archiver | None = None
        self.restoring: Procedure | None = None
        self.read_from: list[Segment] = []
        """What the manifest listed when the rebuild from the archive began."""
        world.checker.readable = lambda: self.events_of(self.read_from)

    # the archive as it is

    def events_of(self, pieces: Iterable[Segment]) -> list[tuple[str, list[str]]]:
        """The events that a reader of some segments finds."""
        return [(entry.id, texts(entry)) for piece in pieces for entry in self.folder.files[piece.name].entries]

    def _note_files(self) -> None:
        """What is on the disk is safe, whether the manifest lists it or not."""
        files = list(self.folder.files.values())
        self.entries[:] = [(entry.id, texts(entry)) for file in files for entry in file.entries]
        self.letters[:] = [(letter.id, texts(letter)) for file in files for letter in file.letters]

    # the archiver

    def step(self) -> None:
        """Archive what is folded, however many segments behind; perhaps die at some command of it."""
        world = self.world
        if world.forked:
            return
        world.note("archiver")
        try:
            self._archive(self.dice.randint(1, 25) if self.dice.random() < 0.3 else None)
        except LogFork as problem:
            world.mark("archive and log forked")
            world.forked = str(problem)
            world.note(f"    {problem}")
        except LogWiped as problem:
            world.mark("an archiver waits for its log")
            world.note(f"    {problem}")
        except ArchiveLocked as problem:
            world.mark("trim refused: another archiver took over")
            world.note(f"    {problem}")
            self.archiver = None  # it ends, and is started again
        except (SchedulerError, RedisError) as problem:
            world.note(f"    {problem}")

    def _archive(self, commands: int | None) -> None:
        world, before = self.world, len(self.folder.files)
        with in_memory():
            archiver = self.archiver = self.archiver or self._started()
            program.LETTERS_KEPT, program.TRIM_BATCH = self.dice.choice([0, 2]), self.dice.choice([3, 1000])
            archiver.trim = self.dice.random() < 0.6
            work = Procedure("archive", archiver.once())
            try:
                while not work.done:
                    if commands == 0:
                        world.note("    the archiver is killed")
                        world.mark("an archiver killed")
                        work.kill()
                        self.archiver = None
                        return
                    commands = None if commands is None else commands - 1
                    self._note_files()
                    world.checker.letters.safe = archiver.writer.archive.letters_last
                    work.step(world.perform)
                if archiver.trimmed:
                    world.mark("trimmed")
                if archiver.letters_trimmed:
                    world.mark("letters trimmed")
            finally:
                self._note_files()
        if len(self.folder.files) - before > 2:
            world.mark("an archiver several segments behind")

    def _started(self) -> program.Archiver:
        before = len(self.folder.listed)
        writer = MemoryWriter(self.folder)
        if len(self.folder.listed) > before:
            self.world.note("    the archiver lists segments again")
            self.world.mark("segments listed again")
        live = LiveLog(RawWire(), self.world.keys)
        return program.Archiver(live, writer, max_events=self.dice.choice([2, 5, 9]))

    def be_hasty(self) -> None:
        """The program's own archiver has nothing trimmed that is not folded."""

    def yesterday(self) -> None:
        """An older copy of the manifest is put back, and the archiver is started again."""
        with self.world.calm():
            self.step()  # so that the log is trimmed as far as it may be
            self.step()
        meta: Any = self.world.server.space.data.get(self.world.keys("meta"), {})
        if len(self.folder.listed) > 1 and self.restoring is None and "rebuild_from" not in meta:
            self.world.note("the manifest of yesterday is put back")
            self.world.mark("a manifest of yesterday")
            self.folder.manifest_of_yesterday(self.dice.randint(1, 4))
            self.archiver = None
            self.begin()
            with self.world.calm():
                while self.restoring is not None and self.dice.random() < 0.95:
                    self._next()

    def list_again(self) -> None:
        """An archiver that starts lists what the manifest lacks."""
        with in_memory():
            self.archiver = self._started()

    # snapshots

    def take_snapshot(self) -> None:
        """The state as of the end of some segment, folded from the archive."""
        pieces = self.folder.listed
        if not pieces or self.world.forked:
            return
        piece = self.dice.choice(pieces)
        with in_memory():
            chunks = list(self.folder.open().read(until=piece.last))
        self.folder.snapshots[piece.last] = snapshot_of(chunks, self.world.keys, self.world.now_ms)
        self.world.note(f"a snapshot as of {piece.last}")

    def check(self) -> None:
        """The archive alone comes to the state of the model, from whatever snapshot a rebuild begins."""
        archive = self.folder.open()
        if not archive.segments or self.world.forked:
            return
        world, kept = self.world, self.folder.snapshots
        refused = world.checker.new_logs.refused
        for without in (False, True) if kept else (True,):
            if without:
                self.folder.snapshots = {}
            else:
                world.mark("rebuilt from a snapshot")
            with in_memory():
                check_rebuilds(archive, self.events_of(archive.segments), refused, world.keys, world.now_ms, self.dice)
        self.folder.snapshots = kept
        world.mark("an archive alone rebuilt")

    # the operator

    def is_of_another_log(self) -> bool:
        """Whether the server has begun another log than that of the archive."""
        data, keys = self.world.server.space.data, self.world.keys
        if not self.folder.listed or self.world.forked:
            return False
        meta = data.get(keys("meta"))
        log = meta.get("log") if isinstance(meta, Hash) else None
        # letters about heartbeats come before a log: a plain restore would not put those of the archive in front
        began = log is not None or (keys("events") not in data and keys("dead") in data)
        return began and log != self.folder.listed[0].first

    def give_up(self) -> None:
        """The lost log is not waited for any more."""
        self.world.note("operator gives the lost log up")
        try:
            self.world.run(forget(self.world.wire, self.world.keys))
        except RedisError as problem:
            self.world.note(f"    {problem}")
        else:
            self.world.mark("a lost log given up")

    def begin(self) -> None:
        """An operator has the state folded again from the archive, whole as it may be."""
        if self.restoring is None and self.folder.listed and not self.world.forked:
            self.world.note("operator rebuilds from the archive")
            self._begin()

    def go_on(self) -> None:
        """A rebuild from the archive goes on by some commands, or is killed."""
        if self.restoring is None:
            return
        for _ in range(self.dice.choice([1, 3, 10, 40])):
            if self.restoring is not None and self._next() is not None:
                return
        if self.restoring is not None and self.dice.random() < 0.4:
            self._kill()

    def restore(self) -> bool:
        """To the end, killed some times on the way; false where it was refused, because the two are not one history."""
        if self.world.faults or self.restoring is None:
            self._kill()
            if self.world.lost_log() or not self.folder.listed:
                self.list_again()
            if not self.folder.listed:
                return False
            self._begin()
        kills = self.dice.choice([0, 0, 1, 3])
        while kills:
            kills -= 1
            for _ in range(self.dice.randint(1, 12)):
                if self.restoring is not None and (ended := self._next()) is not None:
                    return ended
            self._kill()
            self._begin()
        while True:
            if (ended := self._next()) is not None:
                return ended

    def _begin(self) -> None:
        world = self.world
        if not self.folder.listed:
            self.list_again()
        archive, wiped = self.folder.open(), bool(world.lost_log()) or self.is_of_another_log()
        self.read_from = archive.segments
        with in_memory():
            work = restore(world.wire, LiveLog(RawWire(), world.keys), archive, replace=wiped)
            self.restoring = Procedure("replace" if wiped else "restore", work)

    def _kill(self) -> None:
        if self.restoring is not None:
            self.world.note(f"the {self.restoring.name} is killed")
            self.world.mark(f"a {self.restoring.name} killed")
            self.restoring.kill()
            self.restoring = None

    def _next(self) -> bool | None:
        """One command; ``None`` while there is more, else whether archive and log are of one history."""
        world, work = self.world, self.restoring
        assert work is not None
        world.note(f"operator {work.name}s: {world.replied(work.request or ())}")
        rebuild.BATCH = world.profile.replay_batch
        try:
            with in_memory():
                work.step(world.perform)
        except (LogFork, LogGap, LogWiped) as problem:
            return self._refused(problem)
        except (SchedulerError, RedisError) as problem:
            world.note(f"    {problem}")
            self.restoring = None
            return True
        if not work.done:
            return None
        self.restoring = None
        world.mark("restored from the archive")
        if work.name == "replace":
            world.mark("a lost log replaced")
        world.checker.limits.rebuilt_ms = world.true_ms
        return True

    def _refused(self, problem: SchedulerError) -> bool:
        world = self.world
        world.note(f"    {problem}")
        self.restoring = None
        if isinstance(problem, LogWiped):
            if "give the archive of the lost log" in str(problem):  # it was announced, and no segment of it written
                self.give_up()
            return True  # it is to be a replace
        if len(self.folder.listed) < len(self.folder.files):
            world.mark("a manifest of yesterday refused")
            self.list_again()
            return True
        world.forked = world.forked or str(problem)
        return False
