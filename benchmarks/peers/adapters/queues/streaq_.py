"""streaq: streams, a group for each priority, a library of server functions."""

import contract
from streaq import Worker

CHUNK = 1000


class Streaq(contract.Peer):
    async def connect(self, producing):
        self.board = None
        self.worker = Worker(
            redis_url=self.url,
            concurrency=self.concurrency,
            prefetch=contract.CONCURRENCY,
            handle_signals=False,
            idle_timeout=600,
        )

        @self.worker.task(ttl=3600 if self.keeps else 0, silent=True)
        async def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        self.task = job
        if producing:
            self.opened = self.worker.__asynccontextmanager__()
            await self.opened.__aenter__()

    async def one(self, n):
        await self.task.enqueue(contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            await self.worker.enqueue_many([self.task.enqueue(contract.payload(n)) for n in numbers])

    async def result(self, n):
        sent = await self.task.enqueue(contract.payload(n))
        await sent.result(timeout=10)

    async def work(self, board):
        self.board = board
        await board.gate()
        await self.worker.run_async()


contract.run(Streaq)
