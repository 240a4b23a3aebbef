"""The servers on which stories are played, and on which their logs are folded again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis

from streamsched.contract.entries import Chunk, fields_of
from streamsched.contract.keys import Keys
from streamsched.replay.scratch import Scratch
from streamsched.server.embedded import EmbeddedServer

from ..model import fold
from ..model.refusals import Unlawful
from ..support.ledger import Ledger
from .compare import State, forged, kept, log_of, parting, unlike
from .play import Player, Story, shown


class Parted(AssertionError):
    """Two folds of a log differ, or the log holds what should not be in it; the text says where."""


class Stage:
    """Plays each story on one server; what came of it must be what every fold of its log comes to."""

    def __init__(self, clients: dict[str, Any], played_on: str, raw: Any) -> None:
        self.clients, self.played_on, self.raw = clients, played_on, raw
        self.reached: Counter[str] = Counter()
        """What the logs so far have held: accepted events by type, refused ones by type and code."""

    async def tell(self, story: Story) -> None:
        """Play a story, then fold its log on every server and by the model.

        Raises:
            Parted: they do not agree.
        """
        for client in self.clients.values():
            await client.flushdb()
        live = Ledger(self.clients[self.played_on], Keys("played"))
        await Player(live).play(story)
        log, codes = await log_of(live, self.raw)
        places = {}
        for name, client in self.clients.items():
            keys = Keys(f"folded-{name}")
            places[name] = Scratch(client, keys), Ledger(client, keys)
        if problem := await self.compare(live, log, codes, places):
            where = await parting(log, places, codes)
            raise Parted(f"{problem}\n{where}\nThe log is in {kept(log)}\n{shown(story)}")
        for entry in log.entries:
            kind = fields_of(entry).get("type", "")
            self.reached[f"{kind} {codes[entry.id]}" if entry.id in codes else kind] += 1

    async def compare(
        self, live: Ledger, log: Chunk, codes: dict[str, str], places: dict[str, tuple[Scratch, Ledger]]
    ) -> str | None:
        """Return what differs among the live state and the folds of its log, if anything does."""
        states: list[tuple[str, State]] = [(f"the live state on {self.played_on}", await live.state(live.keys))]
        size = 1 + len(log.entries) % 13
        for name, (scratch, place) in places.items():
            for start in range(0, len(log.entries), size):
                await scratch.feed(Chunk(log.entries[start : start + size], log.buried))
            states.append((f"the fold on {name}", await place.state(place.keys)))
        try:
            model = fold(((entry.id, entry.flat) for entry in log.entries), forged(log))
        except Unlawful as problem:
            return str(problem)
        if model.dead != codes:
            return f"the model refuses {model.dead}, the scripts {codes}"
        return unlike([*states, ("the model", model.state)])


@contextmanager
def stage(servers: dict[str, EmbeddedServer], played_on: str) -> Iterator[tuple[asyncio.Runner, Stage]]:
    """Give a stage, and what runs its work."""
    text: Any = {"decode_responses": True, "protocol": 2, "encoding_errors": "surrogateescape"}
    clients: dict[str, Any] = {name: Redis.from_url(server.url, **text) for name, server in servers.items()}
    raw: Any = Redis.from_url(servers[played_on].url, protocol=2)

    async def close() -> None:
        for client in (*clients.values(), raw):
            await client.flushdb()
            await client.aclose()

    with asyncio.Runner() as runner:
        try:
            yield runner, Stage(clients, played_on, raw)
        finally:
            runner.run(close())
