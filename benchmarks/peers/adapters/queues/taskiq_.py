"""taskiq with the stream broker of taskiq-redis: a group, acknowledged when the task has run."""

import asyncio

import contract
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

CHUNK = 256


class Taskiq(contract.Peer):
    async def connect(self, producing):
        self.board = None
        self.broker = RedisStreamBroker(self.url, consumer_id="0", xread_count=500, max_connection_pool_size=64)
        if self.keeps:
            self.broker = self.broker.with_result_backend(
                RedisAsyncResultBackend(self.url, result_ex_time=3600, max_connection_pool_size=64)
            )

        @self.broker.task(task_name="job")
        async def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        self.task = job
        if producing:
            await self.broker.startup()

    async def one(self, n):
        await self.task.kiq(contract.payload(n))

    async def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            await asyncio.gather(*(self.one(n) for n in range(start, min(start + CHUNK, first + count))))

    async def result(self, n):
        sent = await self.task.kiq(contract.payload(n))
        await sent.wait_result(check_interval=0.0005, timeout=10)

    async def work(self, board):
        self.board = board
        self.broker.is_worker_process = True
        await self.broker.startup()
        await board.gate()
        await run_receiver_task(self.broker, max_async_tasks=self.concurrency, max_prefetch=contract.CONCURRENCY)


contract.run(Taskiq)
