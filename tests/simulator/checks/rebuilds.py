"""Rebuilds from an archive: begun anywhere, and killed at any command, they give the state that the model gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streamsched.archive.reader import Archive
from streamsched.archive.snapshot import Row
from streamsched.contract.entries import Chunk, Entry
from streamsched.contract.keys import Keys
from streamsched.contract.soft_state import SOFT_META_FIELDS
from streamsched.engine.script import script
from streamsched.log.live import LiveLog
from streamsched.replay.restore import restore
from streamsched.replay.scratch import packed

from ...model.fold import Model
from ...model.refusals import unheld
from ..redis_double.double import Double
from ..redis_double.values import Hash, ReplyError, Set, SortedSet
from ..transport import Procedure, RawWire, Request, Wire, drive, error_of
from .contents import by_the_model, state_of
from .observations import DECISIONS, require


def server(now_ms: int, seed: int = 0) -> Double:
    """A server beside the one of the run, and empty."""
    return Double(random.Random(seed), now_ms)


def asked(double: Double) -> Callable[[Request], Any]:
    """What carries out the commands of a coroutine on it."""

    def perform(request: Request) -> Any:
        try:
            return double.execute(*request)
        except ReplyError as refused:
            raise error_of(refused) from None

    return perform


def snapshot_of(chunks: Iterable[Chunk], keys: Keys, now_ms: int) -> tuple[list[Row], int]:
    """The state that some entries of an archive come to, as a snapshot keeps it, and how many were folded."""
    double, folded = server(now_ms), 0
    given = {
        "events": keys("events"),
        "dead": keys("dead"),
        "prefix": keys.prefix,
        "in_place": 0,
        "after": "0-0",
        "ends": 0,
    }
    for chunk in chunks:
        drive(script("replay_entries")(Wire(), **given, entries=packed(chunk)), asked(double))
        folded += len(chunk.entries)
    return list(rows_of(double, keys)), folded


def rows_of(double: Double, keys: Keys) -> Iterable[Row]:
    for key, value in double.space.data.items():
        name = key.removeprefix(keys.prefix)
        if isinstance(value, Hash):
            fields = {f: v for f, v in value.items() if name != "meta" or f not in SOFT_META_FIELDS}
            yield Row(name, "hash", 0, {raw(field): raw(text) for field, text in fields.items()})
        elif isinstance(value, SortedSet):
            yield Row(name, "zset", 0, [(raw(member), score) for score, member in value.order])
        elif isinstance(value, Set):
            yield Row(name, "set", 0, [raw(member) for member in value])
        elif isinstance(value, list):
            yield Row(name, "list", 0, [raw(text) for text in value])


def raw(text: str) -> bytes:
    return text.encode("latin-1")


def by_the_archive(
    entries: list[tuple[str, list[str]]], letters: Iterable[Entry], refused: Mapping[str, str]
) -> dict[str, Any]:
    """The state that the model makes of an archive; each refusal of the model must have its letter, and no other."""
    texts = [{flat[n].decode(): flat[n + 1].decode("latin-1") for n in range(0, len(flat), 2)} for _, flat in letters]
    codes = {e["id"]: e["code"] for e in texts if e["stream"] == "events"}
    kinds = {entry_id: dict(zip(flat[::2], flat[1::2], strict=True)).get("type") for entry_id, flat in entries}
    forged = {entry_id for entry_id, kind in kinds.items() if kind in DECISIONS and entry_id in codes}
    model = Model(forged, refused)
    with unheld():  # each was held against the laws when it was new
        for entry_id, flat in entries:
            code = model.step(entry_id, flat)
            letter = codes.get(entry_id)
            require(code == letter, f"{entry_id}: dead letter {letter} in the archive, by the model {code}")
    return by_the_model(model.partition, {})


def check_rebuilds(
    archive: Archive,
    entries: list[tuple[str, list[str]]],
    refused: Mapping[str, str],
    keys: Keys,
    now_ms: int,
    dice: random.Random,
) -> None:
    """Restore the archive on an empty server, and hold what comes of it against the model.

    Args:
        archive: as its readers find it.
        entries: what it holds.
        refused: see :class:`Model`.
        keys: the partition.
        now_ms: the clock.
        dice: says where the restore is killed.
    """
    expected = by_the_archive(entries, archive.letters(), refused)
    double, kills = server(now_ms), dice.choice([0, 2, 6])
    perform, wire = asked(double), Wire()
    while True:
        work = Procedure("restore", restore(wire, LiveLog(RawWire(), keys), archive))
        left = dice.randint(0, 15) if kills else -1
        kills -= 1
        while not work.done and left != 0:
            left -= 1
            work.step(perform)
        if work.done:
            break
        work.kill()
    found = state_of(double.space.data, keys.prefix)
    for name in sorted(found.keys() | expected.keys()):
        have, want = found.get(name), expected.get(name)
        require(have == want, f"rebuilt from the archive, {name} is {have}, by the model {want}")
