"""The dashboard as a test asks it: served on a port of its own, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx

from streamsched.contract.keys import Keys
from streamsched.dashboard.guard import LOCAL
from streamsched.dashboard.reader import Reader
from streamsched.dashboard.server import serving
from streamsched.server.embedded import EmbeddedServer

TOKEN = "open-sesame-open-sesame"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}


class Page:
    """What one open page has been sent."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self.lines = lines
        self.shown: dict[str, Any] = {"rows": {}, "log": []}
        self.messages: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        """The next message, put together with those before as the page does it."""
        with anyio.fail_after(20):
            async for line in self.lines:
                if line.startswith("data: "):
                    break
        message: dict[str, Any] = json.loads(line.removeprefix("data: "))
        self.messages.append(message)
        if message["whole"]:
            self.shown = {"rows": {}, "log": []}
        nodes = message.pop("nodes", {})
        if "ids" in nodes:
            for n, node_id in enumerate(nodes["ids"]):
                self.shown["rows"][node_id] = (nodes["health"][n], nodes["held"][n])
        for _, node_id, health, held, _ in nodes.get("rows", ()):
            self.shown["rows"][node_id] = (health, held)
        self.shown["log"] += message.pop("log", [])
        self.shown |= message
        return message

    async def until(self, holds: Any) -> dict[str, Any]:
        """Read on until what is shown is as wanted."""
        with anyio.fail_after(20):
            while not (self.messages and holds(self.shown)):
                await self.next()
        return self.shown


class Dashboard:
    """A running dashboard."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, name: str, status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """Ask a question, and make sure of the kind of answer."""
        answer = await self.client.get(f"/api/{name}", params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def act(self, status: int = 200, headers: dict[str, str] | None = None, **action: Any) -> Any:
        """Ask for an action, as the operator."""
        answer = await self.client.post("/api/act", json=action, headers=OPERATOR if headers is None else headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    @asynccontextmanager
    async def page(self, **headers: str) -> AsyncIterator[Page]:
        """Open a page, and close it at the end."""
        async with self.client.stream("GET", "/api/live", headers=headers) as answer:
            assert answer.status_code == 200
            yield Page(answer.aiter_lines())

    async def read(self) -> dict[str, Any]:
        """Open a page until the whole history is read, and return what it shows."""
        async with self.page() as page:
            return await page.until(
                lambda shown: shown["history"]["read"] == shown["history"]["count"] > 0 or shown["history"]["trouble"]
            )


@asynccontextmanager
async def dashboard(
    server: EmbeddedServer, keys: Keys, token: str | None = TOKEN, archive: Path | None = None
) -> AsyncIterator[Dashboard]:
    """Serve the dashboard of a partition while the block lasts."""
    source = Reader(server.url, keys, archive)
    async with (
        serving(source, "127.0.0.1", 0, token, frozenset(LOCAL)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        yield Dashboard(client)
