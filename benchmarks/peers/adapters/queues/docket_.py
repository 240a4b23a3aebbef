"""docket, tuned: at its defaults it runs ten tasks at a time and drains 41 jobs/s."""

from datetime import timedelta

import contract
from docket import Docket, Worker

FEW = 50
"""It opens more than one connection for each, and its pool has a hundred."""


class DocketPeer(contract.Peer):
    async def connect(self, producing):
        self.board = None

        async def job(payload: dict) -> str:
            self.board.started(payload["n"])
            if self.holds:
                await contract.forever()
            return "done"

        async def silent(payload: dict) -> None:
            self.board.started(payload["n"])

        self.task = job if self.keeps else silent
        ttl = timedelta(hours=1) if self.keeps else timedelta(0)
        self.docket = Docket(name="jobs", url=self.url, execution_ttl=ttl)
        await self.docket.__aenter__()
        self.docket.register(self.task)

    async def one(self, n):
        await self.docket.add(self.task)(contract.payload(n))

    async def bulk(self, first, count):
        calls = (self.docket.call(self.task)(contract.payload(n)) for n in range(first, first + count))
        await self.docket.add_many(calls)

    async def result(self, n):
        execution = await self.docket.add(self.task)(contract.payload(n))
        await execution.get_result(timeout=timedelta(seconds=10))

    async def work(self, board):
        self.board = board
        worker = Worker(
            self.docket,
            concurrency=FEW,
            minimum_check_interval=timedelta(milliseconds=5),
            scheduling_resolution=timedelta(milliseconds=250),
        )
        async with worker:
            await board.gate()
            await worker.run_forever()


contract.run(DocketPeer)
