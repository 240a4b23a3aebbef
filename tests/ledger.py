"""The bare scripts as a test drives them: append facts, advance, look at the state, and compare it with its log."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from streamsched.events import Event, to_wire
from streamsched.keys import SOFT_KEYS, SOFT_META_FIELDS, SOFT_NODE_FIELDS, Keys
from streamsched.scripts import script


class Ledger:
    """One partition, without client, node or worker around it."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis, self.keys = redis, keys

    def streams(self) -> dict[str, Any]:
        return {name: self.keys(name) for name in ("events", "heartbeats", "dead")}

    async def append(self, *events: Event | list[str], batch: int = 256) -> list[list[str]]:
        """Append and advance in one call; returns ``[code, id or detail, …]`` for each event."""
        own: list[Any] = []
        for event in events:
            flat = event if isinstance(event, list) else to_wire(event)
            own += [len(flat), *flat]
        reply = await script("append")(
            self.redis, **self.streams(), prefix=self.keys.prefix, batch=batch, nonce="5eed", own=own
        )
        answers: list[list[str]] = reply[3]
        return answers

    async def add(self, fields: dict[Any, Any], stream: str = "events") -> str:
        """A bare ``XADD``, as a producer in any language does it."""
        return str(await self.redis.xadd(self.keys(stream), fields))

    async def advance(self, batch: int = 256) -> list[Any]:
        """Advance until nothing is left to do now; returns the last reply."""
        while True:
            reply: list[Any] = await script("advance")(
                self.redis, **self.streams(), prefix=self.keys.prefix, batch=batch, nonce="5eed"
            )
            if reply[0] == 0:
                return reply

    async def hash(self, name: str, *ids: str) -> dict[str, str]:
        return dict(await self.redis.hgetall(self.keys(name, *ids)))

    async def types(self) -> list[str]:
        """The types on the log, in order."""
        return [fields["type"] for _, fields in await self.redis.xrange(self.keys("events"))]

    async def last(self, kind: str) -> dict[str, str]:
        """The newest event of a type."""
        found = [fields for _, fields in await self.redis.xrange(self.keys("events")) if fields["type"] == kind]
        return dict(found[-1])

    async def dead(self) -> list[dict[str, str]]:
        return [fields for _, fields in await self.redis.xrange(self.keys("dead"))]

    async def pass_time(self, ms: int) -> None:
        """Let ``ms`` go by for the scheduler: every moment it stored is moved that far into the past."""
        raise NotImplementedError

    async def state(self, keys: Keys) -> dict[str, Any]:
        """All folded state below a prefix, soft fields aside, by key without its prefix."""
        found: dict[str, Any] = {}
        async for key in self.redis.scan_iter(match=keys.prefix + "*", count=1000):
            name = key[len(keys.prefix) :]
            if not keys.is_state(key) or name in SOFT_KEYS:
                continue
            kind = await self.redis.type(key)
            if kind == "hash":
                value: Any = dict(await self.redis.hgetall(key))
                soft = SOFT_META_FIELDS if name == "meta" else SOFT_NODE_FIELDS if name.startswith("node:info:") else ()
                value = {field: text for field, text in value.items() if field not in soft}
            elif kind == "set":
                value = sorted(await self.redis.smembers(key))
            elif kind == "zset":
                value = await self.redis.zrange(key, 0, -1, withscores=True)
            else:
                value = await self.redis.lrange(key, 0, -1)
            if value:
                found[name] = value
        return found

    async def refold(self, batch: int) -> dict[str, Any]:
        """Fold the log from its first entry into a scratch namespace, ``batch`` events a call."""
        scratch = Keys(f"{self.keys.namespace}-scratch{batch}")
        while True:
            more, _, _ = await script("replay")(
                self.redis,
                events=self.keys("events"),
                dead=self.keys("dead"),
                prefix=scratch.prefix,
                batch=batch,
                in_place=0,
            )
            if not more:
                return await self.state(scratch)

    async def check(self) -> None:
        """Invariant 1: the state equals the fold of the log, however the fold is cut into calls."""
        live = await self.state(self.keys)
        for batch in (1, 7, 1000):
            refold = await self.refold(batch)
            differing = {key: (live.get(key), refold.get(key)) for key in live | refold if live.get(key) != refold.get(key)}
            assert differing == {}, f"the refold in batches of {batch} differs: {differing}"
