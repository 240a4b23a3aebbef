"""A run looked at from its end: archive and log tell the same story as the state."""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError

from streamsched.contract.errors import SchedulerError
from streamsched.contract.keys import Keys
from streamsched.engine.script import script

from ..redis_double.values import Stream, id_of
from ..transport import drive
from ..world import World
from .observations import Violation, require


def look_back(world: World) -> None:
    """Everything was folded once, and archive and log tell the same story as the state."""
    checker = world.checker
    stream: Any = world.server.space.data.get(world.keys("events"), Stream())
    require(checker.folded == stream.added, f"{checker.folded} folded, the log took in {stream.added}")
    for entry_id, event in world.acknowledged.items():
        require(entry_id in checker.by_id, f"{entry_id} was acknowledged, and is gone: {event}")
    archived = dict(checker.archive)
    gone = [(entry.id, archived.get(entry.id)) for entry in checker.log[: checker.trimmed]]
    require(all(flat is not None for _, flat in gone), f"trimmed, and in no archive: {gone}")
    history = [*gone, *stream.entries]
    require([entry_id for entry_id, _ in history] == [entry.id for entry in checker.log], "the history has holes")
    if not checker.folded or world.server.real:
        return
    live = checker.state(world.keys.prefix)
    batch = world.rng.choice([1, 7, 1000])
    again = refolded(world, history, batch)
    for key in sorted(live.keys() | again.keys()):
        have, want = live.get(key), again.get(key)
        require(have == want, f"{key} is {have}, folded again in batches of {batch} {want}")


def refolded(world: World, history: list[tuple[str, Any]], batch: int) -> dict[str, Any]:
    """The state that the scripts make of archive and log."""
    scratch = Keys("scratch")
    world.server.space.data[scratch("events")] = stream = Stream()
    stream.ids = [id_of(entry_id) for entry_id, _ in history]
    stream.entries = history
    stream.added = len(history)
    dead: Any = world.server.space.data.get(world.keys("dead"), Stream())
    world.server.space.data[scratch("dead")] = letters = Stream()
    letters.entries = world.checker.letters.all(dead)
    letters.ids = [id_of(letter_id) for letter_id, _ in letters.entries]
    given = {"events": scratch("events"), "dead": scratch("dead"), "prefix": scratch.prefix, "in_place": 0}
    more = 1
    while more:
        try:
            more, _, _ = drive(script("replay")(world.wire, **given, batch=batch), world.quietly)
        except (SchedulerError, RedisError) as problem:
            raise Violation(f"the history cannot be folded again: {problem}") from problem
    return world.checker.state(scratch.prefix)
