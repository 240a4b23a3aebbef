"""BullMQ's Python package: the same Lua scripts as on Node.js, so the same server cost."""

import asyncio

import contract
from bullmq import Queue, QueueEvents, Worker

CHUNK = 1000
FEW = 8
"""With more, each job has all free places ask for the next one: 256 of them make a round trip of 40 ms."""


class BullMQ(contract.Peer):
    async def connect(self, producing):
        if producing:
            self.queue = Queue("jobs", {"connection": self.url})
            self.events = None
            self.ended = {}

    async def one(self, n):
        await self.queue.add("job", contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            await self.queue.addBulk([{"name": "job", "data": contract.payload(n)} for n in numbers])

    async def result(self, n):
        if self.events is None:
            self.events = QueueEvents("jobs", {"connection": self.url, "lastEventId": "0"})
            self.events.on("completed", lambda said, _: self.end(said["jobId"]).set())
        job = await self.queue.add("job", contract.payload(n))
        await asyncio.wait_for(self.end(job.id).wait(), 10)

    def end(self, job_id):
        return self.ended.setdefault(str(job_id), asyncio.Event())

    async def work(self, board):
        async def handler(job, token):
            board.started(job.data["n"])
            if self.holds:
                await contract.forever()
            return "done"

        options = {"connection": self.url, "autorun": False}
        options["concurrency"] = contract.HELD if self.holds else FEW
        if not self.keeps:
            options["removeOnComplete"] = {"count": 0}
        worker = Worker("jobs", handler, options)
        await board.gate()
        await worker.run()


contract.run(BullMQ)
