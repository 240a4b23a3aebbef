"""Metrics as a test reads them: served on a port of their own, scraped as Prometheus does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from streamsched.contract.keys import Keys
from streamsched.metrics.exporter import serving
from streamsched.server.embedded import EmbeddedServer

from .live import until


class Scraped:
    """What one scrape brought."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def get(self, name: str, **labels: str) -> float | None:
        """The value of ``streamsched_NAME`` with these labels; ``None`` if there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == f"streamsched_{name}" and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{name} {labels} is not one series but {len(found)}"
        return found[0] if found else None

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values above 0 of ``streamsched_NAME`` by one of its labels."""
        found = [sample for sample in self.samples if sample.name == f"streamsched_{name}" and sample.value]
        return {sample.labels[label]: sample.value for sample in found}


class Exported:
    """A running exporter."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def scrape(self) -> Scraped:
        """Scrape once."""
        answer = await self.client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return Scraped(answer.text)

    async def until(self, holds: Callable[[Scraped], object]) -> Scraped:
        """Scrape until the metrics are as wanted."""
        last: list[Scraped] = []

        async def seen() -> bool:
            last[:] = [await self.scrape()]
            return bool(holds(last[0]))

        await until(seen)
        return last[0]


@asynccontextmanager
async def exported(server: EmbeddedServer, keys: Keys) -> AsyncIterator[Exported]:
    """Serve the metrics of a partition while the block lasts; begun, so that what happens from now on is followed."""
    async with (
        serving(server.url, keys, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        one = Exported(client)
        await one.until(lambda now: now.get("nodes", state="open") is not None)
        yield one
