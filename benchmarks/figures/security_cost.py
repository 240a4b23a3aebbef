"""What permissions and TLS cost: job lives on one server, spoken to plainly, under an ACL, and under an ACL over TLS.

One server speaks both ways, so the three are measured side by side. The Valkey of the wheel is built without TLS: this
takes a `redis-server` from the path.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
from redis.asyncio import Redis

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.keys import Keys
from streamsched.node.node import Node
from streamsched.node.task import Assignment
from streamsched.ops.acl import rules
from tests.support.servers.tls import Certificates, over_tls

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import CONCURRENCY, PAYLOAD

NAMESPACE, LOGIN = "guarded", "bench:bench"


async def lives(url: str, count: int) -> float:
    """Jobs/s from the first submission to the last completion: a producer and a node, each with a connection."""
    done = 0

    async def handler(task: Assignment) -> None:
        nonlocal done
        done += 1
        if done == count:
            node.stop()

    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(Scheduler.connect(url, NAMESPACE))
        side = await stack.enter_async_context(Scheduler.connect(url, NAMESPACE))
        node = await stack.enter_async_context(Node(side, "node-1", pools=["en-zh"], concurrency=CONCURRENCY))
        start = time.perf_counter()
        async with anyio.create_task_group() as group:
            group.start_soon(node.run, handler)
            for n in range(0, count, CONCURRENCY):
                async with anyio.create_task_group() as batch:
                    for k in range(n, min(n + CONCURRENCY, count)):
                        request = SubmitRequest(
                            session_id=f"s{k // 5}", src_lang="en", tgt_lang="zh", payload_json=PAYLOAD
                        )
                        batch.start_soon(producer.submit, request, False)
        return count / (time.perf_counter() - start)


async def measure(bench: Bench) -> list[Figure]:
    binary = shutil.which("redis-server")
    if binary is None:
        return [Figure("under an ACL and TLS", "x plain", values=[0], note="no redis-server on the path")]
    acl = Figure("whole job lives under an ACL", "x plain")
    tls = Figure("whole job lives under an ACL over mutual TLS", "x plain")
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        with over_tls(Path(binary), certificates) as (server, secure):
            files = {"ca": "ssl_ca_certs", "client-cert": "ssl_certfile", "client-key": "ssl_keyfile"}
            asked = urlencode({option: certificates[name] for name, option in files.items()})
            ways = {
                "plain": server.url,
                "acl": server.url.replace("://", f"://{LOGIN}@"),
                "tls": secure.replace("://", f"://{LOGIN}@") + f"?{asked}",
            }
            async with Redis.from_url(server.url, protocol=2) as client:
                admin: Any = client
                permitted = ["resetpass", ">bench", *rules("operator", Keys(NAMESPACE))[1:]]
                await admin.execute_command("ACL", "SETUSER", "bench", *permitted)
                for _ in range(bench.rounds):
                    rate = {}
                    for way, url in ways.items():
                        rate[way] = await lives(url, bench.size(5000))
                        await admin.flushall()
                    acl.values.append(rate["acl"] / rate["plain"])
                    tls.values.append(rate["tls"] / rate["plain"])
                    acl.note = f"{rate['acl']:,.0f}/s against {rate['plain']:,.0f}/s in the last round"
                    tls.note = f"{rate['tls']:,.0f}/s against {rate['plain']:,.0f}/s in the last round"
    return [acl, tls]
