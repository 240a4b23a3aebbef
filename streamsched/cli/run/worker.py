"""``streamsched worker``: a worker as a process, with its logs, its signals and its health probe."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import anyio
import anyio.abc
import structlog

from ...console.terminal import UsageProblem, address_of
from ...ops import logs
from ...worker.health import health_probe
from ...worker.worker import Worker
from ..options import SERVICE_PATIENCE_S, Target

log = structlog.get_logger(__name__)


async def work(target: Target, health: str | None, batch: int, style: logs.Format | None) -> None:
    """Run a worker until SIGTERM or Ctrl-C.

    Raises:
        ServerUnreachable, ServerTooOld: see :meth:`Worker.run`.
        UsageProblem: the probe's address is malformed or taken.
    """
    logs.configure(style)
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
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            worker.stop()
