"""saq: jobs as JSON strings, a list of waiting and one of active jobs."""

import asyncio

import contract
from saq import Queue, Worker

CHUNK = 256
FEW = 10
"""Its default; each place waits for a job with a BLMOVE of its own, and more of them are slower."""


class Saq(contract.Peer):
    async def connect(self, producing):
        self.board = None
        self.queue = Queue.from_url(self.url, max_concurrent_ops=64)
        await self.queue.connect()
        self.options = {"ttl": 3600 if self.keeps else -1, "timeout": 600}  # -1: the job is deleted when it has ended

    async def one(self, n):
        await self.queue.enqueue("job", payload=contract.payload(n), **self.options)

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            await asyncio.gather(*(self.one(n) for n in range(start, min(start + CHUNK, first + count))))

    async def result(self, n):
        await self.queue.apply("job", timeout=10, poll_interval=0.0005, payload=contract.payload(n), ttl=3600)

    async def work(self, board):
        async def job(context, *, payload):
            board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        worker = Worker(self.queue, functions=[("job", job)], concurrency=contract.HELD if self.holds else FEW)
        await board.gate()
        await worker.start()


contract.run(Saq)
