"""``streamsched worker``: run a worker as a process, with logs, signals and a health probe."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import anyio
import anyio.abc
import structlog
import typer

from ...console.stop_signals import stop_signals
from ...console.terminal import UsageProblem, address_of
from ...ops import logs
from ...worker.health import health_probe
from ...worker.worker import Worker
from ..options import SERVICE_PATIENCE_S, LogFormat, Target, command

log = structlog.get_logger(__name__)


@command("streamsched worker --url redis://10.0.0.5:6379 --health 0.0.0.0:8080")
async def worker(
    target: Target,
    health: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Answer GET / with 200 while healthy, else 503.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Most events that one call folds or decides.")] = 256,
    log_format: LogFormat = None,
) -> None:
    """Fold events and make the decisions that are due. Ends on SIGTERM or Ctrl-C. Run as many as you
    like; kill any at any time."""

    logs.configure(log_format)
    patience = target.patience(SERVICE_PATIENCE_S)
    worker = Worker(target.settings.url, target.settings.keys, batch, patience_s=patience)
    with ExitStack() as probe:
        if health is not None:
            host, port = address_of("--health", health)
            try:
                bound = probe.enter_context(health_probe(worker, host, port))
            except OSError as problem:
                raise UsageProblem(f"--health {health}: {problem.strerror or problem}; give another address") from None
            log.info("health probe", host=host, port=bound)
        async with anyio.create_task_group() as beside:
            await beside.start(_obey_signals, worker)
            await worker.run()
            beside.cancel_scope.cancel()


async def _obey_signals(worker: Worker, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with stop_signals() as signals:
        task_status.started()
        async for _ in signals:
            worker.stop()
