"""ChasquiMQ: engine in Rust, streams; needs Redis 8.6 (XADD … IDMP)."""

import contract
from chasquimq import Queue, Worker

CHUNK = 1000


class Chasqui(contract.Peer):
    def connect(self, producing):
        if producing:
            self.queue = Queue("jobs", redis_url=self.url)

    async def one(self, n):
        await self.queue.add("job", contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            await self.queue.add_bulk([{"name": "job", "data": contract.payload(n)} for n in numbers])

    async def result(self, n):
        job = await self.queue.add("job", contract.payload(n))
        await job.wait_for_result(timeout=10.0)

    async def work(self, board):
        async def handler(job):
            board.started(job.data["n"])
            if self.holds:
                await contract.forever()
            return "done"

        worker = Worker("jobs", handler, redis_url=self.url, concurrency=self.concurrency, store_results=self.keeps)
        await board.gate()
        await worker.run()


contract.run(Chasqui)
