"""What large payloads and many languages cost: the longest script, the peak memory of commands and services, commands a
call.

Each server program runs with the limits that docs/security.md advises: 4 MiB for a single value, 16 MiB for what a
client has not read. The longest script is what the server's slow log says, so a busy machine shows longer ones.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from streamsched.client.scheduler import Scheduler
from streamsched.contract.events import JobSubmitted, NodeHeartbeat, NodeRegistered
from streamsched.contract.keys import Keys
from streamsched.contract.wire import to_wire
from streamsched.server.embedded import EmbeddedServer, free_port, server_binary

from ...harness.bench import Bench
from ...harness.figures import Figure
from ...harness.tool import Tool, peak_kib

TEXTS = {"ASCII": "The quick brown fox. ", "Chinese": "语音翻译的服务节点", "French": "L'été dernier, à Orléans "}
SIZES = {"200 B": 200, "20 kB": 20_000, "1 MiB": 2**20 - 200}
TOTAL = 100 * 2**20
"""Bytes of payloads for each figure, or a thousand jobs of the smallest."""
LONGEST_MS, PEAK_MIB = 50, 512
TIGHT = {
    "proto-max-bulk-len": "4mb",
    "client-output-buffer-limit": "normal 16mb 16mb 0",
    "slowlog-log-slower-than": "1000",
    "slowlog-max-len": "100000",
}
LANGUAGES = (2, 8, 32)
SEARCHES = ("/api/log", *(f"/api/log?match=nothing{n}" for n in range(5)), "/api/about?kind=job&id=j1")
"""What six users ask a dashboard for at the same time: a search that finds nothing reads every event."""
STARTED_S = 60


def payload(text: str, size: int) -> str:
    return json.dumps(text * (size // len(text.encode())), ensure_ascii=False)


def longest_ms(redis: Any) -> float:
    """The longest command since the last look."""
    found = max((entry["duration"] / 1000 for entry in redis.slowlog_get(100_000)), default=0.0)
    redis.slowlog_reset()
    return float(found)


def fold(tool: Tool, redis: Any, keys: Keys, count: int) -> float:
    """Have a worker fold what is in the log; returns its peak memory in MiB."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "streamsched", "worker"], env=tool.environment, stderr=subprocess.DEVNULL
    )
    try:
        while int(redis.hget(keys("meta"), "folded") or 0) < count:
            time.sleep(0.05)
        return peak_kib(worker.pid) / 1024
    finally:
        worker.terminate()
        worker.wait()


def ask(tool: Tool, service: str, paths: tuple[str, ...], *words: str) -> float:
    """Start a service, ask it for several pages at once, and return its peak memory in MiB."""
    at = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "streamsched", service, "--bind", at, *words]
    process = subprocess.Popen(command, env=tool.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://{at}", timeout=300) as client, ThreadPoolExecutor(len(paths)) as readers:
            deadline = time.monotonic() + STARTED_S
            while not answers(client, paths[0]):
                if time.monotonic() > deadline:
                    raise SystemExit(f"streamsched {service} does not answer on {at}")
                time.sleep(0.1)
            for answer in readers.map(client.get, paths):
                answer.raise_for_status()
        return peak_kib(process.pid) / 1024
    finally:
        process.terminate()
        process.wait()


def answers(client: httpx.Client, path: str) -> bool:
    """Tell whether a service has begun to answer."""
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def large(binary: Path, text: str, size: str, count: int) -> list[Figure]:
    """Fold, archive, check and rebuild a log of waiting jobs with one kind of payload."""
    keys = Keys()
    with EmbeddedServer(binary=binary, options=TIGHT) as server, tempfile.TemporaryDirectory() as name:
        redis: Any = Redis.from_url(server.url)
        for n in range(count):
            wire = to_wire(
                JobSubmitted(
                    job_id=f"j{n}",
                    session_id=f"s{n}",
                    src_lang="en",
                    tgt_lang="zh",
                    payload_json=payload(TEXTS[text], SIZES[size]),
                )
            )
            redis.execute_command("XADD", keys("events"), "*", *wire)
        tool = Tool(server.url, keys, Path(name))
        kept = str(tool.archive)
        commands = {
            "archive": ("archive", "--to", kept, "--once"),
            "verify": ("verify",),
            "snapshot": ("snapshot", "--to", kept),
            "query": ("query", "SELECT count(*) FROM events", "--archive", kept),
            "rebuild": ("rebuild", "--yes"),
            "trim": ("archive", "--to", kept, "--once", "--trim", "--yes"),
            "rebuild --from": ("rebuild", "--from", kept, "--yes"),
            "status": ("status",),
        }
        redis.slowlog_reset()
        about = f"{count} jobs of {size} {text}, {binary.name}"
        peaks = {"worker": fold(tool, redis, keys, count)}
        scripts = {"worker": longest_ms(redis)}
        for what, words in commands.items():
            _, peaks[what] = tool.run(*words)
            scripts[what] = longest_ms(redis)
        for what, words in {"dashboard": (), "dashboard --archive": ("--archive", kept)}.items():
            peaks[what] = ask(tool, "dashboard", SEARCHES, *words)
        peaks["metrics"] = ask(tool, "metrics", ("/metrics",))
        slowest, hungriest = max(scripts, key=scripts.__getitem__), max(peaks, key=peaks.__getitem__)
        redis.close()
    return [
        Figure(f"longest script, {about}", "ms", LONGEST_MS, True, [scripts[slowest]], f"in {slowest}"),
        Figure(
            f"peak memory of a program, {about}",
            "MiB",
            PEAK_MIB,
            True,
            [peaks[hungriest]],
            f"of {hungriest}",
        ),
    ]


def commands(redis: Any) -> int:
    """How many commands the server has carried out, those of scripts included."""
    return sum(one["calls"] for one in redis.info("commandstats").values())


async def languages(binary: Path) -> list[Figure]:
    """What a heartbeat that closes a node costs, by the number of languages of its pool."""
    counts: dict[int, int] = {}
    for count in LANGUAGES:
        with EmbeddedServer(binary=binary) as server:
            redis: Any = Redis.from_url(server.url)
            codes = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(count)]
            pools = json.dumps([{"id": "wide", "name": "-".join(codes), "languages": codes}])
            async with Scheduler.connect(server.url) as scheduler:
                await scheduler.append(NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=pools))
                await scheduler.append(NodeHeartbeat(node_id="n1", online=True, accepting=True))
                before = commands(redis)
                await scheduler.append(NodeHeartbeat(node_id="n1", online=True, accepting=False))
                counts[count] = commands(redis) - before
            redis.close()
    most, least = LANGUAGES[-1], LANGUAGES[0]
    note = ", ".join(f"{count} languages: {found} commands" for count, found in counts.items())
    what = f"a heartbeat that closes a node of {most} languages, {binary.name}"
    return [Figure(what, f"x of {least} languages", 1.1, True, [counts[most] / counts[least]], note)]


async def measure(bench: Bench) -> list[Figure]:
    rows: list[Figure] = []
    redis = shutil.which("redis-server")
    # a quick run takes the kind that costs most, on the first server
    kinds = list(itertools.product(TEXTS, SIZES)) if bench.scale == 1 else [("Chinese", "1 MiB")]
    for binary in [server_binary(), *([Path(redis)] if redis and bench.scale == 1 else [])]:
        for text, size in kinds:
            bench.findings.tell(f"{binary.name}, {size} {text}")
            rows += large(binary, text, size, max(5, min(1000, int(TOTAL * bench.scale) // SIZES[size])))
        rows += await languages(binary)
    return rows
