"""ArdiQ: the worker's loop and its I/O in Rust, tasks in Python; a stream and a group for each priority."""

import contract
from ardiq import Ardiq

CHUNK = 1000


class ArdiqPeer(contract.Peer):
    def connect(self, producing):
        self.board = None
        self.app = Ardiq(self.url, concurrency=self.concurrency, prefetch=2 * self.concurrency)

        @self.app.task
        async def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        self.task = job

    async def one(self, n):
        await self.task.enqueue(contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            await self.app.enqueue_many([self.task.prepare(contract.payload(n)) for n in numbers])

    async def result(self, n):
        job = await self.task.enqueue(contract.payload(n))
        await job.result(timeout=10)

    async def work(self, board):
        self.board = board
        await board.gate()
        await self.app.run()


contract.run(ArdiqPeer)
