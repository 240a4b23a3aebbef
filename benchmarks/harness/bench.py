"""What a figure is measured on: a server, a connection to it, and how much to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamsched.contract.events import Event
from streamsched.contract.wire import to_wire
from streamsched.server.embedded import EmbeddedServer

from .report import Findings
from .server import benchmark_rate


@dataclass
class Bench:
    """A running server, a connection to it, and how much to do."""

    server: EmbeddedServer
    redis: Redis
    rounds: int
    scale: float
    minutes: float
    """How long what is watched over time is watched."""
    findings: Findings

    def size(self, full: int) -> int:
        """A number of events or jobs, less of them in a quick run."""
        return max(500, int(full * self.scale))

    async def command(self, *words: str | int) -> Any:
        """Any command of the server."""
        client: Any = self.redis
        return await client.execute_command(*words)

    async def wipe(self) -> None:
        """Drop everything, and wait until it is gone: what is freed in the background would disturb the next figure."""
        await self.command("FLUSHALL", "SYNC")

    def xadd_rate(self, event: Event) -> float:
        """Entries/s of ``redis-benchmark -P 64 -c 1 XADD`` with the fields of this event, into a stream of its own."""
        return benchmark_rate(self.server.port, self.size(200_000), 64, "XADD", "yardstick", "*", *to_wire(event))
