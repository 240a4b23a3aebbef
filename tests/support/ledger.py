"""The bare scripts as a test drives them: append facts, advance, look at the state, and compare it with its log."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from redis.asyncio import Redis

from streamsched.contract.events import Event, JobSubmitted, NodeHeartbeat, NodeRegistered, SourceAdmitted, SourceRole
from streamsched.contract.keys import Keys
from streamsched.contract.soft_state import SOFT_KEYS, soft_fields
from streamsched.contract.wire import to_wire
from streamsched.engine.script import script

from ..model import fold

Job = dict[str, str]


class Ledger:
    """One partition, without client, node or worker around it."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis: Any = redis  # redis-py types its replies as unions of every shape that any protocol gives
        self.keys = keys
        self.frozen = False

    def streams(self) -> dict[str, Any]:
        return {name: self.keys(name) for name in ("events", "heartbeats", "dead")}

    def given(self, batch: int = 256, nonce: str = "5eed") -> dict[str, Any]:
        """What every live call of a script is given, by a process that knows of no log and no archive yet."""
        about = {"prefix": self.keys.prefix, "batch": batch, "nonce": nonce, "known_log": "0-0", "archived": 0}
        return self.streams() | about

    async def append(self, *events: Event | list[str], batch: int = 256) -> list[list[str]]:
        """Append and advance in one call; returns ``[code, id or detail, …]`` for each event."""
        await self._stand_still()
        own = json.dumps([to_wire(event) if isinstance(event, Event) else event for event in events])
        reply = await script("append")(self.redis, **self.given(batch), own=own)
        answers: list[list[str]] = reply[2]
        return answers

    async def add(self, fields: dict[Any, Any], stream: str = "events") -> str:
        """A bare ``XADD``, as a producer in any language does it."""
        return str(await self.redis.xadd(self.keys(stream), fields))

    async def call(self, batch: int = 256) -> list[Any]:
        """Advance once, however much that leaves to do; returns the reply."""
        await self._stand_still()
        reply: list[Any] = await script("advance")(self.redis, **self.given(batch))
        return reply

    async def advance(self, batch: int = 256) -> list[Any]:
        """Advance until nothing is left to do now; returns the last reply."""
        while True:
            reply = await self.call(batch)
            if reply[0] == 0:
                return reply

    async def admit(self, source: str, node_id: str | None = None, **limits: Any) -> None:
        """Admit a source: of a node if one is named, which may create any pool, else a producer."""
        role = SourceRole.NODE if node_id else SourceRole.PRODUCER
        if node_id:
            limits.setdefault("pools", "*")
        answer = await self.answer(SourceAdmitted(source=source, role=role, node_id=node_id, **limits))
        assert answer[0] == "", answer

    async def say(self, source: str, *pairs: str, entry_id: str = "*") -> str:
        """A bare ``XADD`` to the ingress of a source: ``type``, then fields and values in turn."""
        fields = dict(zip(("type", *pairs)[::2], ("type", *pairs)[1::2], strict=True))
        return str(await self.redis.xadd(self.keys("ingress", source), fields, id=entry_id))

    async def take_in(self, *sources: str, batch: int = 256) -> dict[str, int]:
        """Take in what sources have said until nothing is left to do now; returns who has to wait, and how long."""
        while True:
            await self._stand_still()
            reply: list[Any] = await script("ingest")(self.redis, **self.given(batch), speakers=" ".join(sources))
            held = dict(zip(reply[5][::2], map(int, reply[5][1::2]), strict=True))
            if reply[0] == 0 and 0 not in held.values():
                return held

    async def waiting(self, source: str) -> int:
        """How many entries are in the ingress of a source."""
        return int(await self.redis.xlen(self.keys("ingress", source)))

    async def answer(self, event: Event | list[str]) -> list[str]:
        """Append one event and return the reply to its producer."""
        return (await self.append(event))[0]

    async def node(self, node_id: str = "n1", *pools: str, **fields: str) -> None:
        """Register a node and let it beat once; without ``pools`` it serves ``en-zh``."""
        names = json.dumps([{"id": name, "name": name} for name in pools or ("en-zh",)])
        registration = NodeRegistered(node_id=node_id, cap_json="{}", pool_names_json=names, **fields)
        answers = await self.append(registration, NodeHeartbeat(node_id=node_id, online=True))
        assert [answer[0] for answer in answers] == ["", ""], answers

    async def submit(
        self, job_id: str = "j1", session_id: str = "s1", src: str = "zh", tgt: str = "en", **more: Any
    ) -> Job:
        """Submit a job and return its hash."""
        submission = JobSubmitted(
            job_id=job_id, session_id=session_id, src_lang=src, tgt_lang=tgt, payload_json='{"text":"hm"}', **more
        )
        answer = await self.answer(submission)
        assert answer[0] == "", answer
        return await self.job(job_id)

    async def tell(self, kind: str, job_id: str = "j1", **fields: str) -> list[str]:
        """Append what the holder of a job says of it: ``started``, ``progressed``, ``declined`` or ``completed``."""
        job = await self.job(job_id)
        known = {"node_id": job.get("node_id") or "n1", "attempt": job.get("attempt") or "0-0-none"}
        flat = ["type", f"job.{kind}", "job_id", job_id]
        for name, value in {**known, **fields}.items():
            flat += (name, value)
        return await self.answer(flat)

    async def job(self, job_id: str = "j1") -> Job:
        return await self.hash("job", job_id)

    async def info(self, node_id: str = "n1") -> dict[str, str]:
        return await self.hash("node_info", node_id)

    async def held(self, node_id: str = "n1") -> set[str]:
        return set(await self.redis.smembers(self.keys("node_jobs", node_id)))

    async def online(self, pool_id: str = "en-zh") -> set[str]:
        """The nodes of a pool that may receive a job now."""
        return set(await self.redis.smembers(self.keys("pool_online", pool_id)))

    async def inbox(self, mailbox: str = "n1") -> list[dict[str, str]]:
        return [fields for _, fields in await self.redis.xrange(self.keys.inbox(mailbox))]

    async def hash(self, name: str, *ids: str) -> dict[str, str]:
        return dict(await self.redis.hgetall(self.keys(name, *ids)))

    async def facts(self, kind: str) -> list[dict[str, str]]:
        """The events of a type on the log, in order."""
        return [fields for _, fields in await self.redis.xrange(self.keys("events")) if fields["type"] == kind]

    async def types(self) -> list[str]:
        """The types on the log, in order."""
        return [fields["type"] for _, fields in await self.redis.xrange(self.keys("events"))]

    async def last(self, kind: str) -> dict[str, str]:
        """The newest event of a type."""
        return (await self.facts(kind))[-1]

    async def dead(self) -> list[dict[str, str]]:
        return [fields for _, fields in await self.redis.xrange(self.keys("dead"))]

    async def letter_ids(self) -> list[str]:
        """The ids of the dead letters, in order."""
        return [letter_id for letter_id, _ in await self.redis.xrange(self.keys("dead"))]

    async def now(self) -> int:
        """The scheduler's clock: never behind the server's, the last call's or the log's."""
        seconds, micros = await self.redis.time()
        meta = await self.hash("meta")
        behind = int(meta.get("watermark", "0-0").split("-")[0])
        return max(int(seconds) * 1000 + int(micros) // 1000, int(meta.get("last_call_ts", 0)), behind)

    async def freeze(self) -> None:
        """Stop the scheduler's clock well ahead of the server's: from here on only :meth:`pass_time` moves it."""
        self.frozen = True
        await self.pass_time(3_600_000)

    async def _stand_still(self) -> None:
        """Let the scheduler forget how much of the server's time it has counted, so that it counts none."""
        if self.frozen:
            await self.redis.hdel(self.keys("meta"), "clock_ts")

    async def pass_time(self, ms: int) -> list[Any]:
        """Let ``ms`` go by for the scheduler, and let it act: its last call is put that far ahead."""
        await self.redis.hset(self.keys("meta"), "last_call_ts", str(await self.now() + ms))
        return await self.advance()

    async def pass_time_unattended(self, ms: int) -> list[Any]:
        """Let ``ms`` go by without a call, then advance: the log's next entry stands that far ahead."""
        later = f"{await self.now() + ms}-0"
        await self.redis.xadd(self.keys("events"), {"type": "session.released", "session_id": "-"}, id=later)
        return await self.advance()

    async def state(self, keys: Keys) -> dict[str, Any]:
        """All folded state below a prefix, soft fields aside, by key without its prefix."""
        keys_read = [key async for key in self.redis.scan_iter(match=keys.prefix + "*", count=1000)]
        names = {key: key[len(keys.prefix) :] for key in keys_read}
        wanted = [key for key in keys_read if keys.is_state(key) and names[key] not in SOFT_KEYS]
        reads = {
            "hash": "HGETALL",
            "set": "SMEMBERS",
            "zset": "ZRANGE",
            "list": "LRANGE",
            "string": "GET",
            "none": "GET",
        }
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.type(key)
            kinds = await pipe.execute()
            for key, kind in zip(wanted, kinds, strict=True):
                bounds = {"zset": (0, -1, "WITHSCORES"), "list": (0, -1)}.get(kind, ())
                pipe.execute_command(reads[kind], key, *bounds)
            values = await pipe.execute()
        found: dict[str, Any] = {}
        for key, kind, value in zip(wanted, kinds, values, strict=True):
            name = names[key]
            if kind == "hash":
                soft = soft_fields(name)
                value = {field: text for field, text in value.items() if field not in soft}
            elif kind == "set":
                value = sorted(value)
            elif kind == "zset":
                value = [(member, float(score)) for member, score in zip(value[::2], value[1::2], strict=True)]
            if value:
                found[name] = value
        return found

    async def trace(self) -> dict[str, Any]:
        """The state but for what a refused event may change: how many were folded, how many of them are dead."""
        state = await self.state(self.keys)
        state.pop("meta", None)
        state["counters"] = {name: n for name, n in state.get("counters", {}).items() if name != "dead"}
        return state

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
        """Invariant 1: the state equals the fold of the log, by the scripts and by the model."""
        await self.check_refold()
        await self.check_model()

    async def check_refold(self) -> None:
        """The state equals the fold of the log, however the fold is cut into calls."""
        live = await self.state(self.keys)
        for batch in (1, 7, 1000):
            refold = await self.refold(batch)
            differing = {
                key: (live.get(key), refold.get(key)) for key in live | refold if live.get(key) != refold.get(key)
            }
            assert differing == {}, f"the refold in batches of {batch} differs: {differing}"

    async def check_model(self) -> None:
        """The state and the dead letters are what the model makes of the log, which shares nothing with the scripts."""
        log = await self.redis.xrange(self.keys("events"))
        letters = {letter["id"]: letter["code"] for letter in await self.dead() if letter["stream"] == "events"}
        forged = {entry_id for entry_id, code in letters.items() if code == "FORGED_DECISION"}
        model = fold([(entry_id, [*chain(*fields.items())]) for entry_id, fields in log], forged)
        assert model.dead == letters, "the model refuses others"
        live, reported = await self.state(self.keys), model.state
        differing = {
            key: (live.get(key), reported.get(key)) for key in live | reported if live.get(key) != reported.get(key)
        }
        assert differing == {}, f"the model differs: {differing}"
