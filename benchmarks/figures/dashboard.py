"""What the dashboard costs, and how long a user waits for it: 10 000 nodes, a million events behind them.

The dashboard and a headless Chromium run as processes of their own; times are those that the page itself sees.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from playwright.async_api import Page, async_playwright

from streamsched.contract.events import Event, SchedulerConfigured
from streamsched.contract.keys import Keys
from streamsched.server.embedded import free_port
from streamsched.worker.worker import Worker

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import Ground, submission

NODES, EVENTS = 10_000, 1_000_000
ROUND = 8_000
RETENTION_MS = 60_000
APPENDS = 200
JUMPS = 30
VIEWERS = 10
WATCHED_S = 10.0
PACE = 50
"""Submissions a second while the cost of watching is measured; each is three events and more."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

PAINTED = """
const now = () => performance.timeOrigin + performance.now();
const look = () => {
  const stands = document.querySelector('#grid canvas') && document.querySelector('#health b')?.textContent !== '0';
  requestAnimationFrame(stands ? () => { window.painted = performance.now(); } : look);
};
look();
window.seen = {};
const note = (changes) => requestAnimationFrame(() => {
  for (const change of changes) for (const row of change.addedNodes) window.seen[row.dataset?.id] = now();
});
document.addEventListener('DOMContentLoaded', () => {
  new MutationObserver(note).observe(document.getElementById('log'), {childList: true});
});
"""
"""Notes when the grid stands, and when each row of the log was drawn."""


async def history(ground: Ground, nodes: int, events: int) -> None:
    """A fleet, and a log of whole job lives."""
    configured: list[Event] = [SchedulerConfigured(retention_ms=RETENTION_MS, heartbeat_timeout_ms=86_400_000)]
    await ground.fill("events", configured)
    await ground.fleet(nodes)
    while await ground.redis.xlen(ground.keys("events")) < events:
        await ground.lifecycle(min(ROUND, max(500, events // 4)), deliver=False)


@asynccontextmanager
async def served(url: str, keys: Keys) -> AsyncIterator[str]:
    """Run the dashboard as a process; yields its address."""
    port = free_port()
    environment = os.environ | {"STREAMSCHED_URL": url, "STREAMSCHED_NAMESPACE": keys.namespace}
    command = [sys.executable, "-m", "streamsched", "dashboard", "--bind", f"127.0.0.1:{port}"]
    process = await anyio.open_process(command, env=environment, stdout=None, stderr=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            with anyio.fail_after(30):
                while True:
                    try:
                        await client.get(f"http://127.0.0.1:{port}/")
                        break
                    except httpx.TransportError:
                        await anyio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def watching(address: str, pages: int) -> AsyncIterator[None]:
    """Hold pages open that read all they are sent."""

    async def read(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"{address}/api/live") as answer:
            async for _ in answer.aiter_bytes():
                pass

    async with httpx.AsyncClient(timeout=None, trust_env=False) as client, anyio.create_task_group() as group:
        for _ in range(pages):
            group.start_soon(read, client)
        yield
        group.cancel_scope.cancel()


async def until_read(address: str) -> tuple[float, float]:
    """Wait until the whole history is read and folded ahead; returns the seconds that each took."""
    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=600, trust_env=False) as client:
        await _history_read(client, address)
        read = time.perf_counter() - began
        # a jump to the end starts from the last checkpoint: quick as soon as all of them are laid
        while True:
            asked = time.perf_counter()
            await client.get(f"{address}/api/moment", params={"at": 9_999_999_999_999})
            if time.perf_counter() - asked < 1:
                return read, time.perf_counter() - began
            await anyio.sleep(1)


async def _history_read(client: httpx.AsyncClient, address: str) -> None:
    async with client.stream("GET", f"{address}/api/live") as answer:
        async for line in answer.aiter_lines():
            if '"history"' in line:
                about = line[line.index('"history"') :]
                count, done = (int(about.split(f'"{name}":')[1].split(",")[0]) for name in ("count", "read"))
                if done == count > 0:
                    return


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def spread(name: str, values: list[float]) -> Figure:
    note = f"p50 {quantile(values, 0.5):.0f}, p99 {quantile(values, 0.99):.0f}, of {len(values)}"
    return Figure(name, "ms", values=values, note=note)


async def paint(page: Page, address: str) -> float:
    """Open the page and return when the grid stood, in ms after the navigation began."""
    await page.goto(address)
    await page.wait_for_function("window.painted", timeout=120_000)
    painted: float = await page.evaluate("window.painted")
    return painted


async def appended_to_seen(page: Page, ground: Ground) -> list[float]:
    """Append one event after the other, each as its own call, and return how long each took to be in the log."""
    appended: list[str] = []
    for n in range(APPENDS):
        answer = await ground.append(submission(n, False))
        appended.append(str(answer[1]))
        await anyio.sleep(random.uniform(0.02, 0.1))
    await page.wait_for_function("id => window.seen[id]", arg=appended[-1], timeout=30_000)
    seen = await page.evaluate("window.seen")
    return [seen[one] - int(one.split("-")[0]) for one in appended if one in seen]


async def cost(bench: Bench, ground: Ground, address: str, pages: int) -> tuple[float, float]:
    """Return the share of a core that the server needs, and the commands it is sent a second, under a light load."""
    async with watching(address, pages):
        await anyio.sleep(2)
        before, began = await bench.redis.info(), time.perf_counter()
        n = 0
        while time.perf_counter() - began < WATCHED_S:
            await ground.append(submission(n, False))
            n += 1
            await anyio.sleep(max(0.0, began + n / PACE - time.perf_counter()))
        after, took = await bench.redis.info(), time.perf_counter() - began
    used = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    return used / took, (after["total_commands_processed"] - before["total_commands_processed"]) / took


async def jumps(ground: Ground, address: str) -> list[float]:
    """Return how long the answer for a random moment took, each time."""
    first: Any = await ground.redis.xrange(ground.keys("events"), count=1)
    last: Any = await ground.redis.xrevrange(ground.keys("events"), count=1)
    begin, end = (int(entries[0][0].split("-")[0]) for entries in (first, last))
    took: list[float] = []
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        for _ in range(JUMPS):
            began = time.perf_counter()
            answer = await client.get(f"{address}/api/moment", params={"at": random.randint(begin, end)})
            assert answer.status_code == 200, answer.text
            took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(bench: Bench) -> list[Figure]:
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed: add it (Debian: apt install chromium) and run this again")
    ground = Ground(bench.redis)
    nodes, events = bench.size(NODES), bench.size(EVENTS)
    await history(ground, nodes, events)
    behind = f"{nodes:,} nodes, {await bench.redis.xlen(ground.keys('events')):,} events"
    rows: list[Figure] = []
    worker = Worker(bench.server.url, ground.keys)
    async with anyio.create_task_group() as beside, async_playwright() as playwright:
        beside.start_soon(worker.run)
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = await browser.new_context(viewport={"width": 1440, "height": 1000}, bypass_csp=True)
        await context.add_init_script(PAINTED)
        async with served(bench.server.url, ground.keys) as address:
            page = await context.new_page()
            first = await paint(page, address)
            rows.append(Figure("dashboard, first paint after its start", "ms", values=[first], note=behind))
            await page.close()
            read, laid = await until_read(address)
            rows.append(Figure("history read once", "s", values=[read], note="the page is live meanwhile"))
            rows.append(Figure("history folded ahead", "s", values=[laid], note="jumps are slower until then"))
            again = []
            for _ in range(5):
                page = await context.new_page()
                again.append(await paint(page, address))
                await page.close()
            rows.append(Figure("dashboard, first paint", "ms", values=again, note=behind))
            rows.append(spread("random moment, asked for to answered", await jumps(ground, address)))
            page = await context.new_page()
            await paint(page, address)
            rows.append(spread("append to pixel", await appended_to_seen(page, ground)))
            await page.close()
            none = await cost(bench, ground, address, 0)
            for pages in (1, VIEWERS):
                share, commands = await cost(bench, ground, address, pages)
                rows.append(
                    Figure(
                        f"server, {pages} pages open",
                        "% of a core more",
                        values=[100 * (share - none[0])],
                        note=f"{commands - none[1]:.0f} commands/s more; {100 * none[0]:.1f} % without",
                    )
                )
        await browser.close()
        worker.stop()
    await bench.wipe()
    return rows
