"""streamsched, in several ways (VARIANT): ``submit`` and its result, ``quiet`` (submit without a reply), ``xadd`` (any
language's producer; a worker folds), ``brief`` (ended jobs leave the state at once). Every job has its node chosen, and
its whole life in the log."""

import asyncio
import contextlib
import os

import contract

from streamsched.client import Scheduler, SubmitRequest
from streamsched.contract.events import JobSubmitted, SchedulerConfigured
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.node import Node
from streamsched.worker import Worker

VARIANT = os.environ.get("VARIANT", "submit")
CHUNK = 4096
JOBS_PER_SESSION = 5


def request(n):
    return {
        "session_id": f"session-{n // JOBS_PER_SESSION}",
        "src_lang": "zh",
        "tgt_lang": "en",
        "payload_json": contract.json.dumps(contract.payload(n)),
    }


class Ours(contract.Peer):
    async def connect(self, producing):
        self.open = contextlib.AsyncExitStack()
        self.scheduler = await self.open.enter_async_context(Scheduler.connect(self.url))
        self.redis = self.scheduler.partition.redis
        if VARIANT == "brief" and producing:
            await self.scheduler.append(SchedulerConfigured(retention_ms=1))

    async def one(self, n):
        if VARIANT == "xadd":
            await self.redis.execute_command("XADD", "scheduler:{0}:events", "*", *to_wire(JobSubmitted(**request(n))))
        else:
            await self.scheduler.submit(SubmitRequest(**request(n)), reply=VARIANT == "submit")

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            if VARIANT == "xadd":
                async with self.redis.pipeline(transaction=False) as pipe:
                    for n in numbers:
                        event = to_wire(JobSubmitted(**request(n)))
                        pipe.execute_command("XADD", "scheduler:{0}:events", "*", *event)
                    await pipe.execute()
            else:
                jobs = [SubmitRequest(**request(n)) for n in numbers]
                await self.scheduler.submit_many(jobs, reply=VARIANT == "submit")

    async def settle(self):
        while VARIANT != "xadd" and (await self.scheduler.partition.advance()).more:
            pass

    async def result(self, n):
        job = await self.scheduler.submit(SubmitRequest(**request(n)))
        await job.result(timeout=10)

    async def work(self, board):
        async def handler(assignment):
            board.started(contract.json.loads(assignment.payload_json)["n"])
            if self.holds:
                await contract.forever()
            return '"done"'

        folding = Worker(self.url, Keys("scheduler", 0)).run() if VARIANT == "xadd" else asyncio.sleep(0)
        await board.gate()
        concurrency = self.concurrency
        async with Node(self.scheduler, f"node-{board.slot}", pools=["en-zh"], concurrency=concurrency) as node:
            await asyncio.gather(folding, node.run(handler))


contract.run(Ours)
