"""Work for a scheduler: events, payloads as real ones are, fleets and logs to fold."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import Any

from redis.asyncio import Redis

from streamsched.contract.events import (
    Event,
    JobCompleted,
    JobStarted,
    JobStatus,
    JobSubmitted,
    NodeHeartbeat,
    NodeRegistered,
    SchedulerConfigured,
)
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.engine.script import script

PAYLOAD = json.dumps({"audio": "x" * 187})  # 200 bytes
POOLS = ("en-zh", "de-en-fr", "es-pt", "en-ja-ko", "de-it")
PAIRS = (("en", "zh"), ("zh", "en"), ("en", "de"), ("fr", "en"), ("es", "pt"), ("ja", "en"), ("ko", "ja"), ("de", "it"))
RESULT = '{"text":"a translated sentence of a usual length"}'
CONCURRENCY = 256
"""Jobs that a node process carries out at once."""

ROUND = 8_000
"""Jobs under way at once: what 100 nodes with their full windows hold, however unevenly the pairs are drawn."""

RETENTION_MS = 1000
"""How long finished jobs stay in the state: as short as this, because hours of work are folded here in a minute."""

DAY = 24 * 3600 * 1000

names = (f"bench{n}" for n in itertools.count())


def beat(node: str, n: int = 0) -> Event:
    """A beat with a load that differs from one to the next, as real ones do."""
    return NodeHeartbeat(node_id=node, online=True, load_json=f'{{"gpu":0.{n % 1000:03d},"queued":{n % 7}}}')


def submission(n: int, deliver: bool | None) -> Event:
    """A job of one of eight pairs; five jobs to a session."""
    src, tgt = PAIRS[n % len(PAIRS)]
    session = f"session-{n // 40 * 8 + n % 8}"
    return JobSubmitted(session_id=session, src_lang=src, tgt_lang=tgt, payload_json=PAYLOAD, deliver=deliver)


def completion(job_id: str, node_id: str, attempt: str) -> Event:
    return JobCompleted(job_id=job_id, node_id=node_id, attempt=attempt, status=JobStatus.FINISHED, result_json=RESULT)


def dispatched(entries: list[tuple[str, dict[str, str]]]) -> list[tuple[str, str, str]]:
    """Return job, node and attempt of each dispatch among entries of a log."""
    return [(e["job_id"], e["node_id"], f"{id}-{e['nonce']}") for id, e in entries if e["type"] == "job.dispatched"]


class Ground:
    """One partition in a namespace of its own, driven through the bare scripts."""

    def __init__(self, redis: Redis, batch: int = 256, keys: Keys | None = None) -> None:
        self.redis, self.batch = redis, batch
        self.keys = keys or Keys(next(names))
        self.streams = {name: self.keys(name) for name in ("events", "heartbeats", "dead")}

    async def fill(self, stream: str, events: list[Event]) -> None:
        """Bare ``XADD`` of all events, pipelined, as producers in any language do it."""
        for start in range(0, len(events), 1000):
            async with self.redis.pipeline(transaction=False) as pipe:
                for event in events[start : start + 1000]:
                    pipe.execute_command("XADD", self.keys(stream), "*", *to_wire(event))
                await pipe.execute()

    async def call(self) -> int:
        """One ``advance``; returns whether there is more to do now."""
        reply: list[int] = await script("advance")(
            self.redis,
            **self.streams,
            prefix=self.keys.prefix,
            batch=self.batch,
            nonce="5eedba5e",
            known_log="0-0",
            archived=0,
        )
        return reply[0]

    async def drain(self) -> float:
        """Advance until nothing is left to do now; returns the seconds it took."""
        start = time.perf_counter()
        while await self.call():
            pass
        return time.perf_counter() - start

    async def append(self, event: Event) -> list[Any]:
        """Append one event and advance in one call; returns its answer."""
        flat = to_wire(event)
        reply = await script("append")(
            self.redis,
            **self.streams,
            prefix=self.keys.prefix,
            batch=self.batch,
            nonce="5eedba5e",
            known_log="0-0",
            archived=0,
            own=json.dumps([flat]),
        )
        answer: list[Any] = reply[2][0]
        return answer

    async def fleet(self, count: int, pools: tuple[str, ...] = POOLS) -> list[str]:
        """Register nodes, spread over the pools, and let each beat once, so that all are online."""
        nodes = [f"node-{n:06d}" for n in range(count)]
        cap = json.dumps({"services": ["ASR", "NMT"]})
        entries = [json.dumps([{"id": i, "name": pool}]) for i, pool in enumerate(pools, 1)]
        registered: list[Event] = [
            NodeRegistered(node_id=node, cap_json=cap, pool_names_json=entries[n % len(pools)])
            for n, node in enumerate(nodes)
        ]
        await self.fill("events", registered)
        await self.drain()
        await self.fill("heartbeats", [NodeHeartbeat(node_id=node, online=True) for node in nodes])
        await self.drain()
        return nodes

    async def lifecycle(self, count: int, deliver: bool) -> tuple[float, float, float]:
        """Submit, dispatch, start and complete jobs; returns the seconds that the last three took."""
        await self.fill("events", [submission(n, None if deliver else False) for n in range(count)])
        dispatching = await self.drain()
        found: Any = await self.redis.xrevrange(self.keys("events"), count=count)
        facts = dispatched(found)
        assert len(facts) == count, f"{count - len(facts)} jobs found no node"
        facts.reverse()
        await self.fill("events", [JobStarted(job_id=j, node_id=node, attempt=attempt) for j, node, attempt in facts])
        starting = await self.drain()
        await self.fill("events", [completion(*fact) for fact in facts])
        completing = await self.drain()
        assert await self.redis.xlen(self.keys("dead")) == 0, "events were refused"
        return dispatching, starting, completing

    async def widen(self) -> None:
        """Let the nodes earn their full windows: 8 unread assignments at first, doubled when all were started."""
        for _ in range(5):
            await self.lifecycle(500, True)


class Speech:
    """Payloads and results of a translation service: references, times, and sentences of a language's word frequencies.

    The words are made up; their number and their frequencies (Zipf's law, exponent 1) are those of everyday speech.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        syllables = [a + b for a in ("k", "l", "m", "n", "r", "s", "t", "v", "sh", "") for b in "aeiou"]
        self.words = ["".join(self.draw.choices(syllables, k=self.draw.randint(1, 4))) for _ in range(3000)]
        self.weights = [1 / rank for rank in range(1, 3001)]
        self.sessions = [self.session() for _ in range(200)]

    def session(self) -> str:
        return f"{self.draw.getrandbits(64):016x}"

    def sentence(self) -> str:
        return " ".join(self.draw.choices(self.words, self.weights, k=self.draw.randint(4, 14)))

    def submission(self, n: int) -> JobSubmitted:
        """A job of some 250 bytes: where the audio lies, and what was said before it."""
        at = self.draw.randrange(len(self.sessions))
        session = self.sessions[at]
        if self.draw.random() < 1 / 40:
            self.sessions[at] = self.session()
        src, tgt = PAIRS[int(session, 16) % len(PAIRS)]
        payload = {
            "audio": f"s3://utterances/{session}/{n:07d}.opus",
            "seq": n,
            "offset_ms": n * 731 % DAY,
            "duration_ms": self.draw.randint(300, 9000),
            "codec": "opus",
            "sample_rate": 16000,
            "context": self.sentence(),
        }
        return JobSubmitted(session_id=session, src_lang=src, tgt_lang=tgt, payload_json=json.dumps(payload))

    def result(self) -> str:
        return json.dumps({"text": self.sentence(), "confidence": round(self.draw.uniform(0.6, 1.0), 3)})


async def live_again(ground: Ground, speech: Speech, events: int) -> float:
    """Let jobs live that leave about so many events in the log; returns how many a second were folded."""
    # the nodes beat once: nothing else keeps them for as long as the log is being written
    await ground.fill("events", [SchedulerConfigured(retention_ms=RETENTION_MS, heartbeat_timeout_ms=DAY)])
    await ground.fleet(100)
    await ground.widen()
    seconds, number = 0.0, 0
    while number < events // 4:
        count = min(ROUND, events // 4 - number)
        last = (await ground.redis.xinfo_stream(ground.keys("events")))["last-generated-id"]
        await ground.fill("events", [speech.submission(number + n) for n in range(count)])
        number += count
        seconds += await ground.drain()
        found: Any = await ground.redis.xrange(ground.keys("events"), min=f"({last}")
        facts = [(e["job_id"], e["node_id"], f"{id}-{e['nonce']}") for id, e in found if e["type"] == "job.dispatched"]
        assert len(facts) == count, f"{count - len(facts)} jobs found no node"
        await ground.fill("events", [JobStarted(job_id=j, node_id=node, attempt=a) for j, node, a in facts])
        seconds += await ground.drain()
        done: list[Event] = [
            JobCompleted(job_id=j, node_id=node, attempt=a, status=JobStatus.FINISHED, result_json=speech.result())
            for j, node, a in facts
        ]
        await ground.fill("events", done)
        seconds += await ground.drain()
    return 4 * number / seconds
