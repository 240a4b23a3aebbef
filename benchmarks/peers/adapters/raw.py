"""The floor: batched XADD, XREADGROUP and XACK in redis-py, no retries, nothing else. An outcome is one RPUSH."""

import contextlib

import contract
from redis.asyncio import Redis
from redis.exceptions import ResponseError

BATCH = 500


class Raw(contract.Peer):
    async def connect(self, producing):
        self.redis = Redis.from_url(self.url, protocol=2)
        with contextlib.suppress(ResponseError):  # it is there already
            await self.redis.xgroup_create("raw", "workers", id="0", mkstream=True)

    async def one(self, n):
        await self.redis.xadd("raw", {"payload": contract.json.dumps(contract.payload(n))})

    async def bulk(self, first, count):
        for start in range(first, first + count, BATCH):
            async with self.redis.pipeline(transaction=False) as pipe:
                for n in range(start, min(start + BATCH, first + count)):
                    pipe.xadd("raw", {"payload": contract.json.dumps(contract.payload(n))})
                await pipe.execute()

    async def result(self, n):
        fields = {"payload": contract.json.dumps(contract.payload(n)), "reply": f"raw:{n}"}
        await self.redis.xadd("raw", fields)
        await self.redis.blpop([f"raw:{n}"], timeout=10)

    async def work(self, board):
        await board.gate()
        name = f"worker-{board.slot}"
        if self.holds:
            await self.redis.xreadgroup("workers", name, {"raw": ">"}, count=contract.HELD)
            await self.mark_held(board)
        while True:
            found = await self.redis.xreadgroup("workers", name, {"raw": ">"}, count=BATCH, block=1000)
            if not found:
                continue
            async with self.redis.pipeline(transaction=False) as pipe:
                for _, fields in found[0][1]:
                    board.started(contract.json.loads(fields[b"payload"])["n"])
                    if b"reply" in fields:
                        pipe.rpush(fields[b"reply"], "done")
                        pipe.expire(fields[b"reply"], 60)
                pipe.xack("raw", "workers", *(id for id, _ in found[0][1]))
                await pipe.execute()

    async def mark_held(self, board):
        for n in range(contract.HELD):
            board.started(n)
        await contract.forever()


contract.run(Raw)
