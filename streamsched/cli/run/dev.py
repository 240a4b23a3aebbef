"""``streamsched dev``: a server and a worker for development on one machine, and the next commands to type."""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer
from rich.text import Text

from ...console.stop_signals import stop_signals
from ...console.terminal import UsageProblem, console
from ...console.terminal import as_json as print_json
from ...contract.keys import DEFAULT_NAMESPACE, Keys
from ...ops.settings import DEFAULT_URL
from ...server.embedded import EmbeddedServer, free_port
from ...worker.worker import Worker
from ..options import OF_THE_SERVER, Json, Target, command

USUAL_PORT = 6379
DASHBOARD_PORT = 8321
METRICS_PORT = 8322


@command("streamsched dev --data ./streamsched-data", without=OF_THE_SERVER)
async def dev(
    target: Target,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[default: 6379 if free, else a free one]")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data in this folder. [default: deleted with the server]")
    ] = None,
    json: Json = False,
) -> None:
    """Start a server and a worker for development. Ctrl-C ends both."""

    if port is not None and not is_free(port):
        raise UsageProblem(f"--port {port}: the port is in use; give another, or leave it out")
    if data is not None:
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageProblem(f"--data {data}: {problem.strerror}; give a writable folder") from None
    port = port or (USUAL_PORT if is_free(USUAL_PORT) else free_port())
    with (
        stop_signals() as signals,
        EmbeddedServer(data, port, append_only=data is not None) as server,
    ):
        worker = Worker(server.url, target.settings.keys)
        async with (
            _dashboard(server.url, target.settings.keys) as page,
            _metrics(server.url, target.settings.keys) as metrics,
            anyio.create_task_group() as running,
        ):
            ready = Ready(
                url=server.url,
                namespace=target.settings.namespace,
                partition=target.settings.partition,
                server_pid=server.pid,
                data=str(server.data) if data is not None else None,
                dashboard=page,
                metrics=metrics,
            )
            running.start_soon(worker.run)
            running.start_soon(_announce, worker, ready, json)
            async for _ in signals:
                break
            worker.stop()
            running.cancel_scope.deadline = anyio.current_time() + 5


class Ready(msgspec.Struct, kw_only=True):
    """The output of ``dev --json``, printed once all parts answer."""

    url: str
    namespace: str
    partition: int
    server_pid: int
    data: str | None
    """Folder of the data; ``None`` if it is deleted with the server."""
    dashboard: str | None
    """Address for a browser; holds the token for actions. ``None`` if the extra ``dashboard`` is not installed."""
    metrics: str | None
    """Address for Prometheus; ``None`` if the extra ``metrics`` is not installed."""


def is_free(port: int) -> bool:
    """Return whether a TCP port of 127.0.0.1 is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def _dashboard(url: str, keys: Keys) -> AsyncIterator[str | None]:
    """Serve the dashboard, if it is installed; yields its link. The link grants access to the actions."""
    try:
        from ...dashboard.server import serving
    except ImportError:
        yield None
        return
    from ...dashboard.guard import LOCAL
    from ...dashboard.reader import Reader

    token = secrets.token_urlsafe(16)
    port = DASHBOARD_PORT if is_free(DASHBOARD_PORT) else 0
    async with serving(Reader(url, keys, None), "127.0.0.1", port, token, frozenset(LOCAL)) as bound:
        yield f"http://127.0.0.1:{bound}/#token={token}"


@asynccontextmanager
async def _metrics(url: str, keys: Keys) -> AsyncIterator[str | None]:
    """Serve the metrics, if the extra is installed; yields the address."""
    try:
        from ...metrics.exporter import serving
    except ImportError:
        yield None
        return
    async with serving(url, keys, "127.0.0.1", METRICS_PORT if is_free(METRICS_PORT) else 0) as bound:
        yield f"http://127.0.0.1:{bound}/metrics"


async def _announce(worker: Worker, ready: Ready, as_json: bool) -> None:
    while worker.status != "ok":
        await anyio.sleep(0.01)
    if as_json:
        print_json(ready)
        return
    screen = console()
    screen.rule("[bold]streamsched dev", align="left")
    screen.print(_next_steps(ready), soft_wrap=True)  # no frame and no breaks, so that a line can be copied
    screen.rule()


def _next_steps(ready: Ready) -> Text:
    flags = []
    if ready.url.replace("127.0.0.1", "localhost") != DEFAULT_URL:
        flags += ["--url", ready.url]
    if ready.namespace != DEFAULT_NAMESPACE:
        flags += ["--namespace", ready.namespace]
    if ready.partition:
        flags += ["--partition", str(ready.partition)]
    where = (" " + shlex.join(flags)) if flags else ""
    kept = f"kept in {ready.data}" if ready.data else "deleted at the end; --data DIR keeps it"
    return Text.assemble(
        ("Ready: ", "bold green"),
        f"a server and a worker at {ready.url} (data: {kept}).\n",
        *((("Dashboard: ", "bold green"), f"{ready.dashboard}\n") if ready.dashboard else ()),
        *((("Metrics: ", "bold green"), f"{ready.metrics}\n") if ready.metrics else ()),
        "\nIn other terminals:\n\n",
        (f"  streamsched node n1 --pools en-zh --exec 'tr a-z A-Z'{where}\n", "cyan"),
        (f"  streamsched submit --session s1 --src en --tgt zh --wait{where} 'hello'\n", "cyan"),
        (f"  streamsched status --watch{where}\n\n", "cyan"),
        ("Ctrl-C stops all of it.", "dim"),
    )
