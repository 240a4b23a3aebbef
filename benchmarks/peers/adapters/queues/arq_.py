"""arq, tuned: at its defaults it polls twice a second, ten jobs at a time, and drains 195 jobs/s."""

import asyncio

import contract
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

CHUNK = 256


class Arq(contract.Peer):
    async def connect(self, producing):
        self.settings = RedisSettings(port=self.port)
        if producing:
            self.redis = await create_pool(self.settings)

    async def one(self, n):
        await self.redis.enqueue_job("job", contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            await asyncio.gather(*(self.one(n) for n in range(start, min(start + CHUNK, first + count))))

    async def result(self, n):
        job = await self.redis.enqueue_job("job", contract.payload(n))
        await job.result(timeout=10, poll_delay=0.0005)

    async def work(self, board):
        async def job(context, payload):
            board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        async def gate(context):
            await board.gate()

        worker = Worker(
            [func(job, name="job")],
            redis_settings=self.settings,
            on_startup=gate,
            max_jobs=self.concurrency,
            queue_read_limit=2 * self.concurrency,
            poll_delay=0.005,
            keep_result=3600 if self.keeps else 0,
            log_results=False,
        )
        await worker.async_run()


contract.run(Arq)
