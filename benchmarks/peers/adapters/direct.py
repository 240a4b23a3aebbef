"""Direct Lua: node state in hashes, a script that walks the pool and dispatches at once, a stream for each node."""

import os
from pathlib import Path

import contract
from redis.asyncio import Redis

FOLDER = Path(__file__).parents[1] / "direct"
BATCH = 500


class DirectLua(contract.Peer):
    async def connect(self, producing):
        self.redis = Redis.from_url(self.url, protocol=2, decode_responses=True)
        self.dispatch = await self.redis.script_load((FOLDER / "dispatch.lua").read_text())
        self.complete = await self.redis.script_load((FOLDER / "complete.lua").read_text())
        for n in range(int(os.environ.get("WORKERS", "1"))):
            await self.redis.hset(f"node:node-{n}", "online", "true")
            await self.redis.sadd("pool:en-zh", f"node-{n}")

    async def one(self, n):
        await self.redis.evalsha(self.dispatch, 1, "pool:en-zh", n, contract.json.dumps(contract.payload(n)))

    async def bulk(self, first, count):
        for start in range(first, first + count, BATCH):
            async with self.redis.pipeline(transaction=False) as pipe:
                for n in range(start, min(start + BATCH, first + count)):
                    pipe.evalsha(self.dispatch, 1, "pool:en-zh", n, contract.json.dumps(contract.payload(n)))
                await pipe.execute()

    async def result(self, n):
        payload = contract.payload(n) | {"reply": f"reply:{n}"}
        await self.redis.evalsha(self.dispatch, 1, "pool:en-zh", n, contract.json.dumps(payload))
        await self.redis.blpop([f"reply:{n}"], timeout=10)

    async def work(self, board):
        node, last = f"node-{board.slot}", "0"
        await board.gate()
        while True:
            found = await self.redis.xread({f"inbox:{node}": last}, count=BATCH, block=1000)
            if not found:
                continue
            async with self.redis.pipeline(transaction=False) as pipe:
                for _, fields in found[0][1]:
                    payload = contract.json.loads(fields["payload"])
                    board.started(payload["n"])
                    if not self.holds:
                        pipe.evalsha(self.complete, 0, fields["job_id"], node, "done", payload.get("reply", ""))
                last = found[0][1][-1][0]
                if not self.holds:
                    pipe.xtrim(f"inbox:{node}", minid=last, approximate=True)
                await pipe.execute()


contract.run(DirectLua)
